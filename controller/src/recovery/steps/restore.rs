//! The dump into the new database, through the tunnel, by the real parallel `pg_restore`; then every entry of the archive accounted for
//! by what is seen in the database.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::database::{Database, goodbye};
use super::dump::{self, Dump};
use super::{Ctx, Result, StepError};
use crate::backup::PgTools;
use crate::backup::accounting::{Account, account};
use crate::backup::checks::{Observed, Occupancy, observe, occupancy, server_version};
use crate::backup::restore::{Order, Report, RestoreError, Selection, restore};
use crate::recovery::outputs::{ChosenBackup, MadeAddon, RestoredDatabase, Versions};
use crate::recovery::step::Step;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{LedgerRow, SpanKind};

/// The sessions' name, by which those of a killed predecessor are found.
const APPLICATION: &str = "reprise-restore";
/// What stands before the platform's databases cuts a session off in which nothing passes for so long.
///
/// Source: Scalingo's user documentation "PostgreSQL / Limitations" (server idle).
const IDLE: Duration = Duration::from_mins(30);
/// How often a restore may have been cut off after so long: then a person has to look.
const CUTS: u32 = 5;
/// The row of such failures.
const CUT: &str = "restore/cut";
/// How often the look after a restore is taken: without one, all of it would be done once more.
const LOOKS: u32 = 5;
/// Between two of them.
const BETWEEN: Duration = Duration::from_secs(20);

pub(super) async fn run(ctx: &Ctx) -> Result<RestoredDatabase> {
    let chosen: ChosenBackup = ctx.outputs.get(&Step::ChooseBackup)?;
    let addon: MadeAddon = ctx.outputs.get(&Step::Postgres)?;
    let dump = dump::obtain(ctx, &chosen).await?;
    let database = Database::open(ctx).await?;
    let restored = database.attended(&ctx.pulse, restored(ctx, &chosen, &addon, &dump, &database)).await;
    database.close().await;
    let (account, intent, tools) = restored?;
    if !account.is_complete() {
        return Err(StepError::refused(
            format!("not everything of the backup came back: {account}"),
            "read `reprise describe`, mend the cause (an extension that the platform does not offer?), and resume: it restores anew",
        ));
    }
    ctx.saw(&intent, &chosen.backup).await?;
    Ok(output(&account, tools))
}

async fn restored(
    ctx: &Ctx,
    chosen: &ChosenBackup,
    addon: &MadeAddon,
    dump: &Dump,
    database: &Database,
) -> Result<(Account, LedgerRow, Versions)> {
    let mut connection = database.connect().await?;
    database.end_sessions(&mut connection, APPLICATION).await?;
    let found =
        occupancy(&mut connection).await.map_err(StepError::failed("looking what the new database holds"))?;
    // It would lie idle for as long as the restore takes, and be cut off.
    goodbye(connection).await;
    let intent = intent(ctx, chosen, addon, &found).await?;
    let selection = Selection::new(&dump.toc, &found, was_empty(&intent)).map_err(not_ours)?;
    let tools = ctx.tools.postgresql().await.map_err(StepError::failed("looking for pg_restore"))?;
    let report = put(ctx, (&tools, &addon.plan), dump, &selection, database).await?;
    ctx.tools.metrics.bytes_moved("restore", dump.counts.text_bytes);
    let (seen, server) = seen(ctx, database).await?;
    let versions = dump::versions([("pg_restore", tools.version()), ("server", &server)]);
    Ok((account(&dump.toc, &selection, &report, &dump.counts, &seen), intent, versions))
}

/// Has `pg_restore` put the selection there. `plan`: the addon's.
async fn put(
    ctx: &Ctx,
    (tools, plan): (&PgTools, &str),
    dump: &Dump,
    selection: &Selection,
    database: &Database,
) -> Result<Report> {
    ctx.doing(SpanKind::Data, "restoring");
    // A session that idles between two entries is what is cut off first: one that does all alone never does.
    let alone = ctx.patience.times(CUT) > 0;
    let jobs = u16::try_from(ctx.run.plan.limits.restore_jobs).unwrap_or(2).max(2);
    let order = Order {
        file: &dump.file,
        toc: &dump.toc,
        counts: &dump.counts,
        selection,
        target: &database.target,
        jobs: if alone { 1 } else { jobs },
        work_dir: &ctx.run.dir,
        application: APPLICATION,
    };
    let told = |progress: crate::backup::restore::Progress| {
        if order.is_alone() {
            return ctx.doing(SpanKind::Data, "restoring in one session, which does not tell how far it is");
        }
        ctx.doing(
            SpanKind::Data,
            format!("restoring: entry {} of {}", progress.entries_done, progress.entries_total),
        );
        ctx.pulse.progress(progress.rows_done, Some(progress.rows_total), "rows");
    };
    let began = Instant::now();
    restore(tools, order, &ctx.stop, told).await.map_err(|error| {
        let long = error.is_of_the_line() && began.elapsed() >= IDLE;
        let cuts = if long { ctx.patience.failed(CUT).times } else { 0 };
        broken(error, plan, cuts)
    })
}

/// Why a line may be cut.
const WHY: &str = "the platform cuts off a session in which nothing passes for 30 minutes, as while one large index is built";

