//! The example plan, and every way in which it can be wrong.

#![cfg(test)]

use reprise_crds::{Problem, RecoveryPlan, RecoveryRequest, RecoveryRequestSpec};
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../deploy/examples/apilos.yaml");

fn example() -> Value {
    reprise_crds::yaml::read(EXAMPLE).unwrap().value
}

/// The example with the value at a JSON pointer replaced, or its member added.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = example();
    set(&mut document, pointer, value);
    document
}

fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")) {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
}

fn problems(document: Value) -> Vec<Problem> {
    RecoveryPlan::from_json(document).expect_err("it should be refused")
}

fn places(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.path.as_str()).collect()
}

#[test]
fn a_printed_plan_reads_back_the_same() {
    let plan = RecoveryPlan::parse_yaml(EXAMPLE).unwrap();
    let printed = serde_json::to_value(&plan).unwrap();
    assert_eq!(RecoveryPlan::from_json(printed.clone()).unwrap(), plan);
    let yaml = serde_saphyr::to_string(&printed).unwrap();
    assert_eq!(RecoveryPlan::parse_yaml(&yaml).unwrap(), plan);
}

#[test]
fn whom_the_estate_is_handed_to_can_be_invited_or_is_invited() {
    for to in ["owner@apilos.test", "apilos-owner"] {
        let plan = RecoveryPlan::from_json(with("/spec/handOver", json!({ "to": to }))).expect(to);
        assert_eq!(plan.spec.hand_over.expect("it is in it").silence.to_string(), "4w2d");
    }
    for (hand_over, place, sentence) in [
        (json!({ "to": "owner@" }), "spec.handOver.to", "is not an e-mail address"),
        (json!({ "to": "the owner" }), "spec.handOver.to", "neither an e-mail address nor a user name"),
        (json!({ "to": "owner", "silence": "0s" }), "spec.handOver.silence", "more than nothing"),
    ] {
        let problems = problems(with("/spec/handOver", hand_over));
        assert_eq!(places(&problems), [place], "{problems:?}");
        assert!(problems[0].to_string().contains(sentence), "{problems:?}");
    }
    let mut nobody = with("/spec/handOver", json!({ "to": "apilos-owner" }));
    set(&mut nobody, "/spec/target/collaborators", json!([]));
    assert_eq!(places(&problems(nobody)), ["spec.handOver.to"]);
}

#[test]
fn a_store_copies_by_itself_only_what_is_its_own() {
    let mut plan = with("/spec/archive/mode", json!("server-side"));
    RecoveryPlan::from_json(plan.clone()).expect("what the environment says is known to the daemon alone");
    set(&mut plan, "/spec/source/bucket/endpoint", json!("https://s3.fr-par.scw.cloud"));
    set(&mut plan, "/spec/archive/endpoint", json!("https://s3.fr-par.scw.cloud/"));
    RecoveryPlan::from_json(plan.clone()).expect("one endpoint");
    set(&mut plan, "/spec/archive/endpoint", json!("https://s3.nl-ams.scw.cloud"));
    let problems = problems(plan);
    assert_eq!(places(&problems), ["spec.archive.mode"]);
    assert!(problems[0].to_string().contains("at one endpoint"), "{problems:?}");
}

