//! What each step that is done has checked, in a sentence.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DoneWith;
use crate::recovery::outputs::{
    CheckedDatabase, ChosenBackup, Deployed, Probed, Refilled, RestoredDatabase, SwitchedApp, Versions,
};
use crate::store::{StepPhase, StepRow, Verdict};

/// One check that held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The step that made it.
    pub step: String,
    /// What it saw.
    pub seen: String,
}

/// The kinds of steps that check something.
const CHECKING: [&str; 7] =
    ["choose-backup", "restore", "check-database", "refill", "switch", "deploy", "probe"];

/// The checks of the steps that are done.
pub(super) fn of(steps: &[StepRow]) -> Vec<Check> {
    let done = steps.iter().filter(|step| step.phase == StepPhase::Done);
    done.filter_map(|step| Some(Check { step: step.step.clone(), seen: sentence(step)? })).collect()
}

/// What the last verification of the backup that was taken looked at, beside what the steps did.
pub(super) fn of_verdict(verdict: &Verdict) -> Vec<Check> {
    let told = verdict.checks.as_ref().and_then(Value::as_object).into_iter().flatten();
    let check = |(what, seen): (&String, &Value)| {
        let step = format!("verification of the backup: {what}");
        Some(Check { step, seen: seen.as_str()?.to_owned() })
    };
    told.filter_map(check).collect()
}

/// The versions of what each step that is done was done with; after them those of the last verification of the backup.
pub(super) fn tools(steps: &[StepRow], judge: Option<&Verdict>) -> Vec<DoneWith> {
    let done = steps.iter().filter(|step| step.phase == StepPhase::Done);
    let told = done.filter_map(|step| {
        let versions = Versions::deserialize(step.output.as_ref()?.get("tools")?).ok()?;
        (!versions.is_empty()).then(|| DoneWith { step: step.step.clone(), versions })
    });
    let judged = judge.and_then(|judge| {
        let day = judge.checked_at.format("%Y-%m-%d");
        let versions = Versions::deserialize(&judge.tools).ok().filter(|known| !known.is_empty())?;
        Some(DoneWith { step: format!("last look at the backup, {day}"), versions })
    });
    told.chain(judged).collect()
}

/// The steps that are done and say nothing here, although they check something: their records are not readable.
pub(super) fn unreadable(steps: &[StepRow]) -> impl Iterator<Item = String> {
    let checks = |step: &&StepRow| step.step.split('/').next().is_some_and(|kind| CHECKING.contains(&kind));
    let done = steps.iter().filter(|step| step.phase == StepPhase::Done).filter(checks);
    let silent = done.filter(|step| sentence(step).is_none());
    silent.map(|step| format!("{} is done, but this release cannot read what it recorded", step.step))
}

fn sentence(step: &StepRow) -> Option<String> {
    match step.step.split('/').next()? {
        "inventory" => left::<Value>(step)?.get("cost")?.as_str().map(|told| format!("reckoned beforehand: {told}")),
        "choose-backup" => left(step).map(|backup| read(&backup)),
        "restore" => left(step).map(|restored| accounted(&restored)),
        "check-database" => left(step).map(|checked| counted(&checked)),
        "refill" => left(step).map(|Refilled { objects, bytes }| {
            format!("{objects} objects ({bytes} bytes) in the new bucket compared with what was archived: equal")
        }),
        "switch" => left(step).map(|switched| led(&switched)),
        "deploy" => left(step).map(|Deployed { commit, deployment, .. }| {
            format!("deployment {deployment} of exactly commit {commit} succeeded")
        }),
        "probe" => left(step).map(|Probed { status, issuer, not_after }| {
            format!("answered {status} under its real name over HTTPS; certificate by {issuer}, valid until {not_after}")
        }),
        _ => None,
    }
}

fn led(SwitchedApp { names, host, old }: &SwitchedApp) -> String {
    let stays =
        if old.is_empty() { String::new() } else { format!("; {} stays, and is billed", old.join(", ")) };
    format!("{} lead to the restored database at {host}, and the app was restarted{stays}", names.join(", "))
}

/// What the step left, if this release can read it.
fn left<'a, T: Deserialize<'a>>(step: &'a StepRow) -> Option<T> {
    T::deserialize(step.output.as_ref()?).ok()
}

fn read(backup: &ChosenBackup) -> String {
    let ChosenBackup { tables, rows, server_version, sealed, .. } = backup;
    let seal = if *sealed {
        "checksums cover every byte"
    } else {
        "no checksum covers every byte, so a silent change of data could not be seen"
    };
    format!(
        "downloaded and read to its end: {rows} rows in {tables} tables of a PostgreSQL {server_version}; {seal}"
    )
}

fn accounted(restored: &RestoredDatabase) -> String {
    let RestoredDatabase { entries, restored, benign, .. } = restored;
    let left_out: Vec<String> = benign.iter().map(|(rule, number)| format!("{number} by {rule}")).collect();
    let left_out = if left_out.is_empty() { "none".to_owned() } else { left_out.join(", ") };
    format!(
        "{restored} of {entries} entries of the dump seen in the database; left out for a named reason: {left_out}"
    )
}

fn counted(checked: &CheckedDatabase) -> String {
    let CheckedDatabase { tables, rows, sequences, data_checks, references, migrations } = checked;
    let further = migrations.iter().chain(references).fold(String::new(), |all, found| all + "; " + found);
    format!(
        "{rows} rows in {tables} tables counted, as many as in the dump; {sequences} sequences stand where the dump has them; \
         {data_checks} checks of the plan hold{further}"
    )
}
