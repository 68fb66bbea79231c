//! How a plan stands: `reprise describe PLAN`, and the columns of `reprise get plans`. All of it is what the daemon wrote: into the
//! plan's status, and of its scheduled jobs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::get::moment;
use super::{CliError, output, report};
use crate::recovery::report::{RtoSplit, times};
use crate::runtime::chain::Chain;
use crate::schedule::runner::{check, next};
use crate::store::{PlanRow, RequestRow, RunState, ScheduledRun, Store};

/// How many drills show the trend.
const DRILLS: i64 = 10;

/// A scheduled job of a plan.
#[derive(Debug, Default)]
pub(super) struct JobState {
    /// When it is due next, if it still has a schedule.
    next: Option<DateTime<Utc>>,
    /// Its newest run, if it ever had one.
    last: Option<ScheduledRun>,
}

/// The jobs of a plan by their names: those that have a schedule, and those that once had a run.
pub(super) async fn jobs(store: &Store, row: &PlanRow) -> Result<BTreeMap<String, JobState>, CliError> {
    let mut jobs = BTreeMap::<String, JobState>::new();
    for one in next(store, std::slice::from_ref(row)).await? {
        jobs.entry(one.job.name().to_owned()).or_default().next = Some(one.due_at);
    }
    for one in store.last_runs(&row.name).await? {
        jobs.entry(one.job).or_default().last = Some(one.run);
    }
    Ok(jobs)
}

/// The newest drills that succeeded, and where their time went, newest first.
pub(super) async fn drills(store: &Store, row: &PlanRow) -> Result<Vec<(RequestRow, RtoSplit)>, CliError> {
    let mut drills = Vec::new();
    for drill in store.good_drills(&row.name, DRILLS).await? {
        let steps = store.steps(&drill.name).await?;
        let split = times(&drill, &steps, drill.created_at);
        drills.push((drill, split));
    }
    Ok(drills)
}

fn drill_cells((drill, split): &(RequestRow, RtoSplit)) -> Vec<String> {
    let seconds = [
        split.total_seconds,
        split.data_movement_seconds,
        split.provider_wait_seconds,
        split.dns_wait_seconds,
        split.own_overhead_seconds,
    ];
    let ended = drill.finished_at.map(moment).unwrap_or_default();
    [format!("  {}", drill.name), ended].into_iter().chain(seconds.map(report::seconds)).collect()
}

fn drill_json((drill, split): &(RequestRow, RtoSplit)) -> Value {
    json!({ "name": drill.name, "filedAt": drill.created_at, "finishedAt": drill.finished_at, "rto": split })
}

/// How a run stands, in the word of `scheduled_runs.state` and a date.
fn stands(run: &ScheduledRun) -> String {
    let ended = run.finished_at.map(moment).unwrap_or_default();
    match (run.state, run.retry_at) {
        (RunState::Claimed, _) => format!("claimed, alive at {}", moment(run.heartbeat_at)),
        (RunState::Done, _) => format!("done at {ended}"),
        (RunState::Failed, None) => format!("failed at {ended}"),
        (RunState::Failed, Some(retry)) => format!("failed at {ended}, again at {}", moment(retry)),
    }
}

fn job_cells((name, job): (&String, &JobState)) -> Vec<String> {
    let last = job.last.as_ref();
    vec![
        format!("  {name}"),
        job.next.map_or_else(|| "-".to_owned(), moment),
        last.map_or_else(|| "never".to_owned(), |run| moment(run.due_at)),
        last.map(stands).unwrap_or_default(),
        last.and_then(|run| run.message.clone()).unwrap_or_default(),
    ]
}

fn job_json((name, job): (&String, &JobState)) -> Value {
    let last = job.last.as_ref().map(|run| {
        json!({
            "dueAt": run.due_at, "state": format!("{:?}", run.state).to_lowercase(), "claimedBy": run.claimed_by,
            "heartbeatAt": run.heartbeat_at, "finishedAt": run.finished_at, "failures": run.failures, "retryAt": run.retry_at,
            "message": run.message,
        })
    });
    json!({ "job": name, "dueNext": job.next, "last": last })
}

/// A condition of the plan, as `True (REASON): MESSAGE`.
fn proven(row: &PlanRow) -> Option<&Value> {
    row.status["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Proven")
}

/// Whether it is proven, what a recovery is predicted to take, and the sentence about it.
pub(super) fn cells(row: &PlanRow) -> [String; 3] {
    let word = |name: &str| proven(row).and_then(|it| it[name].as_str()).unwrap_or_default().to_owned();
    let predicted = row.status["prediction"]["seconds"].as_f64();
    [word("status"), predicted.map(report::seconds).unwrap_or_default(), word("message")]
}

/// Why nobody works on the plan, if this release cannot read it.
fn unreadable(row: &PlanRow) -> Option<String> {
    check(row).err().map(|error| Chain(&error).to_string())
}

/// The plan for programs.
pub(super) fn document(row: &PlanRow) -> Value {
    json!({ "name": row.name, "unreadable": unreadable(row), "generation": row.generation, "createdAt": row.created_at, "status": row.status })
}

