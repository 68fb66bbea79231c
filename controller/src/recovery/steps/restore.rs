//! The dump into the new database, through the tunnel, by the real parallel `pg_restore`; then every entry of the archive accounted for
//! by what is seen in the database.

use std::collections::BTreeMap;

use super::database::Database;
use super::dump::{self, Dump};
use super::{Ctx, Result, StepError};
use crate::backup::accounting::{Account, account};
use crate::backup::checks::{Occupancy, observe, occupancy, server_version};
use crate::backup::restore::{Order, RestoreError, Selection, restore};
use crate::recovery::outputs::{ChosenBackup, MadeAddon, RestoredDatabase, Versions};
use crate::recovery::step::Step;
use crate::store::{LedgerRow, SpanKind};

/// The sessions' name, by which those of a killed predecessor are found.
const APPLICATION: &str = "reprise-restore";

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
    let intent = intent(ctx, chosen, addon, &found).await?;
    let selection = Selection::new(&dump.toc, &found, was_empty(&intent)).map_err(not_ours)?;
    ctx.doing(SpanKind::Data, "restoring");
    let tools = ctx.tools.postgresql().await.map_err(StepError::failed("looking for pg_restore"))?;
    let order = Order {
        file: &dump.file,
        toc: &dump.toc,
        counts: &dump.counts,
        selection: &selection,
        target: &database.target,
        jobs: u16::try_from(ctx.run.plan.limits.restore_jobs).unwrap_or(2),
        work_dir: &ctx.run.dir,
        application: APPLICATION,
    };
    let told = |progress: crate::backup::restore::Progress| {
        ctx.doing(
            SpanKind::Data,
            format!("restoring: entry {} of {}", progress.entries_done, progress.entries_total),
        );
        ctx.pulse.progress(progress.rows_done, Some(progress.rows_total), "rows");
    };
    let report =
        restore(&tools, order, &ctx.stop, told).await.map_err(StepError::failed("restoring the database"))?;
    ctx.tools.metrics.bytes_moved("restore", dump.counts.text_bytes);
    ctx.doing(SpanKind::Data, "counting what is in the restored database");
    let beat = |done, total| ctx.pulse.progress(done, Some(total), "tables");
    let seen = observe(&mut connection, beat)
        .await
        .map_err(StepError::failed("looking at the restored database"))?;
    let server = server_version(&mut connection).await.map_err(StepError::failed("asking the new server"))?;
    let versions = dump::versions([("pg_restore", tools.version()), ("server", &server)]);
    Ok((account(&dump.toc, &selection, &report, &dump.counts, &seen), intent, versions))
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
            "save it elsewhere and empty the database (or remove the addon), then resume the request: nothing was changed in it",
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
