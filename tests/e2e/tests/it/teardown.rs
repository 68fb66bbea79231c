//! Undoing: whatever was lost on the way, what was made goes, and nothing else does.

use reprise_e2e::plan::Plan;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;

use crate::drill::{file, nothing_is_left, standing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_that_can_be_run_no_more_is_torn_down_when_its_time_is_over() {
    play(51, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let before = standing(stage);
        stage.world.break_("provision", "", None, Fault::Stall);
        let request = file(stage).await;
        stage.daemon.records().step_is(&request, "postgresql", |seen| seen.phase == "Running").await;
        stage.eventually("an addon", |stage| standing(stage)["addons"] != before["addons"]).await;

        // Nothing that it needs to go on is there any more.
        stage.daemon.records().execute("UPDATE recovery_plans SET spec = '{\"apps\": 7}'").await;
        stage.daemon.kill().await;
        stage.world.mend();
        stage.daemon.unset("APILOS_SECRET_KEY");
        stage.daemon.start().await;
        let waits = |told: &str| told.contains("APILOS_SECRET_KEY");
        stage.daemon.records().stands(&request, |now| waits(now.message())).await;
        assert_ne!(standing(stage), before, "it may be mended until its time is over");

        let over = "UPDATE recovery_requests SET started_at = started_at - interval '7 hours'";
        stage.daemon.records().execute(over).await;
        let message = stage.daemon.records().failed(&request).await;
        assert!(message.contains("drill.timeToLive"), "{message}");
        nothing_is_left(stage, &request, &before).await;
    })
    .await;
}
