//! Deployments: queued, built, pushed to the registry, started, and only then routed to.
//!
//! The plane does the work and says how it failed; here is the vendor's story of it. A dropped future aborts its deployment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{amounts, cron, environment_of, pages};
use crate::paas::api::new_type;
use crate::paas::state::{App, Deployment};
use crate::paas::{Paas, stream, view};
use crate::plane::runner::{DeployFailure, Release};
use crate::plane::{Branch, LogSink, Turn};
use crate::world::{Fault, World};

pub(super) mod fetch;

/// World time from a deployment's turn to the end of each step, at least: what has no real work behind it here takes time too.
const QUEUED: Duration = Duration::from_secs(1);
const BUILDING: Duration = Duration::from_secs(21);
const PUSHING: Duration = Duration::from_secs(29);
const STARTING: Duration = Duration::from_secs(33);
/// How often a deployment that is held looks whether its app is still there.
const HELD_LOOK: Duration = Duration::from_millis(100);

const OVERTAKEN: &str =
    "the branch was moved by another push while this one waited for its turn: fetch, then push again";

/// What is deployed.
#[derive(Debug, Clone)]
pub(in crate::paas) enum Code {
    /// A commit of a repository on this machine, and the branch that a push makes of it.
    Commit { repository: PathBuf, commit: String, branch: Option<Branch> },
    /// A gzip tar somewhere.
    Archive { url: String },
}

impl Code {
    /// Whether git would refuse the push after all: another one moved the branch while this one waited for its turn.
    async fn is_overtaken(&self, world: &World) -> bool {
        let Self::Commit { repository, branch: Some(branch), .. } = self else { return false };
        crate::plane::ssh::is_as_seen(world, repository, branch).await.is_ok_and(|same| !same)
    }
}

/// A new deployment of `app` in the queue: its id.
pub(in crate::paas) fn enqueue(
    paas: &Paas,
    app: &str,
    pusher: &str,
    kind: &str,
    git_ref: Option<String>,
) -> Option<String> {
    let id = paas.world.ids.uuid().to_string();
    let (created_at, world_date) = (paas.world.clock.wall(), paas.today());
    let mut state = paas.state();
    let found = state.app_mut(app)?;
    let previous = found.deployments.iter().rev().find(|one| one.status == "success");
    found.deployments.push(Deployment {
        id: id.clone(),
        status: "queued".into(),
        kind: kind.into(),
        git_ref,
        previous_git_ref: previous.and_then(|one| one.git_ref.clone()),
        pusher: pusher.into(),
        output: String::new(),
        created_at,
        world_date,
        finished_at: None,
        postdeploy: None,
    });
    let found = state.app(app)?;
    let shown = view::deployment(paas, &state, found, found.deployments.last()?);
    paas.streams.tell(&found.id, &stream::new(&id, &shown));
    paas.streams.tell(&found.id, &stream::status(&id, "queued"));
    Some(id)
}

/// Runs a deployment that nobody waits for.
pub(in crate::paas) async fn detached(paas: Arc<Paas>, app: String, id: String, code: Code) {
    if let Err(error) = run(&paas, &app, &id, code, None, Pace::Vendor).await {
        tracing::info!(app, error, "deployment failed");
    }
}

/// How long the steps take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::paas) enum Pace {
    /// As at the vendor, in world time.
    Vendor,
    /// No longer than the work itself: for seeding.
    Instant,
}

/// Runs the queued deployment `id` of `app` to its end, telling `follower`: the turn, which others wait for. `Err` is a line for
/// whoever pushed.
pub(in crate::paas) async fn run(
    paas: &Arc<Paas>,
    app: &str,
    id: &str,
    code: Code,
    follower: Option<LogSink>,
    pace: Pace,
) -> Result<Turn, String> {
    let mut end = End { paas: Arc::clone(paas), app: app.to_owned(), id: id.to_owned(), status: "aborted" };
    let owner = paas.with_app(app, |app| app.owner.clone()).ok_or("the app is gone")?;
    let turn = paas.lanes.of_app(app).lock_owned().await;
    let before = paas.serving(app);
    let slots = paas.lanes.of_owner(&owner);
    let _slot = slots.acquire().await.map_err(|error| error.to_string())?;
    let (log, drained) = paas.keep_log(app, id, follower);
    let step = Step { paas, app, id, log: &log, pace, begun: paas.world.clock.elapsed() };
    if code.is_overtaken(&paas.world).await {
        step.say(&format!(" !     {OVERTAKEN}"));
        drop(log);
        drained.await.unwrap_or_default();
        note(paas, app, id, false, &before);
        return Err(OVERTAKEN.into());
    }
    let result = step.all(code).await;
    if let Err(failure) = &result {
        step.say(&format!(" !     {}", told(failure).1));
    }
    drop(log);
    // The last lines are in the output before the status says that there are no more.
    drained.await.unwrap_or_default();
    end.status = result.as_ref().map_or_else(|failure| told(failure).0, |()| "success");
    // With its end written down in the state: the version that serves is told from there.
    drop(end);
    if pace == Pace::Vendor {
        note(paas, app, id, result.is_ok(), &before);
    }
    result.map(|()| turn).map_err(|failure| {
        let (status, text) = told(&failure);
        format!("deployment failed: {status}: {text}")
    })
}

