use reprise_crds::RecoveryRequestSpec;
use serde_json::{Value, json};

use super::*;
use crate::recovery::steps::bench::example;

/// The steps of a scope, by their keys.
fn graph(mut spec: Value) -> Graph {
    spec["plan"] = "apilos".into();
    let request = RecoveryRequestSpec::from_json(spec).expect("a request");
    let (plan, cut) = Cut::of(&example(), &request, "0a1b2c").expect("they go together");
    Graph::compile(&plan, &cut)
}

fn keys(graph: &Graph) -> Vec<String> {
    graph.steps().map(ToString::to_string).collect()
}

/// Every step that has to be done before `step`, however far back.
fn before(graph: &Graph, step: &Step) -> BTreeSet<Step> {
    let mut all = BTreeSet::new();
    let mut open: Vec<Step> = graph.needs(step).cloned().collect();
    while let Some(step) = open.pop() {
        if all.insert(step.clone()) {
            open.extend(graph.needs(&step).cloned());
        }
    }
    all
}

const FRONT: &str = "apilos-siap-pra";

#[test]
fn names_alone_are_switched_where_a_scope_says_dns() {
    let graph = graph(json!({ "scope": "dns", "targets": { FRONT: "apilos-other" } }));
    let site = |kind: &str| format!("{kind}/siap.apilos.test");
    let expected = [
        "target/apilos-other".to_owned(),
        "health/apilos-other".to_owned(),
        site("domain"),
        site("cname"),
        site("authoritative"),
        site("resolver"),
        site("certificate"),
        "force-https/apilos-other".to_owned(),
        site("probe"),
        "cleanup".to_owned(),
    ];
    assert_eq!(keys(&graph), expected);
    // Where nothing is in scope a milestone holds by itself.
    assert_eq!(graph.reached(|_| false), Milestone::BackupSelected);
    assert_eq!(graph.reached(|step| matches!(step, Step::Target(_))), Milestone::Restored);
}

#[test]
fn live_apps_are_led_to_a_new_database_once_it_was_checked() {
    let graph = graph(json!({ "scope": "database" }));
    let keys = keys(&graph);
    for absent in [
        "choose-objects",
        "bucket",
        "refill",
        "variables",
        "deploy",
        "formation",
        "redis",
        "domain",
        "cname",
        "collaborators",
    ] {
        assert!(keys.iter().all(|key| key.split('/').next() != Some(absent)), "{absent}: {keys:?}");
    }
    for app in ["apilos-siap", "apilos-standalone"] {
        let first = before(&graph, &Step::Switch(app.to_owned()));
        assert!(first.contains(&Step::CheckDatabase) && first.contains(&Step::ReadOnlyUser), "{first:?}");
        assert!(before(&graph, &Step::Health(app.to_owned())).contains(&Step::Switch(app.to_owned())));
    }
    assert!(keys.contains(&"app/apilos-siap-pra-db-0a1b2c".to_owned()), "{keys:?}");
}

#[test]
fn an_app_without_a_database_by_the_plan_s_word_is_led_nowhere() {
    let mut plan = example();
    let names: Vec<String> = of_database(&plan, &plan.apps[1]).into_keys().collect();
    plan.apps[1].unset.extend(names.iter().cloned());
    let request = json!({ "plan": "apilos", "scope": "database" });
    let request = RecoveryRequestSpec::from_json(request).expect("a request");
    let (cutout, cut) = Cut::of(&plan, &request, "0a1b2c").expect("they go together");
    let keys = keys(&Graph::compile(&cutout, &cut));
    assert!(keys.contains(&"switch/apilos-siap".to_owned()), "{keys:?}");
    assert!(!keys.contains(&"switch/apilos-standalone".to_owned()), "{keys:?}");
    plan.apps[0].unset.extend(names);
    let told = Cut::of(&plan, &request, "0a1b2c").expect_err("nobody would use it");
    assert!(told[0].to_string().contains("no app of the plan has a variable"), "{told:?}");
}

#[test]
fn an_app_alone_is_made_with_what_is_its_own() {
    let graph = graph(json!({ "scope": "app", "targets": { FRONT: "apilos-siap" } }));
    let made = "apilos-standalone-pra";
    let expected = ["target/apilos-siap", "project", "ssh-key"].map(str::to_owned).into_iter();
    let of_app = ["app", "collaborators", "redis", "variables", "deploy", "formation", "health"];
    let expected: Vec<String> =
        expected.chain(of_app.map(|kind| format!("{kind}/{made}"))).chain(["cleanup".to_owned()]).collect();
    assert_eq!(keys(&graph), expected);
}

#[test]
fn nothing_is_made_or_changed_before_every_app_was_looked_at_in_any_scope() {
    let targets = json!({ FRONT: "apilos-siap" });
    for scope in [
        json!(["dns"]),
        json!(["database"]),
        json!(["app"]),
        json!(["database", "dns"]),
        json!(["app", "dns"]),
        json!(["app", "database"]),
        json!(["bucket", "dns"]),
        json!(["bucket", "database"]),
        json!(["app", "bucket"]),
        json!(["app", "bucket", "database", "dns"]),
    ] {
        let graph = graph(json!({ "scope": scope, "targets": targets }));
        let looks: Vec<&Step> = graph.steps().filter(|step| matches!(step, Step::Target(_))).collect();
        assert!(!looks.is_empty(), "{scope}");
        for step in graph.steps().filter(|step| !step.makes_nothing()) {
            let first = before(&graph, step);
            assert!(looks.iter().all(|look| first.contains(look)), "{scope}: {step} needs {first:?}");
            assert!(graph.needs(step).all(|need| graph.steps().any(|step| step == need)), "{scope}: {step}");
        }
    }
}

#[test]
fn a_scope_of_every_part_is_a_recovery_of_all_but_for_what_stands() {
    let parts = json!({ "scope": ["app", "bucket", "database", "dns"] });
    assert_eq!(keys(&graph(parts)), keys(&Graph::compile(&example(), &Cut::default())));
}
