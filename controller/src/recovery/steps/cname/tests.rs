use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::recovery::step::Step;
use crate::recovery::steps::bench::{Bench, vendors};

fn rules(existing: ExistingRecord) -> Rules<'static> {
    Rules {
        domain: "siap.apilos.test",
        target: "apilos-siap-pra.osc-fr1.scalingo.test",
        ttl: 300,
        existing,
        standing: false,
        expected: vec!["apilos-siap.osc-fr1.scalingo.test".to_owned()],
        mark: "reprise bad-day/".to_owned(),
    }
}

fn record(kind: &str, value: &str) -> Record {
    serde_json::from_value(json!({"id": 7, "domain": {"href": "/v1/domain/1/"}, "type": kind, "name": "siap", "value": value, "ttl": 300, "is_user_defined": true}))
        .expect("a record")
}

#[test]
fn a_name_that_points_to_the_lost_app_is_switched_even_where_strangers_are_refused() {
    let seen = [record("CNAME", "apilos-siap.osc-fr1.scalingo.test")];
    assert!(matches!(decide(&rules(ExistingRecord::Refuse), &seen), Ok(Next::Act(Action::Change(_)))));
}

#[test]
fn a_name_that_points_elsewhere_is_switched_or_refused_as_the_plan_says() {
    let seen = [record("CNAME", "maintenance.example.net")];
    assert!(matches!(decide(&rules(ExistingRecord::Replace), &seen), Ok(Next::Act(Action::Change(_)))));
    let refused = decide(&rules(ExistingRecord::Refuse), &seen).expect_err("refused").to_string();
    assert!(refused.contains("maintenance.example.net"), "{refused}");
}

#[test]
fn an_address_in_the_way_and_two_aliases_are_refused() {
    assert!(decide(&rules(ExistingRecord::Replace), &[record("A", "192.0.2.1")]).is_err());
    let two = [record("CNAME", "a.example.net"), record("CNAME", "b.example.net")];
    assert!(decide(&rules(ExistingRecord::Replace), &two).is_err());
}

#[test]
fn what_would_stop_a_recovery_is_seen_before_its_app_is_there() {
    let app: AppSpec = serde_json::from_value(json!({
        "name": "apilos-siap-pra", "replaces": "apilos-siap", "code": {"repository": "https://git.test/x", "ref": "main"},
    }))
    .expect("an app");
    let stops = |existing, records: &[Record]| {
        obstacle("siap.apilos.test", &app, "osc-fr1", existing, records).is_some()
    };
    let alias = |value: &str| vec![record("CNAME", value)];
    for ours in ["apilos-siap.osc-fr1.scalingo.test", "apilos-siap-pra.osc-fr1.scalingo.test."] {
        assert!(!stops(ExistingRecord::Refuse, &alias(ours)), "{ours}");
    }
    for strange in ["maintenance.example.net", "apilos-siap.example.net"] {
        assert!(stops(ExistingRecord::Refuse, &alias(strange)), "{strange}");
        assert!(!stops(ExistingRecord::Replace, &alias(strange)), "{strange}");
    }
    let made_by_the_provider = Record { is_user_defined: Some(false), ..record("A", "192.0.2.1") };
    assert!(!stops(ExistingRecord::Refuse, &[made_by_the_provider]));
    assert!(stops(ExistingRecord::Replace, &[record("A", "192.0.2.1")]));
    assert!(!stops(ExistingRecord::Refuse, &[]));
}

#[test]
fn a_name_is_remembered_for_its_own_time_and_one_that_is_not_there_for_an_hour() {
    let old = Record { ttl: Some(86_400), ..record("CNAME", "apilos-siap.osc-fr1.scalingo.test") };
    assert_eq!((remembered(&[old]), remembered(&[])), (86_400, 3_600));
}

#[test]
fn a_provider_that_has_its_own_idea_of_a_ttl_is_asked_once() {
    let target = "apilos-siap-pra.osc-fr1.scalingo.test";
    let clamped = |annotation: Option<&str>| Record {
        ttl: Some(60),
        annotation: annotation.map(str::to_owned),
        ..record("CNAME", target)
    };
    let rules = rules(ExistingRecord::Refuse);
    let next = |annotation| decide(&rules, &[clamped(annotation)]);
    assert!(matches!(next(Some("reprise bad-day/0f")), Ok(Next::Done(_))), "it was put so by this request");
    for stranger in [None, Some(""), Some("reprise bad-day-2/0f"), Some("by hand")] {
        assert!(matches!(next(stranger), Ok(Next::Act(Action::Change(_)))), "{stranger:?}");
    }
}

