//! Effects that should not have been: things made twice, and writes to what is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::items::{Item, added_each, all, identified, lists};
use super::{Case, Finding, Kind};
use crate::world::journal::Entry;

/// What is made anew as often as somebody likes.
const REPEATABLE: [&str; 10] = [
    "variables",
    "processes",
    "ssh_keys",
    "databases",
    "workflow_runs",
    "artifacts",
    "code",
    "containers",
    "refs",
    "tunnels",
];
/// Operations of an object store that are journalled, and leave what is there as it was: a thaw makes a copy for a while.
const HARMLESS: [&str; 2] = ["CreateBucket", "RestoreObject"];

/// The end of a deployment that nobody pushed.
const DEPLOYED_ARCHIVE: &str = "deploy archive";

/// What was created twice without being deleted in between.
pub(super) fn double_creates(entries: &[Entry]) -> Vec<Finding> {
    let mut made = BTreeMap::<(String, String), Vec<u64>>::new();
    let (mut findings, mut seen) = (Vec::new(), BTreeSet::new());
    for entry in entries.iter().filter(|entry| entry.had_effect()) {
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

/// Branches that were moved twice to the same commit, without having been elsewhere in between.
pub(super) fn repeated_moves(entries: &[Entry]) -> Vec<Finding> {
    let mut last = BTreeMap::<(String, String), (String, u64)>::new();
    let mut findings = Vec::new();
    for entry in entries.iter().filter(|entry| entry.had_effect()) {
        for (_, gone) in deleted(entry).into_iter().filter(|((kind, _), _)| kind == "apps") {
            let app = gone.1.split(" / ").next().unwrap_or_default().to_owned();
            last.retain(|(of, _), _| *of != app);
        }
        for (_, moved) in entry.evidence.after.iter().flat_map(lists).filter(|(kind, _)| *kind == "refs") {
            let text = |member: &str| moved[member].as_str().unwrap_or_default().to_owned();
            let (place, commit) = ((text("app"), text("name")), text("commit"));
            if let Some((_, first)) = last.get(&place).filter(|(before, _)| *before == commit) {
                let what = format!("`{}` of {} was moved to {commit} twice", place.1, place.0);
                findings.push(Finding::new(Kind::DoubleEffect, what, vec![*first, entry.seq]));
            }
            last.insert(place, (commit, entry.seq));
        }
    }
    findings
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
    let mut foreign = Foreign::of(case);
    let mut findings = Vec::new();
    for entry in case.entries.iter().filter(|entry| entry.had_effect()) {
        let told =
            foreign.resources(entry).into_iter().chain(foreign.bucket(entry)).chain(foreign.code(entry));
        findings.extend(told.map(|what| Finding::new(Kind::ForeignWrite, what, vec![entry.seq])));
        foreign.learn(entry);
    }
    findings
}

/// What was there before anybody came.
struct Foreign<'a> {
    case: &'a Case<'a>,
    items: BTreeSet<Item>,
    /// Names of apps. One that was made anew since is nobody else's any more.
    apps: BTreeSet<String>,
}

impl<'a> Foreign<'a> {
    fn of(case: &'a Case<'a>) -> Self {
        let apps = lists(case.baseline).filter(|(kind, _)| *kind == "apps");
        let apps = apps.filter_map(|(_, app)| app["name"].as_str().map(str::to_owned)).collect();
        Self { case, items: all(case.baseline), apps }
    }

    /// Resources that the entry changed.
    fn resources(&self, entry: &Entry) -> Vec<String> {
        let before = entry.evidence.before.iter().flat_map(lists);
        let touched = before.filter(|(kind, item)| {
            self.items.contains(&identified(kind, item)) && !self.may_change(kind, item)
        });
        let touched: BTreeSet<Item> = touched.map(|(kind, item)| identified(kind, item)).collect();
        touched.iter().map(|(kind, name)| format!("`{}` changed {kind} `{name}`", entry.call)).collect()
    }

    fn may_change(&self, kind: &str, item: &Value) -> bool {
        self.case.allowed.contains(&kind) && (kind != "dns_records" || self.is_estates(item))
    }

    /// Whether a record is of a name that an app had: those are what a recovery switches, and no others of the zone.
    fn is_estates(&self, record: &Value) -> bool {
        let baseline = self.case.baseline;
        let zones = baseline["dns_records"]["domains"].as_array().into_iter().flatten();
        let mut zones = zones.filter_map(|zone| zone["name"].as_str());
        let label = record["name"].as_str().unwrap_or_default();
        let domains = || lists(baseline).filter(|(kind, _)| *kind == "domains");
        zones.any(|zone| {
            let name = if label.is_empty() { zone.to_owned() } else { format!("{label}.{zone}") };
            domains().any(|(_, domain)| domain["name"] == name.as_str())
        })
    }

    /// The bucket that the entry wrote to.
    fn bucket(&self, entry: &Entry) -> Option<String> {
        let store = entry.service.strip_prefix("s3-")?;
        let bucket = entry.resource.trim_start_matches('/').split('/').next().unwrap_or_default();
        let was_there = self.case.baseline["buckets"][store].get(bucket).is_some();
        let told = format!("{}{} the bucket `{bucket}`, which was there before", entry.call, many(entry));
        (was_there && !HARMLESS.contains(&entry.call.as_str())).then_some(told)
    }

    /// The app whose code the entry replaced: a push names it first. An archive is fetched and built when its request is over.
    fn code(&self, entry: &Entry) -> Option<String> {
        let app = entry.resource.split(' ').next().filter(|app| self.apps.contains(*app))?;
        let told = format!("`{}` changed the code of the app `{app}`, which was there before", entry.call);
        (entry.service == "git" || entry.call == DEPLOYED_ARCHIVE).then_some(told)
    }

    fn learn(&mut self, entry: &Entry) {
        for ((kind, name), _) in created(entry) {
            if kind == "apps" {
                self.apps.remove(&name);
            }
        }
    }
}

/// What was done to a bucket: a deletion of many keys says of how many.
fn many(entry: &Entry) -> String {
    let taken = match entry.call.as_str() {
        "DeleteObjects" => entry.evidence.before.iter().flat_map(lists).count(),
        _ => 0,
    };
    if taken == 0 { " wrote to".to_owned() } else { format!(" took {taken} objects and versions from") }
}