/// What ended a restore, and what to do where a person has to. `cuts`: how often, this time included, it was cut off after so long that it may
/// have been for a session that said nothing.
fn broken(error: RestoreError, plan: &str, cuts: u32) -> StepError {
    if error.is_for_want_of_disk() {
        return StepError::refused(
            format!("the new database's disk is full: {error}"),
            format!(
                "{plan} is too small for this backup: put a larger plan under target.postgresql.plan and apply it; change the addon to it in the \
                 platform's dashboard, or remove the addon there (another one is ordered); then resume the request"
            ),
        );
    }
    match cuts {
        0 => StepError::failed("restoring the database")(error),
        1..CUTS => StepError::failed(format!(
            "restoring the database ({WHY}; the next try uses one session alone)"
        ))(error),
        _ => StepError::refused(
            format!(
                "the line to the new database was cut {cuts} times, each time after more than half an hour: {error} ({WHY})"
            ),
            "a larger plan builds an index faster: put it under target.postgresql.plan, apply it, change the addon to it in the platform's \
             dashboard, and resume the request; if it is the line, resume it when that holds",
        ),
    }
}

/// What is in the database now, and its server's version.
async fn seen(ctx: &Ctx, database: &Database) -> Result<(Observed, String)> {
    let mut looks = 1;
    loop {
        ctx.doing(SpanKind::Data, "counting what is in the restored database");
        match look(ctx, database).await {
            Err(error)
                if looks < LOOKS && matches!(error.class(), Class::Transient | Class::Throttled(_)) =>
            {
                tracing::warn!(error = %Chain(&error), "the restored database is looked at once more");
            }
            end => return end,
        }
        looks += 1;
        ctx.pause(BETWEEN).await?;
    }
}

async fn look(ctx: &Ctx, database: &Database) -> Result<(Observed, String)> {
    let mut connection = database.connect().await?;
    let beat = |done, total| ctx.pulse.progress(done, Some(total), "tables");
    let seen = observe(&mut connection, beat)
        .await
        .map_err(StepError::failed("looking at the restored database"))?;
    let server = server_version(&mut connection).await.map_err(StepError::failed("asking the new server"))?;
    goodbye(connection).await;
    Ok((seen, server))
}

/// What the ledger keeps of the look before the first byte was put there.
const EMPTY: &str = "empty";

/// The intent to fill the database, with whether it was empty before. One that somebody has emptied since is begun anew.
async fn intent(ctx: &Ctx, chosen: &ChosenBackup, addon: &MadeAddon, found: &Occupancy) -> Result<LedgerRow> {
    let detail = serde_json::json!({ "backup": chosen.backup, EMPTY: found.is_empty() });
    let intend = || ctx.intend("database-content", &addon.resource, Some(&addon.id), detail.clone());
    let known = intend().await?;
    if found.is_empty() && !was_empty(&known) {
        ctx.gone(&known).await?;
        return intend().await;
    }
    Ok(known)
}

fn not_ours(error: RestoreError) -> StepError {
    match error {
        RestoreError::NotEmpty { found } => StepError::refused(
            format!("the new database holds what this recovery did not put there: {found}"),
            "save it elsewhere and empty the database (or remove the addon: another one is ordered), then resume the request: nothing was changed in it",
        ),
        other => StepError::failed("looking whether the new database is empty")(other),
    }
}

/// What is there already is ours only if there was nothing when this step began to fill it. An earlier release did not look.
fn was_empty(intent: &LedgerRow) -> bool {
    intent.detail[EMPTY].as_bool().unwrap_or(!intent.fresh)
}

fn output(account: &Account, tools: Versions) -> RestoredDatabase {
    let benign: BTreeMap<String, u64> =
        account.benign().into_iter().map(|(rule, count)| (format!("{rule:?}"), count as u64)).collect();
    let (entries, restored) = (account.entries.len() as u64, account.restored() as u64);
    RestoredDatabase { entries, restored, benign, tools }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(said: &str) -> RestoreError {
        RestoreError::Trouble { said: said.to_owned() }
    }

    #[test]
    fn a_full_disk_is_told_at_once_and_with_what_helps() {
        for full in
            ["No space left on device", "could not extend file …: wrote only 4096 of 8192 bytes at block 7"]
        {
            let error = broken(said(full), "postgresql-starter-512", 0);
            assert_eq!(error.class(), Class::Terminal, "{error}");
            let told = error.to_string();
            assert!(
                told.contains("postgresql-starter-512 is too small") && told.contains("resume"),
                "{told}"
            );
        }
        assert_eq!(broken(said("deadlock detected"), "p", 0).class(), Class::Transient);
    }

    #[test]
    fn a_line_that_is_cut_at_the_same_point_is_not_tried_for_ever() {
        let cut = |cuts| broken(said("server closed the connection unexpectedly"), "p", cuts);
        assert!([0, 1, CUTS - 1].iter().all(|cuts| cut(*cuts).class() == Class::Transient));
        assert!(cut(1).to_string().contains("30 minutes"), "{}", cut(1));
        assert_eq!(cut(CUTS).class(), Class::Terminal);
        assert!(said("SSL SYSCALL error: EOF detected").is_of_the_line());
        assert!(!said("No space left on device").is_of_the_line());
    }
}
