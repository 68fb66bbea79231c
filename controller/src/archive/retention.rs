//! Which runs are kept, and by which rule each. Pure: nothing is deleted here.
//!
//! Each rule saves runs by itself; what none saves is pruned. A week, month or year is counted only if it has a run, so an
//! archive that stood still for a while loses nothing by it. Deciding again about what was kept keeps all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Datelike as _, Utc};
use reprise_crds::plan::RetentionSpec;

/// A complete run, as far as keeping it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub id: String,
    /// What sorts it among the others, in the order in which they were begun: clocks may have been wrong.
    pub rank: String,
    /// When it was complete.
    pub finished_at: DateTime<Utc>,
    /// A verification found it whole.
    pub verified: bool,
    /// More had changed since the run before than the plan allows, and nobody has said that this is right.
    pub suspicious: bool,
    /// Until when the store refuses to delete its manifest or an object that it needs.
    pub locked_until: Option<DateTime<Utc>>,
    /// It shows a copy of the bucket, and not the bucket.
    pub mirrored: bool,
}

/// What saves a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It is one of the newest.
    Last,
    /// It stands for its ISO week, in UTC.
    Weekly,
    /// It stands for its month, in UTC.
    Monthly,
    /// It stands for its year, in UTC.
    Yearly,
    /// It is the newest that a verification found whole, of all or of those of the bucket itself.
    LastVerified,
    /// It is the newest that is not suspicious, of all or of those of the bucket itself.
    NewestUnsuspicious,
    /// It is the newest unsuspicious one before a suspicious one that is kept: perhaps the last good copy.
    BeforeSuspicious,
    /// The store would refuse.
    Locked,
    /// The newest run of the bucket itself is suspicious: nothing at all is pruned, whatever copy was imported since.
    Frozen,
}

impl Rule {
    /// Its name, as it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
            Self::LastVerified => "last-verified",
            Self::NewestUnsuspicious => "newest-unsuspicious",
            Self::BeforeSuspicious => "before-suspicious",
            Self::Locked => "locked",
            Self::Frozen => "frozen",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A run that stays, and what saves it; at least one rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The run's name.
    pub id: String,
    /// What saves it, in the order of [`Rule`].
    pub rules: Vec<Rule>,
}

/// What becomes of each run, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// What stays.
    pub kept: Vec<Kept>,
    /// What no rule saves.
    pub pruned: Vec<String>,
}

impl Decision {
    /// Whether nothing at all goes, since the newest run is suspicious.
    pub fn is_frozen(&self) -> bool {
        self.kept.iter().any(|kept| kept.rules.contains(&Rule::Frozen))
    }
}

/// Decides which of a plan's complete `runs` are kept at the time `now`.
pub fn decide(runs: &[Run], spec: &RetentionSpec, now: DateTime<Utc>) -> Decision {
    let mut newest: Vec<&Run> = runs.iter().collect();
    newest.sort_by(|a, b| (&b.rank, &b.id).cmp(&(&a.rank, &a.id)));
    let saved = saved(&newest, spec, now);
    let mut decision = Decision::default();
    for (run, rules) in newest.into_iter().zip(saved) {
        let id = run.id.clone();
        if rules.is_empty() {
            decision.pruned.push(id);
        } else {
            decision.kept.push(Kept { id, rules: rules.into_iter().collect() });
        }
    }
    decision
}

/// The rules that save each of `newest`, which is sorted.
fn saved(newest: &[&Run], spec: &RetentionSpec, now: DateTime<Utc>) -> Vec<BTreeSet<Rule>> {
    let mut saved = vec![BTreeSet::new(); newest.len()];
    let mut save = |index: usize, rule: Rule| {
        if let Some(rules) = saved.get_mut(index) {
            rules.insert(rule);
        }
    };
    (0..newest.len().min(count(spec.last).max(1))).for_each(|index| save(index, Rule::Last));
    let week = |at: DateTime<Utc>| (at.iso_week().year(), at.iso_week().week());
    let month = |at: DateTime<Utc>| (at.year(), at.month());
    let year = |at: DateTime<Utc>| (at.year(), 0);
    for (rule, chosen) in [
        (Rule::Weekly, representatives(newest, spec.weekly, week)),
        (Rule::Monthly, representatives(newest, spec.monthly, month)),
        (Rule::Yearly, representatives(newest, spec.yearly, year)),
    ] {
        for index in chosen {
            save(index, rule);
        }
    }
    let mut save_newest = |rule: Rule, suits: &dyn Fn(&Run) -> bool| {
        let of_all = newest.iter().position(|run| suits(run));
        let own = newest.iter().position(|run| !run.mirrored && suits(run));
        of_all.into_iter().chain(own).for_each(|index| save(index, rule));
    };
    save_newest(Rule::LastVerified, &|run| run.verified);
    save_newest(Rule::NewestUnsuspicious, &|run| !run.suspicious);
    let frozen =
        newest.iter().find(|run| !run.mirrored).or_else(|| newest.first()).is_some_and(|run| run.suspicious);
    for (index, run) in newest.iter().enumerate() {
        if run.locked_until.is_some_and(|until| until > now) {
            save(index, Rule::Locked);
        }
        if frozen {
            save(index, Rule::Frozen);
        }
    }
    save_before_suspicious(newest, &mut saved);
    saved
}

/// For each of the newest `count` periods that have a run: its newest unsuspicious run, or its newest if all are suspicious.
fn representatives(
    newest: &[&Run],
    count_of: u32,
    period: impl Fn(DateTime<Utc>) -> (i32, u32),
) -> Vec<usize> {
    let mut best: BTreeMap<(i32, u32), usize> = BTreeMap::new();
    for (index, run) in newest.iter().enumerate() {
        let chosen = best.entry(period(run.finished_at)).or_insert(index);
        let suspicious = newest.get(*chosen).is_some_and(|chosen| chosen.suspicious);
        if suspicious && !run.suspicious {
            *chosen = index;
        }
    }
    best.into_values().rev().take(count(count_of)).collect()
}

/// Looks only at suspicious runs that stay: otherwise the next decision, without them, would differ.
fn save_before_suspicious(newest: &[&Run], saved: &mut [BTreeSet<Rule>]) {
    let mut after_suspicious = false;
    for (run, rules) in newest.iter().zip(saved) {
        if run.suspicious {
            after_suspicious |= !rules.is_empty();
        } else if std::mem::take(&mut after_suspicious) {
            rules.insert(Rule::BeforeSuspicious);
        }
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
