//! Pruning: which runs go, what no kept run refers to, and deleting both, in an order that loses nothing when it is cut off.
//!
//! A run's record goes first, so that it ends to exist before its manifest does. A content is forgotten by our own tables before it is
//! deleted, so that no run relies on it meanwhile; one that survives is found again by the next listing.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::Archiver;
use super::error::{ArchiveError, Result};
use super::folder::{Folder, Purpose};
use super::format::Record;
use super::retention::{self, Decision};
use crate::store::ArchiveRow;

mod orphans;
mod sweep;

/// Digests that are marked together.
const BATCH: usize = 1_024;

/// What retention decides, and what was deleted.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// Every run, newest first.
    pub runs: Vec<PrunedRun>,
    /// Every copied dump, newest first.
    pub dumps: Vec<PrunedRun>,
    /// Contents that nothing refers to that is kept.
    pub unreferenced: i64,
    /// Their bytes.
    pub unreferenced_bytes: i64,
    /// Of these, the contents whose grace period is over and that no lock protects.
    pub due: i64,
    /// Contents that were deleted.
    pub deleted: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Contents that the store keeps because of a lock that we did not know of.
    pub locked: u64,
    /// Manifests that belong to no run, for longer than the grace period.
    pub orphans: u64,
    /// Leftovers of runs that were cut off and were deleted: large contents on their way, whole or not, and manifests.
    pub leftovers: u64,
}

/// A run, and what saves it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrunedRun {
    /// Its name.
    pub run: String,
    /// The rules that save it; none: it is deleted.
    pub kept_by: Vec<&'static str>,
}

impl Archiver {
    /// Decides what goes, and deletes it if `yes`. Refuses while a manifest cannot be read, since what it needs is not known then. Safe
    /// to repeat.
    pub async fn prune(&self, yes: bool) -> Result<Pruned> {
        let busy = || ArchiveError::Busy(self.plan.clone());
        let mut turn = self.store.archive_turn(&self.plan).await?.ok_or_else(busy)?;
        let now = self.clock.now();
        let runs = self.known_runs().await?;
        // One whose deletion was cut off before its record was gone is a run like the others.
        let there: Vec<String> = runs.iter().map(|run| run.run.clone()).collect();
        self.store.archives_stay(&self.plan, &there).await?;
        let decision = self.decide(&runs, now).await?;
        let mut troubles = self.relist().await?;
        if !troubles.is_empty() {
            // What is not listed any more is forgotten by now: the runs that name it are told.
            self.look_at_others("", true, &mut troubles).await?;
        }
        let grace_ended = self.grace_ended(now);
        let mut marks = self.mark(&runs, &decision).await?;
        let dumps = self.read_dumps().await?;
        if let Some(damaged) = dumps.damaged.first() {
            // What it names is not known: it would be swept.
            return Err(ArchiveError::Refused {
                why: format!("nothing is pruned: {damaged}"),
                advice: "delete that record by hand if it is of no use, and prune again",
            });
        }
        let dumps = dumps.records;
        let dump_decision = self.decide_dumps(&dumps, decision.is_frozen(), now);
        let kept = dumps.iter().filter(|dump| !dump_decision.pruned.contains(&dump.file_name()));
        marks.add(&kept.filter_map(|dump| hex::decode(&dump.sha256).ok()).collect::<Vec<_>>()).await?;
        let marked = marks.apply(grace_ended, now).await?;
        let orphans = self.orphans(&runs, grace_ended).await?;
        let mut pruned = Pruned {
            runs: told(&decision),
            dumps: told(&dump_decision),
            unreferenced: marked.unreferenced,
            unreferenced_bytes: marked.bytes,
            due: marked.due,
            orphans: orphans.len() as u64,
            ..Pruned::default()
        };
        if yes {
            turn.is_ours().await?;
            for run in &decision.pruned {
                self.delete_run(run).await?;
            }
            for dump in &dump_decision.pruned {
                self.delete_dump(dump).await?;
            }
            marks.keep().await?;
            self.sweep_orphans(&orphans, &mut pruned).await?;
            self.sweep(grace_ended, now, &mut pruned).await?;
        }
        Ok(pruned)
    }

