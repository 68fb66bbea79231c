//! The evidence of one request: what happened, what was chosen and why, what was checked and how, and how that compares with the
//! plan's objectives. Computed from the records alone. No I/O, no clock.
//!
//! It claims what a step that is done has left behind, and nothing else: what was not reached is listed as not shown. When a
//! request ends it is written down with the request: what it was made of goes on changing.

mod checks;
mod page;
#[cfg(test)]
pub(crate) mod tests;
mod verification;

use chrono::{DateTime, Utc};
use reprise_crds::plan::ObjectivesSpec;
use reprise_crds::{Milestone, Part};
use serde::{Deserialize, Serialize};

use super::cut;
use super::hand_over;
use super::outputs::{
    ChosenBackup, ChosenObjects, ConfiguredApp, Outputs, RefusedBackup, Versions, read_again,
};
use super::report::{RtoSplit, rpo_minutes, times};
use super::status;
use super::step::Step;
use crate::store::{Event, RequestRow, StepPhase, StepRow, Verdict};
pub use checks::Check;
pub use page::{html, markdown};
pub use verification::Verification;

/// The records that evidence is made of.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The request.
    pub request: &'a RequestRow,
    /// Its steps.
    pub steps: &'a [StepRow],
    /// Its events, oldest first.
    pub events: &'a [Event],
    /// What is known of the plan's backups.
    pub verdicts: &'a [Verdict],
    /// What the plan asked for when the request was accepted; `None` where nobody kept that.
    pub objectives: Option<ObjectivesSpec>,
}

/// What can be shown of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The request.
    pub request: String,
    /// Its plan.
    pub plan: String,
    /// The part of the estate that it is about: `all`, or its scope and the existing apps. `None` where an earlier release wrote it.
    #[serde(default)]
    pub scope: Option<String>,
    /// How it stands: `Succeeded`, `Failed`, ….
    pub phase: String,
    /// The last milestone that was reached.
    pub state: String,
    /// The daemon's sentence about it.
    pub message: String,
    /// When it was filed.
    pub filed_at: DateTime<Utc>,
    /// When it ended; without it everything here is of an unfinished recovery.
    pub finished_at: Option<DateTime<Utc>>,
    /// Achieved against what was wanted when the request was accepted.
    pub objectives: Vec<Objective>,
    /// Whether it is known what was wanted then.
    pub objectives_known: bool,
    /// Where the time went, in seconds. Up to the last step's news while it goes on.
    pub rto: RtoSplit,
    /// What happened, oldest first.
    pub timeline: Vec<Moment>,
    /// What was taken, and what was refused.
    pub choices: Vec<Choice>,
    /// What was checked, by which step, and in the last verification of the backup.
    pub checks: Vec<Check>,
    /// What the old apps had and the new ones have not, by names.
    pub left: Vec<Left>,
    /// The steps that show nothing: they are not done, or what they recorded cannot be read.
    pub not_shown: Vec<String>,
    /// The versions of what each step was done with, and by what the backup was last looked at.
    pub tools: Vec<DoneWith>,
    /// What became of the hand-over: as it stands when it is shown, since it goes on after the end. `None` where none is pursued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<Later>,
}

/// How the hand-over of what was recovered stands, and what happened to it, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Later {
    /// `True`, `False` or `Unknown`.
    pub handed_over: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// What happened.
    pub timeline: Vec<Moment>,
}

/// What became of the hand-over of a request with this status and these events.
pub fn later(request: &RequestRow, events: &[Event]) -> Option<Later> {
    let told = hand_over::condition(&request.status)?;
    let word = |member: &str| told[member].as_str().unwrap_or_default().to_owned();
    let key = Step::HandOver.to_string();
    let about = events.iter().filter(|event| event.step.as_ref() == Some(&key));
    Some(Later {
        handed_over: word("status"),
        reason: word("reason"),
        message: word("message"),
        timeline: about.map(|event| moment(event, request.created_at)).collect(),
    })
}

/// What one step was done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DoneWith {
    /// The step, or the last look at the backup.
    pub step: String,
    /// By program.
    pub versions: Versions,
}

/// One objective of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// What is measured.
    pub what: String,
    /// What the plan asked for, in seconds.
    pub wanted_seconds: Option<f64>,
    /// What was achieved, in seconds; `None`: nothing was.
    pub achieved_seconds: Option<f64>,
    /// Whether that is enough; `None` where nothing was asked for, or nobody knows what was.
    pub met: Option<bool>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// When.
    pub at: DateTime<Utc>,
    /// Seconds after the filing.
    pub after_seconds: f64,
    /// The step, if it was about one.
    pub step: Option<String>,
    /// What.
    pub message: String,
}

/// What one part was brought back from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// `database` or `documents`.
    pub of: String,
    /// What was taken.
    pub taken: String,
    /// Of when it is.
    pub taken_at: Option<DateTime<Utc>>,
    /// The newer ones, and why each lost.
    pub refused: Vec<RefusedBackup>,
}

/// What one app had that was not brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// The new app.
    pub app: String,
    /// Where the old one was looked at; `None`: nowhere.
    pub from: Option<String>,
    /// Variables, domains, addons, collaborators, autoscalers, notifiers and log drains, by names.
    pub what: Vec<String>,
    /// Why it is not known.
    pub unknown: Option<String>,
}

