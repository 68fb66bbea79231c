//! What is told of databases, of log drains and of links to code hosts.

use serde_json::{Value, json};

use super::{Before, Call, Known, Told};
use crate::paas::catalogue;

/// Calls to the database API, and about the account's code hosts.
pub(super) fn events(before: &Before, was: &Known, call: &Call<'_>) -> Told {
    match (call.method, call.template) {
        ("POST", template) if template.ends_with("/databases/{id}/features") => {
            let feature = call.asked.get("feature").filter(|inner| inner.is_object()).unwrap_or(call.asked);
            vec![("database/add_feature", switched(was, call, &feature["name"]))]
        }
        ("DELETE", template) if template.ends_with("/databases/{id}/features") => {
            vec![("database/remove_feature", switched(was, call, &json!(call.queried("feature"))))]
        }
        ("POST", "/v1/scm_integrations") => {
            vec![("new_integration", integration(&call.answered["scm_integration"]))]
        }
        ("DELETE", "/v1/scm_integrations/{id}") => {
            vec![("delete_integration", integration(&before.integration))]
        }
        _ => Told::new(),
    }
}

/// A switch of a database. Everybody comes from this machine.
fn switched(was: &Known, call: &Call<'_>, feature: &Value) -> Value {
    let (id, provider) = addon(was, call.path.first().map_or("", String::as_str));
    let known = catalogue::PROVIDERS.iter().find(|one| one.name == provider);
    json!({
        "feature": feature, "addon_provider_id": known.map(|one| one.id), "addon_provider_name": provider,
        "addon_uuid": id, "remote_ip": "127.0.0.1",
    })
}

fn integration(one: &Value) -> Value {
    json!({
        "integration_id": one["id"], "integration_type": one["scm_type"],
        "data": {"login": one["username"], "avatar_url": one["avatar_url"], "url": one["url"]},
    })
}

/// The log drain of an addon that came or went.
pub(super) fn addon_drain(was: &Known, call: &Call<'_>) -> Told {
    let kind = match call.method {
        "POST" => "new_addon_log_drain",
        "DELETE" => "delete_addon_log_drain",
        _ => return Told::new(),
    };
    let (id, name) = addon(was, call.path.get(2).map_or("", String::as_str));
    vec![(kind, json!({"url": drain(call), "addon_uuid": id, "addon_name": name}))]
}

/// The address of the drain that a call made, or names to be gone.
pub(super) fn drain(call: &Call<'_>) -> Value {
    let made = &call.answered["drain"]["url"];
    if made.is_string() {
        return made.clone();
    }
    call.queried("url").map_or_else(|| call.asked["url"].clone(), Value::from)
}

/// Id and provider of an addon that is named by its id or its resource.
fn addon<'a>(was: &'a Known, key: &'a str) -> (&'a str, &'a str) {
    let mut all = was.addons.iter();
    let found = all.find(|(id, (_, _, resource))| *id == key || resource == key);
    found.map_or((key, ""), |(id, (provider, ..))| (id.as_str(), provider.as_str()))
}
