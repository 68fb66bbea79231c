//! Texts that must look like something: one of some words, a duration, a reference.
//!
//! Patterns are known by name here and not run as regular expressions; a test shows that no schema uses another one.

use serde_json::Value;

use super::closest;
use crate::problem::{At, Problem};
use crate::text::{PERIOD_PATTERN, Period, REFERENCE_PATTERN, Reference};

/// What is wrong with `text` at this place, if anything. Never repeats it.
pub(super) fn misfit(schema: &Value, text: &str, at: &At) -> Option<Problem> {
    let place = at.as_str();
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = || words.iter().filter_map(Value::as_str);
        if words().any(|word| word == text) {
            return None;
        }
        let problem =
            Problem::new(place, format!("must be one of {}", words().collect::<Vec<_>>().join(", ")));
        return Some(match closest(text, words()) {
            Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
            None => problem,
        });
    }
    match schema.get("pattern").and_then(Value::as_str)? {
        PERIOD_PATTERN if text.parse::<Period>().is_err() => {
            Some(Problem::new(place, "is not a length of time").hint("write it like 90s, 5m, 1h30m or 7d"))
        }
        REFERENCE_PATTERN => text.parse::<Reference>().err().map(|why| {
            Problem::new(place, format!("must say where the value is kept, but {why}"))
                .hint("write env:NAME or file:/path; a secret itself never stands in a document")
        }),
        _ => None,
    }
}

/// A text that fits.
pub(super) fn sample(schema: &Value) -> &'static str {
    match schema.get("pattern").and_then(Value::as_str) {
        Some(PERIOD_PATTERN) => "1s",
        Some(REFERENCE_PATTERN) => "env:PLACEHOLDER",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    fn patterns(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(members) => {
                found.extend(members.get("pattern").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|below| patterns(below, found));
            }
            Value::Array(items) => items.iter().for_each(|below| patterns(below, found)),
            _ => {}
        }
    }

    #[test]
    fn every_pattern_of_a_schema_is_checked() {
        let mut found = Vec::new();
        patterns(&schema::PLAN, &mut found);
        patterns(&schema::REQUEST, &mut found);
        assert!(found.len() >= 10, "{found:?}");
        for pattern in found {
            assert!([PERIOD_PATTERN, REFERENCE_PATTERN].contains(&pattern.as_str()), "{pattern}");
        }
    }
}
