//! Deleting a project that a request made.

use std::time::Duration;

use super::super::project::ABSENT;
use super::super::{Ctx, Result, StepError, app};
use super::{LOOK, Undone, not_ours};
use crate::providers::scalingo::projects::Project;
use crate::store::LedgerRow;

/// How long the platform may take to see that a project is empty, once the apps in it are deleted.
const EMPTYING: Duration = Duration::from_mins(1);

/// The vendor has no room for a mark on a project: what is ours was made by us, after the intent; or it has the id of the one that we saw
/// where there was none of that name before. One that still holds something is somebody's: it stays.
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
    let is_mine = project.owner.as_ref().is_some_and(|owner| owner.id == me);
    let was_absent = row.detail[ABSENT].as_bool() == Some(true);
    let is_it = was_absent && is_mine && row.external_id.as_ref() == Some(&project.id);
    is_it || app::is_of(row, project.created_at, project.owner.as_ref(), me)
}

fn is(row: &LedgerRow, project: &Project) -> bool {
    match row.external_id.as_deref() {
        Some(id) => project.id == id,
        // Its answer never came.
        None => project.name == row.name,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, Utc};

    use super::*;
    use crate::store::LedgerState;

    #[test]
    fn what_was_there_before_is_not_ours_and_what_we_made_is_whatever_the_clocks_say() {
        let now = Utc::now();
        let row = |absent: bool, id: Option<&str>| LedgerRow {
            nonce: uuid::Uuid::new_v4(),
            step: "project".to_owned(),
            kind: "project".to_owned(),
            name: "apilos-pra".to_owned(),
            parent: None,
            state: LedgerState::Present,
            external_id: id.map(str::to_owned),
            detail: serde_json::json!({ ABSENT: absent }),
            intended_at: now,
            observed_at: None,
            fresh: false,
        };
        // Made an hour before the intent, by the vendor's clock.
        let made = now.checked_sub_signed(TimeDelta::hours(1)).expect("a date");
        let project: Project = serde_json::from_value(serde_json::json!({
            "id": "p-1", "name": "apilos-pra", "owner": { "id": "me" }, "created_at": made,
        }))
        .expect("a project");
        assert!(is_ours(&row(true, Some("p-1")), &project, "me"), "our clock is ahead");
        assert!(!is_ours(&row(false, Some("p-1")), &project, "me"), "it was there before");
        assert!(!is_ours(&row(true, Some("p-2")), &project, "me"), "it is another one");
        assert!(!is_ours(&row(true, Some("p-1")), &project, "them"), "it was handed over");
        assert!(!is_ours(&row(true, None), &project, "me"), "nothing tells that it is ours");
    }
}
