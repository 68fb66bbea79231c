//! Effects that should not have been: things made twice, and writes to what is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::items::{Item, added_each, all, lists};
use super::{Case, Finding, Kind};
use crate::world::journal::Entry;

/// What is made anew as often as somebody likes.
const REPEATABLE: [&str; 5] = ["variables", "processes", "ssh_keys", "databases", "workflow_runs"];
/// Operations of an object store that change or take away what is there.
const STORE_WRITES: [&str; 9] = [
    "PutObject",
    "CopyObject",
    "DeleteObject",
    "DeleteObjects",
    "DeleteBucket",
    "CompleteMultipartUpload",
    "PutBucketAcl",
    "PutBucketPolicy",
    "PutBucketVersioning",
];

/// What was created twice without being deleted in between.
pub(super) fn double_creates(entries: &[Entry]) -> Vec<Finding> {
    let mut made = BTreeMap::<(String, String), Vec<u64>>::new();
    let (mut findings, mut seen) = (Vec::new(), BTreeSet::new());
    for entry in entries.iter().filter(|entry| succeeded(entry)) {
        let created =
            created(entry).into_iter().filter(|((kind, _), _)| !REPEATABLE.contains(&kind.as_str()));
        for (item, very) in created {
            // Requests at the same time see each other's effects: the very same thing was made once.
            if very.0 != "buckets" && !seen.insert(very) {
                continue;
            }
            let seqs = made.entry(item.clone()).or_default();
            seqs.push(entry.seq);
            if seqs.len() > 1 {
                let (kind, name) = item;
                let what = format!("{kind} `{name}` was created {} times", seqs.len());
                findings.push(Finding::new(Kind::DoubleCreate, what, seqs.clone()));
            }
        }
        for (gone, very) in deleted(entry) {
            made.remove(&gone);
            seen.remove(&very);
        }
    }
    findings
}

fn created(entry: &Entry) -> Vec<(Item, Item)> {
    if entry.call == "CreateBucket" {
        return vec![bucket(entry)];
    }
    let (before, after) = (entry.evidence.before.clone().unwrap_or_default(), entry.evidence.after.as_ref());
    after.map(|after| added_each(&before, after)).unwrap_or_default()
}

fn deleted(entry: &Entry) -> Vec<(Item, Item)> {
    if entry.call == "DeleteBucket" {
        return vec![bucket(entry)];
    }
    let after = entry.evidence.after.clone().unwrap_or_default();
    entry.evidence.before.as_ref().map(|before| added_each(&after, before)).unwrap_or_default()
}

fn bucket(entry: &Entry) -> (Item, Item) {
    let item: Item = ("buckets".into(), format!("{} {}", entry.service, entry.resource));
    (item.clone(), item)
}

/// Apps that have two addons of one provider and had not before.
pub(super) fn two_addons(baseline: &Value, now: &Value) -> Vec<Finding> {
    let count = |inventory: &Value| {
        let mut counts = BTreeMap::<(String, String), u32>::new();
        for (_, addon) in lists(inventory).filter(|(kind, _)| *kind == "addons") {
            let text = |member: &str| addon[member].as_str().unwrap_or_default().to_owned();
            *counts.entry((text("app"), text("provider"))).or_default() += 1;
        }
        counts
    };
    let before = count(baseline);
    let twice = count(now).into_iter().filter(|(key, times)| *times > 1 && before.get(key) != Some(times));
    twice
        .map(|((app, provider), times)| {
            Finding::new(Kind::DoubleCreate, format!("{app} has {times} addons of {provider}"), Vec::new())
        })
        .collect()
}

/// Changes to what was there before anybody came.
pub(super) fn foreign_writes(case: &Case<'_>) -> Vec<Finding> {
    let (ours_not, buckets) = (all(case.baseline), buckets(case.baseline));
    let mut findings = Vec::new();
    for entry in case.entries.iter().filter(|entry| succeeded(entry)) {
        if let Some(before) = &entry.evidence.before {
            let touched = all(before).into_iter().filter(|item| ours_not.contains(item));
            let touched = touched.filter(|(kind, _)| !case.allowed.contains(&kind.as_str()));
            findings.extend(touched.map(|(kind, name)| {
                Finding::new(
                    Kind::ForeignWrite,
                    format!("`{}` changed {kind} `{name}`", entry.call),
                    vec![entry.seq],
                )
            }));
        }
        if entry.service == "s3-source" && STORE_WRITES.contains(&entry.call.as_str()) {
            let bucket = entry.resource.trim_start_matches('/').split('/').next().unwrap_or_default();
            if buckets.contains(&bucket) {
                let what = format!("{} wrote to the bucket `{bucket}`, which was there before", entry.call);
                findings.push(Finding::new(Kind::ForeignWrite, what, vec![entry.seq]));
            }
        }
    }
    findings
}

/// Buckets of the production store that were there.
fn buckets(baseline: &Value) -> Vec<&str> {
    let source = baseline["buckets"]["source"].as_object();
    source.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn succeeded(entry: &Entry) -> bool {
    (200..300).contains(&entry.status)
}
