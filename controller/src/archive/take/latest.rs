//! What a run starts from: the newest whole run before it, and what the archive holds.

use std::path::{Path, PathBuf};

use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{Previous, Record, Source};
use crate::runtime::chain::Chain;
use crate::store::Turn;

/// What is said of runs that the archive left behind.
const LEFT: &str = "where the archive was";

/// A run that is whole: its record, digest and manifest.
#[derive(Debug)]
pub(super) struct Latest {
    pub record: Record,
    pub manifest: PathBuf,
    /// The newest whole run, of whatever source: the next record names it. A run of another source is held for whole by its record: its
    /// manifest, which may be large, is not fetched for this.
    pub newest: Previous,
}

impl Archiver {
    /// The newest run of this source whose record and manifest are whole, or of whatever source where there is none. Damaged ones are told and
    /// passed over: everything is read again then.
    pub(super) async fn latest(&self, folder: &Path) -> Result<Option<Latest>> {
        let runs = self.vault.runs().await?;
        match self.latest_of(&runs, folder, Some(&self.source_named())).await? {
            None => self.latest_of(&runs, folder, None).await,
            latest => Ok(latest),
        }
    }

    async fn latest_of(
        &self,
        runs: &[String],
        folder: &Path,
        source: Option<&Source>,
    ) -> Result<Option<Latest>> {
        let mut newest = None;
        for run in runs.iter().rev() {
            match self.open(run, folder, source, &mut newest).await {
                Ok(None) => {}
                Ok(latest) => return Ok(latest),
                Err(error @ ArchiveError::Damaged { .. }) => {
                    tracing::error!(plan = self.plan, run, error = %Chain(&error), "a run of the archive is damaged");
                    let why = Chain(&error).to_string();
                    self.store.archive_is_damaged(&self.plan, run, Some(&why)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The record of the newest run that has what `wanted` finds in it, and that. A run that was taken after a disaster, or an import, may
    /// have nothing beside its objects; those before it still do.
    pub async fn newest_with<T>(
        &self,
        wanted: impl Fn(&Record) -> Option<T> + Sync,
    ) -> Result<Option<(Record, T)>> {
        for run in self.vault.runs().await?.into_iter().rev() {
            match self.vault.record(&run).await {
                Ok((record, _)) => {
                    if let Some(found) = wanted(&record) {
                        return Ok(Some((record, found)));
                    }
                }
                Err(ArchiveError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// A run, if it is of this source.
    async fn open(
        &self,
        run: &str,
        folder: &Path,
        source: Option<&Source>,
        newest: &mut Option<Previous>,
    ) -> Result<Option<Latest>> {
        let (record, sha256) = self.record_of(run).await?;
        let this = Previous { run: record.run.clone(), sha256 };
        if source.is_some_and(|source| *source != record.source) {
            newest.get_or_insert(this);
            return Ok(None);
        }
        let manifest = folder.join("before");
        self.vault.fetch_manifest(&record, &manifest).await?;
        Ok(Some(Latest { record, manifest, newest: newest.clone().unwrap_or(this) }))
    }

    /// The plan's turn, once the archive locks if it is to and what we know is about the place that the plan names: before anything is put.
    pub async fn prepare(&self) -> Result<Turn> {
        let busy = || ArchiveError::Busy(self.plan.clone());
        let turn = self.store.archive_turn(&self.plan).await?.ok_or_else(busy)?;
        self.vault.must_lock().await?;
        self.know_contents().await?;
        Ok(turn)
    }

    /// Learns what the archive holds from its listing where our own tables are not about it: on a new machine, or when the plan was told
    /// another place.
    async fn know_contents(&self) -> Result<()> {
        let place = self.vault.place();
        let known = self.store.archive_place(&self.plan).await?;
        if known.as_ref() == Some(&place) {
            return Ok(());
        }
        if known.is_some() {
            self.store.archive_left(&self.plan).await?;
        }
        self.relist().await?;
        self.leave(known.as_deref()).await?;
        Ok(self.store.archive_lies_at(&self.plan, &place).await?)
    }

    /// Runs that lie where the archive was are not runs that anything can be restored from now; what was copied of one that was cut off
    /// lies there too. Where it was is not known on a new machine, and where older releases kept the records.
    async fn leave(&self, before: Option<&str>) -> Result<()> {
        let before = before.unwrap_or("another place");
        self.store.archive_notes_left(&self.plan).await?;
        let there = self.vault.runs().await?;
        let gone = format!("it lies at {before}, {LEFT}");
        for row in self.store.archives(&self.plan).await?.iter().filter(|row| row.phase == "Complete") {
            // Whoever moves back finds the runs of then.
            let left = row.damaged.as_ref().is_some_and(|why| why.ends_with(LEFT));
            let damaged = match there.contains(&row.run) {
                // What was found damaged stays so.
                _ if row.damaged.is_some() && !left => continue,
                true if left => None,
                true => continue,
                false => Some(gone.as_str()),
            };
            if damaged.is_some() {
                tracing::warn!(plan = self.plan, run = row.run, before, "a run lies where the archive was");
            }
            self.store.archive_is_damaged(&self.plan, &row.run, damaged).await?;
        }
        Ok(())
    }
}
