//! The schemas of the kinds, derived from the types: for validation here and for everybody else's tools.
//!
//! They are kept in a small normal form (no references, no unions with null), so that `crate::shape` can walk them.

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::plan::RecoveryPlanSpec;
use crate::request::RecoveryRequestSpec;

/// Group and version of every kind.
pub const API_VERSION: &str = "reprise.dev/v1alpha1";

/// The schema of a plan's `spec`.
pub(crate) static PLAN: LazyLock<Value> = LazyLock::new(of::<RecoveryPlanSpec>);

/// The schema of a request's `spec`.
pub(crate) static REQUEST: LazyLock<Value> = LazyLock::new(of::<RecoveryRequestSpec>);

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    normalise(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("$schema");
        schema.remove("title");
    }
    schema
}

/// The schema of a whole document of one kind, around that of its spec.
pub(crate) fn document(kind: &str, spec: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string", "enum": [API_VERSION] },
            "kind": { "type": "string", "enum": [kind] },
            "metadata": {
                "type": "object",
                "properties": { "name": {
                    "type": "string",
                    "description": "The name: 1 to 63 lower-case letters, digits and hyphens.",
                } },
                "required": ["name"],
            },
            "spec": spec,
            "status": { "type": "object", "description": "Written by the controller; ignored in what is applied." },
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    })
}

/// Brings one schema and all below it into the normal form.
fn normalise(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.remove("x-kubernetes-preserve-unknown-fields").is_some() {
        object.insert("type".to_owned(), json!(["string", "integer", "boolean"]));
    }
    unite_words(object);
    drop_null(object);
    width_as_bounds(object);
    for (keyword, below) in object.iter_mut() {
        match keyword.as_str() {
            "properties" => below.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(normalise),
            "items" | "additionalProperties" => normalise(below),
            _ => {}
        }
    }
}

/// The width of a Rust integer says nothing to a reader; what it cannot hold does, so that a count too large is told at
/// its place and not when the whole does not fit its type.
fn width_as_bounds(object: &mut Map<String, Value>) {
    let most = match object.remove("format").as_ref().and_then(Value::as_str) {
        Some("uint8") => u64::from(u8::MAX),
        Some("uint16") => u64::from(u16::MAX),
        Some("uint32") => u64::from(u32::MAX),
        _ => return,
    };
    object.entry("maximum").or_insert_with(|| json!(most));
}

/// `oneOf` of documented constants becomes one list of words, with their documentation in the description.
fn unite_words(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.remove("oneOf") else { return };
    let mut words = Vec::new();
    let mut text = object.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    for choice in &choices {
        // Words that have no documentation of their own come as one list.
        let listed = choice.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
        for word in choice.get("const").cloned().into_iter().chain(listed) {
            if let (Some(word), Some(about)) =
                (word.as_str(), choice.get("description").and_then(Value::as_str))
            {
                for part in ["\n- `", word, "`: ", about] {
                    text.push_str(part);
                }
            }
            words.push(word);
        }
    }
    object.insert("type".to_owned(), json!("string"));
    object.insert("enum".to_owned(), Value::Array(words));
    object.insert("description".to_owned(), json!(text.trim_start()));
}

/// Optional means "may be left out"; an explicit null counts as left out, and needs no type of its own.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.remove("anyOf") {
        let real = choices.into_iter().find(|choice| choice.get("type").is_none_or(|name| name != "null"));
        for (keyword, value) in real.and_then(|real| real.as_object().cloned()).unwrap_or_default() {
            // The field's own description is about this use of the type.
            object.entry(keyword).or_insert(value);
        }
        unite_words(object);
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
}
