//! The status that a reconcile writes: one sentence, the conditions, the counts. No I/O.

use chrono::{DateTime, Utc};
use reprise_crds::conditions::{self, Observation, time_from_micros};
use reprise_crds::{Milestone, Phase, RecoveryRequestStatus, StepsSummary};
use serde_json::Value;

use super::accept::Refusal;
use super::approval::{self, Loss};
use super::decide::Decision;
use super::graph::Graph;
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

/// What was written before, or nothing where it cannot be read: it is ours to write anew.
fn known(row: &RequestRow) -> RecoveryRequestStatus {
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recovery::evidence::tests::{request, step};
    use crate::recovery::pulse::Report;

    #[test]
    fn what_a_tear_down_left_alone_is_named_in_the_end() {
        let done = |left: &[&str]| {
            let output = serde_json::json!({ "resources": 4, "leftAlone": left });
            cancelled("shop", &[step("tear-down", StepPhase::Done, output)])
        };
        assert_eq!([cancelled("shop", &[]), done(&[])], ["cancelled on request", "cancelled on request"]);
        assert!(done(&["app apilos-pra"]).contains("app apilos-pra"), "{}", done(&["app apilos-pra"]));
    }

    #[test]
    fn a_cancelled_request_tells_what_was_not_cleaned_up() {
        let cleanup = |phase| [step("cleanup", phase, serde_json::Value::Null)];
        assert_eq!(cancelled("shop", &cleanup(StepPhase::Done)), "cancelled on request");
        let told = cancelled("shop", &cleanup(StepPhase::Failed));
        assert!(told.contains("not all deleted") && told.contains("`reprise cancel shop`"), "{told}");
    }

    #[test]
    fn a_refusal_tells_what_goes_on_all_the_same() {
        let refusal = Refusal { reason: "NotConfigured", message: "env:NEW leads nowhere".to_owned() };
        let report = Report { message: "restoring: entry 95 of 100".to_owned(), ..Report::default() };
        let busy = [BusyStep { step: Step::Restore, report: Some(report), silence: Duration::ZERO }];
        let row = request(Milestone::Addons, Phase::Running);
        let told =
            |busy: &[BusyStep]| message(&refused(&row, &refusal, true, busy, Utc::now()).status).to_owned();
        let goes_on = told(&busy);
        assert!(goes_on.starts_with("env:NEW leads nowhere. Nothing new is begun"), "{goes_on}");
        assert!(goes_on.ends_with("restore: restoring: entry 95 of 100"), "{goes_on}");
        assert!(told(&[]).ends_with("Nothing runs until that is mended"), "{}", told(&[]));
        let written = |busy: &[BusyStep]| {
            let update = refused(&row, &refusal, true, busy, Utc::now());
            RequestRow { status: update.status, ..row.clone() }
        };
        assert!(says(&written(&[]), &refusal) && !says(&written(&busy), &refusal), "it is not over");
    }

    #[test]
    fn a_failure_is_told_while_what_does_not_need_it_goes_on() {
        let steps = [step("collaborators/shop-pra", StepPhase::Failed, serde_json::Value::Null)];
        let doing = Doing { busy: Vec::new(), loss: None, expired: false, again: false };
        let decision = |phase| Decision { start: vec![], stop: false, state: Milestone::Pending, phase };
        let row = |desired| RequestRow { desired, ..request(Milestone::Pending, Phase::Running) };
        let shop = row(Desired::Run);
        let told = sentence(&shop, &decision(Phase::Running), &steps, &doing);
        assert!(told.starts_with("step collaborators/shop-pra failed: "), "{told}");
        assert!(told.contains("What does not need it goes on: deciding"), "{told}");
        let stopping = Decision { stop: true, ..decision(Phase::Running) };
        assert!(sentence(&shop, &stopping, &steps, &doing).contains("It is being ended"));
        let pausing = row(Desired::Pause);
        assert!(sentence(&pausing, &stopping, &steps, &doing).contains("It is being paused"));
        let paused = sentence(&pausing, &decision(Phase::Paused), &steps, &doing);
        assert!(paused.contains("failed: ") && paused.contains("paused on request"), "{paused}");
        assert!(!sentence(&shop, &decision(Phase::TearingDown), &steps, &doing).contains("goes on"));
    }

    #[test]
    fn only_a_drill_whose_time_was_over_took_too_long() {
        assert!(failure(&[], true).contains("drill.timeToLive"));
        assert!(!failure(&[], false).contains("drill.timeToLive"));
    }
}
