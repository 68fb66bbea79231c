//! Runs that show a copy of the bucket (`archive import --mirror`) stand behind those of the bucket itself: what was deleted may be in them,
//! and what was damaged on its way. Not behind runs of long ago: what was written since is worth more than that.

use std::collections::BTreeSet;

use chrono::{NaiveDateTime, TimeDelta};

use super::Archiver;
use crate::store::ArchiveRow;

/// A copy stands behind a run of the bucket that is not older than it by more: weekly runs, of which one was missed.
const BESIDE: TimeDelta = TimeDelta::days(15);

impl Archiver {
    /// Those of `runs` that stand behind others. What our own tables do not know of a run, as on a new machine, its record says; one that cannot
    /// be read is told of by whoever uses the run.
    pub async fn behind(&self, runs: &[String], rows: &[ArchiveRow]) -> BTreeSet<String> {
        let mut copies = BTreeSet::new();
        for run in runs {
            let is_copy = match rows.iter().find(|row| row.run == *run) {
                Some(row) => row.is_mirrored(),
                None => self.vault.record(run).await.is_ok_and(|(record, _)| record.mirrored),
            };
            if is_copy {
                copies.insert(run.clone());
            }
        }
        behind(runs, copies)
    }
}

/// Pure.
fn behind(runs: &[String], mut copies: BTreeSet<String>) -> BTreeSet<String> {
    let newest = runs.iter().filter(|run| !copies.contains(*run)).filter_map(|run| began(run)).max();
    copies.retain(|copy| match (newest, began(copy)) {
        (Some(newest), Some(copy)) => copy - newest <= BESIDE,
        (newest, _) => newest.is_some(),
    });
    copies
}

/// When a run began, by its name.
fn began(run: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(run.get(..16)?, "%Y%m%dT%H%M%SZ").ok()
}

/// The same runs in the same order, but for those that stand behind others.
pub fn own_first(runs: Vec<String>, behind: &BTreeSet<String>) -> Vec<String> {
    let (copies, own): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| behind.contains(run));
    own.into_iter().chain(copies).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stands_behind_the_buckets_own_runs_but_not_behind_those_of_long_ago() {
        let runs = ["20261120T010000Z-c", "20261110T010000Z-a"].map(str::to_owned);
        let copies = BTreeSet::from([runs[0].clone()]);
        assert_eq!(behind(&runs, copies.clone()), copies);
        assert_eq!(own_first(runs.to_vec(), &copies), [runs[1].clone(), runs[0].clone()]);
        let long_ago = [runs[0].clone(), "20260901T010000Z-a".to_owned()];
        assert!(behind(&long_ago, copies.clone()).is_empty());
        assert!(behind(&runs[..1], copies).is_empty(), "there is nothing else");
    }
}
