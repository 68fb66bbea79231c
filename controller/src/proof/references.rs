//! Rows against objects, while the throwaway database stands: what a recovery chooses the archive run by.

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::run::{APPLICATION, Prover};
use super::throwaway::Place;
use crate::backup::ladder::connect;
use crate::runtime::chain::Chain;
use crate::store::{ArchiveRow, Verdict};
use crate::truth;

/// So many of the archive's newest runs a backup's rows are held against.
const RUNS: usize = 4;

impl Prover<'_> {
    /// Holds the rows of what was restored against the newest archive runs. That it fails says nothing of the backup.
    pub(super) async fn references(
        &self,
        place: &Place,
        known: &Verdict,
        stop: &CancellationToken,
    ) -> Option<String> {
        let columns = &self.spec.object_keys;
        if columns.is_empty() {
            return None;
        }
        let held = async {
            let archiver =
                self.tools.archiver(self.plan, self.spec, stop).map_err(|e| Chain(&e).to_string())?;
            let rows = self.tools.store.archives(self.plan).await.map_err(|e| Chain(&e).to_string())?;
            let sound =
                |row: &&ArchiveRow| row.phase == "Complete" && row.damaged.is_none() && !row.suspicious;
            let mut runs: Vec<&ArchiveRow> = rows.iter().filter(sound).collect();
            runs.sort_by(|a, b| b.run.cmp(&a.run));
            let mut connection =
                connect(&place.owner, APPLICATION).await.map_err(|e| Chain(&e).to_string())?;
            let mut told = None;
            for row in runs.into_iter().take(RUNS) {
                let found = truth::compare(&mut connection, columns, &archiver, &row.run).await;
                let found = found.map_err(|e| Chain(&e).to_string())?;
                let stored = found.row(&known.backup, &row.run);
                let recorded = self.tools.store.record_truth(self.plan, &stored, self.by).await;
                recorded.map_err(|e| Chain(&e).to_string())?;
                told.get_or_insert_with(|| format!("against archive run {}: {found}", row.run));
            }
            connection.close().await.ok();
            Ok::<_, String>(told)
        };
        match stop.run_until_cancelled(Box::pin(held)).await? {
            Ok(told) => told,
            Err(why) => {
                tracing::warn!(plan = self.plan, why, "rows were not held against objects");
                Some(format!("rows were not held against objects: {why}"))
            }
        }
    }
}
