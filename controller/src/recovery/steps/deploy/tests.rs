//! What is concluded of deployments, pushes and restarts.

use super::*;
use crate::recovery::steps::bench::{Bench, vendors};

fn deployment(id: &str, status: &str) -> Deployment {
    serde_json::from_value(serde_json::json!({"id": id, "status": status})).expect("a deployment")
}

#[test]
fn what_failed_before_somebody_asked_is_pushed_again_and_what_failed_since_is_told() {
    let seen = [deployment("new", "hook-error"), deployment("old", "build-error")];
    assert!(matches!(decide("app", None, None, since(Some("old"), &seen[1..])), Ok(Next::Act(()))));
    let told = decide("app", None, None, since(Some("old"), &seen)).expect_err("told");
    assert!(told.to_string().contains("hook-error"), "{told}");
    // The attempt that pushed was cut off; nobody has asked since.
    assert!(decide("app", None, None, since(None, &seen[..1])).is_err());
}

#[test]
fn only_who_asks_after_a_push_asks_for_another_one() {
    let row = |detail| LedgerRow {
        nonce: uuid::Uuid::nil(),
        step: "deploy/app".to_owned(),
        kind: "deployment".to_owned(),
        name: "0f".repeat(20),
        parent: Some("app".to_owned()),
        state: LedgerState::Intended,
        external_id: None,
        detail,
        intended_at: chrono::Utc::now(),
        observed_at: None,
        fresh: false,
    };
    let pushed = row(serde_json::json!({ ASKED: 1, JUDGED: "old" }));
    assert!(is_of(&pushed, 1) && !is_of(&pushed, 2));
    assert!(is_of(&row(serde_json::json!({})), 0) && !is_of(&row(serde_json::json!({})), 1));
}

#[test]
fn a_restart_is_over_when_its_operation_is() {
    let operation = |status: &str| -> Operation {
        serde_json::from_value(serde_json::json!({ "id": "o", "status": status })).expect("an operation")
    };
    let told = |status: &str| begun_anew("app", Some(&operation(status)));
    assert!(matches!(told("done"), Ok(Next::Done(()))) && told("error").is_err());
    assert!(
        matches!(told("running"), Ok(Next::Wait(_))) && matches!(begun_anew("app", None), Ok(Next::Wait(_)))
    );
}

#[test]
fn a_list_that_is_late_is_looked_at_again_before_another_push() {
    let word = Word::default();
    word.told(Some("it has this commit already".to_owned()));
    for _ in 0..2 {
        assert!(word.decide("app", None, &[]).is_err(), "nothing is pushed meanwhile");
    }
    assert!(matches!(word.decide("app", None, &[deployment("d", "building")]), Ok(Next::Wait(_))));
}

#[tokio::test]
async fn a_push_that_starts_no_deployment_is_repeated_and_not_for_ever() {
    let bench = Bench::new(Step::Deploy("app".to_owned()), vendors(|_, _| Err(404))).await;
    let word = Word::default();
    word.told(Some("internal error".to_owned()));
    let end =
        |seen: &[Deployment]| again(&bench.ctx, &word, word.decide("app", None, seen).expect_err("told"));
    assert_eq!(end(&[deployment("d", "build-error")]).class(), Class::Terminal, "it is about the code");
    for _ in 1..UNANSWERED {
        assert_eq!(end(&[]).class(), Class::Transient);
    }
    let told = end(&[]);
    assert!(told.class() == Class::Terminal && told.to_string().contains("internal error"), "{told}");
    bench.end().await;
}

#[test]
fn one_that_was_given_up_is_pushed_again_and_not_for_ever() {
    let aborted = |times| vec![deployment("a", "aborted"); times];
    let again = decide("app", None, Some("hook declined".to_owned()), &aborted(1)).expect_err("another try");
    assert_eq!(again.class(), Class::Transient, "{again}");
    // The next attempt finds it.
    assert!(matches!(decide("app", Some("a"), None, &aborted(1)), Ok(Next::Act(()))));
    for given_up in [None, Some("a")] {
        let told = decide("app", given_up, None, &aborted(GIVEN_UP)).expect_err("told");
        assert_eq!(told.class(), Class::Terminal, "{told}");
    }
    let mut asked = aborted(GIVEN_UP + 1);
    asked[1] = deployment("b", "aborted");
    let again = decide("app", None, None, since(Some("b"), &asked)).expect_err("another try");
    assert_eq!(again.class(), Class::Transient, "who asked is given as many tries again");
    let mut broken = aborted(GIVEN_UP);
    broken[1] = deployment("b", "build-error");
    assert_eq!(decide("app", None, None, &broken).expect_err("another try").class(), Class::Transient);
}

#[test]
fn a_deployment_under_way_is_followed_and_not_pushed_twice() {
    assert!(matches!(decide("app", None, None, &[deployment("d", "building")]), Ok(Next::Wait(_))));
    assert!(matches!(decide("app", None, None, &[deployment("d", "success")]), Ok(Next::Done(_))));
}
