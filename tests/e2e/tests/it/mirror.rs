//! The mirror bucket as a source: objects whose tags tell nothing of their bytes.

use aws_sdk_s3::types::ObjectVersion;
use reprise_e2e::plan::{BUCKET, Plan};
use reprise_e2e::shelf;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;

/// What the example plan says before its mirror.
const BETTER: &str = "      - archive: {}             # the newest run of the archive below that is whole
      - artifact:
          repository: env:GITHUB_REPOSITORY
          workflow: archive.yml
          branch: main
          name: s3_production
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_was_uploaded_in_parts_comes_back_and_is_written_once() {
    play(71, async |stage: &mut Stage| {
        let (mirror, target) = (stage.world.mirror(), stage.world.production());
        let bucket = stage.world.variable("S3_ARCHIVE_BUCKET").to_owned();
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
