//! What a request changed: the difference of two inventories, by kind. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What of `before` is gone or different in `after`, and what of `after` is new or different; `None` where nothing is.
pub fn between(before: &Value, after: &Value) -> (Option<Value>, Option<Value>) {
    (missing(before, after), missing(after, before))
}

/// What the kinds of `one` have that those of `other` lack.
fn missing(one: &Value, other: &Value) -> Option<Value> {
    let kinds = one.as_object()?;
    let mut found = Map::new();
    for (kind, items) in kinds {
        let there: BTreeSet<String> = list(&other[kind]).map(Value::to_string).collect();
        let lacking: Vec<Value> =
            list(items).filter(|item| !there.contains(&item.to_string())).cloned().collect();
        if !lacking.is_empty() {
            found.insert(kind.clone(), lacking.into());
        }
    }
    (!found.is_empty()).then_some(Value::Object(found))
}

/// Only what is about `app`, where the request names one: what others did meanwhile is not this request's.
pub fn about(inventory: Value, app: Option<&str>) -> Value {
    let (Some(app), Value::Object(kinds)) = (app, &inventory) else { return inventory };
    let mine = |item: &&Value| {
        let named = item.get("app").or_else(|| item.get("name")).and_then(Value::as_str);
        let is_theirs = item.get("app").is_some() || item.get("formation").is_some();
        !is_theirs || named == Some(app)
    };
    // Processes and databases come and go by themselves.
    let by_hand = kinds.iter().filter(|(kind, _)| !matches!(kind.as_str(), "processes" | "databases"));
    by_hand
        .map(|(kind, items)| (kind.clone(), list(items).filter(mine).cloned().collect::<Vec<_>>().into()))
        .collect::<Map<String, Value>>()
        .into()
}

fn list(items: &Value) -> impl Iterator<Item = &Value> {
    items.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({"apps": [{"name": "a", "status": "new"}, {"name": "b"}], "domains": []});
        let after =
            json!({"apps": [{"name": "a", "status": "running"}, {"name": "b"}], "domains": [{"name": "d"}]});
        let (was, is) = between(&before, &after);
        assert_eq!(was, Some(json!({"apps": [{"name": "a", "status": "new"}]})));
        assert_eq!(
            is,
            Some(json!({"apps": [{"name": "a", "status": "running"}], "domains": [{"name": "d"}]}))
        );
        assert_eq!(between(&after, &after), (None, None));
    }

    #[test]
    fn what_is_about_another_app_is_left_out() {
        let all = json!({"addons": [{"app": "a", "plan": "p"}, {"app": "b", "plan": "p"}], "processes": [{"app": "a"}]});
        assert_eq!(about(all, Some("a")), json!({"addons": [{"app": "a", "plan": "p"}]}));
    }
}
