//! Backups that cannot be restored, and sources that cannot be asked.

use reprise_e2e::plan::Plan;
use reprise_e2e::records::poll;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reprise_sandbox::control::Disaster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_every_backup_is_corrupt_each_is_named_and_nothing_is_created() {
    play(2, async |stage: &mut Stage| {
        stage.world.break_("GET", "/download", None, Fault::Corrupt);
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        stage.world.strike(Disaster::Data).await;
        let before = stage.world.inventory();
        let request = stage.file().await;
        let why = stage.daemon.records().failed(&request).await;
        let databases = before["databases"].as_array().cloned().unwrap_or_default();
        let backups: Vec<&str> = databases
            .iter()
            .filter_map(|one| one["backups"].as_array())
            .flatten()
            .filter_map(|name| name.as_str())
            .collect();
        assert_eq!(backups.len(), 7, "{before}");
        for backup in backups {
            // Name, class of the refusal, and its sentence.
            let told = why.split_once(&format!("{backup} (")).map(|(_, told)| told);
            assert!(told.is_some_and(|told| told.contains(": ")), "{backup} is not explained in: {why}");
        }
        assert!(why.contains("What to do: "), "{why}");
        assert_eq!(stage.world.inventory(), before, "something was created or changed");
        let refused = stage
            .daemon
            .records()
            .column("SELECT refused FROM backup_verdicts WHERE kind = 'database'")
            .await;
        assert_eq!(refused.len(), 7, "{refused:?}");
        assert!(stage.daemon.litter().is_empty(), "left behind: {:?}", stage.daemon.litter());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_keeps_failing_is_passed_over_and_holds_nobody_up() {
    play(66, async |stage: &mut Stage| {
        let outage = Fault::Status { status: 503, body: None, retry_after: None };
        stage.world.break_("GET", "/download", None, outage);
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        let records = stage.daemon.records();
        let passed = "SELECT message FROM recovery_events WHERE reason = 'BackupPassedOver'";
        poll(async || (!records.column(passed).await.is_empty()).then_some(())).await;
        stage.world.mend();
        let chosen = records.step_is(&request, "choose-backup", |step| step.phase == "Done").await;
        // Where the next attempt began after the outage, the newest was had, and refused for what it is.
        let reasons: Vec<&str> = chosen.output["refused"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["reason"].as_str())
            .collect();
        assert!(matches!(reasons.as_slice(), ["gzip-cut" | "unreachable", _, _]), "{reasons:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_cannot_be_asked_keeps_nobody_from_the_others() {
    let refusal = |status| Fault::Status { status, body: None, retry_after: None };
    play(65, async |stage: &mut Stage| {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = folder.path().join("identity").display().to_string();
        let recipient = stage.daemon.run(&["archive", "keygen", "--out", &identity]).await;
        let members = format!(
            "  archive:\n    recipients: [{}]\n    identity: \"file:{identity}\"\n",
            recipient.trim()
        );
        stage.world.break_("ListObjectsV2", "apilos-archive", None, refusal(403));
        stage.world.break_("GET", "/repos/", None, refusal(401));
        let request = stage.bad_day(&Plan::example().with("  archive:\n", &members)).await;
        let records = stage.daemon.records();
        records.succeeded(&request).await;
        let reasons =
            "SELECT DISTINCT reason FROM recovery_events WHERE reason LIKE '%Unreachable' ORDER BY reason";
        assert_eq!(records.column(reasons).await, ["ArchiveUnreachable", "SourceUnreachable"]);
        let chosen = records.step_is(&request, "choose-objects", |step| step.phase == "Done").await;
        assert_eq!(chosen.output["from"], "mirror", "{:?}", chosen.output);
        let told = chosen.output["refused"].to_string();
        assert!(told.contains("unreachable") && told.contains("the archive"), "{told}");
    })
    .await;
}
