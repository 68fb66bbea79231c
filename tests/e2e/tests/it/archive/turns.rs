//! Who has the turn, and what is left where a turn was lost: runs that publish nothing, manifests without records.

use chrono::{TimeDelta, Utc};
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play, with};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;

use super::{body, noise, run_of};

/// Retention that keeps nothing but what must be kept, for so long.
fn keep_little(grace: &str) -> Plan {
    with(&[&format!("retention: {{ last: 1, weekly: 0, monthly: 0, yearly: 0, grace: {grace} }}")])
}

async fn grace_ends(depot: &Depot) {
    let until = Utc::now() + TimeDelta::milliseconds(1_100);
    depot.eventually("the end of the grace period", |_| Utc::now() > until).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_lost_its_turn_publishes_nothing() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        depot.break_archive("PutObject", "/apilos/objects/", Some(1), Fault::Latency { ms: 2_000 });
        let child = depot.begin(&["run"]);
        depot.eventually("the run at work", |depot| depot.faults_played() > 0).await;
        let lost = "SELECT pg_terminate_backend(pid)::text FROM pg_locks WHERE locktype = 'advisory'
            AND classid::bigint = hashtext('reprise.archive')::bigint & 4294967295";
        assert_eq!(depot.daemon.records().column(lost).await, ["true"]);
        let output = child.wait_with_output().await.expect("it ends");
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        for place in ["apilos/runs/", "apilos/manifests/"] {
            assert!(depot.archive.list(ARCHIVE, place).await.is_empty(), "{place}");
        }
        // What it copied is not lost.
        depot.mend();
        depot.take().await;
        assert_eq!(depot.archive.effects("PutObject", "/apilos/objects/"), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_without_a_record_is_reclaimed_and_no_other() {
    play(&keep_little("1h"), async |depot| {
        let manifests = async |depot: &Depot| depot.archive.list(ARCHIVE, "apilos/manifests/").await.len();
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let whole = run_of(&depot.take().await);
        depot.break_archive("PutObject", "/apilos/runs/", None, Fault::Stall);
        let mut child = depot.begin(&["run"]);
        depot.eventually("the record", |depot| depot.faults_played() > 0).await;
        child.kill().await.expect("it dies");
        depot.mend();
        grace_ends(depot).await;
        // It is younger than the grace period.
        let pruned = depot.must(&["prune", "--yes"]).await;
        assert_eq!((&pruned["orphans"], manifests(depot).await), (&0.into(), 2), "{pruned}");
        depot.daemon.apply(&keep_little("1s")).await;
        // A record that cannot be read may be that of any manifest.
        let unreadable = "apilos/runs/20200101T000000Z-0000000000.json";
        depot.archive.put(ARCHIVE, unreadable, "{").await;
        let said = depot.fails(&["prune", "--yes"]).await;
        assert!(said.contains("nothing is pruned") && manifests(depot).await == 2, "{said}");
        depot.archive.delete(ARCHIVE, unreadable).await;
        // Without `--yes` it is told.
        let pruned = depot.must(&["prune"]).await;
        assert_eq!((&pruned["orphans"], manifests(depot).await), (&1.into(), 2), "{pruned}");
        let pruned = depot.must(&["prune", "--yes"]).await;
        assert_eq!((&pruned["leftovers"], manifests(depot).await), (&1.into(), 1), "{pruned}");
        depot.must(&["verify", "--run", &whole, "--depth", "full"]).await;
        // The run that was cut off ends all the same.
        depot.source.put(PRODUCTION, "b", body("b")).await;
        assert_eq!(depot.take().await["manifest"]["objects"], 2);
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pruned_while_the_archive_is_listed_is_not_taken_for_held() {
    play(&keep_little("1s"), async |depot| {
        for key in ["a", "b", "c", "d", "e", "goes"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.take().await;
        depot.source.delete(PRODUCTION, "goes").await;
        depot.take().await;
        depot.must(&["prune", "--yes"]).await;
        grace_ends(depot).await;
        depot.break_archive("DeleteObject", "/apilos/objects/", Some(1), Fault::Latency { ms: 1_500 });
        let before = depot.faults_played();
        let pruning = depot.begin(&["prune", "--yes"]);
        depot.eventually("a deletion", |depot| depot.faults_played() > before).await;
        // The content is listed still.
        depot.must(&["verify", "--depth", "listing"]).await;
        let pruned = pruning.wait_with_output().await.expect("it ends");
        assert!(pruned.status.success(), "{}", String::from_utf8_lossy(&pruned.stderr));
        depot.source.put(PRODUCTION, "again", body("goes")).await;
        depot.take().await;
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_two_objects_make_no_third_though_a_run_died_between_them() {
    play(&Plan::example(), async |depot| {
        let newer = noise(40 << 20, 22);
        depot.source.put(PRODUCTION, "large.bin", noise(40 << 20, 21)).await;
        depot.break_archive("UploadPart", ARCHIVE, None, Fault::Latency { ms: 300 });
        let mut child = depot.begin(&["run"]);
        depot.eventually("a part", |depot| depot.archive.effects("UploadPart", ARCHIVE) > 0).await;
        child.kill().await.expect("it dies");
        depot.mend();
        depot.source.put(PRODUCTION, "large.bin", newer.clone()).await;
        let record = depot.take().await;
        let lines = depot.manifest(&run_of(&record)).await;
        let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&newer));
        assert_eq!(lines[0]["sha256"], sha256);
        let contents = depot.archive.list(ARCHIVE, "apilos/objects/").await;
        assert_eq!(contents, [(format!("apilos/objects/{sha256}"), 40 << 20)]);
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_newest_records_are_damaged_a_new_machine_learns_from_the_run_before() {
    play(&Plan::example(), async |depot| {
        let identity = depot.folder("keys").join("identity").display().to_string();
        let printed = depot.daemon.run(&["archive", "keygen", "--out", &identity]).await;
        let recipients = format!("recipients: [{}]", printed.trim());
        depot.daemon.apply(&with(&[&recipients])).await;
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let records = |record: &serde_json::Value| {
            let extras = record["extras"].as_array().cloned().unwrap_or_default();
            let found = extras.iter().find(|extra| extra["kind"] == "records").expect("records").clone();
            format!("apilos/{}", found["key"].as_str().expect("a key"))
        };
        let older = depot.take().await;
        let newer = depot.take().await;
        let lost = depot.take().await;
        assert_ne!(records(&older), records(&newer));
        let whole = depot.archive.get(ARCHIVE, &records(&newer)).await;
        depot.archive.put(ARCHIVE, &records(&newer), whole.slice(..whole.len() / 2)).await;
        depot.archive.delete(ARCHIVE, &records(&lost)).await;
        depot.daemon.lose_everything().await;
        depot.daemon.start().await;
        let archive = format!("{}/{ARCHIVE}/apilos/", depot.archive.endpoint());
        let words = ["bootstrap", "--dev", "--from-archive", &archive, "--identity", &identity];
        let told = depot.daemon.run(&words).await;
        assert!(
            told.contains(&format!("from run {}", run_of(&older))) && told.contains("plan apilos"),
            "{told}"
        );
        // The runs themselves are whole, and known.
        assert_eq!(depot.must(&["list"]).await.as_array().map(Vec::len), Some(3));
        depot.source.bucket("back", false, false).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["run"], lost["run"]);
    })
    .await;
}
