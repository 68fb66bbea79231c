//! Undoing what was done with names at the platform: ours are detached, those that were taken from a lost app are given back.

use super::super::{Ctx, Result, StepError, app, domain};
use super::Undone;
use crate::providers::scalingo::domains::Domain;
use crate::store::LedgerRow;

/// One whose id never came is looked for by its name, on our app: as long as that holds the name nobody can have it back.
pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let Some(app) = row.parent.as_deref() else { return Ok(Undone::Absent) };
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let doing = || StepError::provider(format!("undoing domain {}", row.name));
    let id = match &row.external_id {
        Some(id) => Some(id.clone()),
        None if domain::was_absent(row) || is_of_request(ctx, app).await? => {
            held(ctx, app, row).await?.map(|domain| domain.id)
        }
        None => None,
    };
    let Some(id) = id else { return Ok(Undone::Absent) };
    let there = platform.delete_domain(app, &id).await.map_err(doing())?;
    Ok(if there { Undone::Settled } else { Undone::Absent })
}

pub(super) async fn is_gone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let Some(app) = row.parent.as_deref() else { return Ok(true) };
    Ok(held(ctx, app, row).await?.is_none())
}

/// The domain of a row as its app has it: by its id, or where that never came by its name. An app that is no more has none.
async fn held(ctx: &Ctx, app: &str, row: &LedgerRow) -> Result<Option<Domain>> {
    let is = |domain: &Domain| match &row.external_id {
        Some(id) if row.kind == "domain" => domain.id == *id,
        _ => domain.name.eq_ignore_ascii_case(&row.name),
    };
    match ctx.tools.target_platform(&ctx.run)?.domains(app).await {
        Ok(domains) => Ok(domains.into_iter().find(is)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(StepError::provider(format!("listing the domains of {app}"))(error)),
    }
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

/// Attaches a name to the app that it was taken from, unless that app has it (nothing came of the call so far, or it was given back
/// before) or is no more.
pub(super) async fn give_back(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let Some(from) = row.parent.as_deref() else { return Ok(Undone::Absent) };
    if is_back(ctx, row).await? {
        return Ok(Undone::Absent);
    }
    let given = ctx.tools.target_platform(&ctx.run)?.add_domain(from, &row.name).await;
    given.map_err(StepError::provider(format!("giving {} back to {from}", row.name)))?;
    Ok(Undone::Settled)
}

pub(super) async fn is_back(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let Some(from) = row.parent.as_deref() else { return Ok(true) };
    let found = ctx.tools.target_platform(&ctx.run)?.app(from).await;
    let found = found.map_err(StepError::provider(format!("looking for app {from}")))?;
    Ok(found.is_none() || held(ctx, from, row).await?.is_some())
}
