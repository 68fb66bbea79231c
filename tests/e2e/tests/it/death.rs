//! SIGKILL in the middle of what moves data: the next start goes on, and nothing is there twice.

use reprise_e2e::plan::{APPS, BUCKET, Plan};
use reprise_e2e::records::Request;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;

use crate::evidence::recovered;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_dies_while_it_restores_goes_on() {
    play(8, async |stage: &mut Stage| {
        let request = stage.bad_day(&Plan::example()).await;
        stage.daemon.records().step_is(&request, "restore", |step| step.phase == "Running").await;
        stage.eventually("pg_restore at work", |stage| stage.daemon.restores_now()).await;
        dies_and_goes_on(stage, &request, "restore").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_dies_while_it_refills_goes_on() {
    play(9, async |stage: &mut Stage| {
        // Slow enough that the death falls between the first document and the last.
        stage.world.break_("PutObject", BUCKET, None, Fault::Latency { ms: 300 });
        let request = stage.bad_day(&Plan::example()).await;
        let begun =
            |stage: &Stage| stage.world.journal().iter().any(|entry| is_put(&entry.call, &entry.resource));
        stage.eventually("a document in the new bucket", begun).await;
        dies_and_goes_on(stage, &request, "refill").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_dies_while_it_deploys_goes_on() {
    play(10, async |stage: &mut Stage| {
        let request = stage.bad_day(&Plan::example()).await;
        let key = format!("deploy/{}", APPS[0]);
        // The platform's own lines: it has the code and is at work with it.
        stage.daemon.records().step_is(&request, &key, |step| step.phase == "Running" && step.done > 0).await;
        dies_and_goes_on(stage, &request, &key).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_breaks_while_the_platform_builds_says_nothing_of_the_code() {
    play(14, async |stage: &mut Stage| {
        // The first build goes on until its line breaks.
        stage.world.break_("build", APPS[0], Some(1), Fault::Stall);
        let request = stage.bad_day(&Plan::example()).await;
        let key = format!("deploy/{}", APPS[0]);
        let records = stage.daemon.records();
        records.step_is(&request, &key, |step| step.phase == "Running" && step.done > 0).await;
        assert!(stage.daemon.cut_push(), "nothing was pushed");
        records.succeeded(&request).await;
        let told =
            "SELECT message FROM recovery_events WHERE reason = 'StepRetrying' AND step LIKE 'deploy/%'";
        let told = records.column(told).await;
        assert!(told.iter().any(|line| line.contains("the platform gave it up")), "{told:?}");
        recovered(stage, &request).await;
    })
    .await;
}

fn is_put(call: &str, resource: &str) -> bool {
    call == "PutObject" && resource.starts_with(&format!("/{BUCKET}/"))
}

async fn dies_and_goes_on(stage: &mut Stage, request: &Request, step: &str) {
    stage.daemon.kill().await;
    stage.world.mend();
    stage.daemon.start().await;
    stage.daemon.records().succeeded(request).await;
    let again = stage.daemon.records().step(request, step).await.expect("the step");
    assert!(again.attempt > 1, "the death missed {step}: {again:?}");
    let why = "SELECT step FROM recovery_events WHERE reason = 'StepCutOff'";
    let told = stage.daemon.records().column(why).await;
    assert!(told.iter().any(|cut| cut == step), "nobody is told why {step} began anew: {told:?}");
    recovered(stage, request).await;
}
