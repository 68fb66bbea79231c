//! Rows against objects, while the throwaway database stands: what a recovery chooses the archive run by.

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::ProofError;
use super::pick;
use super::run::{APPLICATION, Prover};
use super::server::Server;
use super::throwaway::Place;
use crate::backup::ladder::connect;
use crate::runtime::chain::Chain;
use crate::store::{ArchiveRow, Verdict};
use crate::truth::{self, Odd};

/// So many of the archive's newest runs a backup's rows are held against at least.
const RUNS: usize = 4;

/// Whether one more is, when so many were: only while each of them leaves rows without their object, and as long as a recovery would take
/// such a run for it, which begins at `since` or later.
fn one_more(compared: usize, fewest: Option<i64>, run: &str, since: Option<&str>) -> bool {
    compared < RUNS || (fewest > Some(0) && since.is_some_and(|since| run >= since))
}

/// The runs that a recovery would take, the newest first: a copy of the bucket only where there is nothing else.
fn sound(rows: &[ArchiveRow]) -> Vec<&ArchiveRow> {
    let sound = |row: &&ArchiveRow| row.phase == "Complete" && row.damaged.is_none() && !row.suspicious;
    let mut runs: Vec<&ArchiveRow> = rows.iter().filter(sound).collect();
    if runs.iter().any(|row| !row.is_mirrored()) {
        runs.retain(|row| !row.is_mirrored());
    }
    runs.sort_by(|a, b| b.run.cmp(&a.run));
    runs
}

impl Prover<'_> {
    /// The id of the newest good backup, if the archive's newest run came after it was proven.
    pub(super) async fn overtaken(&self, rows: &[Verdict]) -> Result<Option<String>, ProofError> {
        let (store, good) = (&self.tools.store, pick::good(rows));
        let Some(good) = good.filter(|_| !self.spec.object_keys.is_empty()) else { return Ok(None) };
        let runs = store.archives(self.plan).await?;
        let newest = sound(&runs).into_iter().find_map(|row| Some((row.run.as_str(), row.finished_at?)));
        let truths = store.truths(self.plan, &good.backup).await?;
        let compared = |run: &str| truths.iter().any(|truth| truth.run == run);
        Ok(pick::overtaken(rows, newest, self.tools.clock.now(), compared).map(|row| row.backup.clone()))
    }

    /// Holds the rows of what was restored against the newest archive runs. That it fails says nothing of the backup.
    pub(super) async fn references(
        &self,
        (server, place): (&Server, &Place),
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
            let runs = sound(&rows);
            let mut connection =
                connect(&place.owner, APPLICATION).await.map_err(|e| Chain(&e).to_string())?;
            let since = truth::since(self.tools.clock.now(), &self.spec.objectives);
            let (mut told, mut fewest) = (None, None);
            for (compared, row) in runs.into_iter().enumerate() {
                if !one_more(compared, fewest, &row.run, since.as_deref()) {
                    break;
                }
                let mut list =
                    |odd: Odd<'_>| self.keys.map_or(Ok(()), |keys| keys.add(&known.backup, &row.run, odd));
                let found = truth::compare(&mut connection, columns, &archiver, &row.run, &mut list).await;
                let found = found.map_err(|e| Chain(&e).to_string())?;
                let stored = found.row(&known.backup, &row.run);
                let recorded = self.tools.store.record_truth(self.plan, &stored, self.by).await;
                recorded.map_err(|e| Chain(&e).to_string())?;
                fewest = Some(fewest.map_or(stored.dangling, |fewest: i64| fewest.min(stored.dangling)));
                told.get_or_insert_with(|| format!("against archive run {}: {found}", row.run));
            }
            connection.close().await.ok();
            Ok::<_, String>(told)
        };
        let held = async {
            tokio::select! {
                held = Box::pin(held) => held,
                why = server.trouble(None) => Err(why),
            }
        };
        match stop.run_until_cancelled(held).await? {
            Ok(told) => told,
            Err(why) => {
                tracing::warn!(plan = self.plan, why, "rows were not held against objects");
                Some(format!("rows were not held against objects: {why}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_runs_are_looked_at_while_rows_dangle_as_far_as_a_recovery_would_go() {
        let since = Some("20261101T000000Z");
        let run = "20261102T030000Z-aa";
        assert!(one_more(0, None, run, None) && one_more(RUNS - 1, Some(0), "20250101T000000Z-aa", since));
        assert!(one_more(RUNS, Some(3), run, since) && one_more(9, Some(3), run, since));
        assert!(!one_more(RUNS, Some(0), run, since), "none could be better");
        assert!(!one_more(RUNS, Some(3), "20261031T030000Z-aa", since), "it loses more than the plan allows");
        assert!(!one_more(RUNS, Some(3), run, None), "the plan does not say how much may be lost");
    }
}
