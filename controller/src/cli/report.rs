//! The report of a request that has ended: where the time went, which backup was taken, and what that costs.

use serde_json::{Value, json};

use super::describe::Records;
use super::get::moment;
use super::{CliError, output};
use crate::recovery::cut;
use crate::recovery::hand_over;
use crate::recovery::outputs::{ChosenBackup, ChosenObjects, Outputs, RefusedBackup, read_again};
use crate::recovery::report::{self, RtoSplit, rpo_minutes};
use crate::recovery::step::Step;
use crate::store::StepRow;

/// The report for programs.
pub(super) fn json(records: &Records) -> Value {
    let outputs = Outputs::read(&records.steps);
    let backup = outputs.find::<ChosenBackup>(&Step::ChooseBackup).ok().flatten();
    let objects = outputs.find::<ChosenObjects>(&Step::ChooseObjects).ok().flatten();
    let rpo = backup.as_ref().map(|backup| rpo_minutes(backup.taken_at, records.request.created_at));
    let later = hand_over::condition(&records.request.status);
    json!({ "rto": times(records), "backup": backup, "objects": objects, "rpoMinutes": rpo, "handedOver": later })
}

/// The report for people.
pub(super) fn print(records: &Records) -> Result<(), CliError> {
    let request = &records.request;
    output::line(format!(
        "\nReport of {} (plan {}, scope {}): {}, state {}",
        request.name,
        request.plan,
        cut::told(&request.spec),
        request.phase,
        request.state
    ))?;
    milestones(records)?;
    let outputs = Outputs::read(&records.steps);
    if let Ok(Some(backup)) = outputs.find::<ChosenBackup>(&Step::ChooseBackup) {
        database(records, &backup)?;
    }
    if let Ok(Some(objects)) = outputs.find::<ChosenObjects>(&Step::ChooseObjects) {
        documents(&objects)?;
    }
    let RtoSplit {
        total_seconds,
        data_movement_seconds,
        dns_wait_seconds,
        provider_wait_seconds,
        own_overhead_seconds,
    } = times(records);
    // The objective is about the whole estate.
    let whole = cut::is_whole(&request.spec);
    let what = if whole { "Total time (RTO)" } else { "Total time, of this part" };
    output::line(format!("\n{what}: {}", seconds(total_seconds)))?;
    for (what, spent) in [
        ("provider wait", provider_wait_seconds),
        ("data movement", data_movement_seconds),
        ("DNS wait", dns_wait_seconds),
        ("own overhead", own_overhead_seconds),
    ] {
        let share = if total_seconds > 0.0 { 100.0 * spent / total_seconds } else { 0.0 };
        output::line(format!("  {what:<14} {:>9}  {share:>3.0} %", seconds(spent)))?;
    }
    handed_over(records)
}

/// It goes on after the end: how it stands by now.
fn handed_over(records: &Records) -> Result<(), CliError> {
    let Some(told) = hand_over::condition(&records.request.status) else { return Ok(()) };
    let word = |member: &str| told[member].as_str().unwrap_or_default();
    output::line(format!("\nHand-over: {} ({}): {}", word("status"), word("reason"), word("message")))
}

fn times(records: &Records) -> RtoSplit {
    report::times(&records.request, &records.steps, chrono::Utc::now())
}

fn milestones(records: &Records) -> Result<(), CliError> {
    output::line("\nMilestones and steps:")?;
    let reached = records.events.iter().filter(|event| event.reason == "MilestoneReached");
    for event in reached {
        let after = (event.at - records.request.created_at).to_std().unwrap_or_default().as_secs_f64();
        output::line(format!("  after {:>9}  {}", seconds(after), event.message))?;
    }
    let rows: Vec<Vec<String>> = records
        .steps
        .iter()
        .filter_map(|row| {
            let begin =
                (row.started_at? - records.request.created_at).to_std().unwrap_or_default().as_secs_f64();
            Some(vec![
                format!("  {}", row.step),
                seconds(begin),
                took(row).map(seconds).unwrap_or_default(),
                format!("{:?}", row.phase),
            ])
        })
        .collect();
    output::table(&["  STEP", "BEGAN AFTER", "TOOK", "PHASE"], &rows)
}

fn database(records: &Records, backup: &ChosenBackup) -> Result<(), CliError> {
    let minutes = rpo_minutes(backup.taken_at, records.request.created_at);
    output::line(format!(
        "\nDatabase backup: {} of {}, {} bytes",
        backup.name,
        moment(backup.taken_at),
        backup.size_bytes
    ))?;
    output::line(format!("  data of {minutes:.0} minutes before the order is lost (RPO)"))?;
    for refused in &backup.refused {
        let cost = refused.taken_at.map(|taken| (taken - backup.taken_at).num_minutes());
        lost(refused, cost)?;
    }
    Ok(())
}

fn documents(objects: &ChosenObjects) -> Result<(), CliError> {
    let (what, taken, refused) = match objects {
        ChosenObjects::Artifact { run, taken_at, objects, bytes, refused, .. } => {
            (format!("artifact of run {run}, {objects} objects, {bytes} bytes"), Some(*taken_at), refused)
        }
        ChosenObjects::Archive {
            run,
            taken_at,
            verified_at,
            verified_objects,
            objects,
            bytes,
            refused,
            ..
        } => {
            let proven = verified_at.map_or_else(
                || "never read again".to_owned(),
                |at| format!("{} read again {}", read_again(*verified_objects), moment(at)),
            );
            (
                format!("archive run {run}, {objects} objects, {bytes} bytes, {proven}"),
                Some(*taken_at),
                refused,
            )
        }
        ChosenObjects::Mirror { objects, bytes, taken_at, refused, .. } => {
            (format!("mirror bucket, {objects} objects, {bytes} bytes"), *taken_at, refused)
        }
    };
    output::line(format!(
        "\nDocuments: {what}{}",
        taken.map(|at| format!(", of {}", moment(at))).unwrap_or_default()
    ))?;
    refused.iter().try_for_each(|refused| {
        lost(refused, refused.taken_at.zip(taken).map(|(newer, taken)| (newer - taken).num_minutes()))
    })
}

fn lost(refused: &RefusedBackup, cost_minutes: Option<i64>) -> Result<(), CliError> {
    let cost =
        cost_minutes.map(|minutes| format!("; that costs {minutes} minutes of data")).unwrap_or_default();
    let taken = refused.taken_at.map(|at| format!(" of {}", moment(at))).unwrap_or_default();
    output::line(format!(
        "  refused {}{taken} ({}): {}{cost}",
        refused.backup, refused.reason, refused.message
    ))
}

/// How long a step took, first beginning to end.
pub(super) fn took(row: &StepRow) -> Option<f64> {
    Some((row.finished_at? - row.started_at?).to_std().unwrap_or_default().as_secs_f64())
}

/// Seconds for people.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 120.0 {
        return format!("{seconds:.1} s");
    }
    humantime::format_duration(std::time::Duration::from_secs_f64(seconds.round())).to_string()
}
