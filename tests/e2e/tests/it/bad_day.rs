//! A day on which every vendor is unwell and none is down.

use reprise_e2e::plan::Plan;
use reprise_e2e::stage::{Stage, play};

use crate::evidence::recovered;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_gets_through_a_day_on_which_every_vendor_is_unwell() {
    play(31, async |stage: &mut Stage| {
        stage.world.have_a_bad_day();
        let request = stage.bad_day(&Plan::example()).await;
        stage.daemon.records().succeeded(&request).await;
        assert!(
            stage.world.faults_played() > 20,
            "the day was not that bad: {}",
            stage.world.faults_played()
        );
        stage.world.mend();
        recovered(stage, &request).await;
    })
    .await;
}
