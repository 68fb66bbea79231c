//! Is the new run suspicious? Its changes are counted against the newest run that is not, or that somebody accepted.

use std::collections::HashMap;
use std::path::Path;

use reprise_crds::plan::CopyMode;

use super::holdings::Holdings;
use super::latest::Latest;
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{ChangeCounts, Record};
use crate::archive::manifest::{self, Line};
use crate::archive::suspicion::{Changes, scrambled, suspicion, suspicion_of_part};
use crate::archive::walk::Before;

/// Digests that are looked up together.
const BATCH: usize = 512;

impl Archiver {
    /// Why the run whose manifest lies in `folder` is suspicious; nothing if it is not.
    pub(super) async fn suspicion(
        &self,
        latest: Option<&Latest>,
        counts: &ChangeCounts,
        folder: &Path,
    ) -> Result<Vec<String>> {
        let Some(latest) = latest else { return Ok(Vec::new()) };
        let limits = &self.spec.suspicious;
        if self.trusts(&latest.record).await? {
            return Ok(suspicion(&counts.judged(), limits).unwrap_or_default());
        }
        let before = folder.join("trusted");
        let Some(trusted) = self.newest_trusted(&before).await? else { return Ok(Vec::new()) };
        let (changes, _) = self.changes(&before, &folder.join("manifest")).await?;
        let told = suspicion(&changes, limits).unwrap_or_default();
        Ok(told.into_iter().map(|why| format!("since run {}: {why}", trusted.run)).collect())
    }

    /// What of a run's objects turned into noise is not known when their store copies them by itself. By now more of them were read: is the run
    /// suspicious? Its manifest is `manifest`. It is marked, and the reason told.
    /// It is held against the newest run that was verified; those between them, which nobody has read, are marked with it.
    pub(in crate::archive) async fn suspected_since(
        &self,
        run: &str,
        manifest: &Path,
    ) -> Result<Option<String>> {
        let (record, _) = self.vault.record(run).await?;
        if self.spec.mode != CopyMode::ServerSide || !self.trusts(&record).await? {
            return Ok(None);
        }
        let before = manifest.with_extension("trusted");
        let Some(trusted) = self.newest_verified_before(run, &before).await? else { return Ok(None) };
        let Some(why) = self.noise_since(&trusted, &before, manifest).await? else { return Ok(None) };
        if !self.store.archive_is_suspected(&self.plan, run, std::slice::from_ref(&why)).await? {
            return Ok(None);
        }
        let between = manifest.with_extension("between");
        let runs = self.vault.runs().await?;
        for other in runs.iter().rev().filter(|other| other.as_str() < run && **other > trusted.run) {
            let Ok((record, _)) = self.vault.record(other).await else { continue };
            self.vault.fetch_manifest(&record, &between).await?;
            // Those before it were taken before the damage.
            let Some(why) = self.noise_since(&trusted, &before, &between).await? else { break };
            self.store.archive_is_suspected(&self.plan, other, &[why]).await?;
        }
        Ok(Some(why))
    }

    async fn noise_since(&self, trusted: &Record, before: &Path, now: &Path) -> Result<Option<String>> {
        let (changes, known) = self.changes(before, now).await?;
        let why = suspicion_of_part(&changes, known, &self.spec.suspicious);
        Ok(why.map(|why| format!("since run {}: {why}", trusted.run)))
    }

    /// The newest run before `end` that is trusted and was read again, its manifest in `file`; where none was, the oldest.
    async fn newest_verified_before(&self, end: &str, file: &Path) -> Result<Option<Record>> {
        let rows = self.store.archives(&self.plan).await?;
        let trusted = |run: &&String| {
            run.as_str() < end
                && rows.iter().any(|row| row.run == **run && !row.suspicious && row.damaged.is_none())
        };
        let read = |run: &&String| rows.iter().any(|row| row.run == **run && row.verified_at.is_some());
        let runs = self.vault.runs().await?;
        let known = || runs.iter().filter(trusted);
        let Some(run) = known().rev().find(read).or_else(|| known().next()) else { return Ok(None) };
        self.trusted(run, file).await
    }

