//! An app's processes, started from its Procfile in the world's namespace.
//!
//! A release boots beside the one that serves; only when its web containers accept connections and its `postdeploy` hook has
//! ended well does routing switch, and the old containers are told to stop. Every failure leaves the old ones serving.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::platform::LogSink;
use crate::world::World;

mod build;
mod container;
mod departed;
mod disk;
mod environment;
pub(crate) mod groups;
mod life;
pub mod logs;
pub mod oneoff;
mod output;
pub(crate) mod ports;
mod procfile;
mod release;
mod source;
mod terminal;
#[cfg(test)]
mod tests;
mod tools;

use container::Handle;
pub(crate) use container::WEB;
pub(crate) use departed::Departed;
use groups::Groups;
pub(crate) use life::SavedApp;
use logs::{Filter, Line, Logs};
use ports::Ports;
pub use source::Source;
pub(crate) use source::lay_out_archive;

/// A running or starting process of an app, as the platform lists it.
#[derive(Debug, Clone)]
pub struct Container {
    /// `web`, `worker`, `postdeploy`, … (its name in the Procfile).
    pub kind: String,
    /// From 1 within its kind.
    pub index: u32,
    /// `starting`, `running`, `crashed` or `stopping`.
    pub state: String,
    /// Wall time of the last start.
    pub started_at: DateTime<Utc>,
    /// The process id, 0 while there is none.
    pub pid: u32,
}

/// Process type → amount.
pub type Formation = BTreeMap<String, u32>;

/// A built source tree that can be started.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Release {
    /// The deployment that made it.
    pub deployment: String,
    /// Where its files are: the working folder of its processes.
    pub dir: PathBuf,
    /// Process type → shell command.
    pub procfile: BTreeMap<String, String>,
}

/// Why a deployment failed, by the platform's four final states; the text is a line for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeployFailure {
    /// `build-error`.
    #[error("{0}")]
    Build(String),
    /// `crashed-error`: a container ended while it booted.
    #[error("{0}")]
    Crashed(String),
    /// `timeout-error`: a web container did not listen in time, or a limit on the duration was reached.
    #[error("{0}")]
    Timeout(String),
    /// `hook-error`: the `postdeploy` command failed; the old version serves on.
    #[error("{0}")]
    Hook(String),
}

/// All processes of all apps of one sandbox.
pub struct Runner {
    world: Arc<World>,
    groups: Arc<Groups>,
    ports: Arc<Ports>,
    logs: Arc<Logs>,
    apps: Mutex<BTreeMap<String, Arc<App>>>,
    /// Those that are being cleared away.
    departed: Mutex<Vec<Weak<App>>>,
}

/// One app's processes.
#[derive(Default)]
struct App {
    /// Where its files lie, and the name of its log: the app's first name, whatever it is called later.
    folder: String,
    /// Those that were started and may still run.
    one_offs: Mutex<Vec<Weak<oneoff::OneOff>>>,
    /// One change at a time: held over a whole release, scale or restart.
    turn: tokio::sync::Mutex<()>,
    now: Mutex<Serving>,
}

/// What serves now.
#[derive(Default)]
struct Serving {
    release: Option<Release>,
    formation: Formation,
    containers: Vec<Handle>,
    /// Everything was taken down from outside, and nothing has been brought up since.
    is_down: bool,
}

