//! A project of its own for the recovered estate, so that it can be handed over as a whole later.

use super::{Ctx, Result, StepError};
use crate::providers::scalingo::projects::Project;
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::Made;

/// The member of an intent's detail that tells that there was no project of that name.
pub(super) const ABSENT: &str = "absent";

pub(super) async fn run(ctx: &Ctx) -> Result<Made> {
    let name = ctx.run.plan.target.project.as_str();
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe =
        || async { platform.projects().await.map_err(StepError::provider("listing the account's projects")) };
    // Kept with the first intent: what was there before is not ours, whatever id it has.
    let absent = observe().await?.iter().all(|project| project.name != name);
    let intent = ctx.intend("project", name, None, serde_json::json!({ ABSENT: absent })).await?;
    let act = |()| async {
        let made = platform.create_project(name).await;
        made.map(drop).map_err(StepError::provider(format!("creating project {name}")))
    };
    let doubt = !intent.fresh;
    let project =
        drive(ctx, Pace::PROVIDER, doubt, observe, |projects| Ok(decide(name, projects)), act).await?;
    ctx.saw(&intent, &project.id).await?;
    Ok(Made { id: project.id })
}

/// A project of the wanted name is taken as it is: it holds nothing by itself, and an estate of an earlier try may be in it.
fn decide(name: &str, projects: &[Project]) -> Next<(), Project> {
    match projects.iter().find(|project| project.name == name) {
        Some(project) => Next::Done(project.clone()),
        None => Next::Act(()),
    }
}
