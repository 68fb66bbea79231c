//! Deleting a project that a request made.

use std::time::Duration;

use super::super::{Ctx, Result, StepError, app};
use super::{LOOK, Undone, not_ours};
use crate::providers::scalingo::projects::Project;
use crate::store::LedgerRow;

/// How long the platform may take to see that a project is empty, once the apps in it are deleted.
const EMPTYING: Duration = Duration::from_mins(1);

/// The vendor has no room for a mark on a project: what is ours bears the id that we were told when we made it, or was made by us after the
/// intent. One that still holds something is somebody's: it stays.
pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let doing = || StepError::provider(format!("deleting project {}", row.name));
    let projects = platform.projects().await.map_err(doing())?;
    let Some(project) = projects.iter().find(|project| is(row, project)) else { return Ok(Undone::Absent) };
    let me = ctx.tools.account(&ctx.run).await?;
    if !is_ours(row, project, &me) {
        return not_ours(ctx, row).await;
    }
    let until = ctx.deadline(EMPTYING);
    loop {
        match platform.delete_project(&project.id).await {
            Err(error) if error.status().is_some_and(|status| status.as_u16() == 409) => {
                if ctx.now() >= until {
                    return not_ours(ctx, row).await;
                }
            }
            other => return other.map(|_| Undone::Settled).map_err(doing()),
        }
        ctx.pause(LOOK).await?;
    }
}

pub(super) async fn is_gone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let projects = ctx.tools.target_platform(&ctx.run)?.projects().await;
    let doing = StepError::provider(format!("looking whether project {} is gone", row.name));
    Ok(!projects.map_err(doing)?.iter().any(|project| is(row, project)))
}

/// Dates are compared only where nothing better is known: two clocks made them.
fn is_ours(row: &LedgerRow, project: &Project, me: &str) -> bool {
    match row.external_id.as_deref() {
        Some(id) => project.id == id && project.owner.as_ref().is_some_and(|owner| owner.id == me),
        None => app::is_of(row, project.created_at, project.owner.as_ref(), me),
    }
}

fn is(row: &LedgerRow, project: &Project) -> bool {
    match row.external_id.as_deref() {
        Some(id) => project.id == id,
        // Its answer never came.
        None => project.name == row.name,
    }
}
