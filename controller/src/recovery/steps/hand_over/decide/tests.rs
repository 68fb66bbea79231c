use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::HEARD;
use super::*;
use crate::recovery::hand_over::Ending;

const TO: &str = "owner@apilos.test";
const APPS: [&str; 2] = ["siap-pra", "standalone-pra"];

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("a date")
}

fn row(kind: &str, parent: Option<&str>, id: Option<&str>, detail: Value) -> LedgerRow {
    LedgerRow {
        nonce: uuid::Uuid::nil(),
        step: "hand-over".to_owned(),
        kind: kind.to_owned(),
        name: TO.to_owned(),
        parent: parent.map(str::to_owned),
        state: if id.is_some() { LedgerState::Present } else { LedgerState::Intended },
        external_id: id.map(str::to_owned),
        detail,
        intended_at: at(1_000_000),
        observed_at: None,
        fresh: false,
    }
}

fn person(status: &str) -> Collaborator {
    let accepted = status == "accepted";
    let user = accepted.then_some("us-2");
    let name = if accepted { "owner" } else { "n/a" };
    serde_json::from_value(json!({ "id": "co-1", "email": TO, "username": name, "user_id": user, "status": status, "is_limited": false }))
        .expect("a collaborator")
}

fn offer(id: &str, status: &str, reason: &str) -> TransferInvitation {
    serde_json::from_value(json!({
        "id": id, "invited_user_id": "us-2", "invited_user_name": "owner", "status": status, "status_reason": reason,
        "expires_at": at(1_259_200), "created_at": at(1_000_001),
    }))
    .expect("an offer")
}

fn owner(id: &str) -> Option<Owner> {
    serde_json::from_value(json!({ "id": id, "username": if id == "us-1" { "ops" } else { id } })).ok()
}

/// Both apps are ours, and in both is this person.
fn seen(one: Option<&Collaborator>) -> Seen {
    Seen {
        me: "us-1".to_owned(),
        apps: APPS.map(|app| (app.to_owned(), owner("us-1"))).to_vec(),
        listed: true,
        people: APPS.map(|app| (app.to_owned(), one.cloned().into_iter().collect())).to_vec(),
        ..Seen::default()
    }
}

/// The same with an offer of ours on record, and what the platform shows of it.
fn offered(id: Option<&str>, shown: &[TransferInvitation], detail: Value) -> Seen {
    let mut detail = detail;
    (detail["user"], detail["to"], detail["who"]) = ("us-2".into(), TO.into(), "owner".into());
    let candidates = vec!["us-2".to_owned()];
    let mut seen = Seen {
        offer: Some(row("transfer", None, id, detail)),
        candidates,
        ..seen(Some(&person("accepted")))
    };
    seen.offers = shown.to_vec();
    seen
}

fn acts(seen: &Seen) -> Option<Action> {
    match decide(TO, seen) {
        Next::Act(action) => Some(action),
        _ => None,
    }
}

fn stands(seen: &Seen) -> Stage {
    match decide(TO, seen) {
        Next::Done(stage) => stage,
        other => panic!("{other:?}"),
    }
}

fn the_offer() -> Action {
    Action::Offer { user: "us-2".to_owned(), who: "owner".to_owned() }
}

#[test]
fn who_is_in_no_app_is_invited_to_each_and_who_was_withdrawn_is_not() {
    assert_eq!(acts(&seen(None)), Some(Action::Invite(APPS[0].to_owned())));
    let mut half = seen(Some(&person("pending")));
    half.people[1].1.clear();
    assert_eq!(acts(&half), Some(Action::Invite(APPS[1].to_owned())));
    half.invitations = vec![row("collaborator", Some(APPS[1]), Some("co-9"), json!({}))];
    assert_eq!(stands(&half), Stage::Withdrawn { apps: vec![APPS[1].to_owned()] }, "somebody did that");
    half.invitations[0].detail[HEARD] = Value::Null;
    assert!(acts(&half).is_none(), "nobody has asked since");
    half.asked = json!(at(2_000_000));
    assert_eq!(acts(&half), Some(Action::Invite(APPS[1].to_owned())));
    assert_eq!(
        stands(&seen(Some(&person("pending")))),
        Stage::Invited { apps: APPS.map(str::to_owned).to_vec() }
    );
}

#[test]
fn a_user_name_is_waited_for_and_never_invited() {
    let Next::Done(stage) = decide("owner", &seen(None)) else { panic!("a name is no address") };
    assert!(matches!(stage, Stage::Invited { .. }), "{stage:?}");
    let there = Seen { candidates: vec!["us-2".to_owned()], ..seen(Some(&person("accepted"))) };
    assert!(matches!(decide("owner", &there), Next::Act(Action::Offer { .. })));
}

