//! What was made for a while and is still there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::items::{Item, added, identified, lists, seen_as};
use super::{Case, Finding, Kind};

/// Kinds that are of use for a while only.
const PASSING: [&str; 1] = ["ssh_keys"];

/// Keys and unfinished uploads that were not there before, and what belongs to an app that is gone.
pub(super) fn left_behind(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (kind, name) in added(case.baseline, case.now) {
        if PASSING.contains(&kind.as_str()) {
            let seqs = made_by(case, &kind, &name);
            // What nobody made through an API is the world's own.
            if !seqs.is_empty() {
                findings.push(Finding::new(Kind::Leak, format!("{kind} `{name}` is still there"), seqs));
            }
        }
    }
    findings.extend(uploads(case));
    findings.extend(orphans(case));
    findings.extend(dangling(case));
    findings
}

/// Apps by name.
fn apps(inventory: &Value) -> BTreeSet<&str> {
    let apps = lists(inventory).filter(|(kind, _)| *kind == "apps");
    apps.filter_map(|(_, app)| app["name"].as_str()).collect()
}

/// What is new and belongs to an app that is gone.
fn orphans(case: &Case<'_>) -> Vec<Finding> {
    let (there, before) = (apps(case.now), super::items::all(case.baseline));
    let mut findings = Vec::new();
    for (kind, item) in lists(case.now) {
        let Some(app) = item["app"].as_str().filter(|app| !there.contains(app)) else { continue };
        let very = identified(kind, item);
        if !before.contains(&very) {
            let what = format!("{kind} `{}` is still there, and the app {app} is gone", very.1);
            findings.push(Finding::new(Kind::Leak, what, Vec::new()));
        }
    }
    findings
}

/// New records that lead to an app that is gone: whoever takes its name next gets the visitors.
fn dangling(case: &Case<'_>) -> Vec<Finding> {
    let (there, mut known) = (apps(case.now), apps(case.baseline));
    for evidence in case.entries.iter().map(|entry| &entry.evidence) {
        known.extend(evidence.before.iter().chain(&evidence.after).flat_map(apps));
    }
    let records = |inventory| lists(inventory).filter(|(kind, _)| *kind == "dns_records");
    let before: BTreeSet<Item> = records(case.baseline).map(|(kind, record)| seen_as(kind, record)).collect();
    let mut findings = Vec::new();
    for (kind, record) in records(case.now).filter(|(kind, record)| !before.contains(&seen_as(kind, record)))
    {
        let app = record["value"].as_str().and_then(|target| Some(target.split_once('.')?.0));
        if let Some(app) = app.filter(|app| known.contains(app) && !there.contains(app)) {
            let what = format!("{kind} `{}` leads to the app {app}, which is gone", seen_as(kind, record).1);
            findings.push(Finding::new(Kind::Leak, what, Vec::new()));
        }
    }
    findings
}

/// Kinds that come and go by themselves, or by an own finding.
const UNSTEADY: [&str; 4] = ["processes", "workflow_runs", "artifacts", "ssh_keys"];

/// What there is that was not there at the start, and what is there no more: for who is to leave no trace.
pub fn traces(baseline: &Value, now: &Value) -> Vec<Finding> {
    let (before, after) = (looks(baseline), looks(now));
    let told =
        |kind, (sort, name): &Item, how| Finding::new(kind, format!("{sort} `{name}` {how}"), Vec::new());
    let new = after.difference(&before).map(|item| told(Kind::Leak, item, "was not there at the start"));
    let gone = before.difference(&after).map(|item| told(Kind::ForeignWrite, item, "is there no more"));
    new.chain(gone).collect()
}

fn looks(inventory: &Value) -> BTreeSet<Item> {
    let steady = lists(inventory).filter(|(kind, _)| !UNSTEADY.contains(kind));
    // A record that was put again has another number, and is the same to everybody who asks.
    let items = steady.map(|(kind, item)| match kind {
        "dns_records" => seen_as(kind, item),
        _ => identified(kind, item),
    });
    let stores = inventory["buckets"].as_object().into_iter().flatten();
    let buckets = stores.flat_map(|(store, all)| {
        let names = all.as_object().into_iter().flatten();
        names.map(move |(name, _)| ("buckets".to_owned(), format!("{store} {name}")))
    });
    items.chain(buckets).collect()
}

fn made_by(case: &Case<'_>, kind: &str, name: &str) -> Vec<u64> {
    let made = case.entries.iter().filter(|entry| {
        let (before, after) = (&entry.evidence.before, &entry.evidence.after);
        let after = after.as_ref().map(|after| added(&before.clone().unwrap_or_default(), after));
        after.unwrap_or_default().iter().any(|item| item.0 == kind && item.1 == name)
    });
    made.map(|entry| entry.seq).collect()
}

fn uploads(case: &Case<'_>) -> Vec<Finding> {
    let before = unfinished(case.baseline);
    let more = unfinished(case.now)
        .into_iter()
        .filter(|(bucket, uploads)| before.get(bucket).is_none_or(|old| uploads > old));
    more.map(|(bucket, uploads)| {
        let seqs = begun(case, &bucket);
        Finding::new(Kind::Leak, format!("{uploads} unfinished uploads are in {bucket}"), seqs)
    })
    .collect()
}

/// The entries that began uploads to `bucket` (its store before it) which no later one ended.
fn begun(case: &Case<'_>, bucket: &str) -> Vec<u64> {
    let mut open = BTreeMap::<Item, u64>::new();
    for entry in case.entries.iter().filter(|entry| entry.had_effect()) {
        let (before, after) = (&entry.evidence.before, &entry.evidence.after);
        let of = |side: &Option<Value>| -> BTreeSet<Item> {
            let uploads = side.iter().flat_map(lists).filter(|(kind, _)| *kind == "uploads");
            let here = |item: &Value| {
                let store = entry.service.strip_prefix("s3-").unwrap_or_default();
                format!("{store} {}", item["bucket"].as_str().unwrap_or_default()) == bucket
            };
            uploads.filter(|(_, item)| here(item)).map(|(kind, item)| identified(kind, item)).collect()
        };
        let (before, after) = (of(before), of(after));
        for ended in before.difference(&after) {
            open.remove(ended);
        }
        for begun in after.difference(&before) {
            open.entry(begun.clone()).or_insert(entry.seq);
        }
    }
    let mut seqs: Vec<u64> = open.into_values().collect();
    seqs.sort_unstable();
    seqs
}

fn unfinished(inventory: &Value) -> BTreeMap<String, u64> {
    let stores = inventory["buckets"].as_object().into_iter().flatten();
    let buckets = stores.flat_map(|(store, buckets)| {
        buckets
            .as_object()
            .into_iter()
            .flatten()
            .map(move |(name, bucket)| (format!("{store} {name}"), bucket))
    });
    buckets
        .filter_map(|(name, bucket)| Some((name, bucket["uploads"].as_u64()?)))
        .filter(|(_, uploads)| *uploads > 0)
        .collect()
}
