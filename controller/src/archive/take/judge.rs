//! Is the new run suspicious? Its changes are counted against the newest run that is not, or that somebody accepted.

use std::collections::HashMap;
use std::path::Path;

use super::latest::Latest;
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{ChangeCounts, Record};
use crate::archive::manifest::{self, Line};
use crate::archive::suspicion::{Changes, scrambled, suspicion};
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
        let changes = self.changes(&before, &folder.join("manifest")).await?;
        let told = suspicion(&changes, limits).unwrap_or_default();
        Ok(told.into_iter().map(|why| format!("since run {}: {why}", trusted.run)).collect())
    }

    /// Not suspicious, or accepted by somebody.
    async fn trusts(&self, record: &Record) -> Result<bool> {
        let rows = self.store.archives(&self.plan).await?;
        let accepted = || rows.iter().any(|row| row.run == record.run && !row.suspicious);
        Ok(record.suspicious.is_empty() || accepted())
    }

    /// The newest run that is trusted and whole, its manifest in `file`.
    async fn newest_trusted(&self, file: &Path) -> Result<Option<Record>> {
        for run in self.vault.runs().await?.into_iter().rev() {
            match self.trusted(&run, file).await {
                Ok(Some(record)) => return Ok(Some(record)),
                Ok(None) => {}
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

    /// What became of the objects of one manifest in another.
    pub(super) async fn changes(&self, before: &Path, now: &Path) -> Result<Changes> {
        let mut before = Before::new(Some(manifest::lines(before.to_owned())));
        let mut now = Before::new(Some(manifest::lines(now.to_owned())));
        let (mut changes, mut rewritten) = (Changes::default(), Vec::new());
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
                changes.scrambled += self.scrambled(&std::mem::take(&mut rewritten)).await?;
            }
        }
        changes.scrambled += self.scrambled(&rewritten).await?;
        Ok(changes)
    }

    /// How many of these turned into noise.
    async fn scrambled(&self, pairs: &[(Line, Line)]) -> Result<u64> {
        let digest = |line: &Line| hex::decode(&line.entry.sha256).unwrap_or_default();
        let digests: Vec<_> = pairs.iter().flat_map(|(old, new)| [digest(old), digest(new)]).collect();
        let held = self.store.archive_holds(&self.plan, &digests).await?;
        let noise: HashMap<_, _> = held.into_iter().map(|(digest, _, noise, _)| (digest, noise)).collect();
        let of = |line: &Line| noise.get(&digest(line)).copied();
        let turned = |(old, new): &&(Line, Line)| matches!((of(old), of(new)), (Some(before), Some(after)) if scrambled(before, after));
        Ok(pairs.iter().filter(turned).count() as u64)
    }
}
