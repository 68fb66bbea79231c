//! The daemon does it by itself: what was missed is caught up, once, whoever is up; and what it knows outlives it.

use chrono::{TimeDelta, Utc};
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play, with};
use reprise_e2e::records::poll;
use reprise_e2e::shared::Shared;
use reprise_e2e::world::Fault;
use serde_json::Value;

use super::{body, run_of};

/// Once a week: the last time is days past, the next one is days ahead.
fn weekly() -> String {
    let due = Utc::now() + TimeDelta::hours(84);
    format!("schedule: {{ cron: \"{}\" }}", due.format("%-M %-H * * %w"))
}

/// What was due and what became of it.
const RUNS: &str = "SELECT state || ': ' || coalesce(message, '') FROM scheduled_runs ORDER BY due_at";
/// What the metrics say that must not change while nothing happens.
const LASTING: [&str; 8] = [
    "reprise_archive_objects",
    "reprise_archive_bytes",
    "reprise_archive_changed_bytes",
    "reprise_archive_duration_seconds",
    "reprise_archive_timestamp_seconds",
    "reprise_verified_archive_timestamp_seconds",
    "reprise_archive_verified_timestamp_seconds",
    "reprise_archive_suspicious",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_missed_weeks_are_one_run_though_two_daemons_are_up_and_metrics_outlive_a_restart() {
    play(&with(&[&weekly()]), async |depot| {
        for n in 0..30 {
            depot.source.put(PRODUCTION, &format!("{n:02}"), body(&n.to_string())).await;
        }
        follows(depot).await;
        assert!(
            depot.daemon.records().column(RUNS).await.is_empty(),
            "what was due before it was asked for is not made up"
        );
        missed(depot).await;
        depot.daemon.start().await;
        let mut twin = depot.daemon.twin(&depot.folder("twin"));
        twin.start().await;
        let runs = depot.sees(RUNS, |rows| rows.iter().any(|row| row.starts_with("done"))).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        assert!(runs[0].contains("30 objects, 30 of them copied"), "{runs:?}");
        // Both have looked since, and again.
        let ticks = "SELECT ticked_by FROM scheduler_ticks";
        for _ in 0..4 {
            let before = depot.daemon.records().column(ticks).await;
            depot.sees(ticks, |rows| rows != before).await;
        }
        assert_eq!(depot.daemon.records().column(RUNS).await.len(), 1);
        let rows = depot.must(&["list"]).await;
        assert_eq!(
            (rows.as_array().map(Vec::len), &rows[0]["verifiedDepth"]),
            (Some(1), &Value::from("sample"))
        );
        twin.stop().await;
        let told = depot.daemon.run(&["describe", "apilos"]).await;
        let job = told.lines().find(|line| line.trim_start().starts_with("archive ")).unwrap_or_default();
        assert!(job.contains("done at ") && job.contains("30 objects, 30 of them copied"), "{told}");
        let told: Value =
            serde_json::from_str(&depot.daemon.run(&["-o", "json", "describe", "apilos"]).await)
                .expect("JSON");
        let job = told["jobs"].as_array().and_then(|jobs| jobs.iter().find(|job| job["job"] == "archive"));
        let job = job.expect("the job");
        assert!(job["dueNext"].is_string() && job["last"]["state"] == "done", "{told}");

        let before = metrics(depot).await;
        assert_eq!(before[0], Some(30.0), "{before:?}");
        assert!(before.iter().all(Option::is_some), "one of them is gone: {before:?}");
        assert!(before[5].is_some_and(|at| at > 1_700_000_000.0), "{before:?}");
        depot.daemon.kill().await;
        depot.daemon.start().await;
        assert_eq!(metrics(depot).await, before);
        assert_eq!(depot.daemon.records().column(RUNS).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_run_that_dies_with_the_daemon_is_ended_by_the_next_one() {
    play(&with(&[&weekly()]), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        depot.source.put(PRODUCTION, "b", body("b")).await;
        depot.break_source("GetObject", "/b", None, Fault::Stall);
        follows(depot).await;
        missed(depot).await;
        depot.daemon.start().await;
        depot.eventually("the run at work", |depot| depot.faults_played() > 0).await;
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("another process works on the archive"), "{said}");
        depot.daemon.kill().await;
        depot.mend();
        depot.daemon.start().await;
        let runs = depot.sees(RUNS, |rows| rows.iter().any(|row| row.starts_with("done"))).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        let rows = depot.must(&["list"]).await;
        assert_eq!((rows.as_array().map(Vec::len), &rows[0]["phase"]), (Some(1), &Value::from("Complete")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_run_whose_daemon_is_told_to_stop_is_another_s_at_once() {
    let plan = with(&[&weekly()]);
    play(&plan, async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        depot.break_source("GetObject", "/a", None, Fault::Stall);
        let shared = Shared::start(&depot.folder("server")).await;
        depot.daemon.stop().await;
        depot.daemon.set("DATABASE_URL", &shared.url());
        depot.daemon.start().await;
        depot.daemon.apply(&plan).await;
        follows(depot).await;
        missed(depot).await;
        depot.daemon.start().await;
        depot.eventually("the run at work", |depot| depot.faults_played() > 0).await;
        let mut twin = depot.daemon.twin(&depot.folder("twin"));
        twin.start().await;
        depot.daemon.stop().await;
        depot.mend();
        let began = tokio::time::Instant::now();
        let done = async || {
            let rows = shared.records.column(RUNS).await;
            rows.iter().any(|row| row.starts_with("done")).then_some(rows)
        };
        let runs = poll(done).await.expect("another takes it over");
        assert_eq!(runs.len(), 1, "{runs:?}");
        // Of one that says nothing any more it would be learnt after two minutes.
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
        let by = shared.records.column("SELECT claimed_by FROM scheduled_runs").await;
        assert!(twin.is_called(&by[0]), "{by:?}");
        twin.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_run_that_was_taken_is_not_taken_again_and_old_damage_is_no_reason_to() {
    let plan = with(&[
        &weekly(),
        "samplePercent: 100",
        "retention: { last: 4, weekly: 8, monthly: 12, yearly: 3, automatic: true }",
    ]);
    play(&plan, async |depot| {
        for n in 0..20 {
            depot.source.put(PRODUCTION, &format!("{n:02}"), body(&n.to_string())).await;
        }
        follows(depot).await;
        let first = run_of(&depot.take().await);
        let lines = depot.manifest(&first).await;
        depot.source.delete(PRODUCTION, "00").await;
        let second = run_of(&depot.take().await);
        let lost = format!("apilos/objects/{}", lines[0]["sha256"].as_str().expect("a digest"));
        depot.archive.delete(ARCHIVE, &lost).await;
        missed(depot).await;
        depot.daemon.start().await;
        let runs = depot.sees(RUNS, |rows| rows.iter().any(|row| row.starts_with("done"))).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        assert!(runs[0].contains(&format!("run {second}: 19 objects")), "{runs:?}");
        assert!(runs[0].contains(&format!("WRONG beside it: run {first} is damaged")), "{runs:?}");
        assert!(runs[0].contains("0 runs and 0 contents pruned"), "{runs:?}");
        let rows = depot.must(&["list"]).await;
        assert_eq!((rows.as_array().map(Vec::len), &rows[0]["damaged"]), (Some(2), &Value::Null), "{rows}");
        assert_eq!(rows[0]["lost"].as_array().map(Vec::len), Some(1), "{rows}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_run_that_is_found_damaged_is_healed_by_one_more() {
    play(&with(&[&weekly(), "samplePercent: 100"]), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        follows(depot).await;
        let first = run_of(&depot.take().await);
        let line = depot.manifest(&first).await.remove(0);
        let content = format!("apilos/objects/{}", line["sha256"].as_str().expect("a digest"));
        depot.archive.put(ARCHIVE, &content, body("b")).await;
        missed(depot).await;
        depot.daemon.start().await;
        let runs = depot.sees(RUNS, |rows| rows.iter().any(|row| row.starts_with("done"))).await;
        assert!(runs[0].contains(&format!("it stands for run {first}, which is damaged")), "{runs:?}");
        let rows = depot.must(&["list"]).await;
        assert_eq!((rows.as_array().map(Vec::len), &rows[0]["damaged"]), (Some(2), &Value::Null), "{rows}");
        assert_eq!(depot.archive.get(ARCHIVE, &content).await, body("a"));
    })
    .await;
}

/// Waits until the daemon follows the plan's schedule.
async fn follows(depot: &Depot) {
    depot.sees("SELECT since::text FROM schedules WHERE job = 'archive'", |rows| !rows.is_empty()).await;
}

/// The daemon dies, and three weeks pass in which nobody looks.
async fn missed(depot: &mut Depot) {
    let past = "UPDATE schedules SET since = since - interval '21 days' WHERE job = 'archive'";
    depot.daemon.records().execute(past).await;
    depot.daemon.kill().await;
}

/// What lasts, once the daemon shows it.
async fn metrics(depot: &Depot) -> Vec<Option<f64>> {
    let mut all = Vec::new();
    for name in LASTING {
        let series = format!("{name}{{plan=\"apilos\"}}");
        all.push(depot.shows(&series).await);
    }
    all
}
