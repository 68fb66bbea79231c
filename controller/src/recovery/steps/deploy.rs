//! The exact commit, pushed over SSH to the platform's git server, and its deployment followed to success.
//!
//! What the push's exit code says is not believed: the deployment that the platform lists is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reprise_crds::Mode;

use super::{Ctx, Result, StepError, dump, ssh_key};
use crate::providers::git::{self, Commit, GitError, Pushed, is_upload};
use crate::providers::scalingo::deployments::{Deployment, DeploymentStatus};
use crate::providers::scalingo::operations::{Operation, OperationStatus};
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
/// So often the git server may answer a push with something else than a deployment: then a person has to look.
const UNANSWERED: u32 = 3;
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
    let found = look(ctx, Pace::PROVIDER, &observe).await?;
    let newest = found.first();
    if let Some(newest) = newest.filter(|newest| !newest.status.is_finished()) {
        ctx.expect_silence(&newest.id, SILENCE);
    }
    let intent = intent(ctx, app, &commit, newest).await?;
    let judged = intent.detail[JUDGED].as_str();
    // That is no word on the code: it is pushed again.
    let given_up = newest.filter(|newest| newest.status == DeploymentStatus::Aborted);
    let given_up = given_up.map(|newest| newest.id.clone());
    let word = Word::default();
    let act = |()| async {
        word.told(push(ctx, app, &commit).await?);
        Ok(())
    };
    let doubt = !intent.fresh;
    let decide = |seen: &Vec<Deployment>| word.decide(app, given_up.as_deref(), since(judged, seen));
    let driven = drive(ctx, Pace::PROVIDER, doubt, observe, decide, act).await;
    let deployment = driven.map_err(|error| again(ctx, &word, error))?;
    if configured.put_after.as_deref() == Some(deployment.id.as_str()) {
        restarted(ctx, app).await?;
    }
    ctx.saw(&intent, &deployment.id).await?;
    supersede(ctx, app).await?;
    let git = git::version().await.map_err(StepError::failed("asking git for its version"))?;
    let tools = dump::versions([("git", &git)]);
    Ok(Deployed { commit: commit.to_string(), deployment: deployment.id, tools })
}

/// What the git server answered to the last push instead of taking the code. It stands until the next one: the list of deployments may be late.
#[derive(Debug, Default)]
struct Word {
    said: Mutex<Option<String>>,
    /// Whether no deployment was listed at the last look all the same.
    unanswered: AtomicBool,
}

impl Word {
    fn told(&self, said: Option<String>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }

    fn decide(&self, app: &str, given_up: Option<&str>, seen: &[Deployment]) -> Result<Next<(), Deployment>> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unanswered = said.is_some() && fresh(given_up, seen).is_none();
        self.unanswered.store(unanswered, Ordering::Relaxed);
        decide(app, given_up, said, seen)
    }
}

/// A push that led to no deployment is made again by the next attempts: a git server that has a bad moment answers so, too.
fn again(ctx: &Ctx, word: &Word, error: StepError) -> StepError {
    let refused = word.unanswered.load(Ordering::Relaxed) && matches!(error, StepError::Refused { .. });
    let again = refused && ctx.patience.failed(&format!("{}/unanswered", ctx.step)).times < UNANSWERED;
    if again { error.may_pass() } else { error }
}

/// The newest deployment of an app that may come to something, by its id.
pub(super) async fn newest(ctx: &Ctx, app: &str) -> Result<Option<String>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let listed = platform.deployments(app, 1).await;
        listed.map_err(StepError::provider(format!("listing the deployments of {app}")))
    };
    let listed = look(ctx, Pace::PROVIDER, &observe).await?;
    Ok(listed.into_iter().next().filter(|newest| !failed(&newest.status)).map(|newest| newest.id))
}

