//! Answers of the vendors, written down in `tests/fixtures`: ours have the same keys and JSON types. The controller's tests read the same
//! files.

use std::path::Path;

use serde_json::Value;

/// The answer `vendor/name`.
pub(crate) fn text(vendor: &str, file: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    std::fs::read_to_string(fixtures.join(vendor).join(file)).unwrap()
}

/// Ours has the shape of `vendor/name.json`.
#[track_caller]
pub(crate) fn same_shape(vendor: &str, name: &str, ours: &Value) {
    let theirs: Value = serde_json::from_str(&text(vendor, &format!("{name}.json"))).unwrap();
    let mut found = Vec::new();
    differences(&theirs, ours, name, &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

/// Where `ours` differs from `theirs` in keys or types. What was recorded as `null` may be anything.
fn differences(theirs: &Value, ours: &Value, at: &str, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Null, _) => {}
        (Value::Object(theirs), Value::Object(ours)) => {
            for key in theirs.keys().filter(|key| !ours.contains_key(*key)) {
                found.push(format!("{at}.{key} is missing"));
            }
            for (key, value) in ours {
                match theirs.get(key) {
                    Some(known) => differences(known, value, &format!("{at}.{key}"), found),
                    None => found.push(format!("{at}.{key} is not the vendor's")),
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            // An empty one shows nothing of what it holds.
            if ours.is_empty() && !theirs.is_empty() {
                found.push(format!("{at} is empty, recorded was {} of them", theirs.len()));
            }
            let Some(known) = theirs.first() else { return };
            for one in ours {
                differences(known, one, &format!("{at}[]"), found);
            }
        }
        _ if std::mem::discriminant(theirs) == std::mem::discriminant(ours) => {}
        _ => found.push(format!("{at} is {ours}, recorded was {theirs}")),
    }
}

#[test]
fn whatever_is_not_as_recorded_is_found() {
    use serde_json::json;
    let theirs = json!({"a": 1, "b": {"c": "x"}, "d": [1], "e": "x", "f": null});
    let ours = json!({"b": {"c": 2, "g": 3}, "d": [], "e": null, "f": 1});
    let mut found = Vec::new();
    differences(&theirs, &ours, "x", &mut found);
    found.sort();
    for (found, part) in
        found.iter().zip(["x.a is missing", "x.b.c is 2", "x.b.g is not", "x.d is empty", "x.e is null"])
    {
        assert!(found.starts_with(part), "{found}");
    }
    assert_eq!(found.len(), 5, "{found:?}");
}
