//! The dump on its way into the new database.

use reprise_e2e::plan::{APPS, Plan};
use reprise_e2e::records::Request;
use reprise_e2e::stage::{Stage, play};
use reprise_sandbox::control::Disaster;
use reqwest::Method;

use crate::proof::{asked_for, night};

/// An index that is built in longer than nothing may move in a rehearsed world, and only in a recovery. The sleep is the server's work, for
/// which the scene waits by what is recorded.
const SLOW: &str = "CREATE FUNCTION public.slow(x integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS \\$\\$ BEGIN
      IF current_setting('application_name') = 'reprise-restore' THEN PERFORM pg_sleep(25); END IF; RETURN x; END \\$\\$;
    CREATE TABLE public.large AS SELECT 1 AS x; CREATE INDEX large_slow ON public.large (public.slow(x))";

/// Ends our other sessions, as the platform does with those that idle for half an hour.
const IDLE: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reprise'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_built_for_longer_than_nothing_may_move_is_no_stall() {
    play(63, async |stage: &mut Stage| {
        stage.psql("$DATABASE_URL", SLOW).await;
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let new = night(stage).await;
        let (well, told) = asked_for(stage, &new).await;
        assert!(well, "{told}");
        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        let records = stage.daemon.records();
        let chosen = records.step_is(&request, "choose-backup", |step| step.phase == "Done").await;
        assert_eq!(chosen.output["name"], new);
        records.step_is(&request, "restore", |step| step.message.starts_with("restoring: entry")).await;
        let url = stage.eventual_variable(APPS[0], "SCALINGO_POSTGRESQL_URL").await;
        stage.psql(&url, IDLE).await;
        records.succeeded(&request).await;
        let restore = records.step(&request, "restore").await.expect("it is done");
        assert_eq!(restore.attempt, 1, "it was done once more for want of a look");
        let stalled = "SELECT message FROM recovery_events WHERE message LIKE 'nothing moved%'";
        assert_eq!(records.column(stalled).await, [""; 0]);
    })
    .await;
}

/// Files a request, and puts a table into its database before the restore has looked there. Returns the database's URL.
async fn occupied(stage: &mut Stage) -> (Request, String) {
    stage.daemon.start().await;
    stage.daemon.apply(&Plan::example()).await;
    let request = stage.file().await;
    // It comes into being by itself once it is ordered.
    stage.eventually("the order", |stage| addon(stage).is_some()).await;
    stage.daemon.run(&["pause", "the-bad-day"]).await;
    stage.daemon.records().stands(&request, |now| now.phase == "Paused").await;
    let url = stage.eventual_variable(APPS[0], "SCALINGO_POSTGRESQL_URL").await;
    stage.psql(&url, "CREATE TABLE public.of_somebody (x integer)").await;
    stage.daemon.run(&["resume", "the-bad-day"]).await;
    let why = stage.daemon.records().failed(&request).await;
    assert!(why.contains("did not put there") && why.contains("What to do: "), "{why}");
    (request, url)
}

/// The new database's addon, by its resource.
fn addon(stage: &Stage) -> Option<String> {
    let inventory = stage.world.inventory();
    let ordered = |one: &&serde_json::Value| one["app"] == APPS[0] && one["provider"] == "postgresql";
    let found = inventory["addons"].as_array()?.iter().find(ordered)?;
    found["resource"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_put_into_the_new_database_is_not_restored_over() {
    play(64, async |stage: &mut Stage| {
        let (request, url) = occupied(stage).await;
        stage.psql(&url, "DROP TABLE public.of_somebody").await;
        stage.daemon.run(&["resume", "the-bad-day"]).await;
        stage.daemon.records().succeeded(&request).await;
    })
    .await;
}

/// That is what people are told to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_removes_the_addon_and_resumes_gets_another_one() {
    play(69, async |stage: &mut Stage| {
        let (request, _) = occupied(stage).await;
        let old = addon(stage).expect("it is there");
        let path = format!("apps/{}/addons", APPS[0]);
        let listed = stage.world.platform(Method::GET, &path, None).await;
        let all = listed["addons"].as_array().expect("a list");
        let id =
            all.iter().find(|one| one["resource_id"] == old.as_str()).expect("it is listed")["id"].clone();
        let path = format!("{path}/{}", id.as_str().expect("an id"));
        stage.world.platform(Method::DELETE, &path, None).await;
        stage.daemon.run(&["resume", "the-bad-day"]).await;
        let records = stage.daemon.records();
        records.succeeded(&request).await;
        assert_ne!(addon(stage).expect("another one"), old);
        let told = "SELECT message FROM recovery_events WHERE reason = 'AddonReplaced'";
        assert_eq!(records.column(told).await.len(), 1);
    })
    .await;
}
