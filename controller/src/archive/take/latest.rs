//! What a run starts from: the newest whole run before it, and what the archive holds.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;

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

    /// Learns what the archive holds from a listing, where our own tables know nothing: a new machine.
    pub(super) async fn know_contents(&self) -> Result<()> {
        let known = self.store.archive_count(&self.plan).await?;
        if known > 0 || self.store.archive_unhashed_count(&self.plan).await? > 0 {
            return Ok(());
        }
        self.match_pending(&mut Vec::new()).await?;
        let start = format!("{}objects/", self.vault.prefix);
        let listing = self.vault.s3.list(&self.vault.bucket, &start).chunks(1_000);
        let mut listing = std::pin::pin!(listing);
        while let Some(page) = listing.next().await {
            let page: Result<Vec<_>, _> = page.into_iter().collect();
            let page = page.map_err(ArchiveError::inside("listing the contents"))?;
            let known = page.iter().filter_map(|object| {
                let digest = hex::decode(object.key.strip_prefix(&start)?).ok()?;
                (digest.len() == 32).then(|| (digest, i64::try_from(object.size).unwrap_or(i64::MAX)))
            });
            let (digests, sizes): (Vec<_>, Vec<_>) = known.unzip();
            self.store.archive_listed(&self.plan, &digests, &sizes).await?;
        }
        Ok(())
    }
}
