//! The exact commit, pushed over SSH to the platform's git server, and its deployment followed to success.
//!
//! What the push's exit code says is not believed: the deployment that the platform lists is.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use reprise_crds::Mode;
use reprise_crds::plan::AppSpec;

use super::{Ctx, Result, StepError, ssh_key};
use crate::providers::git::{Commit, FETCH_LIMIT, GitError, Pushed, Repository};
use crate::providers::scalingo::deployments::{Deployment, DeploymentStatus};
use crate::providers::ssh::Identity;
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::{ConfiguredApp, Deployed, MadeApp};
use crate::recovery::step::Step;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{Severity, SpanKind};

/// How many of the newest deployments are looked at.
const ENOUGH: usize = 20;

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<Deployed> {
    let configured: ConfiguredApp = ctx.outputs.get(&Step::Variables(app.to_owned()))?;
    let commit = Commit::parse(&configured.commit)
        .ok_or_else(|| StepError::Output { step: format!("variables/{app}") })?;
    let commit = if ctx.run.mode == Mode::Drill { quiet(ctx, app, &commit).await? } else { commit };
    let intent = ctx.intend("deployment", commit.as_str(), Some(app), serde_json::json!({})).await?;
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let listed = platform.deployments(app, ENOUGH).await;
        let mut newest = listed.map_err(StepError::provider(format!("listing the deployments of {app}")))?;
        newest
            .retain(|deployment| deployment.git_ref.as_deref().is_none_or(|known| known == commit.as_str()));
        Ok(newest.into_iter().next())
    };
    // A deployment that had failed before this attempt began is why this attempt was asked for.
    let failed_before = observe().await?.filter(|found| failed(&found.status)).map(|found| found.id);
    let verdict = Mutex::new(None);
    let act = |()| async {
        let said = push(ctx, app, &commit).await?;
        *verdict.lock().unwrap_or_else(PoisonError::into_inner) = said;
        Ok(())
    };
    let doubt = !intent.fresh;
    let decide = |seen: &Option<Deployment>| {
        let said = verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        decide(app, failed_before.as_deref(), said, seen.as_ref())
    };
    let deployment = drive(ctx, Pace::PROVIDER, doubt, observe, decide, act).await?;
    ctx.saw(&intent, &deployment.id).await?;
    Ok(Deployed { commit: commit.to_string(), deployment: deployment.id })
}

/// The platform runs the tasks of this file whatever the formation says, and takes no order not to.
///
/// Source: Scalingo's user documentation "Scalingo scheduler".
const SCHEDULED_TASKS: &str = "cron.json";

/// The commit as a drill deploys it: without scheduled tasks, which would reach users.
async fn quiet(ctx: &Ctx, app: &str, commit: &Commit) -> Result<Commit> {
    let spec = ctx.run.plan.app(app).ok_or_else(|| StepError::Output { step: format!("app/{app}") })?;
    let repository = repository(ctx, spec).await?;
    let _turn = ctx.tools.code_turn.lock().await;
    let quiet = repository.without(commit, SCHEDULED_TASKS).await;
    quiet.map_err(StepError::failed(format!("leaving {SCHEDULED_TASKS} out of the code of {app}")))
}

/// `said`: what the git server answered to a push of this turn instead of taking the code.
fn decide(
    app: &str,
    failed_before: Option<&str>,
    said: Option<String>,
    seen: Option<&Deployment>,
) -> Result<Next<(), Deployment>> {
    let fresh = seen
        .filter(|deployment| !failed(&deployment.status) || failed_before != Some(deployment.id.as_str()));
    let Some(deployment) = fresh else {
        return match said {
            None => Ok(Next::Act(())),
            Some(said) => Err(StepError::refused(
                format!("the platform's git server did not deploy the code of {app}: {said}"),
                "look at the app's deployments in the platform's dashboard; deploy the commit there, or push an empty one on top; then resume",
            )),
        };
    };
    match &deployment.status {
        DeploymentStatus::Success => Ok(Next::Done(deployment.clone())),
        status if failed(status) => Err(StepError::refused(
            format!("deployment {} of {app} ended with {status}{}", deployment.id, meaning(status)),
            format!(
                "read its log (scalingo --app {app} deployment-logs {}), mend the code or its variables, then resume",
                deployment.id
            ),
        )),
        status => Ok(Next::Wait(format!("deployment is {status}"))),
    }
}

fn failed(status: &DeploymentStatus) -> bool {
    status.is_finished() && *status != DeploymentStatus::Success
}

fn meaning(status: &DeploymentStatus) -> &'static str {
    match status {
        DeploymentStatus::BuildError => ": the build failed; nothing of it runs",
        DeploymentStatus::HookError => {
            ": its postdeploy hook failed; migrations may be half applied, the old version is still up"
        }
        DeploymentStatus::TimeoutError => ": it did not listen on PORT in time",
        DeploymentStatus::CrashedError => ": it did not stay up",
        _ => "",
    }
}