/// The same with its jobs, and the time that its drills took.
pub(super) fn described(
    row: &PlanRow,
    jobs: &BTreeMap<String, JobState>,
    drills: &[(RequestRow, RtoSplit)],
) -> Value {
    let mut document = document(row);
    document["jobs"] = jobs.iter().map(job_json).collect();
    document["drills"] = drills.iter().map(drill_json).collect();
    document
}

/// The plan for people.
pub(super) fn text(
    row: &PlanRow,
    jobs: &BTreeMap<String, JobState>,
    drills: &[(RequestRow, RtoSplit)],
) -> Result<(), CliError> {
    let [status, predicted, message] = cells(row);
    output::line(format!("Plan:       {}", row.name))?;
    output::line(format!("Generation: {}, first applied {}", row.generation, moment(row.created_at)))?;
    if let Some(why) = unreadable(row) {
        output::line(format!(
            "Unreadable: {why}. Nothing is archived, proven or rehearsed: correct the plan and `reprise apply` it"
        ))?;
    }
    let unknown = || "not known: the daemon has not looked, or no drill is wanted".to_owned();
    output::line(format!(
        "Proven:     {}",
        if status.is_empty() { unknown() } else { format!("{status}: {message}") }
    ))?;
    if !predicted.is_empty() {
        output::line(format!(
            "Predicted:  a recovery would take {predicted} at today's sizes; the longest way:"
        ))?;
    }
    for step in row.status["prediction"]["longestWay"].as_array().into_iter().flatten() {
        let took = step[1].as_f64().map(report::seconds).unwrap_or_default();
        output::line(format!("  {took:>9}  {}", step[0].as_str().unwrap_or_default()))?;
    }
    if !drills.is_empty() {
        output::line("Drills that succeeded, and what they took until dns-ok:")?;
        output::table(
            &["  DRILL", "ENDED", "IN ALL", "DATA", "PROVIDER", "DNS", "OWN"],
            &drills.iter().map(drill_cells).collect::<Vec<_>>(),
        )?;
    }
    let preflight = &row.status["preflight"];
    let (good, of) = (&preflight["score"]["good"], &preflight["score"]["of"]);
    if good.is_number() {
        output::line(format!(
            "Preflight:  {good} of {of} are good, at {}",
            preflight["at"].as_str().unwrap_or_default()
        ))?;
    }
    let bad = |finding: &&Value| finding["grade"] != "good";
    for finding in preflight["findings"].as_array().into_iter().flatten().filter(bad) {
        let word = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        output::line(format!("  {} {}: {}", word("grade"), word("check"), word("message")))?;
    }
    if !jobs.is_empty() {
        output::line("Jobs:")?;
        output::table(
            &["  JOB", "DUE NEXT", "LAST WAS DUE", "AND IS", "MESSAGE"],
            &jobs.iter().map(job_cells).collect::<Vec<_>>(),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + hour * 3_600, 0).unwrap()
    }

    fn run(
        state: RunState,
        finished_at: Option<DateTime<Utc>>,
        retry_at: Option<DateTime<Utc>>,
    ) -> ScheduledRun {
        ScheduledRun {
            due_at: at(0),
            state,
            claimed_by: "one".to_owned(),
            heartbeat_at: at(1),
            finished_at,
            failures: 0,
            retry_at,
            message: Some("30 objects".to_owned()),
        }
    }

    #[test]
    fn a_run_stands_in_the_words_of_its_row() {
        for (run, told) in [
            (run(RunState::Claimed, None, None), "claimed, alive at 2026-09-21T15:13:20Z"),
            (run(RunState::Done, Some(at(2)), None), "done at 2026-09-21T16:13:20Z"),
            (run(RunState::Failed, Some(at(2)), None), "failed at 2026-09-21T16:13:20Z"),
            (
                run(RunState::Failed, Some(at(2)), Some(at(3))),
                "failed at 2026-09-21T16:13:20Z, again at 2026-09-21T17:13:20Z",
            ),
        ] {
            assert_eq!(stands(&run), told);
        }
    }

    #[test]
    fn a_plan_that_this_release_cannot_read_says_so() {
        let spec = json!({ "archive": 7 });
        let row = PlanRow { name: "shop".into(), spec, status: json!({}), generation: 1, created_at: at(0) };
        let told = document(&row)["unreadable"].as_str().map(str::to_owned).unwrap_or_default();
        assert!(told.contains("archive"), "{told}");
    }

    #[test]
    fn a_job_without_a_run_or_without_a_schedule_is_told_too() {
        let name = "dumps".to_owned();
        let never = JobState { next: Some(at(5)), last: None };
        assert_eq!(job_cells((&name, &never)), ["  dumps", "2026-09-21T19:13:20Z", "never", "", ""]);
        assert_eq!(job_json((&name, &never))["last"], Value::Null);
        let former = JobState { next: None, last: Some(run(RunState::Done, Some(at(2)), None)) };
        assert_eq!(job_cells((&name, &former))[1..3], ["-", "2026-09-21T14:13:20Z"]);
        let document = job_json((&name, &former));
        assert_eq!(
            (&document["last"]["state"], &document["last"]["message"]),
            (&json!("done"), &json!("30 objects"))
        );
    }
}
