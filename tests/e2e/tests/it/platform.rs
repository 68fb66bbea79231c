//! What the platform refuses: names of others, builds and hooks that fail.

use reprise_e2e::plan::{APPS, Plan};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;

use crate::evidence::{recovered, recovered_as};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_another_customer_holds_is_told_and_another_name_goes_on() {
    const OTHER: &str = "apilos-siap-pra2";
    play(4, async |stage: &mut Stage| {
        stage.world.take_app_name(APPS[0]).await;
        let request = stage.bad_day(&Plan::example()).await;
        let why = stage.daemon.records().failed(&request).await;
        assert!(why.contains(APPS[0]) && why.contains("taken") && why.contains("What to do: "), "{why}");
        stage.daemon.apply(&Plan::example().with(APPS[0], OTHER)).await;
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().succeeded(&request).await;
        assert_eq!(stage.world.count("apps", "name", APPS[0]), 1, "somebody else's app was touched");
        assert_eq!(stage.world.count("addons", "app", APPS[0]), 0, "somebody else's app was touched");
        recovered_as(stage, &request, [OTHER, APPS[1]]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_fails_is_told_and_tried_again_when_asked() {
    a_deployment_fails(5, "build", "build-error").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postdeploy_hook_that_fails_is_told_and_tried_again_when_asked() {
    a_deployment_fails(6, "hook", "hook-error").await;
}

async fn a_deployment_fails(seed: u64, verb: &str, status: &str) {
    play(seed, async |stage: &mut Stage| {
        stage.world.break_(verb, APPS[0], Some(1), Fault::Reject { reason: status.to_owned() });
        let request = stage.bad_day(&Plan::example()).await;
        let why = stage.daemon.records().failed(&request).await;
        for part in [&format!("deploy/{}", APPS[0]), status, "What to do: ", "resume"] {
            assert!(why.contains(part), "`{part}` is not in: {why}");
        }
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().succeeded(&request).await;
        recovered(stage, &request).await;
    })
    .await;
}