/// Writes a deployment's end down, named by where the code came from.
fn note(paas: &Paas, app: &str, id: &str, ended_well: bool, before: &serde_json::Value) {
    let of = |app: &mut App| app.deployment_mut(id).map(|one| (one.kind.clone(), one.pusher.clone()));
    let Some((kind, pusher)) = paas.with_app(app, of).flatten() else { return };
    let call = if kind == "archive" { "deploy archive" } else { "deploy" };
    paas.note_work(call, &pusher, app, ended_well, before);
}

/// The vendor's word for a failure, and what it said.
fn told(failure: &DeployFailure) -> (&'static str, &str) {
    match failure {
        DeployFailure::Build(text) => ("build-error", text),
        DeployFailure::Crashed(text) => ("crashed-error", text),
        DeployFailure::Timeout(text) => ("timeout-error", text),
        DeployFailure::Hook(text) => ("hook-error", text),
    }
}

/// Writes the final status, however the deployment ends: `aborted` if nobody says otherwise.
struct End {
    paas: Arc<Paas>,
    app: String,
    id: String,
    status: &'static str,
}

impl Drop for End {
    fn drop(&mut self) {
        let now = self.paas.world.clock.wall();
        self.paas.with_app(&self.app, |app| {
            conclude(app, &self.id, self.status, now);
            // Under the state's lock: who subscribes sees the status or is told of it.
            self.paas.streams.tell(&app.id, &stream::status(&self.id, self.status));
        });
        self.paas.witness_deployment(&self.app, &self.id);
    }
}

/// The state of an app after its deployment ended so.
fn conclude(app: &mut App, id: &str, status: &str, now: chrono::DateTime<chrono::Utc>) {
    let Some(deployment) = app.deployment_mut(id) else { return };
    status.clone_into(&mut deployment.status);
    deployment.finished_at = Some(now);
    let pusher = deployment.pusher.clone();
    if status == "success" {
        app.last_deployed_at = Some(now);
        app.last_deployed_by = Some(pusher);
        app.last_deployment = Some(id.to_owned());
        app.resting_status().clone_into(&mut app.status);
    }
    app.updated_at = now;
}

struct Step<'a> {
    paas: &'a Arc<Paas>,
    app: &'a str,
    id: &'a str,
    log: &'a LogSink,
    pace: Pace,
    begun: Duration,
}

