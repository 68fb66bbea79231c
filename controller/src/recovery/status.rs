//! The status that a reconcile writes: one sentence, the conditions, the counts. No I/O.

use chrono::{DateTime, Utc};
use reprise_crds::conditions::{self, Observation, time_from_micros};
use reprise_crds::{Milestone, Phase, RecoveryRequestStatus, StepsSummary};
use serde_json::Value;

use super::accept::Refusal;
use super::approval::{self, Loss};
use super::decide::Decision;
use super::graph::Graph;
use super::hand_over;
use super::outputs::{Outputs, TornDown};
use super::report;
use super::retry;
use super::step::Step;
use super::supervisor::BusyStep;
use crate::store::{Desired, RequestRow, StatusUpdate, StepPhase, StepRow};

/// The sentence of a stored status.
pub fn message(status: &Value) -> &str {
    status.get("message").and_then(Value::as_str).unwrap_or_default()
}

/// The generation that the stored status speaks of.
pub fn observed(row: &RequestRow) -> i64 {
    row.status.get("observedGeneration").and_then(Value::as_i64).unwrap_or(0)
}

/// Whether it has ended, and nobody has asked for anything since.
pub fn settled(row: &RequestRow) -> bool {
    row.is_finished() && observed(row) >= row.generation
}

/// Whether the stored status already tells this refusal, and that nothing runs.
pub fn says(row: &RequestRow, refusal: &Refusal) -> bool {
    let stored = known(row);
    let told = conditions::find(&stored.conditions, "Accepted");
    let idle = [true, false].map(|begun| idle(refusal, begun));
    observed(row) >= row.generation
        && idle.iter().any(|idle| idle == message(&row.status))
        && told.is_some_and(|told| {
            told.status == "False" && told.reason == refusal.reason && told.message == refusal.message
        })
}

/// The status of a request that cannot be run. Its phase stays: once it is mended, it goes on. One that nobody wants any more and that has
/// `begun` nothing ends. `busy`: what goes on all the same, with what it began with.
pub fn refused(
    row: &RequestRow,
    refusal: &Refusal,
    begun: bool,
    busy: &[BusyStep],
    now: DateTime<Utc>,
) -> StatusUpdate {
    let mut status = known(row);
    let accepted = Observation {
        kind: "Accepted",
        holds: Some(false),
        reason: refusal.reason,
        message: refusal.message.clone(),
        generation: Some(row.generation),
    };
    conditions::observe(&mut status.conditions, accepted, time_from_micros(now.timestamp_micros()));
    status.message = Some(match reported(busy) {
        Some(doing) => format!(
            "{}. Nothing new is begun until that is mended; what runs goes on as it began: {doing}",
            refusal.message
        ),
        None => idle(refusal, begun),
    });
    status.observed_generation = Some(row.generation);
    let phase = match row.desired {
        Desired::Pause | Desired::Cancel | Desired::TearDown if !begun => Phase::Cancelled,
        Desired::Pause if !row.is_finished() => Phase::Paused,
        _ => row.phase,
    };
    status.phase = phase;
    let mut status = written(&status, row, None);
    // Nothing was done about what people asked for.
    if let Some(heard) = row.status.get(retry::HEARD) {
        status[retry::HEARD] = heard.clone();
    }
    StatusUpdate { state: row.state, phase, status, evidence: None }
}

/// What a refusal tells where nothing runs.
fn idle(refusal: &Refusal, begun: bool) -> String {
    let until = if begun { ". Nothing runs until that is mended" } else { "" };
    format!("{}{until}", refusal.message)
}

/// What is known beside the records.
#[derive(Debug)]
pub struct Doing {
    /// The steps that are busy now.
    pub busy: Vec<BusyStep>,
    /// What is lost beyond what the plan allows without asking.
    pub loss: Option<Loss>,
    /// It is a drill that has lived for as long as it may.
    pub expired: bool,
    /// Somebody asked for another try, and it waits for what runs to end.
    pub again: bool,
    /// To whom the plan hands over what is recovered.
    pub hand_over_to: Option<String>,
}

