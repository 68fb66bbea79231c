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
    let doing = Doing { busy: Vec::new(), loss: None, expired: false, again: false, hand_over_to: None };
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
fn a_hand_over_begins_with_the_success_and_ends_with_the_estate() {
    let text = include_str!("../../../../deploy/examples/apilos.yaml");
    let plan = reprise_crds::RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
    let graph = Graph::compile(&plan, &crate::recovery::cut::Cut::default());
    let done: Vec<StepRow> =
        graph.steps().map(|of| step(&of.to_string(), StepPhase::Done, serde_json::Value::Null)).collect();
    let told = |row: &RequestRow, phase, to: Option<&str>| {
        let decision = Decision { start: vec![], stop: false, state: Milestone::DnsOk, phase };
        let doing = Doing {
            busy: Vec::new(),
            loss: None,
            expired: false,
            again: false,
            hand_over_to: to.map(str::to_owned),
        };
        let status = of(row, &decision, &graph, &done, &doing, Utc::now()).status;
        let reason =
            hand_over::condition(&status).map(|told| told["reason"].as_str().unwrap_or_default().to_owned());
        (status, reason)
    };
    let row = request(Milestone::Deployed, Phase::Running);
    let to = Some("owner@apilos.test");
    assert_eq!(told(&row, Phase::Succeeded, None).1, None);
    let (status, reason) = told(&row, Phase::Succeeded, to);
    assert_eq!(reason.as_deref(), Some("Begins"));
    let stands = RequestRow { status, ..request(Milestone::DnsOk, Phase::Succeeded) };
    let offered = conditions_with(&stands, "Offered");
    assert_eq!(told(&offered, Phase::Succeeded, to).1.as_deref(), Some("Offered"), "it goes on");
    let stopped = RequestRow { desired: Desired::Cancel, ..offered.clone() };
    assert_eq!(told(&stopped, Phase::Succeeded, to).1.as_deref(), Some("NotPursued"));
    let gone = RequestRow { desired: Desired::TearDown, ..offered };
    assert_eq!(told(&gone, Phase::TearingDown, to).1.as_deref(), Some("NotPursued"));
    let silent = conditions_with(&stands, "NoAnswer");
    assert_eq!(told(&silent, Phase::Succeeded, to).1.as_deref(), Some("Begins"), "somebody asked");
}

/// With another reason of the hand-over; nothing else of the status changes.
fn conditions_with(row: &RequestRow, reason: &'static str) -> RequestRow {
    let said = Observation { reason, ..hand_over::begins(row, "owner@apilos.test") };
    let mut changed = with(row, said, Utc::now()).status;
    let written = RequestRow { status: changed.clone(), ..row.clone() };
    changed["conditions"].take();
    let mut before = row.status.clone();
    before["conditions"].take();
    assert_eq!(changed, before);
    written
}

#[test]
fn only_a_drill_whose_time_was_over_took_too_long() {
    assert!(failure(&[], true).contains("drill.timeToLive"));
    assert!(!failure(&[], false).contains("drill.timeToLive"));
}
