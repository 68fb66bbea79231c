//! The mirror bucket as a source: objects whose tags tell nothing of their bytes, and a thaw that keeps nobody waiting.

use aws_sdk_s3::types::ObjectVersion;
use reprise_e2e::plan::{BUCKET, Plan};
use reprise_e2e::records::Request;
use reprise_e2e::shelf;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;

use crate::drill;

/// What the example plan says before its mirror.
pub(crate) const BETTER: &str =
    "      - archive: {}             # the newest run of the archive below that is whole
      - artifact:
          repository: env:GITHUB_REPOSITORY
          workflow: archive.yml
          branch: main
          name: s3_production
";

/// Has every thaw answered far too late.
fn thaw_slowly(stage: &Stage) {
    stage.world.break_("RestoreObject", "apilos-mirror", None, Fault::Latency { ms: 60_000 });
}

async fn chooses_the_artifact(stage: &Stage, request: &Request) {
    let done = stage.daemon.records().step_is(request, "choose-objects", |step| step.phase == "Done").await;
    assert_eq!(done.output["from"], "artifact", "{:?}", done.output);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_was_uploaded_in_parts_comes_back_and_is_written_once() {
    play(71, async |stage: &mut Stage| {
        let (mirror, target) = (stage.world.mirror(), stage.world.production());
        let bucket = stage.world.variable("S3_ARCHIVE_BUCKET").to_owned();
        for call in ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"] {
            stage.world.owns(&format!("foreign_write: {call} wrote to the bucket `apilos-mirror`"));
        }
        shelf::put_in_parts(&mirror, &bucket, "a-film.mp4", "of several parts").await;
        shelf::put_in_parts(&mirror, &bucket, "zz-last.bin", "which cannot be read at first").await;
        // The first attempt ends after it has written the other one.
        let refused = Fault::Status { status: 500, body: None, retry_after: None };
        stage.world.break_("GetObject", "zz-last.bin", Some(6), refused);
        let request = stage.bad_day(&Plan::example().with(BETTER, "")).await;
        let records = stage.daemon.records();
        let ended = |phase: &str| phase == "Done" || phase == "Failed";
        let step = records.step_is(&request, "refill", |step| ended(&step.phase)).await;
        assert_eq!(step.phase, "Done", "{step:?}");
        let listed = target.list_object_versions().bucket(BUCKET).prefix("a-film.mp4").send().await;
        let listed = listed.expect("a list of versions");
        assert_eq!(listed.versions().iter().map(ObjectVersion::size).collect::<Vec<_>>(), [Some(16)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_come_to_a_store_that_has_neither_versions_nor_marks_and_whose_tags_tell_nothing() {
    play(86, async |stage: &mut Stage| {
        let target = stage.stranger().await;
        stage.daemon.set("ELSEWHERE", &target.endpoint());
        let named = "      name: apilos-pra\n      endpoint: env:S3_SOURCE_ENDPOINT";
        let plan = Plan::example()
            .with(named, "      name: apilos-pra\n      endpoint: env:ELSEWHERE")
            .with("      versioning: true\n", "      versioning: false\n");
        let request = stage.bad_day(&plan).await;
        let records = stage.daemon.records();
        let step =
            records.step_is(&request, "refill", |step| step.phase != "Running" && step.phase != "Pending");
        let step = step.await;
        assert_eq!(step.phase, "Done", "{step:?}");
        assert_eq!(step.output["objects"], target.things(BUCKET, "").len(), "{step:?}");
        let told = "SELECT message FROM recovery_events WHERE reason = 'VisibilityUnknown'";
        assert_eq!(records.column(told).await.len(), 1);
        // Nothing there proves whose it is, and it holds documents.
        stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
        stage.daemon.records().ended(&request).await;
        assert!(target.has(BUCKET) && !target.things(BUCKET, "").is_empty());
        let told =
            "SELECT message FROM recovery_events WHERE reason = 'LeftAlone' AND message LIKE 'bucket%'";
        assert_eq!(stage.daemon.records().column(told).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_thaws_beside_the_choice_of_a_better_source_and_not_before_it() {
    play(72, async |stage: &mut Stage| {
        thaw_slowly(stage);
        let request = stage.bad_day(&Plan::example()).await;
        chooses_the_artifact(stage, &request).await;
        // Many at once: one after the other, the first ones would have been given up by now.
        let asked = stage.world.faults_played();
        assert!(asked >= 8, "{asked} thaws were asked for");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_workflow_run_left_is_fetched_and_becomes_a_run_of_its_time() {
    play(85, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let request = drill::file(stage).await;
        chooses_the_artifact(stage, &request).await;
        let chosen = stage.daemon.records().step(&request, "choose-objects").await.expect("a step").output;
        let import = async |run: &str| {
            let words = ["-o", "json", "archive", "--dev", "import", "apilos", "--artifact-of", run];
            stage.daemon.say(&words).await
        };
        stage.daemon.run(&["archive", "--dev", "init", "apilos"]).await;
        let said = import(&chosen["run"].to_string()).await;
        let record = said.json();
        assert_eq!((said.code, &record["manifest"]["objects"]), (0, &chosen["objects"]), "{}", said.err);
        assert_eq!(
            record["source"]["endpoint"],
            format!("zip:sha256:{}", chosen["sha256"].as_str().expect("a digest"))
        );
        assert!(record["started_at"].as_str() >= chosen["takenAt"].as_str(), "{record}");
        let said = import("1").await;
        assert!(said.code != 0 && said.err.contains("run 1"), "{}", said.err);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_has_nothing_thawed_that_it_does_not_need() {
    play(73, async |stage: &mut Stage| {
        thaw_slowly(stage);
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let request = drill::file(stage).await;
        chooses_the_artifact(stage, &request).await;
        assert_eq!(stage.world.faults_played(), 0, "a thaw was asked for");
    })
    .await;
}
