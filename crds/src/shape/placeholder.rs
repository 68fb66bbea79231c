//! Stand-ins for parts of a document that are missing or of the wrong type: the least that fits.

use serde_json::{Map, Value};

use super::texts;

/// The least value that fits `schema`.
pub(super) fn placeholder(schema: &Value) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(word) = schema.get("enum").and_then(Value::as_array).and_then(|words| words.first()) {
        return word.clone();
    }
    match super::types(schema).next() {
        Some("object") => Value::Object(least_object(schema)),
        Some("array") => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
            let item = schema.get("items").unwrap_or(&Value::Null);
            Value::Array((0..least).map(|_| placeholder(item)).collect())
        }
        Some("integer") => schema.get("minimum").cloned().unwrap_or_else(|| 0.into()),
        Some("boolean") => Value::Bool(false),
        _ => Value::String(texts::sample(schema).to_owned()),
    }
}

fn least_object(schema: &Value) -> Map<String, Value> {
    let known = schema.get("properties").and_then(Value::as_object);
    let required =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let below = |name: &str| known.and_then(|known| known.get(name)).unwrap_or(&Value::Null);
    required.map(|name| (name.to_owned(), placeholder(below(name)))).collect()
}
