use chrono::{DateTime, TimeDelta, Utc};
use reprise_crds::plan::ObjectivesSpec;
use reprise_crds::{Milestone, Period, Phase};
use serde_json::{Value, json};

use super::{Evidence, Record, html, later, markdown, of};
use crate::store::{Desired, Event, RequestRow, Severity, StepPhase, StepRow, Verdict};

fn filed() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a date")
}

pub(crate) fn request(state: Milestone, phase: Phase) -> RequestRow {
    RequestRow {
        name: "the-bad-day".to_owned(),
        plan: "shop".to_owned(),
        spec: json!({}),
        desired: Desired::Run,
        state,
        phase,
        status: json!({ "message": "all is <b>well</b> | or | not" }),
        generation: 1,
        created_at: filed(),
        started_at: Some(filed()),
        finished_at: Some(filed() + TimeDelta::seconds(90)),
        retry_requested_at: None,
        approval: None,
    }
}

pub(crate) fn step(key: &str, phase: StepPhase, output: Value) -> StepRow {
    StepRow {
        step: key.to_owned(),
        phase,
        attempt: 1,
        done: 0,
        total: None,
        unit: None,
        message: (phase != StepPhase::Done).then(|| "the platform is silent".to_owned()),
        output: Some(output),
        spans: Vec::new(),
        started_at: Some(filed()),
        heartbeat_at: None,
        finished_at: None,
    }
}

/// Taken three hours before the filing.
pub(crate) fn backup(sealed: bool) -> Value {
    json!({ "addon": "ad-1", "backup": "b-2", "name": "nightly", "takenAt": filed() - TimeDelta::hours(3), "sizeBytes": 5000,
            "archiveSha256": "00", "dumpSha256": "11", "serverVersion": "15.7", "tables": 4, "rows": 900, "largeObjects": 0,
            "sealed": sealed, "refused": [{ "backup": "b-3", "takenAt": filed() - TimeDelta::hours(1), "reason": "gzip-cut",
            "message": "the | download ends `early`" }] })
}

fn shown(request: &RequestRow, steps: &[StepRow], objectives: Option<ObjectivesSpec>) -> Evidence {
    of(Record { request, steps, events: &[], verdicts: &[], objectives })
}

fn wanted(rto: u32, rpo: u32) -> ObjectivesSpec {
    ObjectivesSpec { rto: Some(Period::seconds(rto)), rpo: Some(Period::seconds(rpo)) }
}

#[test]
fn objectives_are_judged_by_what_was_achieved() {
    let steps = [step("choose-backup", StepPhase::Done, backup(true))];
    let evidence = shown(&request(Milestone::DnsOk, Phase::Succeeded), &steps, Some(wanted(60, 20_000)));
    let judged: Vec<_> = evidence.objectives.iter().map(|one| (one.achieved_seconds, one.met)).collect();
    assert_eq!(judged, [(Some(90.0), Some(false)), (Some(10_800.0), Some(true))]);
    let free = shown(&request(Milestone::DnsOk, Phase::Succeeded), &steps, None);
    assert!(free.objectives.iter().all(|one| one.met.is_none()), "{:?}", free.objectives);
    assert!(markdown(&free).contains("what was asked for is not known"), "{}", markdown(&free));
    let asked = shown(&request(Milestone::DnsOk, Phase::Succeeded), &steps, Some(ObjectivesSpec::default()));
    assert!(markdown(&asked).contains("nothing was asked for"), "{}", markdown(&asked));
}

#[test]
fn a_recovery_that_did_not_arrive_has_met_no_time() {
    let evidence = shown(&request(Milestone::Restored, Phase::Failed), &[], Some(wanted(9_000, 9_000)));
    let judged: Vec<_> = evidence.objectives.iter().map(|one| (one.achieved_seconds, one.met)).collect();
    assert_eq!(judged, [(None, Some(false)), (None, Some(false))]);
}

#[test]
fn only_what_is_done_is_a_check_and_the_rest_is_named() {
    let probe = json!({ "status": 200, "issuer": "CN=R3", "notAfter": filed() });
    let steps = [
        step("refill", StepPhase::Done, json!({ "objects": 12, "bytes": 340 })),
        step("probe/shop-pra/shop.test", StepPhase::Failed, probe),
    ];
    let evidence = shown(&request(Milestone::Restored, Phase::Failed), &steps, None);
    let checks: Vec<&str> = evidence.checks.iter().map(|check| check.step.as_str()).collect();
    assert_eq!(checks, ["refill"]);
    assert!(evidence.checks[0].seen.starts_with("12 objects (340 bytes)"), "{:?}", evidence.checks);
    assert_eq!(evidence.not_shown, ["probe/shop-pra/shop.test is Failed: the platform is silent"]);
    assert!(markdown(&evidence).contains("- probe/shop-pra/shop.test is Failed"));
}

