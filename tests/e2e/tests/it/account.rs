//! The account is lost, with its backups, its buckets and the code host; and so is the machine that Reprise ran on. What is left is the
//! archive, the identity that opens it, and the credentials of an account.

use std::path::Path;

use reprise_e2e::daemon::Daemon;
use reprise_e2e::plan::{APPS, DOMAINS, Plan};
use reprise_e2e::records::poll;
use reprise_e2e::shelf;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reprise_sandbox::control::Disaster;
use reprise_sandbox::s3::Key;
use reqwest::Method;
use serde_json::json;

use crate::proof::grade;

/// Makes a key pair, and the plan that encrypts for it.
pub(crate) async fn with_recipient(daemon: &Daemon, identity: &Path) -> Plan {
    let printed = daemon.run(&["archive", "keygen", "--out", &identity.display().to_string()]).await;
    let recipient = printed.trim();
    assert!(recipient.starts_with("age1"), "{printed}");
    let plan = Plan::example().with("{ from: \"env:APILOS_JWT_SIGN_KEY\" }", "{ policy: keep }");
    plan.with("  archive:\n", &format!("  archive:\n    recipients: [{recipient}]\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_moves_takes_the_code_along() {
    play(32, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let archive =
            async |stage: &Stage, verb| stage.daemon.run(&["archive", "--dev", verb, "apilos"]).await;
        archive(stage, "init").await;
        archive(stage, "run").await;
        lose_the_code(stage).await;
        stage.daemon.apply(&Plan::example().with("bucket: apilos-archive", "bucket: apilos-elsewhere")).await;
        archive(stage, "init").await;
        let taken = archive(stage, "run").await;
        assert!(taken.contains("code of apilos-siap-pra"), "{taken}");
        stage.daemon.run(&["archive", "--dev", "verify", "apilos", "--depth", "full"]).await;
    })
    .await;
}

/// What lies beside a run's objects is looked for like them, and put again where it was lost.
async fn lose_the_code(stage: &Stage) {
    let record = "SELECT status::text FROM archives ORDER BY run DESC LIMIT 1";
    let record = stage.daemon.records().column(record).await.remove(0);
    let record: serde_json::Value = serde_json::from_str(&record).expect("a record");
    let extras = record["extras"].as_array().expect("extras");
    let code = extras.iter().find(|extra| extra["kind"] == "code").expect("code");
    let key = format!("apilos/{}", code["key"].as_str().expect("a key"));
    let variable = |name: &str| stage.world.variable(&format!("S3_ARCHIVE_{name}")).to_owned();
    let keys = Key::set((variable("ACCESS_KEY_ID"), variable("SECRET_ACCESS_KEY")));
    let store = shelf::client(&variable("ENDPOINT"), &keys[0]);
    store.delete_object().bucket("apilos-archive").key(&key).send().await.expect("it is lost");
    let (well, told) = stage.daemon.ask(&["archive", "--dev", "verify", "apilos"]).await;
    let wrong = format!("WRONG: code of {}", APPS[0]);
    assert!(!well && told.contains(&wrong) && told.contains("no damage of its objects was found"), "{told}");
    let lacking = "reprise_archive_missing_parts{plan=\"apilos\"}";
    let parts = poll(async || stage.daemon.metric(lacking).await.filter(|parts| *parts > 0.0)).await;
    assert!(parts.is_some(), "no alert would come of it");
    stage.daemon.run(&["archive", "--dev", "run", "apilos"]).await;
    stage.daemon.run(&["archive", "--dev", "verify", "apilos", "--depth", "full"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_the_platform_lists_and_does_not_give_is_read_from_the_archive() {
    play(36, async |stage: &mut Stage| {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = folder.path().join("identity");
        stage.daemon.start().await;
        let named = format!("    identity: \"file:{}\"\n    recipients: [", identity.display());
        let plan = with_recipient(&stage.daemon, &identity).await.with("    recipients: [", &named);
        stage.daemon.apply(&plan).await;
        for verb in ["init", "dumps", "run"] {
            stage.daemon.run(&["archive", "--dev", verb, "apilos"]).await;
        }
        let (_, told) = stage.daemon.ask(&["doctor", "apilos", "--dev", "-o", "json"]).await;
        assert_eq!(grade(&told, "identity"), "good", "{told}");
        // The newest three are known to be bad then.
        stage.daemon.ask(&["prove", "apilos", "--dev"]).await;
        let outage = Fault::Status { status: 503, body: None, retry_after: None };
        stage.world.break_("GET", "/download", None, outage);
        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        let records = stage.daemon.records();
        let chosen = records.step_is(&request, "choose-backup", |step| step.phase == "Done").await;
        assert_eq!(chosen.output["copied"], true, "{:?}", chosen.output);
        let passed = "SELECT message FROM recovery_events WHERE reason = 'BackupPassedOver' AND message NOT LIKE '%as of %'";
        assert_eq!(records.column(passed).await, [""; 0], "it is the newest good one");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_estate_comes_back_from_the_archive_alone() {
    play(31, async |stage: &mut Stage| {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = folder.path().join("identity");
        stage.daemon.start().await;
        let plan = with_recipient(&stage.daemon, &identity).await;
        stage.daemon.apply(&plan).await;
        for (app, value) in [("apilos-siap", "of the first"), ("apilos-standalone", "of the second")] {
            let body = json!({ "variables": [{ "name": "JWT_SIGN_KEY", "value": value }] });
            stage.world.platform(Method::PUT, &format!("apps/{app}/variables"), Some(body)).await;
        }
        stage.daemon.run(&["archive", "--dev", "init", "apilos"]).await;
        let copied = stage.daemon.run(&["archive", "--dev", "dumps", "apilos"]).await;
        assert_eq!(
            copied.matches("\ncopied ").count() + usize::from(copied.starts_with("copied ")),
            4,
            "{copied}"
        );
        let taken = stage.daemon.run(&["archive", "--dev", "run", "apilos"]).await;
        for kind in ["code of apilos-siap-pra", "configuration of apilos", "records of reprise"] {
            assert!(taken.contains(kind), "{kind} is not in: {taken}");
        }
        let code = stage.world.variable("CODE_URL").trim_start_matches("file://").to_owned();
        std::fs::rename(&code, folder.path().join("nobody-finds-it")).expect("the code host is gone");
        stage.world.owns("foreign_write: `DELETE /v1/apps/apilos-standalone`");
        stage
            .world
            .platform(Method::DELETE, "apps/apilos-standalone?current_name=apilos-standalone", None)
            .await;
        // The next run is due before anybody sees it: it has neither, and the one before it still does.
        let taken = stage.daemon.run(&["archive", "--dev", "run", "apilos"]).await;
        for kind in ["code: ", "configuration: "] {
            assert!(taken.contains(&format!("NOT ARCHIVED: {kind}")), "{kind} is not in: {taken}");
        }
        stage.world.strike(Disaster::Account).await;
        stage.daemon.lose_everything().await;
        stage.daemon.start().await;
        let archive = format!("{}/apilos-archive/apilos/", stage.world.variable("S3_ARCHIVE_ENDPOINT"));
        let identity = identity.display().to_string();
        let told = stage
            .daemon
            .run(&["bootstrap", "--dev", "--from-archive", &archive, "--identity", &identity])
            .await;
        assert!(told.contains("plan apilos"), "{told}");
        let request = stage.file().await;
        stage.daemon.records().succeeded(&request).await;
        let records = stage.daemon.records();
        let chosen = records.step(&request, "choose-objects").await.expect("it was chosen").output;
        assert_eq!(chosen["from"], "archive", "the code host's artifacts are another's to keep: {chosen}");
        for (app, domain) in APPS.into_iter().zip(DOMAINS) {
            let page = stage.world.visit(domain, "/").await;
            assert!(page.status.as_u16() < 400, "{app} answers {}", page.status);
        }
        for (app, value) in APPS.into_iter().zip(["of the first", "of the second"]) {
            assert_eq!(stage.world.variables_of(app).await["JWT_SIGN_KEY"], value, "{app}");
        }
        let evidence = stage.daemon.run(&["evidence", "the-bad-day"]).await;
        assert!(evidence.contains("as archive run "), "{evidence}");
        let again = stage
            .daemon
            .ask(&["bootstrap", "--dev", "--from-archive", &archive, "--identity", &identity])
            .await;
        assert!(
            !again.0 && again.1.contains("not empty"),
            "a store that knows something is left alone: {}",
            again.1
        );
    })
    .await;
}
