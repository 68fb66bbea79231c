//! The estate dies, one `INSERT` is filed, and both sites answer again.

use reprise_e2e::plan::{BUCKET, DOMAINS, Plan};
use reprise_e2e::records::{Records, Request};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::World;
use serde_json::Value;

use crate::evidence::recovered;

/// The sample app's own record of deployments, which a new deployment adds to.
const MIGRATIONS: &str = "public.reprise_migrations";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_estate_comes_back_whole() {
    play(1, async |stage: &mut Stage| {
        let rows = rows(&stage.world).await;
        let documents = documents(&stage.world, "apilos-production");
        let request = stage.bad_day(&Plan::example()).await;
        stage.daemon.records().succeeded(&request).await;
        recovered(stage, &request).await;
        newer_backups_were_refused(stage.daemon.records(), &request).await;
        every_milestone_was_told(stage.daemon.records()).await;
        assert_eq!(self::rows(&stage.world).await, rows, "the rows are not those of before");
        assert_eq!(self::documents(&stage.world, BUCKET), documents, "the documents are not those of before");
        the_sites_are_whole(&stage.world).await;
        no_secret_is_told(stage).await;
        the_evidence_is_whole(stage, &request).await;
    })
    .await;
}

/// `reprise evidence`: for programs, for a manager, for a browser.
async fn the_evidence_is_whole(stage: &Stage, request: &Request) {
    let printed = stage.daemon.run(&["evidence", request.name(), "-o", "json"]).await;
    let evidence: Value = serde_json::from_str(&printed).expect("JSON");
    let list = |name: &str| evidence[name].as_array().cloned().unwrap_or_default();
    let checked: Vec<String> =
        list("checks").iter().filter_map(|check| Some(check["step"].as_str()?.to_owned())).collect();
    for step in ["choose-backup", "restore", "check-database", "refill"] {
        assert!(checked.iter().any(|one| one == step), "no check of {step}: {evidence:#}");
    }
    for domain in DOMAINS {
        assert!(checked.iter().any(|one| one.starts_with("probe/") && one.ends_with(domain)), "{checked:?}");
    }
    assert_eq!(list("notShown").len(), 0, "{evidence:#}");
    assert!(list("objectives")[0]["achievedSeconds"].as_f64() > Some(0.0), "{evidence:#}");
    assert_eq!(list("choices").iter().map(|one| &one["of"]).collect::<Vec<_>>(), ["database", "documents"]);
    let page = stage.daemon.run(&["evidence", request.name(), "--page", "html"]).await;
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<h2>What was checked</h2>"), "{page}");
}

async fn rows(world: &World) -> Value {
    let mut rows = world.visit(DOMAINS[0], "/rows").await.json();
    rows.as_object_mut().expect("a table of counts").remove(MIGRATIONS);
    assert!(rows.as_object().is_some_and(|rows| rows.len() > 5), "{rows}");
    rows
}

/// Number and digest of the objects in a bucket.
fn documents(world: &World, bucket: &str) -> (Value, Value) {
    let bucket = &world.inventory()["buckets"]["source"][bucket];
    assert!(bucket["objects"].as_u64() > Some(0), "{bucket}");
    (bucket["objects"].clone(), bucket["digest"].clone())
}

async fn newer_backups_were_refused(records: &Records, request: &Request) {
    // The last night's is cut, the one before a page of HTML. Between them one is damaged: where that shows first depends on its bytes.
    const DAMAGED: [&str; 4] = ["gzip-damaged", "tar-damaged", "toc-unreadable", "data-unreadable"];
    let verdicts = records
        .column(
            "SELECT refused FROM backup_verdicts WHERE kind = 'database' AND refused IS NOT NULL AND message <> '' ORDER BY taken_at DESC",
        )
        .await;
    let [cut, damaged, page] = verdicts.as_slice() else { panic!("{verdicts:?}") };
    assert_eq!((cut.as_str(), page.as_str()), ("gzip-cut", "error-page"));
    assert!(DAMAGED.contains(&damaged.as_str()), "{damaged}");
    let chosen = records.step(request, "choose-backup").await.expect("the step").output;
    let refused = chosen["refused"].as_array().expect("a list");
    let reasons: Vec<&str> = refused.iter().filter_map(|one| one["reason"].as_str()).collect();
    assert_eq!(reasons, verdicts);
    assert!(
        refused.iter().all(|one| one["message"].as_str().is_some_and(|told| told.len() > 10)),
        "{chosen}"
    );
}

async fn every_milestone_was_told(records: &Records) {
    let told = records
        .column("SELECT message FROM recovery_events WHERE reason = 'MilestoneReached' ORDER BY id")
        .await;
    let names = ["backup-selected", "app-created", "addons", "restored", "deployed", "dns-ok"];
    assert_eq!(told, names.map(|name| format!("milestone {name} is reached")));
}

/// What of a key stays as it is in a path.
const IN_A_PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

async fn the_sites_are_whole(world: &World) {
    let journal = world.journal();
    let key = journal
        .iter()
        .filter(|entry| entry.call == "PutObject")
        .find_map(|entry| entry.resource.strip_prefix(&format!("/{BUCKET}/")))
        .expect("a document of the new bucket");
    let document = format!("/objects/{}", percent_encoding::utf8_percent_encode(key, IN_A_PATH));
    for domain in DOMAINS {
        assert_eq!(world.visit(domain, "/healthz").await.status.as_u16(), 200, "{domain}");
        assert_eq!(world.visit(domain, &document).await.status.as_u16(), 200, "{domain}{document}");
        let rights = world.visit(domain, "/readonly").await.json();
        assert_eq!((&rights["can_read"], &rights["can_write"]), (&true.into(), &false.into()), "{domain}");
        let plain = world.visit_plain(domain, "/").await;
        assert!(plain.status.is_redirection(), "{domain}: {plain:?}");
        assert!(plain.location.is_some_and(|to| to.starts_with(&format!("https://{domain}"))), "{domain}");
    }
}

async fn no_secret_is_told(stage: &Stage) {
    let told = stage.daemon.records().everything().await + &stage.daemon.printed();
    for (name, value) in stage.daemon.secrets() {
        assert!(!told.contains(value), "{name} is in the tables or in the log");
    }
}