#[test]
fn the_project_is_offered_once_they_are_everywhere_and_can_be_billed() {
    let mut there = seen(Some(&person("accepted")));
    assert!(
        matches!(stands(&there), Stage::NotEligible { who, limited } if who == "owner" && limited.is_empty())
    );
    there.people[0].1[0].is_limited = Some(true);
    assert!(matches!(stands(&there), Stage::NotEligible { limited, .. } if limited == [APPS[0]]));
    there.candidates = vec!["us-2".to_owned()];
    assert_eq!(acts(&there), Some(the_offer()));
    there.people[1].1[0].user_id = Some("us-3".to_owned());
    assert!(acts(&there).is_none(), "two accounts have opened the two links");
    there.others = vec!["shop".to_owned()];
    assert!(matches!(stands(&there), Stage::NotAlone { .. }), "it is not ours alone to give away");
}

#[test]
fn an_open_offer_is_never_made_twice() {
    let open = [offer("tin-1", "pending", "")];
    // Its answer was lost; it is listed; it was made by somebody in the dashboard.
    let by_hand = Seen { offers: open.to_vec(), ..seen(Some(&person("accepted"))) };
    for seen in [offered(None, &open, json!({})), offered(Some("tin-1"), &open, json!({})), by_hand] {
        assert!(
            matches!(stands(&seen), Stage::Offered { who, until: Some(_) } if who == "owner"),
            "{seen:?}"
        );
    }
    // A list may be late; the one that it shows may be an earlier one.
    assert!(matches!(stands(&offered(Some("tin-1"), &[], json!({}))), Stage::Offered { until: None, .. }));
    let other = Seen { offers: open.to_vec(), ..seen(Some(&person("pending"))) };
    assert!(matches!(stands(&other), Stage::OfferedElsewhere { .. }), "who that is nobody knows");
    assert_eq!(acts(&offered(None, &[], json!({}))), Some(the_offer()), "nothing has come of the intent");
}

#[test]
fn an_offer_that_has_ended_is_made_again_only_when_somebody_asks() {
    for (status, reason, ending) in [
        ("declined", "", Ending::Declined),
        ("canceled", "", Ending::TakenBack),
        ("failed", "the invitation has expired", Ending::Expired),
        ("failed", "no means of payment", Ending::Failed),
        ("error", "", Ending::Failed),
        ("evaporated", "", Ending::Failed),
        ("pending", "", Ending::Expired),
    ] {
        let shown = [offer("tin-1", status, reason)];
        for detail in [json!({}), json!({ HEARD: null })] {
            let mut seen = offered(Some("tin-1"), &shown, detail);
            // Nobody says what the platform calls one whose time is over.
            seen.now = if status == "pending" { at(1_300_000) } else { at(1_000_002) };
            let stage = stands(&seen);
            assert!(matches!(stage, Stage::Ended { how, .. } if how == ending), "{status}: {stage:?}");
        }
        let mut asked = offered(Some("tin-1"), &shown, json!({ HEARD: null }));
        (asked.asked, asked.now) = (json!(at(2_000_000)), at(2_000_000));
        assert_eq!(acts(&asked), Some(the_offer()), "{status}");
    }
}

#[test]
fn a_plan_that_names_somebody_else_takes_the_open_offer_back() {
    let mut seen = offered(Some("tin-1"), &[offer("tin-1", "pending", "")], json!({}));
    let Some(row) = &mut seen.offer else { panic!("there is one") };
    row.detail["to"] = "before@apilos.test".into();
    assert_eq!(acts(&seen), Some(Action::TakeBack("tin-1".to_owned())));
    seen.offers = vec![offer("tin-1", "canceled", "")];
    assert_eq!(acts(&seen), Some(the_offer()), "the one that was taken back was not theirs");
}

#[test]
fn it_is_done_when_every_app_is_seen_to_be_theirs_and_not_before() {
    let accepted = offered(Some("tin-1"), &[offer("tin-1", "accepted", "")], json!({}));
    assert!(matches!(stands(&accepted), Stage::Accepted { .. }), "the platform's word is no post-condition");
    let mut theirs = Seen { listed: false, offers: Vec::new(), ..accepted };
    assert_eq!(stands(&theirs), Stage::NotSeen, "they are still ours, and the project is not to be seen");
    theirs.apps[0].1 = owner("us-2");
    assert!(!matches!(stands(&theirs), Stage::HandedOver { .. }), "one of two");
    theirs.apps[1].1 = owner("us-2");
    assert_eq!(stands(&theirs), Stage::HandedOver { who: "us-2".to_owned() });
    theirs.apps[1].1 = None;
    assert_eq!(stands(&theirs), Stage::HandedOver { who: "us-2".to_owned() }, "they may have deleted one");
    theirs.listed = true;
    assert!(!matches!(stands(&theirs), Stage::HandedOver { .. }), "the project is still ours");
    theirs.apps[1].1 = owner("us-7");
    assert_eq!(stands(&theirs), Stage::Elsewhere { who: "us-7".to_owned() });
}