#[test]
fn what_cannot_be_read_is_not_shown() {
    let steps = [step("refill", StepPhase::Done, json!({ "objects": "many" }))];
    let evidence = shown(&request(Milestone::Restored, Phase::Failed), &steps, None);
    assert_eq!((evidence.checks.len(), evidence.not_shown.len()), (0, 1), "{:?}", evidence.not_shown);
    assert!(evidence.not_shown[0].starts_with("refill is done, but"), "{:?}", evidence.not_shown);
}

#[test]
fn what_no_checksum_covers_is_said() {
    let seen = |sealed| {
        let steps = [step("choose-backup", StepPhase::Done, backup(sealed))];
        shown(&request(Milestone::BackupSelected, Phase::Running), &steps, None).checks[0].seen.clone()
    };
    assert!(seen(true).ends_with("checksums cover every byte"), "{}", seen(true));
    assert!(seen(false).contains("could not be seen"), "{}", seen(false));
}

#[test]
fn each_step_says_what_it_was_done_with_and_a_later_look_takes_nothing_of_that_away() {
    let mut chosen = backup(true);
    chosen["tools"] = json!({ "reprise": "0.1.0", "pg_restore": "15.1" });
    let restored = json!({ "entries": 9, "restored": 9, "benign": {}, "tools": { "server": "15.3" } });
    let deployed = json!({ "commit": "c0ffee", "deployment": "d-1", "tools": { "git": "2.39.5" } });
    let steps = [
        step("choose-backup", StepPhase::Done, chosen),
        step("restore", StepPhase::Done, restored),
        step("deploy/shop-pra", StepPhase::Done, deployed),
    ];
    let verdict = Verdict {
        kind: "database".to_owned(),
        backup: "b-2".to_owned(),
        tools: json!({ "pg_restore": "15.4" }),
        checked_at: filed() + TimeDelta::days(30),
        ..Verdict::default()
    };
    let request = request(Milestone::DnsOk, Phase::Succeeded);
    let record =
        Record { request: &request, steps: &steps, events: &[], verdicts: &[verdict], objectives: None };
    let evidence = of(record);
    let page = markdown(&evidence);
    for row in
        ["restore | server | 15.3", "deploy/shop-pra | git | 2.39.5", "choose-backup | pg\\_restore | 15.1"]
    {
        assert!(page.contains(row), "{row}: {page}");
    }
    assert!(page.contains("last look at the backup, 2026-10-21 | pg\\_restore | 15.4"), "{page}");
    let read: Evidence =
        serde_json::from_value(serde_json::to_value(&evidence).expect("JSON")).expect("evidence again");
    assert_eq!(read, evidence, "it reads back as it was written");
}

#[test]
fn no_text_of_others_becomes_markup() {
    let steps = [step("choose-backup", StepPhase::Done, backup(true))];
    let evidence = shown(&request(Milestone::DnsOk, Phase::Succeeded), &steps, None);
    let page = html(&evidence);
    assert!(page.contains("all is &lt;b&gt;well&lt;/b&gt; | or | not"), "{page}");
    assert!(page.contains("the | download ends `early` (gzip-cut)</td>"), "a cell was cut: {page}");
    assert!(!page.contains("<b>"), "{page}");
}

#[test]
fn the_page_for_programs_says_the_same() {
    let steps = [step("choose-backup", StepPhase::Done, backup(true))];
    let evidence = shown(&request(Milestone::DnsOk, Phase::Succeeded), &steps, Some(wanted(60, 20_000)));
    let value = serde_json::to_value(&evidence).expect("JSON");
    assert_eq!(value["objectives"][0]["met"], false);
    assert_eq!(value["choices"][0]["refused"][0]["reason"], "gzip-cut");
    assert_eq!(value["rto"]["totalSeconds"], 90.0);
}

#[test]
fn what_became_of_the_hand_over_is_a_later_page() {
    let recovered = request(Milestone::DnsOk, Phase::Succeeded);
    let evidence = shown(&recovered, &[], None);
    assert!(!markdown(&evidence).contains("Hand-over"), "nobody has asked for one");
    let event = |id, step: Option<&str>, message: &str| Event {
        id,
        at: filed() + TimeDelta::days(id),
        severity: Severity::Normal,
        reason: "HandOverOffered".to_owned(),
        step: step.map(str::to_owned),
        message: message.to_owned(),
    };
    let events =
        [event(0, Some("restore"), "restoring"), event(4, Some("hand-over"), "it is offered to <owner>")];
    assert_eq!(later(&recovered, &events), None);
    let told =
        json!({ "type": "HandedOver", "status": "False", "reason": "Offered", "message": "since then" });
    let status = json!({ "message": "well", "conditions": [told] });
    let hand_over = later(&RequestRow { status, ..recovered }, &events);
    let timeline = hand_over.as_ref().expect("it is pursued").timeline.len();
    let page = markdown(&Evidence { hand_over, ..evidence });
    assert_eq!(timeline, 1);
    assert!(page.contains("**HandedOver=False** (Offered): since then"), "{page}");
    assert!(page.contains("4days") && page.contains("it is offered to \\<owner\\>"), "{page}");
}