/// The status after a decision.
pub fn of(
    row: &RequestRow,
    decision: &Decision,
    graph: &Graph,
    steps: &[StepRow],
    doing: &Doing,
    now: DateTime<Utc>,
) -> StatusUpdate {
    let mut status = known(row);
    (status.state, status.phase, status.observed_generation) =
        (decision.state, decision.phase, Some(row.generation));
    status.steps = summary(graph, steps);
    let sentence = sentence(row, decision, steps, doing);
    let mut say = |kind, holds, reason, message: String| {
        let observation =
            Observation { kind, holds: Some(holds), reason, message, generation: Some(row.generation) };
        conditions::observe(&mut status.conditions, observation, time_from_micros(now.timestamp_micros()));
    };
    say("Accepted", true, "Valid", "the plan and the request can be run".to_owned());
    say("Progressing", !decision.phase.is_final(), decision.phase.as_str(), sentence.clone());
    if decision.phase.is_final() {
        say("Succeeded", decision.phase == Phase::Succeeded, decision.phase.as_str(), sentence.clone());
    }
    if let Some(said) = hand_over_of(row, decision, graph, &status, doing.hand_over_to.as_deref()) {
        conditions::observe(&mut status.conditions, said, time_from_micros(now.timestamp_micros()));
    }
    status.message = Some(sentence);
    // A drill goes on after its recovery has ended: tearing it down is not part of the time that a recovery takes.
    let ended = decision.phase.is_final() || decision.state == Milestone::DnsOk;
    let split = ended.then(|| report::split(steps, row.created_at, now));
    let mut status = written(&status, row, split);
    status[retry::HEARD] = match row.status.get(retry::HEARD) {
        Some(before) if doing.again => before.clone(),
        _ => retry::heard(row),
    };
    StatusUpdate { state: decision.state, phase: decision.phase, status, evidence: None }
}

/// What begins or ends of the hand-over with this decision. Whoever asks for another try of what has succeeded asks for that.
fn hand_over_of(
    row: &RequestRow,
    decision: &Decision,
    graph: &Graph,
    status: &RecoveryRequestStatus,
    to: Option<&str>,
) -> Option<Observation> {
    let now = RequestRow { phase: decision.phase, state: decision.state, ..row.clone() };
    let pursued = hand_over::is_pursued(status);
    let done = hand_over::is_done(&row.status);
    let whole = graph.steps().any(|step| *step == Step::Project);
    match to {
        Some(to) if hand_over::is_possible(&now) && whole && row.desired == Desired::Run => {
            (!pursued && !done).then(|| hand_over::begins(&now, to))
        }
        _ => (pursued && decision.phase != Phase::Running).then(|| hand_over::not_pursued(&now)),
    }
}

/// The status with one more observation, and nothing else changed.
pub(super) fn with(row: &RequestRow, said: Observation, now: DateTime<Utc>) -> StatusUpdate {
    let mut known = known(row);
    conditions::observe(&mut known.conditions, said, time_from_micros(now.timestamp_micros()));
    let mut status = row.status.clone();
    status["conditions"] = serde_json::to_value(&known.conditions).unwrap_or_default();
    StatusUpdate { state: row.state, phase: row.phase, status, evidence: None }
}

/// What was written before, or nothing where it cannot be read: it is ours to write anew.
pub(super) fn known(row: &RequestRow) -> RecoveryRequestStatus {
    serde_json::from_value(row.status.clone()).unwrap_or_default()
}

/// The document. The time that a recovery took is written when it succeeds and stays, whatever is torn down later.
fn written(status: &RecoveryRequestStatus, row: &RequestRow, split: Option<report::RtoSplit>) -> Value {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    let kept = row.status.get("rto").filter(|_| row.state == Milestone::DnsOk).cloned();
    if let Some(rto) = kept.or_else(|| split.and_then(|split| serde_json::to_value(split).ok())) {
        value["rto"] = rto;
    }
    value
}

fn summary(graph: &Graph, steps: &[StepRow]) -> StepsSummary {
    let mut summary = StepsSummary::default();
    for step in graph.steps() {
        let key = step.to_string();
        let phase = steps.iter().find(|row| row.step == key).map_or(StepPhase::Pending, |row| row.phase);
        match phase {
            StepPhase::Pending => summary.waiting += 1,
            StepPhase::Running => summary.running += 1,
            StepPhase::Done => summary.done += 1,
            StepPhase::Failed => summary.failed += 1,
        }
    }
    summary
}

