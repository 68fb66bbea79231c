//! Undoing what was done with names at the platform: ours are detached, those that were taken from a lost app are given back.

use super::super::{Ctx, Result, StepError, app};
use super::Undone;
use crate::store::LedgerRow;

/// One whose id never came is looked for by its name, on our app: as long as that holds the name nobody can have it back.
pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let Some(app) = row.parent.as_deref() else { return Ok(Undone::Absent) };
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let doing = || StepError::provider(format!("undoing domain {}", row.name));
    let id = match &row.external_id {
        Some(id) => Some(id.clone()),
        None if is_of_request(ctx, app).await? => {
            let held = platform.domains(app).await.map_err(doing())?;
            held.into_iter()
                .find(|domain| domain.name.eq_ignore_ascii_case(&row.name))
                .map(|domain| domain.id)
        }
        None => None,
    };
    let Some(id) = id else { return Ok(Undone::Absent) };
    platform.delete_domain(app, &id).await.map_err(doing())?;
    Ok(Undone::Settled)
}

/// Whether there is an app of this name, and this request made it.
async fn is_of_request(ctx: &Ctx, app: &str) -> Result<bool> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let found = platform.app(app).await.map_err(StepError::provider(format!("looking for app {app}")))?;
    if found.is_none() {
        return Ok(false);
    }
    let (marker, ours) = (app::read_marker(ctx, app).await?, format!("{}/", ctx.run.request));
    Ok(marker.is_some_and(|marker| marker.starts_with(&ours)))
}

/// Attaches a name to the app that it was taken from, unless that app has it or is no more.
pub(super) async fn give_back(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let Some(from) = row.parent.as_deref() else { return Ok(Undone::Settled) };
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let doing = || StepError::provider(format!("giving {} back to {from}", row.name));
    if platform.app(from).await.map_err(doing())?.is_none() {
        return Ok(Undone::Settled);
    }
    let held = platform.domains(from).await.map_err(doing())?;
    if held.iter().any(|domain| domain.name.eq_ignore_ascii_case(&row.name)) {
        // Nothing came of the call so far, or it was given back before.
        return Ok(Undone::Absent);
    }
    platform.add_domain(from, &row.name).await.map_err(doing())?;
    Ok(Undone::Settled)
}
