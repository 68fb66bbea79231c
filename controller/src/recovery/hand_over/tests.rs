use serde_json::json;

use super::*;
use crate::recovery::evidence::tests::{request, step as a_step};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("a date")
}

fn waiting() -> Stage {
    Stage::Invited { apps: vec!["shop-pra".to_owned()] }
}

fn known(stage: Stage, since: DateTime<Utc>) -> HandOver {
    let (to, project) = ("owner@shop.test".to_owned(), "shop-pra".to_owned());
    HandOver { to, project, stage, since, given_up: false, asked: None }
}

fn done(known: &HandOver, ended: DateTime<Utc>) -> [StepRow; 1] {
    let row = a_step("hand-over", StepPhase::Done, serde_json::to_value(known).expect("JSON"));
    [StepRow { finished_at: Some(ended), ..row }]
}

fn recovered() -> RequestRow {
    request(Milestone::DnsOk, Phase::Succeeded)
}

const NAMED: (&str, &str, Option<DateTime<Utc>>) = ("owner@shop.test", "shop-pra", None);

#[test]
fn each_stage_has_a_reason_of_its_own_and_reads_back() {
    let (who, until) = ("owner".to_owned(), Some(at(9)));
    let ended = |how| Stage::Ended { who: who.clone(), how, why: "because".to_owned() };
    let stages = [
        waiting(),
        Stage::Withdrawn { apps: vec!["a".to_owned()] },
        Stage::NotEligible { who: who.clone(), limited: vec!["a".to_owned()] },
        Stage::NotAlone { apps: vec!["b".to_owned()] },
        Stage::Offered { who: who.clone(), until },
        Stage::OfferedElsewhere { who: who.clone() },
        Stage::Accepted { who: who.clone() },
        ended(Ending::Declined),
        ended(Ending::Expired),
        ended(Ending::TakenBack),
        ended(Ending::Failed),
        Stage::HandedOver { who: who.clone() },
        Stage::Elsewhere { who: who.clone() },
        Stage::NotSeen,
    ];
    let said: Vec<Observation> =
        stages.iter().map(|stage| known(stage.clone(), at(0)).observation(&recovered())).collect();
    let reasons: std::collections::BTreeSet<&str> = said.iter().map(|one| one.reason).collect();
    assert_eq!(reasons.len(), stages.len(), "{reasons:?}");
    assert!(reasons.iter().all(|reason| !OVER.contains(reason)));
    let holds =
        |wanted| said.iter().filter(|one| one.holds == wanted).map(|one| one.reason).collect::<Vec<_>>();
    assert_eq!((holds(Some(true)), holds(None)), (vec!["HandedOver"], vec!["NotSeen"]));
    for (stage, said) in stages.iter().zip(&said) {
        let stored = serde_json::to_value(known(stage.clone(), at(0))).expect("JSON");
        assert_eq!(HandOver::deserialize(&stored).expect("it is ours").stage, *stage, "{stored}");
        assert!(said.message.contains("1970-01-01T00:00:00Z"), "{}", said.message);
    }
}

#[test]
fn what_stands_as_it_stood_has_stood_so_since_then_and_is_given_up_in_the_end() {
    let day = Duration::from_hours(24);
    let first = found(None, NAMED, waiting(), at(0), day);
    let same = found(Some(&first), NAMED, waiting(), at(80_000), day);
    assert_eq!((same.since, same.given_up), (at(0), false));
    let moved = Stage::Offered { who: "owner".to_owned(), until: None };
    assert_eq!(found(Some(&same), NAMED, moved.clone(), at(80_000), day).since, at(80_000));
    let silent = found(Some(&same), NAMED, waiting(), at(86_400), day);
    assert!(silent.given_up);
    assert_eq!(silent.observation(&recovered()).reason, "NoAnswer");
    let asked = (NAMED.0, NAMED.1, Some(at(86_500)));
    assert!(!found(Some(&silent), asked, waiting(), at(86_500), day).given_up, "somebody asked");
    let theirs = Stage::HandedOver { who: "owner".to_owned() };
    let old = found(None, NAMED, theirs.clone(), at(0), day);
    assert!(!found(Some(&old), NAMED, theirs, at(999_999), day).given_up, "it is done");
}

#[test]
fn looks_come_seldomer_the_longer_it_takes_and_at_once_when_somebody_asks() {
    let plain = |nominal: Duration| nominal;
    let rest = |waited: i64, now: i64| {
        let known = known(waiting(), at(0));
        due(&recovered(), NAMED.0, &done(&known, at(waited)), at(now), plain).map(|rest| rest.as_secs())
    };
    assert_eq!(rest(10, 10), Some(30));
    assert_eq!(rest(1_000, 1_000), Some(100));
    assert_eq!(rest(999_999, 999_999), Some(900));
    assert_eq!((rest(10, 39), rest(10, 40)), (Some(1), None));
    assert_eq!(rest(500, 100), Some(30), "a clock that was set back");
    let known = known(waiting(), at(0));
    let steps = done(&known, at(10));
    assert_eq!(due(&recovered(), "other@shop.test", &steps, at(10), plain), None, "the plan names another");
    let asked = RequestRow { retry_requested_at: Some(at(11)), ..recovered() };
    assert_eq!(due(&asked, NAMED.0, &steps, at(11), plain), None);
    assert_eq!(due(&recovered(), NAMED.0, &[], at(10), plain), None, "nobody has looked yet");
    let cut_off = [StepRow { phase: StepPhase::Running, finished_at: None, ..steps[0].clone() }];
    assert_eq!(due(&recovered(), NAMED.0, &cut_off, at(10), plain), None, "it was cut off");
    let failed = [StepRow { phase: StepPhase::Failed, ..steps[0].clone() }];
    let rest = due(&recovered(), NAMED.0, &failed, at(10), |nominal| nominal / 60);
    assert_eq!(rest, Some(LONGEST / 60), "a failure is looked at as seldom as can be");
}

#[test]
fn only_a_whole_recovery_that_stands_is_handed_over() {
    assert!(is_possible(&recovered()));
    let drill = RequestRow { spec: json!({ "mode": "drill" }), ..recovered() };
    assert!(!is_possible(&drill));
    for phase in Phase::ALL.iter().filter(|phase| **phase != Phase::Succeeded) {
        assert!(!is_possible(&request(Milestone::DnsOk, *phase)), "{phase}");
    }
}

#[test]
fn what_is_over_is_not_pursued() {
    let status = |said: Observation| {
        let mut status = RecoveryRequestStatus::default();
        conditions::observe(&mut status.conditions, said, conditions::time_from_micros(0));
        status
    };
    assert!(is_pursued(&status(begins(&recovered(), "owner"))));
    assert!(is_pursued(&status(not_looked(&recovered(), "the token ended"))), "it is looked at again");
    let theirs = known(Stage::HandedOver { who: "owner".to_owned() }, at(0)).observation(&recovered());
    let given_up = HandOver { given_up: true, ..known(waiting(), at(0)) }.observation(&recovered());
    for said in [not_pursued(&recovered()), theirs, given_up] {
        assert!(!is_pursued(&status(said.clone())), "{said:?}");
    }
    assert!(!is_pursued(&RecoveryRequestStatus::default()));
}