impl Step<'_> {
    async fn all(&self, code: Code) -> Result<(), DeployFailure> {
        self.say(&format!("-----> Deployment of {} queued", self.app));
        self.wait(QUEUED).await;
        self.enter("building");
        self.wait(BUILDING).await;
        self.rejected("build").await?;
        // Gone again, unless it comes to serve: also where the deployment is aborted.
        let source = self.paas.plane.runner.source(self.app, self.id)?;
        let release = self.build(code).await?;
        self.enter("pushing");
        self.wait(PUSHING).await;
        self.enter("starting");
        self.wait(STARTING).await;
        self.rejected("deploy").await?;
        let started = self.start(release).await;
        // Its containers have it now: it goes when they have ended.
        source.keep();
        started?;
        self.say(&format!("<-- https://{}.{} -->", self.app, crate::paas::DEFAULT_DOMAIN));
        Ok(())
    }

    async fn build(&self, code: Code) -> Result<Release, DeployFailure> {
        let runner = &self.paas.plane.runner;
        let dir = match code {
            Code::Commit { repository, commit, .. } => {
                runner.checkout(self.app, self.id, &repository, &commit).await?
            }
            Code::Archive { url } => {
                let tarball = self.paas.sources.join(format!("{}.deploy.tar.gz", self.id));
                fetch::fetch(self.paas, &url, &tarball).await.map_err(DeployFailure::Build)?;
                let dir = runner.unpack(self.app, self.id, &tarball).await;
                super::demolish::remove_archive(&tarball).await;
                dir?
            }
        };
        let mut env = self.environment()?;
        let version = env.remove("CONTAINER_VERSION").unwrap_or_default();
        env.insert("SOURCE_VERSION".into(), version);
        let release = runner.build(self.app, self.id, dir, &env, self.log).await?;
        if let Ok(tasks) = tokio::fs::read_to_string(release.dir.join(cron::FILE)).await {
            let tasks = cron::parse(&tasks).map_err(DeployFailure::Build)?;
            self.say(&format!("-----> Scheduled tasks: {}", tasks.len()));
        }
        Ok(release)
    }

    /// The first deployment starts one web container, unless the app was scaled before. The process types are the app's once they
    /// serve: a version that fails leaves it those of the one before.
    async fn start(&self, release: Release) -> Result<(), DeployFailure> {
        let ids = &self.paas.world.ids;
        let next = self.with_mine(|app| {
            if let Some(deployment) = app.deployment_mut(self.id) {
                deployment.postdeploy = release.procfile.get("postdeploy").cloned();
            }
            let mut next = app.clone();
            adopt_types(&mut next, &release.procfile, || ids.hex(24));
            next
        });
        let next = next.ok_or_else(gone)?;
        let env = environment_of(&next, Some(self.id));
        self.paas.plane.runner.release(self.app, release, &amounts(&next), &env, self.log).await?;
        pages::show(self.paas, self.app, &env).await;
        self.with_mine(|app| app.formation = next.formation).ok_or_else(gone)
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, DeployFailure> {
        self.with_mine(|app| environment_of(app, Some(self.id))).ok_or_else(gone)
    }

    /// `None` once the app is gone, also if another has its name by now: this deployment is not of that one.
    fn with_mine<T>(&self, work: impl FnOnce(&mut App) -> T) -> Option<T> {
        self.paas.with_app(self.app, |app| app.deployment_mut(self.id).is_some().then(|| work(app))).flatten()
    }

    /// A fault on `verb` makes the deployment end as the fault says.
    async fn rejected(&self, verb: &str) -> Result<(), DeployFailure> {
        let reason = match self.paas.world.faults.take(crate::paas::SERVICE, verb, self.app) {
            Some(Fault::Reject { reason }) => reason,
            Some(Fault::Stall) => return self.held().await,
            Some(Fault::Latency { ms }) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                return Ok(());
            }
            _ => return Ok(()),
        };
        let text = format!("rejected on purpose ({reason})");
        Err(match reason.as_str() {
            "hook-error" => DeployFailure::Hook(text),
            "crashed-error" => DeployFailure::Crashed(text),
            "timeout-error" => DeployFailure::Timeout(text),
            _ => DeployFailure::Build(text),
        })
    }

    /// Stays in its status until its app is removed or the world stops. A later app of the name must not wait for it.
    async fn held(&self) -> Result<(), DeployFailure> {
        while self.with_mine(|_| ()).is_some() {
            tokio::time::sleep(HELD_LOOK).await;
        }
        Err(gone())
    }

    fn enter(&self, status: &str) {
        self.paas.with_app(self.app, |app| {
            if let Some(deployment) = app.deployment_mut(self.id) {
                status.clone_into(&mut deployment.status);
            }
            self.paas.streams.tell(&app.id, &stream::status(self.id, status));
        });
        self.say(&format!("-----> {status}"));
    }

    async fn wait(&self, offset: Duration) {
        if self.pace == Pace::Vendor {
            self.paas.world.clock.sleep_until(self.begun + offset).await;
        }
    }

    fn say(&self, line: &str) {
        // Nobody listens any more: the log is closed.
        self.log.send(line.to_owned()).unwrap_or_default();
    }
}

fn gone() -> DeployFailure {
    DeployFailure::Build("the app is gone".into())
}

/// The process types of the new version: what is gone loses its containers, what is new waits to be scaled.
fn adopt_types(app: &mut App, procfile: &BTreeMap<String, String>, mut id: impl FnMut() -> String) {
    let first = !app.was_deployed();
    let scaled_before = app.formation.iter().any(|kind| kind.name == "web");
    app.formation.retain(|kind| procfile.contains_key(&kind.name));
    for (name, command) in procfile.iter().filter(|(name, _)| *name != "postdeploy") {
        if !app.formation.iter().any(|kind| kind.name == *name) {
            let mut kind = new_type(id(), name);
            kind.amount = u32::from(first && name == "web" && !scaled_before);
            app.formation.push(kind);
        }
        for kind in app.formation.iter_mut().filter(|kind| kind.name == *name) {
            kind.command.clone_from(command);
        }
    }
}

impl Paas {
    /// A sink whose lines go to the deployment's output and to `follower`; the other end tells when all are in.
    fn keep_log(
        self: &Arc<Self>,
        app: &str,
        id: &str,
        follower: Option<LogSink>,
    ) -> (LogSink, oneshot::Receiver<()>) {
        let (log, mut lines) = mpsc::unbounded_channel::<String>();
        let (done, drained) = oneshot::channel();
        let (paas, app, id) = (Arc::clone(self), app.to_owned(), id.to_owned());
        self.world.tasks.spawn("deployment_log", async move {
            while let Some(line) = lines.recv().await {
                paas.with_app(&app, |app| {
                    if let Some(deployment) = app.deployment_mut(&id) {
                        deployment.output.push_str(&line);
                        deployment.output.push('\n');
                    }
                    paas.streams.tell(&app.id, &stream::log(&id, &line));
                });
                if let Some(follower) = &follower {
                    // A follower that went away does not stop the deployment; the SSH server drops it if it wants to.
                    follower.send(line).unwrap_or_default();
                }
            }
            done.send(()).unwrap_or_default();
        });
        (log, drained)
    }
}

#[cfg(test)]
mod tests;