    /// All runs with their records. One that cannot be read refuses everything.
    async fn known_runs(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for run in self.vault.runs().await? {
            match self.record_of(&run).await {
                Ok((record, _)) => records.push(record),
                Err(ArchiveError::Damaged { what, how }) => return Err(unreadable(&what, &how)),
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    async fn decide(&self, records: &[Record], now: DateTime<Utc>) -> Result<Decision> {
        let rows = self.store.archives(&self.plan).await?;
        let mut runs = Vec::new();
        for record in records {
            let key = super::format::record_key(&self.vault.prefix, &record.run);
            let head = self.vault.s3.head(&self.vault.bucket, &key).await;
            let head = head.map_err(ArchiveError::inside("looking at a record"))?;
            let row = rows.iter().find(|row| row.run == record.run);
            runs.push(facts(record, row, head.and_then(|head| head.locked_until)));
        }
        Ok(retention::decide(&runs, &self.spec.retention, now))
    }

    fn grace_ended(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let grace = TimeDelta::from_std(self.spec.retention.grace.duration()).unwrap_or(TimeDelta::MAX);
        now.checked_sub_signed(grace).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// Collects what the kept runs refer to.
    async fn mark(&self, records: &[Record], decision: &Decision) -> Result<crate::store::Marks> {
        let folder = Folder::below(&self.work, Purpose::Prune)?;
        let mut marks = self.store.archive_marks(&self.plan).await?;
        let manifest = folder.path().join("manifest");
        for record in records {
            if decision.kept.iter().any(|kept| kept.id == record.run) {
                self.mark_run(record, &manifest, &mut marks).await?;
            } else {
                // Damage is evidence: a person decides whether it goes.
                self.vault.fetch_manifest(record, &manifest).await.map_err(refused)?;
            }
        }
        Ok(marks)
    }

    async fn mark_run(
        &self,
        record: &Record,
        manifest: &std::path::Path,
        marks: &mut crate::store::Marks,
    ) -> Result<()> {
        self.vault.fetch_manifest(record, manifest).await.map_err(refused)?;
        let mut digests: Vec<Vec<u8>> =
            record.extras.iter().filter_map(|extra| hex::decode(&extra.sha256).ok()).collect();
        let mut lines = super::manifest::lines(manifest.to_owned());
        while let Some(batch) = lines.recv().await {
            let batch = batch.map_err(refused)?;
            let pending: Vec<_> = batch.iter().filter_map(|line| line.entry.pending.clone()).collect();
            if !pending.is_empty() {
                marks.add_pending(&pending).await?;
            }
            digests.extend(batch.iter().filter_map(|line| hex::decode(&line.entry.sha256).ok()));
            if digests.len() >= BATCH {
                marks.add(&digests).await?;
                digests.clear();
            }
        }
        marks.add(&digests).await?;
        Ok(())
    }
}

fn told(decision: &Decision) -> Vec<PrunedRun> {
    let kept = decision.kept.iter().map(|kept| PrunedRun {
        run: kept.id.clone(),
        kept_by: kept.rules.iter().map(|rule| rule.name()).collect(),
    });
    let gone = decision.pruned.iter().map(|run| PrunedRun { run: run.clone(), kept_by: Vec::new() });
    let mut runs: Vec<_> = kept.chain(gone).collect();
    runs.sort_by(|a, b| b.run.cmp(&a.run));
    runs
}

/// What keeping a run depends on. What our own tables do not know is taken from its record. Pure.
fn facts(record: &Record, row: Option<&ArchiveRow>, locked_until: Option<DateTime<Utc>>) -> retention::Run {
    retention::Run {
        // A run that was taken while the clock was ahead is older than the one after it, whatever it says.
        rank: record.run.clone(),
        id: record.run.clone(),
        finished_at: record.finished_at,
        // A sample that held nothing of it says nothing of it.
        verified: row.is_some_and(|row| {
            row.verified_at.is_some() && row.verified_objects != Some(0) && row.damaged.is_none()
        }),
        suspicious: row.map_or(!record.suspicious.is_empty(), |row| row.suspicious),
        locked_until,
        mirrored: record.mirrored,
    }
}

fn refused(error: ArchiveError) -> ArchiveError {
    match error {
        ArchiveError::Damaged { what, how } => unreadable(&what, &how),
        error => error,
    }
}

fn unreadable(what: &str, how: &str) -> ArchiveError {
    ArchiveError::Refused {
        why: format!("nothing is pruned: {what}: {how}"),
        advice: "what a damaged run needs is not known; delete its record and manifest by hand if it is of no use, and prune again",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::a_row;

    #[test]
    fn a_run_of_which_a_sample_read_nothing_is_not_the_last_verified_one() {
        let at = "2026-11-01T01:00:00Z";
        let record: Record = serde_json::from_value(json!({
            "format": "reprise-archive/1", "plan": "apilos", "run": "1", "writer": "a test",
            "source": {"endpoint": "http://s3", "bucket": "production"}, "started_at": at, "finished_at": at,
            "manifest": {"key": "m", "sha256": "00", "objects": 30, "bytes": 0},
            "changes": {"before": 0, "added": 0, "rewritten": 0, "scrambled": 0, "deleted": 0, "bytes": 0},
        }))
        .unwrap();
        let row = |objects| ArchiveRow {
            verified_at: Some(DateTime::UNIX_EPOCH),
            verified_objects: objects,
            ..a_row("1")
        };
        let verified = |row: &ArchiveRow| facts(&record, Some(row), None).verified;
        assert!(
            verified(&row(Some(2))) && verified(&row(None)),
            "by this release, and by one that did not count"
        );
        assert!(!verified(&row(Some(0))));
        assert!(!verified(&a_row("1")));
        assert!(!verified(&ArchiveRow { damaged: Some("x".into()), ..row(Some(2)) }));
    }
}