impl App {
    fn now(&self) -> MutexGuard<'_, Serving> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one-off containers that have not ended.
    fn one_offs(&self) -> Vec<Arc<oneoff::OneOff>> {
        let mut all = self.one_offs.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one_off| one_off.upgrade().is_some_and(|one_off| !one_off.has_ended()));
        all.iter().filter_map(Weak::upgrade).collect()
    }

    /// All processes down, waited for. The release stays.
    async fn stop(&self) {
        // Not in turn: a release that is booting must not delay a disaster. What it brings up later is its own matter.
        let old = std::mem::take(&mut self.now().containers);
        let one_offs = self.one_offs();
        for one_off in &one_offs {
            one_off.stop();
        }
        tokio::join!(
            futures::future::join_all(old.iter().map(Handle::stop)),
            futures::future::join_all(one_offs.iter().map(|one_off| one_off.ended()))
        );
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("apps", &self.apps().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Runner {
    /// A runner without apps.
    pub fn start(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            groups: Arc::new(Groups::start("KILL")),
            ports: Arc::new(Ports::default()),
            logs: Arc::new(Logs::new(world)),
            apps: Mutex::default(),
            departed: Mutex::default(),
        })
    }

    /// Brings the running release to `formation`. Without a release there is nothing to do yet: the formation comes with it.
    pub async fn scale(
        &self,
        name: &str,
        formation: &Formation,
        env: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let app = self.app(name);
        let _turn = app.turn.lock().await;
        let Some(release) = app.now().release.clone() else { return Ok(()) };
        let missing = {
            let now = app.now();
            let running =
                |kind: &str, index| now.containers.iter().any(|c| c.kind() == kind && c.index() == index);
            wanted(&release, formation).filter(|(kind, index)| !running(kind, *index)).collect::<Vec<_>>()
        };
        let fresh = self.boot(name, &release, &missing, env)?;
        self.await_patiently(&fresh).await?;
        let surplus: Vec<Handle> = {
            let mut now = app.now();
            formation.clone_into(&mut now.formation);
            let keep = |c: &Handle| formation.get(c.kind()).is_some_and(|amount| c.index() <= *amount);
            let (kept, surplus) = std::mem::take(&mut now.containers).into_iter().partition(keep);
            now.containers = kept;
            now.containers.extend(fresh);
            now.is_down = false;
            surplus
        };
        self.retire(surplus, None, Vec::new());
        Ok(())
    }

    /// Replaces every container that `scope` names (`web`, `web-1`; empty: all) by a new one with the variables of now.
    pub async fn restart(
        &self,
        name: &str,
        env: &BTreeMap<String, String>,
        scope: &[String],
    ) -> Result<(), String> {
        let app = self.app(name);
        let _turn = app.turn.lock().await;
        let (release, formation) = {
            let now = app.now();
            (now.release.clone(), now.formation.clone())
        };
        let release = release.ok_or_else(|| "the app has never been deployed".to_owned())?;
        let meant = |kind: &str, index: u32| {
            let label = format!("{kind}-{index}");
            scope.is_empty() || scope.iter().any(|name| *name == kind || *name == label)
        };
        let wanted: Vec<_> =
            wanted(&release, &formation).filter(|(kind, index)| meant(kind, *index)).collect();
        let fresh = self.boot(name, &release, &wanted, env)?;
        self.await_patiently(&fresh).await?;
        let old: Vec<Handle> = {
            let mut now = app.now();
            let is_meant = |c: &Handle| meant(c.kind(), c.index());
            let (old, kept) = std::mem::take(&mut now.containers).into_iter().partition(is_meant);
            now.containers = kept;
            now.containers.extend(fresh);
            now.is_down = false;
            old
        };
        self.retire(old, None, Vec::new());
        Ok(())
    }

    /// All processes of the app down, waited for. Its release stays, so that a restart can bring it back.
    pub async fn stop(&self, name: &str) {
        let app = self.app(name);
        app.now().is_down = true;
        app.stop().await;
    }

    /// Whether the app was [stopped](Self::stop), and not brought up again.
    pub fn is_down(&self, name: &str) -> bool {
        self.apps().get(name).is_some_and(|app| app.now().is_down)
    }

    /// The processes of an app, in the order of their start.
    pub fn containers(&self, name: &str) -> Vec<Container> {
        self.app(name).now().containers.iter().map(Handle::describe).collect()
    }

    /// Sends a signal to every process of one container of the formation. `false` if it does not run.
    pub fn signal(&self, name: &str, kind: &str, index: u32, signal: nix::sys::signal::Signal) -> bool {
        let app = self.app(name);
        let now = app.now();
        let container = now.containers.iter().find(|c| c.kind() == kind && c.index() == index);
        let pid = container.map_or(0, |container| container.describe().pid);
        let group = i32::try_from(pid).ok().filter(|pid| *pid > 0).map(nix::unistd::Pid::from_raw);
        group.is_some_and(|group| nix::sys::signal::killpg(group, signal).is_ok())
    }

    /// The ports of the web containers that accept connections. Empty: answer 503.
    pub fn web_ports(&self, name: &str) -> Vec<u16> {
        let apps = self.apps();
        let Some(app) = apps.get(name) else { return Vec::new() };
        let now = app.now();
        now.containers
            .iter()
            .filter(|one| one.kind() == container::WEB)
            .filter_map(Handle::serving_port)
            .collect()
    }

    /// Whether `pid` is a process of an app, or descends from one.
    pub fn owns_process(&self, pid: u32) -> bool {
        self.groups.owns(pid)
    }

    /// The app is called `new` from now on; its processes and files stay what and where they are.
    pub fn rename(&self, old: &str, new: &str) {
        let mut apps = self.apps();
        if let Some(app) = apps.remove(old) {
            apps.insert(new.to_owned(), app);
        }
    }

    /// A small text file of the release that serves.
    pub fn release_file(&self, name: &str, file: &str) -> Option<String> {
        let dir = self.app(name).now().release.as_ref()?.dir.clone();
        std::fs::read_to_string(dir.join(file)).ok()
    }

    /// A line of the platform's own in the log of an app.
    pub fn note(&self, name: &str, label: &str, text: &str) {
        self.logs.write(&self.app(name).folder, label, text);
    }

    /// The newest `count` lines of an app's log that `filter` admits, oldest first.
    pub fn last_lines(&self, name: &str, count: usize, filter: &Filter) -> Vec<Line> {
        self.logs.last(&self.app(name).folder, count, filter)
    }

    /// Every line of an app's log from now on.
    pub fn follow_lines(&self, name: &str) -> tokio::sync::mpsc::UnboundedReceiver<Line> {
        self.logs.follow(&self.app(name).folder)
    }

    fn app(&self, name: &str) -> Arc<App> {
        let mut apps = self.apps();
        if let Some(app) = apps.get(name) {
            return Arc::clone(app);
        }
        // A renamed app may still lie under this name, or one that is being cleared away.
        let taken = apps.values().any(|app| app.folder == name) || self.is_being_left(name);
        let folder =
            if taken { format!("{name}.{}", uuid::Uuid::new_v4().simple()) } else { name.to_owned() };
        let app = Arc::new(App { folder, ..App::default() });
        apps.insert(name.to_owned(), Arc::clone(&app));
        app
    }

    fn apps(&self) -> MutexGuard<'_, BTreeMap<String, Arc<App>>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets containers end in the background, then removes the files that only they and `users` used.
    fn retire(&self, old: Vec<Handle>, dir: Option<PathBuf>, users: Vec<Arc<oneoff::OneOff>>) {
        self.world.tasks.spawn("retired containers", async move {
            futures::future::join_all(old.iter().map(Handle::stop)).await;
            futures::future::join_all(users.iter().map(|one_off| one_off.ended())).await;
            if let Some(dir) = dir {
                source::remove(&dir).await;
            }
        });
    }
}

/// Every container of a formation: kind and index from 1. Types without a command in the Procfile are passed over.
fn wanted(release: &Release, formation: &Formation) -> impl Iterator<Item = (String, u32)> {
    let has_command =
        |(kind, _): &(&String, &u32)| *kind != POSTDEPLOY && release.procfile.contains_key(*kind);
    formation
        .iter()
        .filter(has_command)
        .flat_map(|(kind, amount)| (1..=*amount).map(|index| (kind.clone(), index)))
}

/// Where a container is reached: not at 127.0.0.1, so that one which listens there only is as deaf as on the platform.
pub(crate) const CONTAINERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The process type that runs once a deployment, before routing switches.
const POSTDEPLOY: &str = "postdeploy";

/// `duration` of world time, but not less than `floor` of the wall's: real processes do not start faster in a fast world.
async fn world_or_wall(world: &World, duration: Duration, floor: Duration) {
    tokio::join!(world.clock.sleep(duration), tokio::time::sleep(floor));
}

/// A line for a follower who may have gone.
fn say(log: &LogSink, line: impl Into<String>) {
    drop(log.send(line.into()));
}
