//! What is long past is of no use to anybody, and is read with the rest each time.

use chrono::TimeDelta;

use super::{ProofError, Prover};

/// How long is kept what is known of a backup that nobody has any more, and which runs of jobs there were.
const VERDICTS_KEPT: TimeDelta = TimeDelta::days(90);
const RUNS_KEPT: TimeDelta = TimeDelta::days(366);

impl Prover<'_> {
    /// Forgets it. Safe to repeat.
    pub(super) async fn forget(&self) -> Result<(), ProofError> {
        let (store, now) = (&self.tools.store, self.tools.clock.now());
        let verdicts = store.prune_verdicts(self.plan, now - VERDICTS_KEPT).await?;
        let runs = store.prune_runs(self.plan, now - RUNS_KEPT).await?;
        if verdicts + runs > 0 {
            tracing::info!(plan = self.plan, verdicts, runs, "forgot what is long past");
        }
        Ok(())
    }
}
