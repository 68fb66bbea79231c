//! What a dry run tells of each step, and of apps that live.

use reprise_crds::{RecoveryPlan, RecoveryRequestSpec};
use serde_json::json;

use super::*;

#[test]
fn what_a_person_will_be_asked_for_is_told_before() {
    let text = include_str!("../../../../deploy/examples/apilos.yaml");
    let text =
        text.replace("JWT_SIGN_KEY: { from: \"env:APILOS_JWT_SIGN_KEY\" }", "JWT_SIGN_KEY: { policy: ask }");
    let plan = RecoveryPlan::parse_yaml(&text).expect("a valid plan").spec;
    let calls = calls(&plan, &Cut::default(), &Step::Variables(plan.apps[1].name.clone()));
    let told: Vec<&str> = calls.iter().map(|call| call.call.as_str()).collect();
    assert!(told[0].starts_with("GET /apps/apilos-standalone "), "{told:?}");
    assert_eq!(told[2], "is asked for JWT_SIGN_KEY: `reprise answer REQUEST JWT_SIGN_KEY`");
    assert_eq!(calls.iter().filter(|call| call.changes).count(), 1);
}

#[test]
fn a_hand_over_is_told_after_all_else_and_invites_whom_nobody_has_invited() {
    let text = include_str!("../../../../deploy/examples/apilos.yaml");
    let mut plan = RecoveryPlan::parse_yaml(text).expect("a valid plan").spec;
    let graph = |plan: &RecoveryPlanSpec| Graph::compile(plan, &Cut::default());
    assert!(dry_run(&plan, &Cut::default(), &graph(&plan)).iter().all(|step| step.step != "hand-over"));
    let mut changes = |to: &str| {
        plan.hand_over = serde_json::from_value(serde_json::json!({ "to": to })).ok();
        let last = dry_run(&plan, &Cut::default(), &graph(&plan)).pop().expect("steps");
        assert_eq!((last.step.as_str(), last.milestone), ("hand-over", "after dns-ok"));
        last.calls.into_iter().filter(|call| call.changes).map(|call| call.call).collect::<Vec<_>>()
    };
    let known = changes("OPS@apilos.test");
    assert_eq!(known, ["POST /projects/{apilos-pra}/transfer_invitations {OPS@apilos.test}, once"]);
    let new = changes("owner@apilos.test");
    assert_eq!(new[0], "POST /apps/apilos-siap-pra/collaborators {owner@apilos.test, not limited}");
    assert_eq!((new.len(), changes("somebody").len()), (3, 1), "{new:?}");
}

#[test]
fn every_source_of_documents_is_in_it() {
    let text = include_str!("../../../../deploy/examples/apilos.yaml");
    let plan = RecoveryPlan::parse_yaml(text).expect("a valid plan").spec;
    let told: Vec<String> = calls(&plan, &Cut::default(), &Step::ChooseObjects)
        .into_iter()
        .map(|call| format!("{} {}", call.to, call.call))
        .collect();
    for source in ["s3 ListObjectsV2 of the archive", "github GET /repos/", "s3 RestoreObject"] {
        assert!(told.iter().any(|call| call.starts_with(source)), "{source}: {told:?}");
    }
}

/// Each change of an app that lives is told, and no other.
#[test]
fn a_part_tells_what_it_changes_of_apps_that_live() {
    let text = include_str!("../../../../deploy/examples/apilos.yaml");
    let plan = RecoveryPlan::parse_yaml(text).expect("a valid plan").spec;
    let changes = |spec: serde_json::Value| -> Vec<String> {
        let request = RecoveryRequestSpec::from_json(spec).expect("a request");
        let (plan, cut) = Cut::of(&plan, &request, "0a1b2c").expect("they go together");
        let steps = dry_run(&plan, &cut, &Graph::compile(&plan, &cut));
        steps.into_iter().flat_map(|step| step.calls).map(|call| call.call).collect()
    };
    let has = |told: &[String], part: &str| told.iter().any(|call| call.starts_with(part));
    let front = "apilos-siap-pra";
    let names = changes(json!({ "plan": "apilos", "scope": "dns", "targets": { front: "apilos-other" } }));
    for part in ["DELETE /apps/apilos-siap/domains/", "POST /apps/apilos-other/domains {"] {
        assert!(has(&names, part), "{part}: {names:?}");
    }
    let rows = changes(json!({ "plan": "apilos", "scope": "database" }));
    let credentials: Vec<&String> = rows.iter().filter(|call| call.contains("{its credentials}")).collect();
    assert_eq!(credentials, ["PUT /apps/apilos-siap-pra-db-0a1b2c/variables {its credentials}"]);
    assert!(has(&rows, "PUT /apps/apilos-siap/variables {DATABASE_URL"), "{rows:?}");
    assert!(has(&rows, "POST /apps/apilos-siap/restart"), "{rows:?}");
    let app = changes(json!({ "plan": "apilos", "scope": "app", "targets": { front: "apilos-siap" } }));
    assert!(has(&app, "GET /apps/apilos-siap/variables: what leads"), "{app:?}");
}
