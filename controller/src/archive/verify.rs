//! Proving that an archive is what it says: its listing, a sample of its contents, or all of them.

use serde::Serialize;

use super::Archiver;
use super::error::{ArchiveError, Result};
use super::folder::{Folder, Purpose};
use super::format::Record;
use super::select::Which;
use crate::store::{Rung, Verdict};
use listed::Named;
pub(super) use reading::{READS, Unread, again};
use troubles::Findings;
pub(super) use troubles::Troubles;
pub(crate) use vanished::{GONE, Vanished};

mod beside;
mod listed;
mod others;
mod reading;
mod troubles;
mod unlisted;
mod vanished;

/// How deeply it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Every content that the manifest names is listed, with its size.
    Listing,
    /// And some of them are read again and hashed: those first that were read longest ago.
    Sample,
    /// And all of them are.
    Full,
}

impl Depth {
    /// As it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Sample => "sample",
            Self::Full => "full",
        }
    }
}

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Of which run.
    pub run: String,
    /// How deeply it was looked.
    pub depth: Depth,
    /// Objects that the manifest names.
    pub objects: u64,
    /// Of these, those whose contents were read again now.
    pub objects_read: u64,
    /// Contents of the archive that were read again, whichever run names them.
    pub read: u64,
    /// Contents that are in cold storage and were not read. Those that a sample wanted are being thawed, for the next one.
    pub frozen: u64,
    /// Contents that the store copied by itself and that nobody has hashed yet.
    pub pending: i64,
    /// Contents of the archive.
    pub contents: i64,
    /// Of these, read again within the last seven days.
    pub covered: i64,
    /// Of these, never read again since they were put.
    pub unread: i64,
    /// Days until each of these was, at the pace of the last seven days, or of one sample a week if that is faster.
    pub days_to_full_coverage: i64,
    /// What is wrong with the manifest and the contents that it names; the first hundred. None: nothing was found.
    pub findings: Vec<String>,
    /// What was found wrong with what lies beside them: code, configuration, records, copies of dumps, the chain of runs, other runs.
    pub beside: Vec<String>,
    /// What is wrong with other runs and was on record: nothing new was found.
    pub known: Vec<String>,
}

impl Verified {
    /// How deeply it could be looked: what lies in cold storage was only listed, and what a sample did not hold was not read.
    const fn reached(&self) -> Depth {
        match self.depth {
            Depth::Listing => Depth::Listing,
            Depth::Sample | Depth::Full if self.read == 0 && self.contents > 0 => Depth::Listing,
            Depth::Sample | Depth::Full if self.objects_read == self.objects => Depth::Full,
            Depth::Sample | Depth::Full => Depth::Sample,
        }
    }

    /// The rung that it reached, and why no higher one: what was not read is only listed.
    fn rung(&self) -> (Rung, Option<String>) {
        if !self.findings.is_empty() {
            return (Rung::Listed, Some(self.findings.join("; ")));
        }
        match self.reached() {
            Depth::Full => (Rung::Readable, None),
            Depth::Listing | Depth::Sample => {
                let (read, objects) = (self.objects_read, self.objects);
                (
                    Rung::Listed,
                    Some(format!("of its {objects} objects the contents of {read} were read again")),
                )
            }
        }
    }
}

impl Archiver {
    /// Proves a run as deeply as is asked, and records the verdict. Damage is a finding and no error. What lies in cold storage cannot be
    /// read; with `thaw` it is asked for, and the next verification reads it.
    pub async fn verify(&self, which: &Which, depth: Depth, thaw: bool) -> Result<Verified> {
        self.prove(which, (depth, thaw), true).await
    }

    /// Looks whether all that a run names is listed, and at no other run: a recovery that waits for it wants to know no more.
    pub async fn look(&self, which: &Which) -> Result<Verified> {
        self.prove(which, (Depth::Listing, false), false).await
    }

