use reprise_crds::plan::Computed;
use serde_json::json;

use super::*;
use crate::recovery::step::Step;
use crate::recovery::steps::bench::{Bench, vendors};
use crate::recovery::steps::switch::{Place, SWITCHED};
use crate::store::LedgerState;

const NEW: &str = "postgresql://fresh:new@new.test:31001/fresh";
const OLD: &str = "$SCALINGO_POSTGRESQL_URL";

fn variable(name: &str, value: &str) -> Variable {
    Variable { id: format!("id of {name}"), name: name.to_owned(), value: value.to_owned().into() }
}

fn row() -> LedgerRow {
    LedgerRow {
        nonce: uuid::Uuid::nil(),
        step: "switch/x".to_owned(),
        kind: SWITCHED.to_owned(),
        name: "x".to_owned(),
        parent: None,
        state: LedgerState::Present,
        external_id: None,
        detail: json!({}),
        intended_at: chrono::Utc::now(),
        observed_at: None,
        fresh: false,
    }
}

fn switch(names: &[(&str, Computed)]) -> Switch {
    let to = Place {
        host: "new.test".to_owned(),
        port: 31001,
        database: "fresh".to_owned(),
        user: "fresh".to_owned(),
        read_only_user: None,
    };
    let names = names.iter().map(|(name, computed)| ((*name).to_owned(), *computed)).collect();
    Switch { names, to, ..Switch::default() }
}

fn kept(name: &str, value: &str) -> Variable {
    variable(&kept_as(&row(), name), value)
}

fn of_url(seen: &[Variable], gone: &[&str]) -> Back {
    let gone: Vec<String> = gone.iter().map(|host| (*host).to_owned()).collect();
    back(&row(), &switch(&[("URL", Computed::DatabaseUrl)]), seen, &gone)
}

fn seen(url: &str) -> Back {
    let old = variable("SCALINGO_POSTGRESQL_URL", "postgresql://old:x@old.test:1/old");
    of_url(&[variable("URL", url), kept("URL", OLD), old], &[])
}

#[test]
fn what_this_request_put_goes_back_and_what_a_person_changed_since_stays() {
    let switched = seen(NEW);
    assert_eq!(switched.put["URL"].expose_secret(), OLD);
    assert_eq!((switched.drop.len(), switched.theirs.len(), switched.nowhere.len()), (1, 0, 0));
    assert_eq!(switched.ours_still, [""; 0], "it goes back");
    let done_but_for_the_rest = seen(OLD);
    assert_eq!((done_but_for_the_rest.put.len(), done_but_for_the_rest.drop.len()), (0, 1));
    let theirs = seen("postgresql://them:x@theirs.test:5432/db");
    assert_eq!(
        (theirs.put.len(), theirs.drop.len(), theirs.theirs.len(), theirs.ours_still.len()),
        (0, 0, 1, 0)
    );
    let on_ours = seen("postgresql://other:x@new.test:31001/fresh");
    assert_eq!(on_ours.ours_still, ["URL"], "its database would be deleted under it");
}

#[test]
fn no_database_goes_under_an_app_that_uses_it_whatever_is_kept_there() {
    let forgotten = of_url(&[variable("URL", NEW)], &[]);
    assert_eq!(forgotten.ours_still, ["URL"], "nobody knows what it was");
    let another = of_url(&[variable("URL", NEW), kept("URL", OLD), variable("REPORTS", NEW)], &[]);
    assert_eq!(another.ours_still, ["REPORTS"]);
    let later = of_url(
        &[
            variable("URL", "postgresql://later:x@later.test:1/later"),
            kept("URL", OLD),
            variable("REPRISE_BEFORE_11111111_URL", NEW),
        ],
        &[],
    );
    assert_eq!(later.ours_still, ["REPRISE_BEFORE_11111111_URL"], "a later request's way back");
    assert!(possible("x", &later.ours_still, &later.nowhere).is_err());
    assert_eq!(of_url(&[variable("URL", "postgresql://old:x@old.test:1/old")], &[]).ours_still, [""; 0]);
}

#[test]
fn nothing_is_led_back_to_a_database_that_is_gone() {
    let lost_alias = of_url(&[variable("URL", NEW), kept("URL", OLD)], &[]);
    assert_eq!(lost_alias.nowhere, ["URL"]);
    let earlier = "postgresql://earlier:x@earlier.test:1/earlier";
    let there = [variable("URL", NEW), kept("URL", earlier)];
    assert_eq!(of_url(&there, &["other.test"]).nowhere, [""; 0]);
    let undone = of_url(&there, &["earlier.test"]);
    assert_eq!(undone.nowhere, ["URL"]);
    let told = possible("x", &[], &undone.nowhere).expect_err("refused").to_string();
    assert!(told.contains("URL of x was leads to a database that is gone"), "{told}");
}

#[test]
fn a_password_goes_back_with_what_it_belongs_to_alone() {
    let names = [("HOST", Computed::DatabaseHost), ("PASSWORD", Computed::DatabasePassword)];
    let of = |host: &str, password: &str| {
        let there = [
            variable("HOST", host),
            kept("HOST", "old.test"),
            variable("PASSWORD", password),
            kept("PASSWORD", "old"),
        ];
        let back = back(&row(), &switch(&names), &there, &[]);
        (back.put.into_keys().collect::<Vec<_>>(), back.theirs, back.drop.len())
    };
    let (none, names) = (Vec::<String>::new(), |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    });
    assert_eq!(of("new.test", "new"), (names(&["HOST", "PASSWORD"]), none.clone(), 2));
    assert_eq!(of("theirs.test", "theirs"), (none.clone(), names(&["HOST", "PASSWORD"]), 0));
    assert_eq!(of("old.test", "theirs"), (none.clone(), names(&["PASSWORD"]), 1), "it was set since");
    assert_eq!(of("old.test", "old"), (none.clone(), none, 2));
}

#[tokio::test]
async fn an_app_that_was_renamed_is_not_taken_for_one_that_is_no_more() {
    let platform = vendors(|what, _| match what {
        "GET /v1/apps" => Ok(json!({ "apps": [{ "id": "1", "name": "renamed" }] })),
        "GET /v1/users/self" => Ok(json!({ "user": { "id": "us-1" } })),
        _ => Err(404),
    });
    let bench = Bench::new(Step::TearDown, platform).await;
    let of = |id: &str| Switch { app: Some(id.to_owned()), ..switch(&[]) };
    let told = variables(&bench.ctx, &row(), &of("1")).await.expect_err("it lives").to_string();
    assert!(told.contains("is called renamed now"), "{told}");
    assert!(variables(&bench.ctx, &row(), &of("2")).await.expect("it is no more").is_none());
    bench.end().await;
}