#[tokio::test]
async fn a_zone_that_is_not_listed_for_a_moment_is_looked_for_again() {
    let provider = vendors(|_, before| match before {
        0 => Ok(json!([])),
        1 => Err(302),
        2 => Err(404),
        3 => Ok(json!({})),
        _ => Ok(json!([{ "id": 7, "name": "apilos.test" }])),
    });
    let bench = Bench::new(Step::TearDown, provider).await;
    let dns = bench.ctx.tools.alwaysdata().expect("it is configured");
    assert_eq!(zone_id(&bench.ctx, &dns, "apilos.test").await.expect("it is there"), 7);
    let refused = zone_id(&bench.ctx, &dns, "other.test").await.expect_err("it is not").to_string();
    assert!(refused.contains("does not hold the zone other.test"), "{refused}");
    bench.end().await;
}

/// The old value is what a tear-down puts back, and how long resolvers remember it.
#[tokio::test]
async fn a_record_that_was_not_listed_for_a_moment_is_kept_all_the_same() {
    // So many lists are empty; the second look keeps a create from being sent.
    for (empty, creates) in [(1, 0), (2, 1)] {
        let (sent, changed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (made, switched) = (Arc::clone(&sent), Arc::clone(&changed));
        let old = json!({"id": 9, "domain": {"href": "/v1/domain/7/"}, "type": "CNAME", "name": "siap",
            "value": "apilos-siap.osc-fr1.scalingo.test", "ttl": 86_400, "is_user_defined": true});
        let new = json!({"id": 9, "domain": {"href": "/v1/domain/7/"}, "type": "CNAME", "name": "siap",
            "value": "apilos-siap-pra.osc-fr1.scalingo.test", "ttl": 300, "is_user_defined": true,
            "annotation": "reprise bad-day/0f"});
        let provider = vendors(move |what, before| match what {
            "GET /v1/domain/" => Ok(json!([{ "id": 7, "name": "apilos.test" }])),
            "GET /v1/record/" if before < empty => Ok(json!([])),
            "GET /v1/record/" if switched.load(Ordering::Relaxed) => Ok(json!([new])),
            "GET /v1/record/" => Ok(json!([old])),
            "POST /v1/record/" => {
                made.fetch_add(1, Ordering::Relaxed);
                Err(400)
            }
            "PATCH /v1/record/9/" => {
                switched.store(true, Ordering::Relaxed);
                Ok(json!({}))
            }
            _ => Err(404),
        });
        let site = Site { app: "apilos-siap-pra".to_owned(), domain: "siap.apilos.test".to_owned() };
        let app = json!({ "id": "1", "defaultHost": "apilos-siap-pra.osc-fr1.scalingo.test", "gitUrl": "" });
        let bench = Bench::new(Step::Cname(site.clone()), provider).await;
        let bench = bench
            .replanned(|plan| {
                plan.dns.zone = "apilos.test".to_owned();
                plan.dns.existing = ExistingRecord::Replace;
            })
            .after([(Step::App(site.app.clone()), app)]);
        let made = run(&bench.ctx, &site).await.expect("switched");
        assert_eq!(made.old_value.as_deref(), Some("apilos-siap.osc-fr1.scalingo.test"), "{empty}");
        assert_eq!((made.old_ttl_seconds, sent.load(Ordering::Relaxed)), (86_400, creates));
        bench.end().await;
    }
}

#[test]
fn the_right_value_is_done() {
    let seen = [record("CNAME", "Apilos-siap-pra.osc-fr1.scalingo.test.")];
    assert!(matches!(decide(&rules(ExistingRecord::Refuse), &seen), Ok(Next::Done(_))));
}

/// Nobody knows since when it leads there, and nothing is taken back that was not changed.
#[tokio::test]
async fn a_record_that_led_to_a_standing_app_before_is_no_change() {
    let there = json!({"id": 9, "domain": {"href": "/v1/domain/7/"}, "type": "CNAME", "name": "siap",
        "value": "apilos-siap.osc-fr1.scalingo.test", "ttl": 86_400, "is_user_defined": true});
    let provider = vendors(move |what, _| match what {
        "GET /v1/domain/" => Ok(json!([{ "id": 7, "name": "apilos.test" }])),
        "GET /v1/record/" => Ok(json!([there])),
        _ => Err(404),
    });
    let site = Site { app: "apilos-siap".to_owned(), domain: "siap.apilos.test".to_owned() };
    let app = json!({ "id": "1", "defaultHost": "apilos-siap.osc-fr1.scalingo.test", "gitUrl": "" });
    let bench = Bench::new(Step::Cname(site.clone()), provider).await.standing(&["apilos-siap"]);
    let bench = bench.after([(Step::Target(site.app.clone()), app)]);
    let seen = run(&bench.ctx, &site).await.expect("it is as it should be");
    assert_eq!((seen.record.as_str(), seen.old_value), ("9", None));
    let ledger = bench.ctx.tools.store.ledger("bad-day").await.expect("read");
    assert!(ledger.is_empty(), "{ledger:?}");
    bench.end().await;
}