    async fn prove(&self, which: &Which, (depth, thaw): (Depth, bool), all: bool) -> Result<Verified> {
        let gone = self.vanished().await?;
        let run = self.which(which).await.map_err(|error| told_of(&gone, error))?;
        let folder = Folder::below(&self.work, Purpose::Verify)?;
        let mut troubles = Troubles::default();
        let manifest = folder.path().join("manifest");
        let mut verified = self.verify_run(&run, &manifest, (depth, thaw), &mut troubles).await?;
        drop(folder);
        if !all {
            self.judge(&verified).await?;
            return Ok(verified);
        }
        // What is lost or damaged may be named by other runs too, or by them alone.
        let lacks = verified.objects > 0 && !verified.findings.is_empty();
        let shared = lacks || !troubles.is_empty() || self.store.archive_has_damage(&self.plan).await?;
        let others = self.look_at_others(&run, shared, &mut troubles).await?;
        verified.beside.extend(troubles.unnamed());
        if troubles.is_empty() {
            verified.known = others;
        } else {
            verified.beside.extend(others);
        }
        // For as long as nobody says that it was meant.
        verified.beside.extend(gone.iter().map(Vanished::sentence));
        // What is known stays told, for as long as it lies there.
        let lost = [&verified.beside[..], &verified.known].concat();
        self.store.archive_lacks(&self.plan, &verified.run, &lost).await?;
        self.judge(&verified).await?;
        Ok(verified)
    }

    async fn verify_run(
        &self,
        run: &str,
        manifest: &std::path::Path,
        (depth, thaw): (Depth, bool),
        troubles: &mut Troubles,
    ) -> Result<Verified> {
        let (mut findings, mut beside) = (Findings::default(), Vec::new());
        let (mut named, mut read, mut frozen) = (Named::default(), 0, 0);
        match self.fetched(run, manifest).await {
            Err(ArchiveError::Damaged { what, how }) => {
                findings.push(format!("{what}: {how}"));
                // What becomes of the other runs is told all the same.
                self.match_listings(troubles).await?;
            }
            Err(error) => return Err(error),
            Ok(record) => {
                let began = self.store.archive_clock().await?;
                self.match_listings(troubles).await?;
                (read, frozen) = self.read_again(depth, thaw, troubles).await?;
                // By now all is known that reading told.
                named = self.match_manifest(manifest, troubles, began, &mut findings).await?;
                beside = self.match_beside(&record).await?;
                if depth != Depth::Listing
                    && let Some(why) = self.suspected_since(run, manifest).await?
                {
                    tracing::error!(plan = self.plan, run, why, "a run turns out to be suspicious");
                    beside.push(format!("run {run} is suspicious: {why}"));
                }
            }
        }
        let (contents, covered, unread) = self.store.archive_coverage(&self.plan).await?;
        let pending = self.store.archive_unhashed_count(&self.plan).await?;
        let contents = contents + pending;
        let sample = (contents * i64::from(self.spec.sample_percent)).div_euclid(100);
        let unread = unread + pending;
        let days_to_full_coverage = days_to_full_coverage(unread, covered.max(sample));
        Ok(Verified {
            run: run.to_owned(),
            depth,
            objects: named.objects,
            objects_read: named.read,
            read,
            frozen,
            pending,
            contents,
            covered,
            unread,
            days_to_full_coverage,
            findings: findings.0,
            beside,
            known: Vec::new(),
        })
    }

    async fn fetched(&self, run: &str, manifest: &std::path::Path) -> Result<Record> {
        let (record, _) = self.record_of(run).await?;
        self.vault.fetch_manifest(&record, manifest).await?;
        Ok(record)
    }

