//! The shape of a document: known members, right types, nothing missing. Every mistake at once.
//!
//! One walk along the kind's own schema does two things: it reports what does not fit, and it *repairs* the document
//! (an unknown member is taken out, a missing or wrong part becomes a placeholder), so that the rules about meaning can
//! judge all the rest in the same pass. The walk goes only where the schema goes, so its depth is bounded whatever the
//! input. A property test holds it against an independent implementation of JSON Schema.

use serde_json::{Map, Value};

use crate::problem::{At, Problem, Report};

mod placeholder;
mod suggest;
mod texts;

use placeholder::placeholder;
pub(crate) use suggest::closest;

/// Reports what of `value` does not fit `schema`, and makes it fit.
pub(crate) fn fit(schema: &Value, value: &mut Value, at: &At, report: &mut Report) {
    if !types(schema).any(|name| is_of(name, value)) {
        let wanted: Vec<_> = types(schema).map(described).collect();
        let message = format!("must be {}, not {}", wanted.join(" or "), kind_of(value));
        let problem = Problem::new(at.as_str(), message);
        report.replace(if value.is_f64() {
            problem.hint("write a decimal number in quotes")
        } else {
            problem
        });
        *value = placeholder(schema);
        return;
    }
    let misfit = match value {
        Value::Object(members) => {
            fit_object(schema, members, at, report);
            None
        }
        Value::Array(items) => {
            fit_items(schema, items, at, report);
            None
        }
        Value::String(text) => texts::misfit(schema, text, at),
        Value::Number(number) => number.as_i64().and_then(|number| out_of_range(schema, number, at)),
        Value::Null | Value::Bool(_) => None,
    };
    if let Some(problem) = misfit {
        report.replace(problem);
        *value = placeholder(schema);
    }
}

fn fit_object(schema: &Value, members: &mut Map<String, Value>, at: &At, report: &mut Report) {
    let known = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties");
    let names: Vec<String> = members.keys().cloned().collect();
    for name in names {
        let Some(value) = members.get_mut(&name) else { continue };
        match (known.and_then(|known| known.get(&name)), others) {
            // Kubernetes, too, takes an explicit null for a member that was left out.
            (Some(_), _) if value.is_null() => {
                members.remove(&name);
            }
            (Some(schema), _) => fit(schema, value, &at.member(&name), report),
            (None, Some(others @ Value::Object(_))) => fit(others, value, &at.member(&name), report),
            (None, Some(Value::Bool(false))) => {
                members.remove(&name);
                let names = || known.into_iter().flat_map(Map::keys).map(String::as_str);
                let meant = closest(&name, names());
                report.take_out(unknown(&at.member(&name), meant, names()));
                if let Some(meant) = meant.filter(|meant| !members.contains_key(*meant)) {
                    report.mistyped(at, meant);
                }
            }
            (None, _) => {}
        }
    }
    for name in
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        if !members.contains_key(name) {
            report.replace(Problem::new(at.member(name).as_str(), "is missing"));
            let schema = known.and_then(|known| known.get(name)).unwrap_or(&Value::Null);
            members.insert(name.to_owned(), placeholder(schema));
        }
    }
}

fn fit_items(schema: &Value, items: &mut Vec<Value>, at: &At, report: &mut Report) {
    let below = schema.get("items").unwrap_or(&Value::Null);
    for (index, item) in items.iter_mut().enumerate() {
        fit(below, item, &at.item(index), report);
    }
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    if (items.len() as u64) < least {
        report.replace(Problem::new(at.as_str(), "is empty").hint("give at least one"));
        items.push(placeholder(below));
    }
}

fn unknown<'a>(at: &At, meant: Option<&str>, known: impl Iterator<Item = &'a str>) -> Problem {
    let problem = Problem::new(at.as_str(), "is not a known field");
    match meant {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem.hint(format!("known here: {}", known.collect::<Vec<_>>().join(", "))),
    }
}

fn out_of_range(schema: &Value, number: i64, at: &At) -> Option<Problem> {
    let bound = |keyword| schema.get(keyword).and_then(Value::as_i64);
    let message = match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if number < least => format!("is {number}, but at least {least} is needed"),
        (_, Some(most)) if number > most => format!("is {number}, but at most {most} is allowed"),
        _ => return None,
    };
    Some(Problem::new(at.as_str(), message))
}

/// The types that a schema allows; one that names none allows all.
fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match schema.get("type") {
        Some(Value::String(name)) => (Some(name.as_str()), None),
        Some(Value::Array(names)) => (None, Some(names)),
        _ => (Some("anything"), None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        _ => true,
    }
}

fn described(name: &str) -> &'static str {
    match name {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "boolean" => "true or false",
        _ => "something else",
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(number) if !number.is_i64() => "a number of this size",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
