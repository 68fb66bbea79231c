//! The other runs: a content is shared, and so is its damage. It is on record with each run that names it, and with no other.

use chrono::{DateTime, Utc};

use super::{Findings, Troubles};
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::folder::{Folder, Purpose};

impl Archiver {
    /// Looks at the runs but this one: at `all`, or at those that are known to be damaged. None that lacks something passes for whole any
    /// more; a sentence of each.
    pub(in crate::archive) async fn look_at_others(
        &self,
        but: &str,
        all: bool,
        troubles: &mut Troubles,
    ) -> Result<Vec<String>> {
        let rows = self.store.archives(&self.plan).await?;
        let known = |run: &String| rows.iter().any(|row| row.run == *run && row.damaged.is_some());
        let runs = self.vault.runs().await?;
        let mut told = Vec::new();
        for run in runs.iter().filter(|run| *run != but && (all || known(run))) {
            let findings = self.look_at(run, troubles).await?;
            let Some(first) = findings.first() else { continue };
            self.store.archive_is_damaged(&self.plan, run, Some(&findings.0.join("; "))).await?;
            told.push(format!("run {run} is damaged: {first}"));
        }
        Ok(told)
    }

    async fn look_at(&self, run: &str, troubles: &mut Troubles) -> Result<Findings> {
        let folder = Folder::below(&self.work, Purpose::Verify)?;
        let manifest = folder.path().join("manifest");
        let mut findings = Findings::default();
        match self.fetched(run, &manifest).await {
            Ok(_) => {
                // How much of them was read is not asked.
                self.match_manifest(&manifest, troubles, DateTime::<Utc>::MAX_UTC, &mut findings).await?;
            }
            Err(ArchiveError::Damaged { what, how }) => findings.push(format!("{what}: {how}")),
            Err(error) => return Err(error),
        }
        Ok(findings)
    }
}
