//! How long a restore may stand still. Nobody waits for a proof, but all others wait behind it: a throwaway database has no statistics, and a
//! materialized view that takes an hour in production may take days in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Halt, connect};
use crate::backup::PgTools;
use crate::backup::restore::{Order, Report, RestoreError, Target, head_of, restore};

/// How long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Between two looks.
    look: Duration,
    /// Without an entry that is finished, a file that grows or an index that is being built. A foreign key of a large table shows no sign of life.
    silence: Duration,
    /// In all.
    total: Duration,
}

/// That of a proof.
pub(super) const PATIENCE: Patience = Patience {
    look: Duration::from_mins(1),
    silence: Duration::from_hours(4),
    total: Duration::from_hours(48),
};

impl Patience {
    /// Restores as `order` says, watched by `watcher` in the same database. What stands still is stopped, and told.
    pub(super) async fn restored(
        self,
        tools: &PgTools,
        order: Order<'_>,
        watcher: &Target,
        cancel: &CancellationToken,
    ) -> Result<Report, Halt> {
        let (ours, finished) = (cancel.child_token(), AtomicU64::new(0));
        let heard = |entries| finished.store(entries, Ordering::Relaxed);
        let restoring = restore(tools, order, &ours, |progress| heard(progress.entries_done));
        let mut restoring = std::pin::pin!(restoring);
        let said = tokio::select! {
            biased;
            report = &mut restoring => return Ok(report?),
            said = self.stalled(watcher, order.application, &finished) => said,
        };
        ours.cancel();
        // It ends its sessions' work before it ends itself.
        restoring.await.ok();
        Err(RestoreError::Stalled { said }.into())
    }

    /// Resolves when the restore has shown no sign of life for too long, or takes too long in all.
    async fn stalled(self, watcher: &Target, application: &str, finished: &AtomicU64) -> String {
        let began = Instant::now();
        let (mut last, mut since) = ((0, Signs::default()), began);
        loop {
            tokio::time::sleep(self.look).await;
            // A look that fails says nothing. Where the server is gone, pg_restore says so.
            let signs = Signs::look(watcher, application).await.unwrap_or_else(|| last.1.clone());
            let seen = (finished.load(Ordering::Relaxed), signs);
            if seen.0 != last.0 || seen.1.grown != last.1.grown {
                since = Instant::now();
            }
            let at = format!("after {} entries, at: {}", seen.0, seen.1.doing);
            last = seen;
            if since.elapsed() >= self.silence {
                return format!(
                    "for {} minutes nothing was finished and nothing grew, {at}",
                    minutes(self.silence)
                );
            }
            if began.elapsed() >= self.total {
                return format!("it takes longer than {} minutes, {at}", minutes(self.total));
            }
        }
    }
}

fn minutes(time: Duration) -> u64 {
    time.as_secs() / 60
}

/// What changes where something is being done, and what is.
#[derive(Debug, Clone, Default)]
struct Signs {
    grown: String,
    doing: String,
}

/// Bytes of the database, of temporary files, and how far indexes are. Only a superuser sees temporary files.
const SIGNS: &str = "SELECT pg_catalog.concat_ws(' ', pg_catalog.pg_database_size(current_database()), TEMPORARY,
      (SELECT pg_catalog.string_agg(p::text, ' ' ORDER BY p.pid) FROM pg_catalog.pg_stat_progress_create_index p)),
    coalesce((SELECT query FROM pg_catalog.pg_stat_activity WHERE application_name = $1 AND state = 'active'
       AND pid <> pg_catalog.pg_backend_pid() ORDER BY query_start LIMIT 1), '')";
const TEMPORARY: &str = "(SELECT sum(size) FROM pg_catalog.pg_ls_tmpdir())";

impl Signs {
    async fn look(watcher: &Target, application: &str) -> Option<Self> {
        let mut session = connect(watcher, "reprise-watch").await.ok()?;
        let seen = async {
            let sees = "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_ls_tmpdir()', 'EXECUTE')";
            let sees: bool = sqlx::query_scalar(sees).fetch_one(&mut session).await?;
            let sql = SIGNS.replace("TEMPORARY", if sees { TEMPORARY } else { "NULL" });
            sqlx::query_as(AssertSqlSafe(sql)).bind(application).fetch_one(&mut session).await
        };
        let seen: sqlx::Result<(String, String)> = seen.await;
        session.close().await.ok();
        let (grown, doing) = seen.ok()?;
        let doing = doing.lines().next().map(head_of).unwrap_or_default();
        Some(Self { grown, doing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::checks::occupancy;
    use crate::backup::lab::lab;
    use crate::backup::restore::Selection;

    /// A view that is computed in the target alone, for ten minutes, and writes nothing meanwhile.
    const SLOW: &str = "
        CREATE FUNCTION public.lent() RETURNS int LANGUAGE plpgsql AS
          'begin if current_database() like ''target%'' then perform pg_sleep(600); end if; return 1; end';
        CREATE TABLE public.a AS SELECT n FROM generate_series(1, 200) AS n;
        CREATE MATERIALIZED VIEW public.b AS SELECT public.lent() AS n;";

    #[tokio::test]
    async fn a_restore_that_stands_still_is_stopped_and_says_nothing_of_the_backup() {
        let lab = lab().await;
        let dump = lab.dump(&lab.source(SLOW).await, &[]);
        let (target, (toc, counts)) = (lab.target().await, lab.contents(&dump).await);
        let found = occupancy(&mut lab.owner(&target).await).await.expect("a look");
        let selection = Selection::new(&toc, &found, false).expect("an empty target");
        let order = Order {
            file: &dump,
            toc: &toc,
            counts: &counts,
            selection: &selection,
            target: &target,
            jobs: 2,
            work_dir: lab.folder.path(),
            application: &target.database,
        };
        let never = CancellationToken::new();
        let within = Duration::from_millis(50);
        let patience = Patience { look: within, silence: Duration::from_secs(2), total: Duration::MAX };
        let watcher = lab.superuser(&target);
        let halt = patience.restored(&lab.tools, order, &watcher, &never).await.expect_err("it stands still");
        assert!(!halt.blames_backup() && !never.is_cancelled(), "{halt:?}");
        let told = crate::runtime::chain::Chain(&halt).to_string();
        assert!(told.contains("REFRESH MATERIALIZED VIEW public.b"), "{told}");
    }
}