/// What it does, what it waits for, or why it ended.
fn sentence(
    row: &RequestRow,
    decision: &Decision,
    steps: &[StepRow],
    Doing { busy, loss, expired, .. }: &Doing,
) -> String {
    let name = &row.name;
    match decision.phase {
        Phase::Succeeded => "every post-condition was observed".to_owned(),
        Phase::Cancelled => cancelled(name, steps),
        Phase::Failed => failure(steps, *expired),
        Phase::Paused => {
            let failed = failures(steps).map(|failed| format!("{failed}. It is "));
            let failed = failed.unwrap_or_default();
            format!("{failed}paused on request; `reprise resume {name}` goes on")
        }
        Phase::WaitingApproval => {
            let loss = loss.as_ref().map(ToString::to_string).unwrap_or_default();
            format!(
                "waits for a person to agree: {loss}; `reprise approve {name}`, or cancel it. Nothing was made so far"
            )
        }
        _ => {
            let doing = reported(busy).unwrap_or_else(|| "deciding what is next".to_owned());
            let closing = steps.iter().any(|row| row.step == Step::Cleanup.to_string());
            match failures(steps) {
                Some(failed) if decision.phase == Phase::Running => {
                    let what = match (decision.stop, closing, row.desired) {
                        (true, false, Desired::Pause) => "It is being paused",
                        (false, false, _) => "What does not need it goes on",
                        _ => "It is being ended",
                    };
                    format!("{failed}. {what}: {doing}")
                }
                _ => doing,
            }
        }
    }
}

/// What the steps that run say of themselves; `None` where none runs.
fn reported(busy: &[BusyStep]) -> Option<String> {
    let doing = busy.iter().filter_map(|step| {
        let report = step.report.as_ref()?;
        let doing = if report.message.is_empty() { "beginning" } else { &report.message };
        Some(format!("{}: {doing}", step.step))
    });
    let doing: Vec<String> = doing.collect();
    (!doing.is_empty()).then(|| doing.join("; "))
}

fn cancelled(name: &str, steps: &[StepRow]) -> String {
    let torn_down: Option<TornDown> = Outputs::read(steps).find(&Step::TearDown).ok().flatten();
    if let Some(left) = torn_down.map(|done| done.left_alone).filter(|left| !left.is_empty()) {
        return format!(
            "cancelled on request; left alone, because it is not (or no longer) this request's alone: {}. It may still be billed: look at it",
            left.join(", ")
        );
    }
    let cleanup = Step::Cleanup.to_string();
    let unclean = steps.iter().find(|row| row.step == cleanup && row.phase == StepPhase::Failed);
    match unclean.map(|row| row.message.as_deref().unwrap_or("no reason was recorded")) {
        Some(why) => format!(
            "cancelled on request, and what must not stay (downloads, the ephemeral SSH key) is not all deleted: {why}; \
             `reprise cancel {name}` tries it again"
        ),
        None => "cancelled on request".to_owned(),
    }
}

/// Why it failed: every step that did, for a drill may fail and then leave something behind as well.
fn failure(steps: &[StepRow], expired: bool) -> String {
    if let Some(failed) = failures(steps) {
        return failed;
    }
    if approval::is_unreadable(&Outputs::read(steps)) {
        return "this release cannot read which backup was chosen; nothing more was made, and what was is torn down: \
                file another drill"
            .to_owned();
    }
    if !expired {
        return "the drill was ended before it was done, and was torn down".to_owned();
    }
    "the drill took longer than the plan allows (drill.timeToLive) and was torn down; \
     make that longer, or find out with `reprise describe` what it waited for"
        .to_owned()
}

/// Every step that failed, and why; `None` while none has.
fn failures(steps: &[StepRow]) -> Option<String> {
    let failed = steps.iter().filter(|row| row.phase == StepPhase::Failed).map(|row| {
        let why = row.message.as_deref().unwrap_or("no reason was recorded");
        format!("step {} failed: {why}", row.step)
    });
    let failed: Vec<String> = failed.collect();
    (!failed.is_empty()).then(|| failed.join("; "))
}

#[cfg(test)]
mod tests;
