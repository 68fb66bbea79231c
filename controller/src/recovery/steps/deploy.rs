//! The exact commit, pushed over SSH to the platform's git server, and its deployment followed to success.
//!
//! What the push's exit code says is not believed: the deployment that the platform lists is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reprise_crds::Mode;

use super::{Ctx, Result, StepError, dump, ssh_key};
use crate::providers::git::{self, Commit, GitError, Pushed, is_upload};
use crate::providers::scalingo::deployments::{Deployment, DeploymentStatus};
use crate::providers::ssh::Identity;
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::{ConfiguredApp, Deployed, MadeApp};
use crate::recovery::step::Step;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{LedgerRow, LedgerState, SpanKind};

mod code;

pub(super) use code::commit;
use code::repository;

/// How many of the newest deployments are looked at.
const ENOUGH: usize = 20;
/// After so many deployments in a row that were given up, another push is a person's to ask for.
const GIVEN_UP: usize = 5;
/// A build may say nothing for as long as it may take, and so may the hook after it.
///
/// Source: Scalingo's user documentation "Limits" (30 minutes) and "Postdeploy hook" (20 minutes).
const SILENCE: Duration = Duration::from_mins(50);

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
        // One of another commit is waited for while it is on its way: two at a time would be two hooks on one database.
        newest.retain(|deployment| {
            let ours = deployment.git_ref.as_deref().is_none_or(|known| known == commit.as_str());
            ours || !deployment.status.is_finished()
        });
        Ok(newest)
    };
    let before = look(ctx, Pace::PROVIDER, &observe).await?.into_iter().next();
    if before.as_ref().is_some_and(|found| !found.status.is_finished()) {
        is_at_work(ctx);
    }
    // A deployment that had failed before this attempt began is why this attempt was asked for.
    let failed_before = before.filter(|found| failed(&found.status)).map(|found| found.id);
    let verdict = Mutex::new(None);
    let act = |()| async {
        let said = push(ctx, app, &commit).await?;
        *verdict.lock().unwrap_or_else(PoisonError::into_inner) = said;
        Ok(())
    };
    let doubt = !intent.fresh;
    let decide = |seen: &Vec<Deployment>| {
        let said = verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        decide(app, failed_before.as_deref(), said, seen)
    };
    let deployment = drive(ctx, Pace::PROVIDER, doubt, observe, decide, act).await?;
    ctx.saw(&intent, &deployment.id).await?;
    supersede(ctx, app).await?;
    let git = git::version().await.map_err(StepError::failed("asking git for its version"))?;
    let tools = dump::versions([("git", &git)]);
    Ok(Deployed { commit: commit.to_string(), deployment: deployment.id, tools })
}

/// Commits that were to be deployed before, and came to nothing: another one has taken their place.
async fn supersede(ctx: &Ctx, app: &str) -> Result<()> {
    let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
    let open = |row: &&LedgerRow| {
        row.kind == "deployment" && row.parent.as_deref() == Some(app) && row.state == LedgerState::Intended
    };
    for row in ledger.iter().filter(open) {
        ctx.gone(row).await?;
    }
    Ok(())
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

/// `said`: what the git server answered to a push of this turn instead of taking the code. `seen`: deployments of it, newest first.
fn decide(
    app: &str,
    failed_before: Option<&str>,
    said: Option<String>,
    seen: &[Deployment],
) -> Result<Next<(), Deployment>> {
    let fresh = seen
        .first()
        .filter(|deployment| !failed(&deployment.status) || failed_before != Some(deployment.id.as_str()));
    let Some(deployment) = fresh else {
        return match said {
            None => Ok(Next::Act(())),
            Some(said) => Err(StepError::refused(
                format!("the platform's git server did not deploy the code of {app}: {said}"),
                "look at the app's deployments in the platform's dashboard; deploy the commit there, or give code.ref a newer one (an empty one will do); then resume",
            )),
        };
    };
    match &deployment.status {
        DeploymentStatus::Success => Ok(Next::Done(deployment.clone())),
        // That is no word on the code: our line broke, or this daemon did, and the next attempt pushes again.
        DeploymentStatus::Aborted if given_up(seen) < GIVEN_UP => Err(StepError::Failed {
            doing: format!("following deployment {} of {app}", deployment.id),
            class: Class::Transient,
            in_doubt: false,
            source: "the platform gave it up, as it does when the connection of a push ends".into(),
        }),
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

/// How many of the newest deployments, one after the other, came to no end of their own.
fn given_up(seen: &[Deployment]) -> usize {
    seen.iter().take_while(|deployment| deployment.status == DeploymentStatus::Aborted).count()
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
        DeploymentStatus::Aborted => ": the platform gave it up, time after time",
        _ => "",
    }
}

/// The platform has the code, and may say nothing for a while.
fn is_at_work(ctx: &Ctx) {
    ctx.pulse.expect_silence(ctx.tools.clock.scaled(SILENCE));
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
    let told = |line: &str| {
        if is_upload(line) {
            return ctx.pulse.moved();
        }
        is_at_work(ctx);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(id: &str, status: &str) -> Deployment {
        serde_json::from_value(serde_json::json!({"id": id, "status": status})).expect("a deployment")
    }

    #[test]
    fn what_failed_before_this_attempt_is_pushed_again_and_what_fails_in_it_is_told() {
        let old = deployment("old", "build-error");
        assert!(matches!(decide("app", Some("old"), None, &[old]), Ok(Next::Act(()))));
        let told = decide("app", Some("old"), None, &[deployment("new", "hook-error")]).expect_err("told");
        assert!(told.to_string().contains("hook-error"), "{told}");
    }

    #[test]
    fn a_push_that_starts_no_deployment_is_not_repeated_for_ever() {
        let told = decide("app", None, Some("it has this commit already".to_owned()), &[]).expect_err("told");
        assert!(told.to_string().contains("this commit already"), "{told}");
    }

    #[test]
    fn one_that_was_given_up_is_pushed_again_and_not_for_ever() {
        let aborted = |times| vec![deployment("a", "aborted"); times];
        let again =
            decide("app", None, Some("hook declined".to_owned()), &aborted(1)).expect_err("another try");
        assert_eq!(again.class(), Class::Transient, "{again}");
        // The next attempt finds it.
        assert!(matches!(decide("app", Some("a"), None, &aborted(1)), Ok(Next::Act(()))));
        let told = decide("app", None, None, &aborted(GIVEN_UP)).expect_err("told");
        assert_eq!(told.class(), Class::Terminal, "{told}");
        let mut broken = aborted(GIVEN_UP);
        broken[1] = deployment("b", "build-error");
        assert_eq!(decide("app", None, None, &broken).expect_err("another try").class(), Class::Transient);
    }

    #[test]
    fn a_deployment_under_way_is_followed_and_not_pushed_twice() {
        assert!(matches!(decide("app", None, None, &[deployment("d", "building")]), Ok(Next::Wait(_))));
        assert!(matches!(decide("app", None, None, &[deployment("d", "success")]), Ok(Next::Done(_))));
    }
}
