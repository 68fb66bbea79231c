use serde_json::json;

use super::*;
use crate::recovery::steps::bench::example;

fn request(mut spec: Value) -> RecoveryRequestSpec {
    spec["plan"] = "apilos".into();
    RecoveryRequestSpec::from_json(spec).expect("a request")
}

fn cut(spec: Value) -> Result<(RecoveryPlanSpec, Cut), Vec<Problem>> {
    Cut::of(&example(), &request(spec), "0a1b2c")
}

#[test]
fn names_are_led_to_the_existing_apps_that_the_request_names_and_to_no_others() {
    let targets = json!({ "apilos-siap-pra": "apilos-other" });
    let (plan, cut) = cut(json!({ "scope": "dns", "targets": targets })).expect("they go together");
    let [app] = plan.apps.as_slice() else { panic!("{:?}", plan.apps) };
    assert_eq!(
        (app.name.as_str(), app.domains.as_slice()),
        ("apilos-other", &["siap.apilos.test".to_owned()][..])
    );
    assert_eq!(cut.taken_from(app), ["apilos-siap", "apilos-siap-pra"]);
    assert!(cut.is_standing("apilos-other") && !cut.is_standing("apilos-siap"));
}

#[test]
fn an_app_takes_no_name_from_itself() {
    for existing in ["apilos-siap", "apilos-siap-pra"] {
        let targets = json!({ "apilos-siap-pra": existing });
        let (plan, cut) = cut(json!({ "scope": "dns", "targets": targets })).expect("they go together");
        let from = cut.taken_from(&plan.apps[0]);
        assert!(!from.contains(&existing) && from.len() == 1, "{from:?}");
    }
}

#[test]
fn names_need_existing_apps_that_stand_for_apps_of_the_plan() {
    let told = |spec| cut(spec).expect_err("they do not go together")[0].to_string();
    let missing = told(json!({ "scope": "dns" }));
    assert!(missing.contains("--target") && missing.contains("apilos-siap-pra"), "{missing}");
    let unknown = told(json!({ "scope": "dns", "targets": { "apilos-siap": "apilos-other" } }));
    assert!(unknown.starts_with("spec.targets.apilos-siap: is no app of the plan"), "{unknown}");
}

#[test]
fn what_a_request_is_about_is_told_in_words() {
    assert_eq!(told(&json!({})), "all");
    let spec = json!({ "scope": ["dns"], "targets": { "a-front": "b-front" } });
    assert_eq!(told(&spec), "dns (a-front=b-front)");
    assert_eq!(told(&json!({ "scope": 7 })), "all");
}

#[test]
fn a_database_comes_back_beside_the_live_apps_in_an_app_of_ours() {
    let (plan, cut) = cut(json!({ "scope": "database" })).expect("they go together");
    let names: Vec<&str> = plan.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["apilos-siap-pra-db-0a1b2c", "apilos-siap", "apilos-standalone"]);
    assert_eq!(cut.holder.as_deref(), Some(names[0]));
    assert!(!cut.is_standing(names[0]) && cut.is_standing(names[1]) && cut.is_standing(names[2]));
    let reader: Vec<&String> = plan.apps[0].variables.keys().collect();
    assert_eq!(reader, [READ_ONLY], "the app that holds it is given nothing else");
    assert!(plan.apps.iter().all(|app| app.domains.is_empty()));
}

#[test]
fn an_app_comes_back_with_what_leads_its_sibling_to_what_stays() {
    let targets = json!({ "apilos-siap-pra": "apilos-siap" });
    let (plan, cut) = cut(json!({ "scope": "app", "targets": targets })).expect("they go together");
    let names: Vec<&str> = plan.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["apilos-standalone-pra", "apilos-siap"]);
    assert_eq!((cut.holder.clone(), cut.givers["apilos-standalone-pra"].as_str()), (None, "apilos-siap"));
    assert!(
        cut.is_given(Computed::DatabaseUrl)
            && cut.is_given(Computed::ReadOnlyUrl)
            && cut.is_given(Computed::BucketName)
    );
    assert!(!cut.is_given(Computed::RedisUrl) && !cut.is_given(Computed::Hosts));
    let both = json!({ "apilos-siap-pra": "apilos-siap", "apilos-standalone-pra": "apilos-standalone" });
    assert!(Cut::of(&example(), &request(json!({ "scope": "app", "targets": both })), "0a1b2c").is_err());
}

#[test]
fn apps_whose_siblings_are_lost_too_come_back_with_what_the_old_ones_have() {
    let (_, cut) = cut(json!({ "scope": ["app", "bucket"] })).expect("they go together");
    assert_eq!(cut.looked_at(), BTreeSet::from(["apilos-siap", "apilos-standalone"]));
    assert!(cut.is_given(Computed::DatabaseUrl) && !cut.is_given(Computed::BucketName));
}

#[test]
fn what_lies_in_another_region_is_told() {
    let mut plan = example();
    plan.target.region = "osc-secnum-fr1".to_owned();
    let refused = |spec| Cut::of(&plan, &request(spec), "0a1b2c").err().unwrap_or_default();
    assert!(refused(json!({ "scope": "app" }))[0].message.contains("osc-fr1"), "an app would not reach it");
    let (cut, _) =
        Cut::of(&plan, &request(json!({ "scope": "database" })), "0a1b2c").expect("beside the live apps");
    assert_eq!(cut.target.region, "osc-fr1");
}
