//! The versions of the programs of this machine that recoveries and proofs are done with.

use std::collections::BTreeMap;
use std::time::Duration;

use reprise_cluster::Binaries;
use tokio::time::Instant;

use super::Tools;
use crate::providers::git;

/// Those whose versions are told.
pub(crate) const PROGRAMS: [&str; 4] = ["reprise", "pg_restore", "postgres", "git"];

/// They are asked for again after this: packages are upgraded under a daemon that runs.
const KNOWN: Duration = Duration::from_secs(30);

/// What was told last, and when.
pub(super) type Told = Option<(Instant, BTreeMap<String, String>)>;

impl Tools {
    /// Versions by program: ours, what reads and restores dumps, the server that backups are proven in, and what deploys.
    pub(crate) async fn programs(&self) -> BTreeMap<String, String> {
        let mut told = self.programs.lock().await;
        if let Some((at, known)) = told.as_ref()
            && at.elapsed() < KNOWN
        {
            return known.clone();
        }
        let restore = self.postgresql().await.ok().map(|found| found.version().to_owned());
        let servers = tokio::task::spawn_blocking(Binaries::installed).await.unwrap_or_default();
        let ours = env!("CARGO_PKG_VERSION").to_owned();
        let server = servers.into_iter().next().map(|newest| newest.version);
        let found = PROGRAMS.into_iter().zip([Some(ours), restore, server, git::version().await.ok()]);
        // What could not be asked now may be what it was: nothing is said of it.
        let named = |(program, version): (&str, Option<String>)| Some((program.to_owned(), version?));
        let found: BTreeMap<String, String> = found.into_iter().filter_map(named).collect();
        *told = Some((Instant::now(), found.clone()));
        found
    }
}
