//! An app that was there before answers over plain HTTP again, as it did.

use super::super::{Ctx, Result, StepError};
use super::Undone;
use crate::store::LedgerRow;

pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    if is_undone(ctx, row).await? {
        return Ok(Undone::Absent);
    }
    let set = ctx.tools.target_platform(&ctx.run)?.set_force_https(&row.name, false).await;
    set.map_err(StepError::provider(format!("no longer forcing HTTPS on {}", row.name)))?;
    Ok(Undone::Settled)
}

/// Also where there is no such app any more.
pub(super) async fn is_undone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let found = ctx.tools.target_platform(&ctx.run)?.app(&row.name).await;
    let found = found.map_err(StepError::provider(format!("reading app {}", row.name)))?;
    Ok(found.is_none_or(|app| !app.force_https))
}
