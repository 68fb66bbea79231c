//! Resources of an inventory, by what makes each one itself: names, not states.

use std::collections::BTreeSet;

use serde_json::Value;

/// A resource: its kind, and the members that identify it.
pub(super) type Item = (String, String);

/// Members that identify a resource of `kind`.
fn identity(kind: &str) -> &'static [&'static str] {
    match kind {
        "apps" => &["name", "id"],
        "projects" => &["name", "owner"],
        "addons" => &["app", "provider", "resource"],
        "databases" => &["resource"],
        "database_users" => &["resource", "name"],
        "collaborators" => &["app", "email"],
        "ssh_keys" => &["owner", "fingerprint"],
        "dns_records" | "workflow_runs" | "artifacts" => &["id"],
        "processes" => &["app", "type"],
        "code" => &["app"],
        "buckets" => &["name"],
        "objects" => &["bucket", "key"],
        "object_versions" => &["bucket", "key", "version"],
        "uploads" => &["bucket", "key", "id"],
        "tunnels" => &["resource", "channel"],
        _ => &["app", "name"],
    }
}

/// Members that make two resources of `kind` the same thing twice.
fn sameness(kind: &str) -> &'static [&'static str] {
    match kind {
        "apps" | "buckets" => &["name"],
        "addons" => &["app", "provider"],
        "dns_records" => &["name", "type", "value"],
        other => identity(other),
    }
}

fn spelled(item: &Value, members: &[&str]) -> String {
    let texts = members.iter().filter_map(|member| item.get(member)).map(|value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    });
    texts.collect::<Vec<_>>().join(" / ")
}

/// Lists of objects in an inventory, by kind; DNS records and what the code host has are one level deeper.
pub(super) fn lists(inventory: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let kinds = inventory.as_object().into_iter().flatten();
    kinds.flat_map(|(kind, items)| {
        let own = items.get("records").or_else(|| items.get("runs")).unwrap_or(items);
        let own = own.as_array().into_iter().flatten().map(move |item| (kind.as_str(), item));
        let artifacts = items.get("artifacts").and_then(Value::as_array).into_iter().flatten();
        own.chain(artifacts.map(|item| ("artifacts", item)))
    })
}

/// The very resource that `item` is.
pub(super) fn identified(kind: &str, item: &Value) -> Item {
    (kind.to_owned(), spelled(item, identity(kind)))
}

/// What `item` is to who only looks: another one that is the same thing is not told apart.
pub(super) fn seen_as(kind: &str, item: &Value) -> Item {
    (kind.to_owned(), spelled(item, sameness(kind)))
}

/// Every resource of an inventory.
pub(super) fn all(inventory: &Value) -> BTreeSet<Item> {
    lists(inventory).map(|(kind, item)| identified(kind, item)).collect()
}

/// What is in `after` and not in `before`: by what would make it the same thing twice.
pub(super) fn added(before: &Value, after: &Value) -> Vec<Item> {
    added_each(before, after).into_iter().map(|(same, _)| same).collect()
}

/// As [`added`], each with what tells this very one from another like it.
pub(super) fn added_each(before: &Value, after: &Value) -> Vec<(Item, Item)> {
    let old = all(before);
    let new = lists(after).filter(|(kind, item)| !old.contains(&identified(kind, item)));
    new.map(|(kind, item)| (seen_as(kind, item), identified(kind, item))).collect()
}
