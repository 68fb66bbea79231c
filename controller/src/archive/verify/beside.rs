//! What lies beside the objects of a run: code, configuration and records, copies of dumps, and the run before.

use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{Previous, Record};

impl Archiver {
    /// What the run names beside its objects, and what lies beside all runs: whether the archive still has it.
    pub(super) async fn match_beside(&self, record: &Record) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for extra in &record.extras {
            if !self.is_held(&extra.sha256).await? {
                wrong.push(format!("{} of {} is missing or damaged: {}", extra.kind, extra.name, extra.key));
            }
        }
        let dumps = self.read_dumps().await?;
        for dump in self.lost_dumps(&dumps.records).await? {
            wrong.push(format!("the copy of backup {} is missing or damaged: {}", dump.name, dump.key));
        }
        wrong.extend(dumps.damaged);
        if let Some(previous) = &record.previous
            && self.is_replaced(previous).await?
        {
            let how = format!("its record is not the one that run {} names", record.run);
            self.store.archive_is_damaged(&self.plan, &previous.run, Some(&how)).await?;
            wrong.push(format!("run {}: {how}", previous.run));
        }
        Ok(wrong)
    }

    /// Whether the run before has another record by now. One that was pruned has none.
    async fn is_replaced(&self, previous: &Previous) -> Result<bool> {
        if !self.vault.runs().await?.contains(&previous.run) {
            return Ok(false);
        }
        match self.record_of(&previous.run).await {
            Ok((_, sha256)) => Ok(sha256 != previous.sha256),
            Err(ArchiveError::Damaged { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
