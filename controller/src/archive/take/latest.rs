//! What a run starts from: the newest whole run before it, and what the archive holds.

use std::path::{Path, PathBuf};

use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::Record;
use crate::runtime::chain::Chain;

/// A run that is whole: its record, digest and manifest.
#[derive(Debug)]
pub(super) struct Latest {
    pub record: Record,
    pub sha256: String,
    pub manifest: PathBuf,
}

impl Archiver {
    /// The newest run whose record and manifest are whole. Damaged ones are told and passed over: everything is read again then.
    pub(super) async fn latest(&self, folder: &Path) -> Result<Option<Latest>> {
        for run in self.vault.runs().await?.into_iter().rev() {
            match self.open(&run, folder).await {
                Ok(latest) => return Ok(Some(latest)),
                Err(error @ ArchiveError::Damaged { .. }) => {
                    tracing::error!(plan = self.plan, run, error = %Chain(&error), "a run of the archive is damaged");
                    let why = Chain(&error).to_string();
                    self.store.archive_verified(&self.plan, &run, "listing", Some(&why)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The record of the newest run that can be read.
    pub async fn newest(&self) -> Result<Option<Record>> {
        for run in self.vault.runs().await?.into_iter().rev() {
            match self.vault.record(&run).await {
                Ok((record, _)) => return Ok(Some(record)),
                Err(ArchiveError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn open(&self, run: &str, folder: &Path) -> Result<Latest> {
        let (record, sha256) = self.record_of(run).await?;
        let manifest = folder.join("before");
        self.vault.fetch_manifest(&record, &manifest).await?;
        Ok(Latest { record, sha256, manifest })
    }

    /// Learns what the archive holds from its listing where our own tables are not about it: on a new machine, or when the plan was told
    /// another place.
    pub(super) async fn know_contents(&self) -> Result<()> {
        let place = self.vault.place();
        let known = self.store.archive_place(&self.plan).await?;
        if known.as_ref() == Some(&place) {
            return Ok(());
        }
        if let Some(before) = known {
            self.leave(&before).await?;
        }
        self.relist().await?;
        Ok(self.store.archive_lies_at(&self.plan, &place).await?)
    }

    /// Nothing is known of the new place. Runs that lie where the archive was are not runs that anything can be restored from now.
    async fn leave(&self, before: &str) -> Result<()> {
        tracing::warn!(
            plan = self.plan,
            before,
            "the archive lies elsewhere now: all is copied that is not there"
        );
        self.store.archive_left(&self.plan).await?;
        let there = self.vault.runs().await?;
        let gone = format!("it lies at {before}, where the archive was");
        for row in self.store.archives(&self.plan).await? {
            if row.phase == "Complete" && !there.contains(&row.run) {
                self.store.archive_verified(&self.plan, &row.run, "listing", Some(&gone)).await?;
            }
        }
        Ok(())
    }
}
