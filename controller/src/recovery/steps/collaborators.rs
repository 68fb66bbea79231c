//! The collaborators of one app, invited, and not limited.

use super::{Ctx, Result, StepError};
use crate::providers::scalingo::collaborators::Collaborator;
use crate::recovery::drive::{Next, Pace, drive};

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<Vec<String>> {
    let wanted = &ctx.run.plan.target.collaborators;
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        platform
            .collaborators(app)
            .await
            .map_err(StepError::provider(format!("listing the collaborators of {app}")))
    };
    let act = |email: String| async {
        let email = email;
        ctx.intend("collaborator", &email, Some(app), serde_json::json!({})).await?;
        let invited = platform.invite_collaborator(app, &email, false).await;
        invited.map(drop).map_err(StepError::provider(format!("inviting a collaborator to {app}")))
    };
    let there = drive(ctx, Pace::PROVIDER, false, observe, |seen| decide(app, wanted, seen), act).await?;
    for collaborator in there {
        let Some(email) = collaborator.email else { continue };
        let row = ctx.intend("collaborator", &email, Some(app), serde_json::json!({})).await?;
        ctx.saw(&row, &collaborator.id).await?;
    }
    Ok(wanted.clone())
}

fn decide(app: &str, wanted: &[String], seen: &[Collaborator]) -> Result<Next<String, Vec<Collaborator>>> {
    let find = |email: &String| {
        seen.iter()
            .find(|known| known.email.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(email)))
    };
    if let Some(email) = wanted.iter().find(|email| find(email).is_none()) {
        return Ok(Next::Act(email.clone()));
    }
    let there: Vec<Collaborator> = wanted.iter().filter_map(find).cloned().collect();
    match there.iter().find(|collaborator| collaborator.is_limited == Some(true)) {
        Some(limited) => Err(StepError::refused(
            format!(
                "{} is a limited collaborator of {app}, who could neither deploy nor read variables",
                limited.email.as_deref().unwrap_or("somebody")
            ),
            "give full rights in the platform's dashboard, then resume the request",
        )),
        None => Ok(Next::Done(there)),
    }
}
