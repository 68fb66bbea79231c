//! Runs that were complete, that nobody pruned, and that are not there any more. No listing shows what is missing from it: our own tables
//! do, where they are about this place.

use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::record_key;
use crate::store::ArchiveRow;

/// How the row of such a run ends, by which it is known again should the run come back, or should somebody say that it was meant.
pub(crate) const GONE: &str = "is in the archive no more, and prune did not take it";

/// A run that is gone.
#[derive(Debug, Clone)]
pub(crate) struct Vanished {
    /// Its row, as it was.
    pub row: ArchiveRow,
    /// What is on record of it now.
    pub how: String,
}

impl Vanished {
    pub(crate) fn sentence(&self) -> String {
        format!(
            "run {} is lost: {}; `reprise archive accept` with its name says that this was meant",
            self.row.run, self.how
        )
    }
}

impl Archiver {
    /// The runs that are gone, newest first. None of them passes for a run from now on, and one that came back does again. One that was
    /// damaged is missed by nobody: to take it out is what is advised. Nothing is said of a place that our tables are not about. Safe to
    /// repeat.
    pub(crate) async fn vanished(&self) -> Result<Vec<Vanished>> {
        if self.store.archive_place(&self.plan).await?.is_none_or(|place| place != self.vault.place()) {
            return Ok(Vec::new());
        }
        let rows = self.complete().await?;
        let there = self.vault.runs().await?;
        let mut gone = Vec::new();
        for row in rows {
            let known = row.damaged.as_ref().is_some_and(|how| how.ends_with(GONE));
            if !there.contains(&row.run) {
                let matters = known || row.damaged.is_none();
                gone.extend(if matters { self.missing(row).await? } else { None });
            } else if known {
                self.store.archive_is_damaged(&self.plan, &row.run, None).await?;
            }
        }
        Ok(gone)
    }

    async fn complete(&self) -> Result<Vec<ArchiveRow>> {
        let mut rows = self.store.archives(&self.plan).await?;
        rows.retain(|row| row.phase == "Complete");
        Ok(rows)
    }

    /// Looks again at a run that was not listed: a listing may be old, and it may be pruned meanwhile.
    async fn missing(&self, row: ArchiveRow) -> Result<Option<Vanished>> {
        let key = record_key(&self.vault.prefix, &row.run);
        let head = self.vault.s3.head(&self.vault.bucket, &key).await;
        let is_there = head.map_err(ArchiveError::inside("looking for a record"))?.is_some();
        if is_there || !self.complete().await?.iter().any(|now| now.id == row.id) {
            return Ok(None);
        }
        let how = row.damaged.clone().unwrap_or_else(|| format!("{key} {GONE}"));
        if row.damaged.is_none() {
            tracing::error!(plan = self.plan, run = row.run, "a run of the archive is gone");
            self.store.archive_is_damaged(&self.plan, &row.run, Some(&how)).await?;
        }
        Ok(Some(Vanished { row, how }))
    }
}