    /// Not suspicious, or accepted by somebody. What our own row says may be newer than the record.
    async fn trusts(&self, record: &Record) -> Result<bool> {
        let rows = self.store.archives(&self.plan).await?;
        let row = rows.iter().find(|row| row.run == record.run);
        Ok(row.map_or(record.suspicious.is_empty(), |row| !row.suspicious))
    }

    /// The newest run of this source that is trusted and whole, or of whatever source where there is none, its manifest in `file`.
    async fn newest_trusted(&self, file: &Path) -> Result<Option<Record>> {
        let runs = self.vault.runs().await?;
        let newest = || runs.iter().rev();
        let each = newest().map(|run| (run, true)).chain(newest().map(|run| (run, false)));
        for (run, own) in each {
            match self.trusted(run, file).await {
                Ok(Some(record)) if !own || record.source == self.source_named() => return Ok(Some(record)),
                Ok(_) => {}
                Err(error @ ArchiveError::Damaged { .. }) => {
                    tracing::warn!(plan = self.plan, run, %error, "a damaged run is passed over");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn trusted(&self, run: &str, file: &Path) -> Result<Option<Record>> {
        let (record, _) = self.vault.record(run).await?;
        if !self.trusts(&record).await? {
            return Ok(None);
        }
        self.vault.fetch_manifest(&record, file).await?;
        Ok(Some(record))
    }

    /// What became of the objects of one manifest in another; and of how many that were rewritten it is known whether they are noise.
    pub(super) async fn changes(&self, before: &Path, now: &Path) -> Result<(Changes, u64)> {
        let mut before = Before::new(Some(manifest::lines(before.to_owned())));
        let mut now = Before::new(Some(manifest::lines(now.to_owned())));
        let (mut changes, mut rewritten, mut known) = (Changes::default(), Vec::new(), 0);
        while let Some(old) = before.next().await? {
            changes.before += 1;
            match now.at(&old.entry.key).await? {
                None => changes.deleted += 1,
                Some(new) if new.entry.is_same_content(&old.entry) => {}
                Some(new) => {
                    changes.rewritten += 1;
                    rewritten.push((old, new));
                }
            }
            if rewritten.len() >= BATCH {
                let (turned, read) = self.scrambled(&std::mem::take(&mut rewritten)).await?;
                (changes.scrambled, known) = (changes.scrambled + turned, known + read);
            }
        }
        let (turned, read) = self.scrambled(&rewritten).await?;
        changes.scrambled += turned;
        Ok((changes, known + read))
    }

    /// How many of these turned into noise, of how many of which that is known.
    async fn scrambled(&self, pairs: &[(Line, Line)]) -> Result<(u64, u64)> {
        let lines = || pairs.iter().flat_map(|(old, new)| [old, new]);
        let names: Vec<_> = lines().filter_map(|line| line.entry.pending.clone()).collect();
        let hashed = Holdings::new(self).hashed(&names).await?;
        let digest = |line: &Line| match &line.entry.pending {
            Some(name) => hashed.get(name).cloned().unwrap_or_default(),
            None => hex::decode(&line.entry.sha256).unwrap_or_default(),
        };
        let digests: Vec<_> = pairs.iter().flat_map(|(old, new)| [digest(old), digest(new)]).collect();
        let held = self.store.archive_holds(&self.plan, &digests).await?;
        let noise: HashMap<_, _> = held.into_iter().map(|(digest, _, noise, _)| (digest, noise)).collect();
        let of = |line: &Line| noise.get(&digest(line)).copied();
        let known: Vec<_> = pairs.iter().filter_map(|(old, new)| Some((of(old)?, of(new)?))).collect();
        let turned = known.iter().filter(|(before, after)| scrambled(*before, *after)).count();
        Ok((turned as u64, known.len() as u64))
    }
}
