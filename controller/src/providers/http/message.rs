//! Reads what a vendor says about an error, whatever shape it has. Pure, never fails: an unreadable body is only a poorer message.

use std::collections::BTreeMap;

use serde_json::Value;

/// Longest message that is kept, in bytes.
pub const MESSAGE_LIMIT: usize = 512;

/// What an error body said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// One line, at most [`MESSAGE_LIMIT`] bytes, without control characters.
    pub message: String,
    /// A machine-readable code, where the vendor has one (`code`, `name` or `type`).
    pub code: Option<String>,
    /// What was not found (`resource`).
    pub resource: Option<String>,
    /// Refused fields with their reasons (`errors`).
    pub fields: BTreeMap<String, Vec<String>>,
}

impl ErrorBody {
    /// Reads a body of any kind: the vendors' JSON shapes, plain text, or a page for people.
    pub fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(map)) => Self::from_object(&map),
            _ => Self { message: plain(body), ..Self::default() },
        }
    }

    fn from_object(map: &serde_json::Map<String, Value>) -> Self {
        let text = |key: &str| map.get(key).and_then(Value::as_str).map(line);
        let resource = text("resource");
        let mut message = text("error").or_else(|| text("message")).unwrap_or_default();
        let fields = match map.get("errors") {
            Some(errors) => field_errors(errors),
            None if message.is_empty() => bare_field_errors(map),
            None => BTreeMap::new(),
        };
        if let Some(resource) = &resource {
            message = format!("{resource}: {message}");
        }
        if !fields.is_empty() {
            let told: Vec<_> =
                fields.iter().map(|(field, why)| format!("{field} {}", why.join(", "))).collect();
            message =
                if message.is_empty() { told.join("; ") } else { format!("{message}: {}", told.join("; ")) };
        }
        let code = text("code").or_else(|| text("name")).or_else(|| text("type"));
        Self { message: line(&message), code, resource, fields }
    }

    /// Whether `field` was refused with a reason that holds `words`.
    pub fn field_says(&self, field: &str, words: &str) -> bool {
        self.fields.get(field).is_some_and(|reasons| reasons.iter().any(|reason| reason.contains(words)))
    }
}

/// `{"field": ["reason", …]}`, or a list of objects or strings as other vendors have it.
fn field_errors(errors: &Value) -> BTreeMap<String, Vec<String>> {
    let reasons = |value: &Value| match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(line).collect(),
        Value::String(one) => vec![line(one)],
        _ => Vec::new(),
    };
    match errors {
        Value::Object(map) => map.iter().map(|(field, why)| (line(field), reasons(why))).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|item| {
                let text = |key: &str| item.get(key).and_then(Value::as_str);
                let reason = item.as_str().or_else(|| text("message")).or_else(|| text("code"))?;
                Some((line(text("field").unwrap_or("request")), vec![line(reason)]))
            })
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// The fields themselves, with nothing around them: `{"field": ["reason", …]}`.
fn bare_field_errors(map: &serde_json::Map<String, Value>) -> BTreeMap<String, Vec<String>> {
    let listed =
        map.iter().filter(|(_, why)| why.is_array()).map(|(field, why)| (field.clone(), why.clone()));
    field_errors(&Value::Object(listed.collect()))
}

/// Text that is not JSON: a sentence is kept, a page for people is not.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(4 * MESSAGE_LIMIT)).unwrap_or_default());
    let text = text.trim();
    let start = text.get(..text.len().min(15)).unwrap_or_default().to_ascii_lowercase();
    if start.starts_with("<!doctype") || start.starts_with("<html") {
        return "(a page for people)".to_owned();
    }
    line(text)
}

/// One bounded line without control characters, so that foreign text cannot forge log lines or terminal codes.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MESSAGE_LIMIT));
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if out.len() + c.len_utf8() > MESSAGE_LIMIT {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_shape_gives_a_message() {
        for (body, message) in [
            (r#"{"error":"plan_id is required"}"#, "plan_id is required"),
            (r#"{"resource":"app","error":"not found"}"#, "app: not found"),
            (r#"{"errors":{"name":["has already been taken"]}}"#, "name has already been taken"),
            (r#"{"message":"Bad credentials","documentation_url":"x"}"#, "Bad credentials"),
            (r#"{"message":"Bad","errors":[{"field":"ref","code":"missing"}]}"#, "Bad: ref missing"),
            (r#"{"name":["A CNAME cannot coexist."],"id":7}"#, "name A CNAME cannot coexist."),
            ("Retry later\n", "Retry later"),
            ("<!DOCTYPE html><html><body>secret</body></html>", "(a page for people)"),
            ("", ""),
            ("[1]", "[1]"),
        ] {
            assert_eq!(ErrorBody::read(body.as_bytes()).message, message, "{body}");
        }
    }

    #[test]
    fn a_refused_field_can_be_asked_for() {
        let body = ErrorBody::read(br#"{"errors":{"name":["has already been taken"]}}"#);
        assert!(body.field_says("name", "already been taken"));
        assert!(!body.field_says("app", "already been taken"));
    }

    #[test]
    fn foreign_text_is_bounded_and_on_one_line() {
        let long = format!("a\r\nb\u{1b}[31m{}", "é".repeat(2000));
        let kept = ErrorBody::read(long.as_bytes()).message;
        assert!(kept.len() <= MESSAGE_LIMIT);
        assert!(kept.chars().all(|c| !c.is_control()));
    }
}
