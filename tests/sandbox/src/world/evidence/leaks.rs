//! What was made for a while and is still there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::items::added;
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
    findings
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
        Finding::new(Kind::Leak, format!("{uploads} unfinished uploads are in {bucket}"), Vec::new())
    })
    .collect()
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
