//! Deleting an app that a request made, with everything in it.

use super::super::{Ctx, Result, StepError, app};
use super::{Undone, mark, not_ours};
use crate::providers::scalingo::apps::App;
use crate::store::{LedgerRow, LedgerState};

pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let doing = || StepError::provider(format!("deleting app {}", row.name));
    let Some(found) = platform.app(&row.name).await.map_err(doing())? else { return Ok(Undone::Absent) };
    let ours = match app::read_marker(ctx, &row.name).await? {
        Some(marker) => marker == mark(ctx, row),
        // We were stopped between creating it and marking it.
        None => {
            row.state == LedgerState::Intended
                && app::is_of_intent(row, &found, &ctx.tools.account(&ctx.run).await?)
        }
    };
    if !ours || is_theirs(row, &found, &ctx.tools.account(&ctx.run).await?) {
        return not_ours(ctx, row).await;
    }
    platform.delete_app(&row.name).await.map_err(doing())?;
    Ok(Undone::Settled)
}

/// Whether it was handed over to somebody, mark and all. What belongs to the account that made it was not.
fn is_theirs(row: &LedgerRow, found: &App, me: &str) -> bool {
    let owner = found.owner.as_ref();
    owner.is_some_and(|owner| owner.id != me && row.detail["account"] != owner.id.as_str())
}

pub(super) async fn is_gone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let found = ctx.tools.target_platform(&ctx.run)?.app(&row.name).await;
    found
        .map(|app| app.is_none())
        .map_err(StepError::provider(format!("looking whether app {} is gone", row.name)))
}
