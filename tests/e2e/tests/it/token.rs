//! Credentials that do not open anything.

use reprise_e2e::plan::Plan;
use reprise_e2e::stage::{Stage, play};

use crate::evidence::recovered;

/// In the vendor's shape, and nobody's.
const WRONG: &str = "tk-us-00000000-wrong-0000-0000-000000000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_told_without_being_shown_and_the_advice_helps() {
    play(3, async |stage: &mut Stage| {
        let right = stage.world.variable("SCALINGO_API_TOKEN").to_owned();
        stage.daemon.set("SCALINGO_API_TOKEN", WRONG);
        let request = stage.bad_day(&Plan::example()).await;
        let why = stage.daemon.records().failed(&request).await;
        assert!(
            why.contains("401") && why.contains("What to do: ") && why.contains("SCALINGO_API_TOKEN"),
            "{why}"
        );
        let told = stage.daemon.records().everything().await + &stage.daemon.printed();
        assert!(!told.contains(WRONG), "the token is in the tables or in the log");
        stage.daemon.stop().await;
        stage.daemon.set("SCALINGO_API_TOKEN", &right);
        stage.daemon.start().await;
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().succeeded(&request).await;
        recovered(stage, &request).await;
    })
    .await;
}