    /// Records what was found: with the run, and as a verdict that a recovery's choice reads.
    async fn judge(&self, verified: &Verified) -> Result<()> {
        let (plan, run) = (&self.plan, &verified.run);
        let damaged = (!verified.findings.is_empty()).then(|| verified.findings.join("; "));
        let reached = verified.reached();
        if damaged.is_some() || reached == Depth::Listing {
            self.store.archive_is_damaged(plan, run, damaged.as_deref()).await?;
        } else {
            let objects = i64::try_from(verified.objects_read).unwrap_or(i64::MAX);
            let days = verified.days_to_full_coverage;
            self.store.archive_verified(plan, run, (reached.name(), objects), days).await?;
        }
        if reached == Depth::Listing && damaged.is_none() {
            // Says less than what may be on record.
            return Ok(());
        }
        let (rung, message) = verified.rung();
        let row = self.store.archives(plan).await?.into_iter().find(|row| row.run == *run);
        let verdict = Verdict {
            kind: "objects".to_owned(),
            backup: format!("archive:{run}"),
            taken_at: row.as_ref().and_then(|row| row.finished_at),
            size_bytes: row.as_ref().and_then(|row| row.bytes),
            rung,
            refused: damaged.map(|_| "damaged".to_owned()),
            message,
            sha256: None,
            tools: serde_json::json!({"reprise": env!("CARGO_PKG_VERSION")}),
            checked_at: self.clock.now(),
            checked_by: Some(format!("archive verify ({})", reached.name())),
            ..Verdict::default()
        };
        self.store.record_verdict(plan, &verdict).await?;
        Ok(())
    }
}

/// Days until what was never read is, where so many contents are read in a week. What was put last is read last. Pure.
fn days_to_full_coverage(unread: i64, weekly: i64) -> i64 {
    let days = unread.max(0).saturating_mul(7);
    days / weekly.max(1) + i64::from(days % weekly.max(1) > 0)
}

/// Where no run is left, it is said which there were.
fn told_of(gone: &[Vanished], error: ArchiveError) -> ArchiveError {
    match error {
        ArchiveError::Refused { why, .. } if !gone.is_empty() => {
            let gone: Vec<_> = gone.iter().map(Vanished::sentence).collect();
            ArchiveError::Refused {
                why: format!("{why}; {}", gone.join("; ")),
                advice: "ask whoever can write to the archive's bucket; where it keeps versions, the deleted ones may still be there",
            }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_read_is_still_to_be_covered_and_a_faster_pace_counts() {
        // 1,000 contents, a sample of 5 %: in the first week, in the nineteenth, and once all were read.
        assert_eq!(days_to_full_coverage(950, 50), 133);
        assert_eq!(days_to_full_coverage(50, 50), 7);
        assert_eq!(days_to_full_coverage(0, 50), 0);
        // A sample each day.
        assert_eq!(days_to_full_coverage(650, 350), 13);
        assert_eq!(days_to_full_coverage(3, 0), 21, "one at least is read in a sample");
    }

    fn verified(depth: Depth, objects: u64, objects_read: u64, read: u64) -> Verified {
        Verified {
            run: "20261101T010000Z-a".to_owned(),
            depth,
            objects,
            objects_read,
            read,
            frozen: 0,
            pending: 0,
            contents: 40,
            covered: 0,
            unread: 0,
            days_to_full_coverage: 0,
            findings: Vec::new(),
            beside: Vec::new(),
            known: Vec::new(),
        }
    }

    #[test]
    fn a_run_is_called_what_was_read_of_it() {
        let seen = |depth, objects, objects_read, read| {
            let verified = verified(depth, objects, objects_read, read);
            (verified.reached(), verified.rung().0)
        };
        assert_eq!(seen(Depth::Listing, 30, 0, 0), (Depth::Listing, Rung::Listed));
        assert_eq!(seen(Depth::Sample, 30, 2, 2), (Depth::Sample, Rung::Listed));
        assert_eq!(seen(Depth::Sample, 30, 0, 2), (Depth::Sample, Rung::Listed), "of other runs alone");
        assert_eq!(seen(Depth::Sample, 1, 1, 1), (Depth::Full, Rung::Readable), "the sample held all of it");
        assert_eq!(seen(Depth::Full, 30, 30, 40), (Depth::Full, Rung::Readable));
        assert_eq!(seen(Depth::Full, 30, 29, 39), (Depth::Sample, Rung::Listed), "one lies in cold storage");
        assert_eq!(seen(Depth::Full, 30, 0, 0), (Depth::Listing, Rung::Listed), "all of them do");
        let why = verified(Depth::Sample, 30, 2, 2).rung().1;
        assert_eq!(why.as_deref(), Some("of its 30 objects the contents of 2 were read again"));
        let damaged = Verified { findings: vec!["x".into()], ..verified(Depth::Full, 30, 30, 40) };
        assert_eq!(damaged.rung(), (Rung::Listed, Some("x".into())));
    }
}