/// A pointer and what is put there; the place of the problem and a part of its sentence.
type Case = (&'static str, Value, &'static str, &'static str);

fn assert_told(cases: impl IntoIterator<Item = Case>) {
    for (pointer, value, place, sentence) in cases {
        let problems = problems(with(pointer, value.clone()));
        let told = problems
            .iter()
            .find(|problem| problem.path == place)
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(told.contains(sentence), "{pointer} = {value}: {problems:?}");
    }
}

#[test]
fn a_mistake_about_the_estate_is_told_at_its_place() {
    assert_told([
        (
            "/spec/target/postgresql/plan",
            json!("postgresql-sandbox"),
            "spec.target.postgresql.plan",
            "free plan",
        ),
        ("/spec/target/redis/plan", json!("redis-free"), "spec.target.redis.plan", "free plan"),
        ("/spec/target/redis/plan", json!("postgresql-starter-512"), "spec.target.redis.plan", "addon redis"),
        ("/spec/target/project", json!("Mon Projet"), "spec.target.project", "1 to 51"),
        ("/spec/target/bucket/name", json!("apilos_pra"), "spec.target.bucket.name", "3 to 50"),
        ("/spec/target/readOnlyUser", json!("read-only"), "spec.target.readOnlyUser", "6 to 32"),
        ("/spec/target/collaborators/0", json!("nobody"), "spec.target.collaborators[0]", "e-mail"),
        ("/spec/target/formation/web/amount", json!(11), "spec.target.formation.web.amount", "at most 10"),
        ("/spec/target/formation/web/amount", json!(0), "spec.target.formation.web.amount", "never answer"),
        (
            "/spec/target/formation/web/size",
            json!("2xl"),
            "spec.target.formation.web.size",
            "did you mean `2XL`",
        ),
        ("/spec/target/bucket/visibility", json!("public"), "spec.target.bucket.visibility", "public-read"),
        ("/spec/target/bucket/endpoint", json!("env:"), "spec.target.bucket.endpoint", "no reference"),
        (
            "/spec/source/objects/1/mirror",
            example()["spec"]["source"]["objects"][2]["mirror"].clone(),
            "spec.source.objects[1]",
            "more than one copy",
        ),
        (
            "/spec/source/objects/1",
            example()["spec"]["source"]["objects"][0].clone(),
            "spec.source.objects[1]",
            "before",
        ),
        ("/spec/archive", json!(null), "spec.source.objects[0].archive", "the plan has none"),
        ("/spec/archive/recipients", json!(["age1no"]), "spec.archive.recipients[0]", "no age recipient"),
        ("/spec/archive/retention/last", json!(0), "spec.archive.retention.last", "at least 1"),
        ("/spec/archive/schedule/cron", json!("often"), "spec.archive.schedule.cron", "no schedule"),
    ]);
}

#[test]
fn a_mistake_about_a_drills_cost_is_told_at_its_place() {
    let prices = json!({ "costCeilingCents": 500, "monthlyCents": { "M": 1440, "XXL": 1 } });
    assert_told([
        ("/spec/drill", prices, "spec.drill.monthlyCents.XXL", "neither a container size nor an addon plan"),
        ("/spec/drill", json!({ "costCeilingCents": 0 }), "spec.drill.costCeilingCents", "at least 1"),
        ("/spec/drill", json!({ "costCeilingCents": 1.5 }), "spec.drill.costCeilingCents", "whole number"),
    ]);
}

#[test]
fn a_mistake_about_an_app_is_told_at_its_place() {
    assert_told([
        ("/spec/apps/0/name", json!("siap"), "spec.apps[0].name", "6 to 48"),
        ("/spec/apps/0/name", json!("a".repeat(36)), "spec.apps[0].name", "drill"),
        ("/spec/apps/1/name", json!("apilos-siap-pra"), "spec.apps[1].name", "same as spec.apps[0].name"),
        ("/spec/apps/1/domains", json!([]), "spec.apps[1].domains", "names no domain"),
        (
            "/spec/apps/1/domains/0",
            json!("siap.apilos.test"),
            "spec.apps[1].domains[0]",
            "spec.apps[0].domains[0]",
        ),
        ("/spec/apps/1/domains/0", json!("apilos.test"), "spec.apps[1].domains[0]", "zone itself"),
        ("/spec/apps/1/domains/0", json!("a.notapilos.test"), "spec.apps[1].domains[0]", "outside the zone"),
        ("/spec/apps/1/code/ref", json!("--upload-pack=x"), "spec.apps[1].code.ref", "commit"),
        ("/spec/apps/1/healthPath", json!("health"), "spec.apps[1].healthPath", "starts with /"),
        ("/spec/dns/zone", json!("apilos."), "spec.dns.zone", "dot"),
        ("/spec/dns/ttl", json!("5m"), "spec.dns.ttl", "whole number, not a text"),
    ]);
}

#[test]
fn a_mistake_about_a_variable_is_told_at_its_place() {
    assert_told([
        (
            "/spec/apps/0/variables/ENVIRONMENT",
            json!({ "value": "x" }),
            "spec.apps[0].variables.ENVIRONMENT",
            "shared",
        ),
        ("/spec/apps/0/unset", json!(["SECRET_KEY"]), "spec.apps[0].unset[0]", "shared"),
        ("/spec/variables/values/DEBUG", json!({}), "spec.variables.values.DEBUG", "has no value"),
        ("/spec/variables/values/DEBUG/value", json!(" "), "spec.variables.values.DEBUG.value", "blank"),
        ("/spec/variables/values/DEBUG/value", json!(1.5), "spec.variables.values.DEBUG.value", "decimal"),
        (
            "/spec/variables/values/DEBUG/value",
            json!("x".repeat(32_769)),
            "spec.variables.values.DEBUG.value",
            "32,768",
        ),
        (
            "/spec/variables/values/DEBUG/from",
            json!("env:X"),
            "spec.variables.values.DEBUG",
            "more than one value",
        ),
        (
            "/spec/variables/values/DEBUG/policy",
            json!("keep"),
            "spec.variables.values.DEBUG",
            "more than one value",
        ),
        (
            "/spec/variables/values/DEBUG",
            json!({ "policy": "ask", "drill": "keep" }),
            "spec.variables.values.DEBUG.drill",
            "nobody is asked",
        ),
        ("/spec/variables/values/PORT", json!({ "value": 1 }), "spec.variables.values.PORT", "platform"),
        ("/spec/variables/values/1ST", json!({ "value": 1 }), "spec.variables.values.1ST", "not the name"),
        (
            "/spec/variables/values/REDIS_URL",
            json!(null),
            "spec.variables.values.REDIS_URL",
            "a mapping, not empty",
        ),
        (
            "/spec/variables/values/DB_HOST/computed",
            json!("database.hots"),
            "spec.variables.values.DB_HOST.computed",
            "did you mean `database.host`",
        ),
        (
            "/spec/variables/shared/0",
            json!("REDIS_URL"),
            "spec.variables.values.REDIS_URL.computed",
            "from app to app",
        ),
        (
            "/spec/variables/required/0",
            json!("MISSING"),
            "spec.variables.required[0]",
            "no value for apilos-siap-pra",
        ),
        ("/spec/variables/template", json!("../.env"), "spec.variables.template", "inside the repository"),
    ]);
}

#[test]
fn a_mistake_about_anything_else_is_told_at_its_place() {
    assert_told([
        ("/spec/objectives/rto", json!("2 hours"), "spec.objectives.rto", "not a length of time"),
        ("/spec/limits/stall", json!("0s"), "spec.limits.stall", "no time at all"),
        ("/spec/dataChecks/0/sql", json!(""), "spec.dataChecks[0].sql", "blank"),
        ("/spec/dataChecks/0/sql", json!("DROP TABLE x"), "spec.dataChecks[0].sql", "not a query"),
        ("/spec/dataChecks/0/expect", json!({}), "spec.dataChecks[0].expect", "expects nothing"),
        ("/spec/dataChecks/1/name", json!("there are tables"), "spec.dataChecks[1].name", "two checks"),
        ("/kind", json!("RecoveryPlans"), "kind", "did you mean `RecoveryPlan`"),
        ("/metadata/name", json!("Apilos"), "metadata.name", "lower-case"),
    ]);
}

#[test]
fn every_mistake_is_told_in_one_go() {
    let mut document = example();
    document["spec"]["tartget"] = document["spec"]["target"].take();
    document["spec"].as_object_mut().unwrap().remove("target");
    set(&mut document, "/spec/source/region", json!(3));
    set(&mut document, "/spec/apps/1/domains", json!([]));
    set(&mut document, "/spec/apps/0/name", json!("x"));
    set(&mut document, "/spec/objectives/rpo", json!("soon"));
    set(&mut document, "/spec/variables/values/SECRET_KEY/from", json!("hunter2"));
    let problems = problems(document);
    assert_eq!(
        places(&problems),
        [
            "spec.apps[0].name",
            "spec.apps[1].domains",
            "spec.objectives.rpo",
            "spec.source.region",
            "spec.target",
            "spec.tartget",
            "spec.variables.values.SECRET_KEY.from",
        ],
        "{problems:?}"
    );
    assert!(!format!("{problems:?}").contains("hunter2"), "a secret in the wrong place is not repeated");
}

#[test]
fn a_mistyped_name_is_one_problem() {
    let mut document = example();
    let app = document["spec"]["apps"][0].as_object_mut().unwrap();
    let domains = app.remove("domains").unwrap();
    app.insert("domain".to_owned(), domains);
    let values = document["spec"]["variables"].as_object_mut().unwrap().remove("values").unwrap();
    document["spec"]["variables"]["valeus"] = values;
    let mirror = document["spec"]["source"]["objects"][1]["mirror"].take();
    document["spec"]["source"]["objects"][1] = json!({ "miror": mirror });
    let problems = problems(document);
    assert_eq!(
        places(&problems),
        ["spec.apps[0].domain", "spec.source.objects[1].miror", "spec.variables.valeus"],
        "{problems:?}"
    );
}

#[test]
fn an_unknown_member_hides_nothing_else() {
    let mut document = example();
    let app = document["spec"]["apps"][0].as_object_mut().unwrap();
    app.remove("domains");
    app.insert("colour".to_owned(), json!("red"));
    assert_eq!(places(&problems(document)), ["spec.apps[0].colour", "spec.apps[0].domains"]);
}

#[test]
fn a_duplicate_key_stands_beside_the_other_problems() {
    let text = EXAMPLE
        .replace("project: apilos-pra", "project: apilos-pra\n    project: other")
        .replace("rto: 2h", "rto: 2");
    let problems = RecoveryPlan::parse_yaml(&text).unwrap_err();
    assert_eq!(places(&problems), ["spec.objectives.rto", "spec.target.project"]);
    assert!(problems[1].message.contains("twice"));
}

#[test]
fn what_is_not_yaml_is_one_problem_that_quotes_nothing() {
    for text in ["", "a: [", "a: b: c", "--- 1\n--- 2\n", "\t- x", "a: &x [*x]", "hunter2: \"oops"] {
        let problems = RecoveryPlan::parse_yaml(text).unwrap_err();
        assert!(!format!("{problems:?}").contains("hunter2: \\\"oops"), "{problems:?}");
    }
    let problems = RecoveryPlan::parse_yaml("a: [").unwrap_err();
    assert!(problems[0].message.contains("line "), "{problems:?}");
}

#[test]
fn what_people_cannot_see_in_a_text_is_told_by_its_name() {
    let told = |text: &str| RecoveryPlan::parse_yaml(text).unwrap_err()[0].message.clone();
    assert!(told("kind: RecoveryPlan\nspec:\n\ta: 1\n").contains("by a tab"), "{}", told("spec:\n\ta: 1\n"));
    assert!(!told("a: [").contains("tab"));
    assert!(told("a: *x").contains("does not name before"), "{}", told("a: *x"));
    for number in ["1e400", "-.inf", ".nan"] {
        let text = EXAMPLE.replace("rto: ", &format!("extra: {number}\n    rto: "));
        let problems = RecoveryPlan::parse_yaml(&text).unwrap_err();
        let found = problems.iter().find(|problem| problem.message.contains("no finite number"));
        assert_eq!(
            found.map(|found| found.path.as_str()),
            Some("spec.objectives.extra"),
            "{number}: {problems:?}"
        );
    }
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut bomb = "a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n".to_owned();
    for level in 1..30 {
        let below = format!("*a{}", level - 1);
        let items = vec![below; 9].join(",");
        bomb.extend([format!("a{level}: &a{level} [{items}]\n")]);
    }
    let problems = RecoveryPlan::parse_yaml(&bomb).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("repeats itself"), "{problems:?}");
    let deep = format!("a: {}", "[".repeat(100_000));
    assert!(RecoveryPlan::parse_yaml(&deep).is_err());
    assert!(RecoveryPlan::parse_yaml(&"a: 1\n".repeat(300_000)).is_err());
}

