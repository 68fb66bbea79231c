//! Any input at all: never a panic, always an answer, and the same one as an independent implementation gives.

#![cfg(test)]

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use reprise_crds::{Problem, RecoveryPlan, RecoveryPlanSpec, RecoveryRequestSpec, manifests};
use serde_json::{Map, Value, json};

const EXAMPLE: &str = include_str!("../../deploy/examples/apilos.yaml");

fn example() -> Value {
    reprise_crds::yaml::read(EXAMPLE).unwrap().value
}

/// Values of every type, with the words and members of the kinds among them.
fn any_value() -> impl Strategy<Value = Value> {
    let words =
        ["", "env:X", "5m", "apilos-pra", "private", "a b", "postgresql-sandbox", "é\u{0}", "x.apilos.test"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        Just(json!(1.5)),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let names = [
        "source",
        "target",
        "apps",
        "name",
        "domains",
        "variables",
        "values",
        "dns",
        "zone",
        "value",
        "bucket",
    ];
    let name = prop_oneof![proptest::sample::select(names.to_vec()).prop_map(str::to_owned), "\\PC{0,6}"];
    leaf.prop_recursive(4, 40, 5, move |below| {
        prop_oneof![
            proptest::collection::vec(below.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((name.clone(), below), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Every place of a document, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, below)| pointers(below, &format!("{at}/{i}"), found));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, below)| pointers(below, &format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

/// What an editor would say of a plan.
static PUBLISHED: LazyLock<Validator> = LazyLock::new(|| {
    let all = manifests::all().unwrap();
    let file = all.iter().find(|manifest| manifest.name == "recoveryplan.schema.json").unwrap();
    jsonschema::validator_for(&serde_json::from_str(&file.text).unwrap()).unwrap()
});

#[test]
fn the_example_fits_the_published_schema() {
    let errors: Vec<_> = PUBLISHED.iter_errors(&example()).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

/// Every number of the example that has bounds, one past them: refused at its place, by the schema as by us.
#[test]
fn a_number_too_large_for_its_field_is_told_at_its_place() {
    let mut places = Vec::new();
    pointers(&example()["spec"], "/spec", &mut places);
    let numbers = places.iter().filter(|place| example().pointer(place).is_some_and(Value::is_i64));
    let mut tried = 0;
    for place in numbers {
        let mut document = example();
        *document.pointer_mut(place).unwrap() = json!(u64::from(u32::MAX) + 1);
        let Err(problems) = RecoveryPlan::from_json(document.clone()) else { continue };
        tried += 1;
        assert!(!PUBLISHED.is_valid(&document), "{place}: the published schema takes it");
        let name = place.rsplit('/').next().unwrap();
        let told = |problem: &Problem| problem.path.ends_with(name) && problem.message.contains("is allowed");
        assert!(problems.iter().any(told), "{place}: {problems:?}");
    }
    assert!(tried > 3, "the example has {tried} bounded numbers");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_gets_an_answer(value in any_value()) {
        for problems in [
            RecoveryPlan::from_json(value.clone()).err(),
            RecoveryPlanSpec::from_json(value.clone()).err(),
            RecoveryRequestSpec::from_json(value.clone()).err(),
        ].into_iter().flatten() {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| problem.message != "does not fit its kind"), "{:?}", problems);
        }
    }

    #[test]
    fn any_text_gets_an_answer(text in "[ -~\n\t\u{e9}\u{0}]{0,120}") {
        prop_assert!(RecoveryPlan::parse_yaml(&text).is_err());
    }

    /// One place of the example is replaced by anything. Whatever the published schema refuses, we refuse; whatever we
    /// accept reads back as it was printed.
    #[test]
    fn a_broken_plan_is_refused_as_the_published_schema_refuses_it(place in any::<prop::sample::Index>(), value in any_value()) {
        let mut document = example();
        let mut places = Vec::new();
        pointers(&document["spec"], "/spec", &mut places);
        let place = place.get(&places);
        *document.pointer_mut(place).unwrap() = value.clone();
        let valid = PUBLISHED.is_valid(&document);
        match RecoveryPlan::from_json(document) {
            Ok(plan) => {
                // An explicit null counts as left out; a schema cannot say so.
                prop_assert!(valid || has_null(&value), "{} = {}", place, value);
                let printed = serde_json::to_value(&plan).unwrap();
                prop_assert_eq!(RecoveryPlan::from_json(printed).unwrap(), plan);
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                let lost = problems.iter().any(|problem| problem.message == "does not fit its kind");
                prop_assert!(!lost, "{} = {}: {:?}", place, value, problems);
            }
        }
    }

    /// A member of the example is taken away: if the schema says that it is needed, so do we, and at its place.
    #[test]
    fn a_missing_member_is_told_at_its_place(place in any::<prop::sample::Index>()) {
        let mut document = example();
        let mut places = Vec::new();
        pointers(&document["spec"], "/spec", &mut places);
        let place = place.get(&places).clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let Some(members) = document.pointer_mut(parent).and_then(Value::as_object_mut) else { return Ok(()) };
        members.remove(name);
        let valid = PUBLISHED.is_valid(&document);
        let told = RecoveryPlan::from_json(document).err().unwrap_or_default();
        let missing = told.iter().any(|problem| problem.message == "is missing" && problem.path.ends_with(name));
        prop_assert_eq!(!valid, missing, "{}: {:?}", place, told);
    }
}