/// Has the app's processes begin anew, and waits for that: they may have begun with variables that were mended since.
///
/// Source: developer documentation "Environment": a change restarts nothing.
pub(super) async fn restarted(ctx: &Ctx, app: &str) -> Result<()> {
    ctx.doing(SpanKind::Provider, format!("restarting {app}: its variables were changed"));
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let asked = platform.restart(app, None).await;
    let operation = asked.map_err(StepError::provider(format!("restarting {app}")))?;
    let observe = || async {
        let found = platform.operation(app, &operation).await;
        found.map_err(StepError::provider(format!("following the restart of {app}")))
    };
    let decide = |seen: &Option<Operation>| begun_anew(app, seen.as_ref());
    drive(ctx, Pace::PROVIDER, false, observe, decide, |(): ()| std::future::ready(Ok(()))).await
}

fn begun_anew(app: &str, seen: Option<&Operation>) -> Result<Next<(), ()>> {
    match seen.map(|operation| &operation.status) {
        Some(OperationStatus::Done) => Ok(Next::Done(())),
        Some(OperationStatus::Error) => Err(StepError::refused(
            format!("{app} was restarted with the variables that were put, and did not come up"),
            "read its logs in the platform's dashboard, mend the variables, and resume the request",
        )),
        Some(status) => Ok(Next::Wait(format!("the restart of {app} is {status}"))),
        None => Ok(Next::Wait(format!("the restart of {app} is not listed yet"))),
    }
}

/// What the ledger keeps of a push: how often somebody had asked for another try, and the deployment that had failed by then.
const ASKED: &str = "asked";
const JUDGED: &str = "judged";

/// The intent to deploy the commit, with the deployment of it that had failed before. A person who asks for another try has read of that
/// one; whatever fails after it is news, also to an attempt that begins because another one was cut off.
async fn intent(ctx: &Ctx, app: &str, commit: &Commit, newest: Option<&Deployment>) -> Result<LedgerRow> {
    let asked = ctx.tools.store.asked_again(&ctx.run.request, &ctx.step.to_string()).await?;
    let judged = newest.filter(|newest| failed(&newest.status)).map(|newest| newest.id.as_str());
    let detail = serde_json::json!({ ASKED: asked, JUDGED: judged });
    let intend = || ctx.intend("deployment", commit.as_str(), Some(app), detail.clone());
    let known = intend().await?;
    if is_of(&known, asked) {
        return Ok(known);
    }
    ctx.gone(&known).await?;
    // What the earlier push led to may be there still: nothing is known to be fresh.
    Ok(LedgerRow { fresh: false, ..intend().await? })
}

/// Whether nobody has asked for another try since that push was intended. An earlier release did not write it down.
fn is_of(row: &LedgerRow, asked: i32) -> bool {
    row.detail[ASKED].as_i64().unwrap_or_default() == i64::from(asked)
}

/// The deployments that are newer than the one that was judged.
fn since<'a>(judged: Option<&str>, seen: &'a [Deployment]) -> &'a [Deployment] {
    let end = judged.and_then(|judged| seen.iter().position(|one| one.id == judged));
    &seen[..end.unwrap_or(seen.len())]
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

/// `given_up`: the deployment that the platform had given up before this attempt began. `said`: what the git server answered to the last push
/// instead of taking the code; the list of deployments may be late all the same. `seen`: deployments of it that nobody was told of, newest first.
fn decide(
    app: &str,
    given_up: Option<&str>,
    said: Option<String>,
    seen: &[Deployment],
) -> Result<Next<(), Deployment>> {
    let Some(deployment) = fresh(given_up, seen) else {
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
        DeploymentStatus::Aborted if abandoned(seen) < GIVEN_UP => Err(StepError::Failed {
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

/// The newest deployment, unless another push is to follow it.
fn fresh<'a>(given_up: Option<&str>, seen: &'a [Deployment]) -> Option<&'a Deployment> {
    let often = abandoned(seen) >= GIVEN_UP;
    seen.first().filter(|deployment| often || given_up != Some(deployment.id.as_str()))
}

/// How many of the newest deployments, one after the other, came to no end of their own.
fn abandoned(seen: &[Deployment]) -> usize {
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
    // A key that was registered a moment ago may not be known at the door yet.
    let connect = || async {
        let prepared = Identity::prepare(&config, &ctx.run.dir).await;
        prepared.map_err(StepError::failed("connecting to the platform's git server"))
    };
    let identity = look(ctx, Pace::PROVIDER, connect).await?;
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
mod tests;
