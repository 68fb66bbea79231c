use super::*;

fn rule(skip: u32, times: Option<u32>) -> Rule {
    let (method, path) = (Some("POST".into()), Some("/addons".into()));
    Rule { service: None, method, path, skip, times, fault: Fault::DropAfter }
}

fn order(json: &str) -> Script {
    Script::parse(json.as_bytes()).unwrap()
}

#[test]
fn a_fault_is_played_as_often_as_asked_after_the_skipped_ones() {
    let faults = Faults::default();
    faults.add(rule(1, Some(2)));
    let played: Vec<bool> =
        (0..5).map(|_| faults.take("scalingo", "POST", "/v1/apps/x/addons").is_some()).collect();
    assert_eq!(played, [false, true, true, false, false]);
    assert!(faults.list().is_empty());
    let spent = faults.spent();
    assert_eq!((spent[0].matches, spent[0].plays), (3, 2));
}

#[test]
fn another_method_is_left_alone() {
    let faults = Faults::default();
    faults.add(rule(0, None));
    assert_eq!(faults.take("scalingo", "GET", "/v1/apps/x/addons"), None);
}

#[test]
fn a_call_is_matched_by_its_name_or_its_route() {
    let faults = Faults::default();
    faults.add_all(order(r#"{"call": "POST /v1/apps/{app}/addons", "fault": {"kind": "drop_after"}}"#));
    let asked = |path| Asked {
        service: "scalingo",
        method: "POST",
        path,
        calls: [
            "POST /v1/apps/x/addons",
            if path.ends_with("addons") { "POST /v1/apps/{app}/addons" } else { "" },
        ],
        ..Asked::default()
    };
    assert_eq!(faults.take_call(&asked("/v1/apps/x/scale")), None);
    assert_eq!(faults.take_call(&asked("/v1/apps/x/addons")), Some(Fault::DropAfter));
    faults.clear();
    faults.add_all(order(r#"{"call": "PutObject", "fault": {"kind": "stall"}}"#));
    assert_eq!(faults.take("s3-source", "PutObject", "/b/k"), Some(Fault::Stall));
}

#[test]
fn chance_follows_the_seed() {
    let drawn = |seed| {
        let faults = Faults::new(seed);
        faults.add_all(order(r#"{"probability": 0.3, "fault": {"kind": "stall"}}"#));
        (0..1_000).map(|_| faults.take("github", "GET", "/").is_some()).collect::<Vec<_>>()
    };
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(8));
    let played = drawn(7).iter().filter(|played| **played).count();
    assert!((250..350).contains(&played), "{played}");
}

#[test]
fn latencies_have_the_percentiles_that_were_asked_for() {
    let faults = Faults::new(3);
    faults.add_all(order(r#"{"fault": {"kind": "latency_percentiles", "p50_ms": 100, "p99_ms": 1000}}"#));
    let draw = |_| match faults.take("github", "GET", "/") {
        Some(Fault::Latency { ms }) => ms,
        other => panic!("{other:?}"),
    };
    let mut drawn: Vec<u64> = (0..2_000).map(draw).collect();
    drawn.sort_unstable();
    assert!((85..115).contains(&drawn[1_000]), "{}", drawn[1_000]);
    assert!((600..1_800).contains(&drawn[1_980]), "{}", drawn[1_980]);
}

#[tokio::test(start_paused = true)]
async fn a_throttle_lets_its_rate_pass() {
    let faults = Faults::default();
    faults.add_all(order(r#"{"service": "s3-source", "fault": {"kind": "throttle", "per_second": 2}}"#));
    let passed = || faults.take("s3-source", "GetObject", "/b/k").is_none();
    assert_eq!([passed(), passed(), passed()], [true, true, false]);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!([passed(), passed(), passed()], [true, true, false]);
}

#[test]
fn questions_on_the_side_do_not_count_a_request_twice() {
    let faults = Faults::default();
    faults.add_all(order(r#"{"service": "github", "times": 1, "fault": {"kind": "stall"}}"#));
    assert_eq!(
        faults.take("github", "index", "/repos"),
        None,
        "a question on the side was taken for a request"
    );
    assert_eq!(faults.take("github", "GET", "/repos"), Some(Fault::Stall));
}

#[test]
fn a_credential_is_refused_until_the_rule_goes() {
    let faults = Faults::default();
    let ids = faults.add_all(order(r#"{"credential": "us-1", "fault": {"kind": "revoke_key"}}"#));
    let asked =
        |id| Asked { service: "scalingo", method: "GET", credential: [id, "f00"], ..Asked::default() };
    assert_eq!(faults.take_call(&asked("us-2")), None);
    assert_eq!(faults.take_call(&asked("us-1")), Some(Fault::RevokeKey));
    assert_eq!(faults.take_call(&asked("us-1")), Some(Fault::RevokeKey));
    assert!(faults.remove(ids[0]) && !faults.remove(ids[0]));
    assert_eq!(faults.take_call(&asked("us-1")), None);
}

#[test]
fn a_rule_is_not_spent_on_what_does_not_suffer_its_fault() {
    for (kind, passed, played) in [
        (r#""stale_read""#, [("s3-source", "GetObject"), ("scalingo", "POST")], ("scalingo", "GET")),
        (r#""duplicate""#, [("s3-source", "PutObject"), ("dns", "query")], ("scalingo", "POST")),
        (
            r#""corrupt_backup", "how": "empty""#,
            [("s3-source", "PutObject"), ("dns", "query")],
            ("s3-source", "GetObject"),
        ),
    ] {
        let faults = Faults::default();
        faults.add_all(order(&format!(r#"{{"times": 1, "fault": {{"kind": {kind}}}}}"#)));
        for (service, method) in passed {
            assert_eq!(faults.take(service, method, "/"), None, "{kind} at {service} {method}");
        }
        assert!(faults.take(played.0, played.1, "/").is_some(), "{kind} at {played:?}");
    }
}