#[test]
fn words_of_other_dialects_stay_texts() {
    let text = EXAMPLE.replace("{ value: production, drill: keep }", "{ value: no, drill: keep }");
    let plan = RecoveryPlan::parse_yaml(&text).unwrap();
    let value = plan.spec.variables.values["ENVIRONMENT"].value.clone();
    assert_eq!(value.unwrap().to_string(), "no");
}

#[test]
fn a_request_needs_only_a_plan() {
    let request = RecoveryRequest::parse_yaml(
        "apiVersion: reprise.dev/v1alpha1\nkind: RecoveryRequest\nmetadata: { name: now }\nspec: { plan: apilos, scope: dns }\n",
    )
    .unwrap();
    assert_eq!(
        serde_json::to_value(&request.spec).unwrap(),
        json!({ "plan": "apilos", "mode": "recover", "scope": ["dns"] })
    );

    let nonsense = json!({ "plan": "", "mode": 7, "scope": ["dns", "dsn"], "reason": "x".repeat(2000), "plam": "apilos" });
    let problems = RecoveryRequestSpec::from_json(nonsense).unwrap_err();
    assert_eq!(places(&problems), ["spec.mode", "spec.plam", "spec.plan", "spec.reason", "spec.scope[1]"]);
    assert_eq!(
        RecoveryRequestSpec::from_json(json!({ "plan": "apilos", "scope": [] })).unwrap_err()[0].path,
        "spec.scope"
    );
    assert_eq!(RecoveryRequestSpec::from_json(json!("apilos")).unwrap_err()[0].path, "spec");
}