/// What the records of a request show.
pub fn of(record: Record<'_>) -> Evidence {
    let Record { request, steps, events, verdicts, objectives } = record;
    let outputs = Outputs::read(steps);
    let backup = outputs.find::<ChosenBackup>(&Step::ChooseBackup).ok().flatten();
    let objects = outputs.find::<ChosenObjects>(&Step::ChooseObjects).ok().flatten();
    let rto = times(request, steps, last_news(request, steps));
    let judge = backup.as_ref().and_then(|backup| verdicts.iter().find(|row| row.backup == backup.backup));
    Evidence {
        request: request.name.clone(),
        plan: request.plan.clone(),
        scope: Some(cut::told(&request.spec)),
        phase: request.phase.to_string(),
        state: request.state.to_string(),
        message: status::message(&request.status).to_owned(),
        filed_at: request.created_at,
        finished_at: request.finished_at,
        objectives: objectives_of(request, rto, backup.as_ref(), objectives.unwrap_or_default()),
        objectives_known: objectives.is_some(),
        rto,
        timeline: events.iter().map(|event| moment(event, request.created_at)).collect(),
        choices: backup.map(database).into_iter().chain(objects.map(documents)).collect(),
        checks: checks::of(steps).into_iter().chain(judge.into_iter().flat_map(checks::of_verdict)).collect(),
        left: left(&outputs, steps),
        not_shown: not_shown(steps),
        tools: checks::tools(steps, judge),
        hand_over: None,
    }
}

/// When the last step had news; the filing if none had.
fn last_news(request: &RequestRow, steps: &[StepRow]) -> DateTime<Utc> {
    let news = steps.iter().filter_map(|step| step.finished_at.or(step.heartbeat_at)).max();
    news.unwrap_or(request.created_at)
}

fn left(outputs: &Outputs, steps: &[StepRow]) -> Vec<Left> {
    let apps = steps.iter().filter_map(|step| step.step.strip_prefix("variables/"));
    let told = apps.filter_map(|app| {
        let configured: ConfiguredApp = outputs.find(&Step::Variables(app.to_owned())).ok()??;
        let ConfiguredApp { captured_from, left, unknown, .. } = configured;
        // An earlier release did not look.
        (captured_from.is_some() || unknown.is_some()).then(|| Left {
            app: app.to_owned(),
            from: captured_from,
            what: left,
            unknown,
        })
    });
    told.collect()
}

fn objectives_of(
    request: &RequestRow,
    rto: RtoSplit,
    backup: Option<&ChosenBackup>,
    wanted: ObjectivesSpec,
) -> Vec<Objective> {
    let back = (request.state == Milestone::DnsOk).then_some(rto.total_seconds);
    let lost = backup.map(|backup| 60.0 * rpo_minutes(backup.taken_at, request.created_at));
    let seconds = |period: reprise_crds::Period| period.duration().as_secs_f64();
    let mut objectives = vec![if cut::is_whole(&request.spec) {
        objective("recovery time (RTO), filing to dns-ok", wanted.rto.map(seconds), back)
    } else {
        // What the plan wants is about the whole estate.
        objective("time of this part, filing to dns-ok", None, back)
    }];
    if cut::includes(&request.spec, Part::Database) {
        objectives.push(objective(
            "age of the database backup at the filing (RPO)",
            wanted.rpo.map(seconds),
            lost,
        ));
    }
    objectives
}

fn objective(what: &'static str, wanted: Option<f64>, achieved: Option<f64>) -> Objective {
    let met = wanted.map(|wanted| achieved.is_some_and(|achieved| achieved <= wanted));
    Objective { what: what.to_owned(), wanted_seconds: wanted, achieved_seconds: achieved, met }
}

fn moment(event: &Event, filed_at: DateTime<Utc>) -> Moment {
    let after_seconds = (event.at - filed_at).to_std().unwrap_or_default().as_secs_f64();
    Moment { at: event.at, after_seconds, step: event.step.clone(), message: event.message.clone() }
}

fn database(backup: ChosenBackup) -> Choice {
    let from = if backup.copied { "the archive's copy of " } else { "" };
    let taken = format!("{from}backup {} ({} bytes)", backup.name, backup.size_bytes);
    Choice { of: "database".to_owned(), taken, taken_at: Some(backup.taken_at), refused: backup.refused }
}

fn documents(objects: ChosenObjects) -> Choice {
    let of = "documents".to_owned();
    match objects {
        ChosenObjects::Artifact { run, taken_at, objects, bytes, refused, .. } => {
            let taken = format!("artifact of workflow run {run}: {objects} objects, {bytes} bytes");
            Choice { of, taken, taken_at: Some(taken_at), refused }
        }
        ChosenObjects::Archive {
            run,
            taken_at,
            objects,
            bytes,
            verified_at,
            verified_objects,
            refused,
            ..
        } => {
            let read = verified_at.map_or_else(
                || "never read again".to_owned(),
                |at| format!("{} read again {at}", read_again(verified_objects)),
            );
            let taken = format!("archive run {run}: {objects} objects, {bytes} bytes, {read}");
            Choice { of, taken, taken_at: Some(taken_at), refused }
        }
        ChosenObjects::Mirror { taken_at, objects, bytes, refused, .. } => {
            let taken = format!("mirror bucket: {objects} objects, {bytes} bytes; a mirror has no date");
            Choice { of, taken, taken_at, refused }
        }
    }
}

fn not_shown(steps: &[StepRow]) -> Vec<String> {
    let unfinished = steps.iter().filter(|step| step.phase != StepPhase::Done).map(open);
    unfinished.chain(checks::unreadable(steps)).collect()
}

fn open(step: &StepRow) -> String {
    let why = step.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
    format!("{} is {:?}{why}", step.step, step.phase)
}