/// Pushes. What the git server said instead of taking the code, if it did not.
async fn push(ctx: &Ctx, app: &str, commit: &Commit) -> Result<Option<String>> {
    ctx.doing(SpanKind::Data, format!("pushing {commit}"));
    let made: MadeApp = ctx.outputs.get(&Step::App(app.to_owned()))?;
    let spec = ctx.run.plan.app(app).ok_or_else(|| StepError::Output { step: format!("app/{app}") })?;
    let repository = repository(ctx, spec).await?;
    let config = ssh_key::config(ctx).await?;
    ctx.make_dir()?;
    let identity = Identity::prepare(&config, &ctx.run.dir)
        .await
        .map_err(StepError::failed("connecting to the platform's git server"))?;
    let remote =
        identity.remote(&made.git_url).map_err(StepError::failed("reading the app's git address"))?;
    let mut lines = 0;
    let told = |_: &str| {
        lines += 1;
        ctx.doing(SpanKind::Provider, "the platform builds and deploys");
        ctx.pulse.progress(lines, None, "lines");
    };
    match repository.push(commit, &remote, Some(identity.command()), told).await {
        Ok(Pushed::Moved) => Ok(None),
        Ok(Pushed::UpToDate) => Ok(Some("it has this commit already".to_owned())),
        // The list of deployments says what became of it, and why, if there was one.
        Err(GitError::Refused { reason }) => Ok(Some(reason)),
        Err(error) => {
            let (class, in_doubt) = (error.class(), error.outcome_unknown());
            Err(StepError::Failed {
                doing: format!("pushing the code of {app}"),
                class,
                in_doubt,
                source: Box::new(error),
            })
        }
    }
}

/// The bare repository of ours that holds the app's code. Shared by the apps that are made of the same code.
pub(super) async fn repository(ctx: &Ctx, app: &AppSpec) -> Result<Repository> {
    let dir: PathBuf = ctx.tools.code_dir(&ctx.tools.setting(&app.code.repository, "code.repository")?);
    let _turn = ctx.tools.code_turn.lock().await;
    Repository::open(&dir).await.map_err(StepError::failed("opening the local copy of the code"))
}

/// The commit that the plan's ref means, fetched with its history.
pub(super) async fn commit(ctx: &Ctx, app: &AppSpec) -> Result<Commit> {
    ctx.doing(SpanKind::Data, "fetching the code");
    let url = ctx.tools.setting(&app.code.repository, "code.repository")?;
    let repository = repository(ctx, app).await?;
    let source = ctx.tools.code_source(url);
    let turn = ctx.tools.code_turn.lock().await;
    // It tells nothing while it goes on; a host that sends nothing is given up much earlier.
    ctx.pulse.expect_silence(FETCH_LIMIT);
    let fetched = repository.fetch(&source, &app.code.git_ref).await;
    drop(turn);
    let error = match fetched {
        Ok(commit) => return Ok(commit),
        Err(error) => error,
    };
    ctx.make_dir()?;
    let plan = (ctx.run.plan_name.as_str(), &ctx.run.plan);
    if let GitError::NoSuchRef { .. } = error {
        // The host answered: what the archive keeps is not what the plan asks for.
        return Err(StepError::refused(
            Chain(&error).to_string(),
            format!("correct code.ref of {} in the plan, apply it, and resume the request", app.name),
        ));
    }
    // A line that breaks once is no reason to deploy what is older.
    if (ctx.retry || error.class() == Class::Terminal)
        && let Some(commit) = ctx.tools.kept_commit(plan, app, &ctx.run.dir, &ctx.stop).await?
    {
        let message = format!(
            "the code host does not give the code of {} ({}); {commit}, which the archive keeps, is deployed",
            app.name,
            Chain(&error)
        );
        ctx.event(Severity::Warning, "CodeFromArchive", &message).await?;
        return Ok(commit);
    }
    Err(StepError::failed(format!("fetching {} of the code of {}", app.code.git_ref, app.name))(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(id: &str, status: &str) -> Deployment {
        serde_json::from_value(serde_json::json!({"id": id, "status": status})).expect("a deployment")
    }

    #[test]
    fn what_failed_before_this_attempt_is_pushed_again_and_what_fails_in_it_is_told() {
        let old = deployment("old", "build-error");
        assert!(matches!(decide("app", Some("old"), None, Some(&old)), Ok(Next::Act(()))));
        let told =
            decide("app", Some("old"), None, Some(&deployment("new", "hook-error"))).expect_err("told");
        assert!(told.to_string().contains("hook-error"), "{told}");
    }

    #[test]
    fn a_push_that_starts_no_deployment_is_not_repeated_for_ever() {
        let told =
            decide("app", None, Some("it has this commit already".to_owned()), None).expect_err("told");
        assert!(told.to_string().contains("this commit already"), "{told}");
    }

    #[test]
    fn a_deployment_under_way_is_followed_and_not_pushed_twice() {
        assert!(matches!(decide("app", None, None, Some(&deployment("d", "building"))), Ok(Next::Wait(_))));
        assert!(matches!(decide("app", None, None, Some(&deployment("d", "success"))), Ok(Next::Done(_))));
    }
}
