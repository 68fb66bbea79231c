//! One container: a process that is started, watched, restarted when it ends by itself, and stopped when it is told so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::disk::Disk;
use super::environment::{self, Identity};
use super::groups::{Group, Groups};
use super::logs::Logs;
use super::output::Output;
use super::ports::{Port, Ports};
use super::{CONTAINERS, Container, world_or_wall};
use crate::world::World;

/// The process type that gets a port and connections.
pub(crate) const WEB: &str = "web";
/// The one that gets a port and, by TCP, connections.
const TCP: &str = "tcp";
/// A process without a port is held for booted when it still lives after this. Counted from when its program was started.
const SETTLED: Duration = Duration::from_millis(500);
const PROBE_PERIOD: Duration = Duration::from_millis(50);
/// Waits between restarts: doubling, in world time, with a floor of the wall's.
const FIRST_RESTART: Duration = Duration::from_secs(1);
const LAST_RESTART: Duration = Duration::from_mins(5);
const RESTART_FLOOR: Duration = Duration::from_secs(1);

/// What is started.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) app: String,
    /// The name of its app's log.
    pub(super) book: String,
    pub(super) kind: String,
    pub(super) index: u32,
    pub(super) command: String,
    pub(super) dir: PathBuf,
    pub(super) env: BTreeMap<String, String>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Its disk is laid out: no program of the app's runs yet.
    Preparing,
    Starting,
    Running,
    /// Ended by itself; the text says how, with its last output.
    Crashed(String),
    Stopping,
    Stopped,
}

impl State {
    fn is_booting(&self) -> bool {
        matches!(self, Self::Preparing | Self::Starting)
    }
}

#[derive(Debug, Clone)]
struct Life {
    state: State,
    pid: u32,
    port: Option<u16>,
    started_at: DateTime<Utc>,
}

/// A container that lives. Dropping it asks it to stop.
#[derive(Debug)]
pub(super) struct Handle {
    spec: Arc<Spec>,
    life: watch::Receiver<Life>,
    stop: DropGuard,
}

/// What every container of a runner shares.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) world: Arc<World>,
    pub(super) groups: Arc<Groups>,
    pub(super) ports: Arc<Ports>,
    pub(super) logs: Arc<Logs>,
}

impl Handle {
    /// Starts a container and its supervision.
    pub(super) fn start(ground: Ground, spec: Spec) -> Self {
        let born =
            Life { state: State::Preparing, pid: 0, port: None, started_at: ground.world.clock.wall() };
        let (sender, life) = watch::channel(born);
        let (spec, stop) = (Arc::new(spec), CancellationToken::new());
        let supervisor = Supervisor { ground, spec: Arc::clone(&spec), life: sender, stop: stop.clone() };
        let tasks = supervisor.ground.world.tasks.clone();
        tasks.spawn("container", supervisor.supervise());
        Self { spec, life, stop: stop.drop_guard() }
    }

    pub(super) fn kind(&self) -> &str {
        &self.spec.kind
    }

    pub(super) fn index(&self) -> u32 {
        self.spec.index
    }

    pub(super) fn describe(&self) -> Container {
        let life = self.life.borrow();
        let state = match life.state {
            State::Preparing | State::Starting => "starting",
            State::Running => "running",
            State::Crashed(_) => "crashed",
            State::Stopping | State::Stopped => "stopping",
        };
        Container {
            kind: self.spec.kind.clone(),
            index: self.spec.index,
            state: state.into(),
            started_at: life.started_at,
            pid: life.pid,
        }
    }

    /// The port, once connections are accepted there.
    pub(super) fn serving_port(&self) -> Option<u16> {
        let life = self.life.borrow();
        life.port.filter(|_| life.state == State::Running)
    }

    /// What is wrong with how it listens, if it does and nobody can connect.
    pub(super) async fn hint(&self) -> Option<String> {
        let port = { self.life.borrow().port }?;
        let (there, here) = (
            TcpStream::connect((CONTAINERS, port)).await.is_ok(),
            TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await.is_ok(),
        );
        let label = format!("{}-{}", self.spec.kind, self.spec.index);
        (here && !there).then(|| format!("{label} listens on 127.0.0.1 only: it has to bind 0.0.0.0"))
    }

    /// Waits until the container's program was started, or will not be.
    pub(super) async fn prepared(&self) {
        let mut life = self.life.clone();
        life.wait_for(|life| life.state != State::Preparing).await.map(drop).ok();
    }

    /// Waits until the container runs; the error says how it ended instead.
    pub(super) async fn booted(&self) -> Result<(), String> {
        let mut life = self.life.clone();
        let settled = life.wait_for(|life| !life.state.is_booting()).await;
        match settled.map(|life| life.state.clone()) {
            Ok(State::Running) => Ok(()),
            Ok(State::Crashed(reason)) => Err(format!("{}-{} {reason}", self.spec.kind, self.spec.index)),
            _ => Err(format!("{}-{} was stopped while it booted", self.spec.kind, self.spec.index)),
        }
    }

    /// As [`booted`](Self::booted), but waits through `tries` ends.
    pub(super) async fn booted_after(&self, tries: u32) -> Result<(), String> {
        let mut life = self.life.clone();
        for _ in 1..tries {
            let state = life.wait_for(|life| !life.state.is_booting()).await;
            if !matches!(state.map(|life| life.state.clone()), Ok(State::Crashed(_))) {
                break;
            }
            // The supervisor starts it again after a while.
            life.wait_for(|life| !matches!(life.state, State::Crashed(_))).await.map(drop).ok();
        }
        self.booted().await
    }

    /// SIGTERM, a while, SIGKILL; returns when nothing of it is left.
    pub(super) async fn stop(&self) {
        // The guard has no way to fire early: its token does.
        self.stop.token().cancel();
        let mut life = self.life.clone();
        // An error means that the supervisor is gone, and its processes with it.
        life.wait_for(|life| life.state == State::Stopped).await.map(drop).ok();
    }
}

struct Supervisor {
    ground: Ground,
    spec: Arc<Spec>,
    life: watch::Sender<Life>,
    stop: CancellationToken,
}

/// A process that was started.
struct Process {
    child: Child,
    group: Option<Group>,
    port: Option<Port>,
    output: Output,
    /// Each start has a new one.
    disk: Disk,
}

impl Supervisor {
    async fn supervise(self) {
        let mut wait = FIRST_RESTART;
        loop {
            let (ran, ended) = self.live_once().await;
            let Some(reason) = ended else { break };
            tracing::info!(app = self.spec.app, kind = self.spec.kind, reason, "container ended");
            self.enter(State::Crashed(reason));
            wait = if ran { FIRST_RESTART } else { (wait * 2).min(LAST_RESTART) };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = world_or_wall(&self.ground.world, wait, RESTART_FLOOR) => {}
            }
        }
        self.life.send_modify(|life| {
            life.state = State::Stopped;
            (life.pid, life.port) = (0, None);
        });
    }

    /// One process from start to end: whether it ever ran, and how it ended by itself, if it did.
    async fn live_once(&self) -> (bool, Option<String>) {
        let mut process = match self.spawn() {
            Ok(process) => process,
            Err(error) => return (false, Some(format!("could not be started: {error}"))),
        };
        let port = process.port.as_ref().map(Port::number);
        self.life.send_replace(Life {
            state: State::Preparing,
            pid: process.child.id().unwrap_or(0),
            port,
            started_at: self.ground.world.clock.wall(),
        });
        let mut ran = false;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    self.enter(State::Stopping);
                    process.stop(&self.ground.world).await;
                    return (ran, None);
                }
                status = process.child.wait() => {
                    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    return (ran, Some(format!("ended ({how}){}", process.output.last_words().await)));
                }
                () = self.ready(&process.disk, port), if !ran => {
                    ran = true;
                    self.enter(State::Running);
                }
            }
        }
    }

    /// Resolves when the port accepts connections; without a port, when the program had time to fail.
    async fn ready(&self, disk: &Disk, port: Option<u16>) {
        disk.laid().await;
        self.enter(State::Starting);
        let Some(port) = port else { return tokio::time::sleep(SETTLED).await };
        while TcpStream::connect((CONTAINERS, port)).await.is_err() {
            tokio::time::sleep(PROBE_PERIOD).await;
        }
    }

    fn enter(&self, state: State) {
        self.life.send_modify(|life| life.state = state);
    }

    fn spawn(&self) -> std::io::Result<Process> {
        let (spec, world) = (&self.spec, self.ground.world.dir());
        let port =
            if matches!(spec.kind.as_str(), WEB | TCP) { Some(self.ground.ports.take()?) } else { None };
        let container = format!("{}-{}", spec.kind, spec.index);
        let disk = Disk::new(&self.ground.world, &spec.dir)?;
        let mut command = disk.command(&["/bin/sh", "-c", &spec.command], &[]);
        let port_number = port.as_ref().map(Port::number);
        let identity =
            Identity { app: &spec.app, container: Some(&container), dir: &spec.dir, port: port_number };
        environment::apply(&mut command, world, identity, &spec.env);
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let group = child.id().map(|leader| self.ground.groups.adopt(leader));
        let output = Output::of(&mut child, &self.ground, &spec.book, &container);
        Ok(Process { child, group, port, output, disk })
    }
}

impl Process {
    async fn stop(&mut self, world: &World) {
        if let Some(group) = &self.group {
            group.signal(Signal::SIGTERM);
        }
        tokio::select! {
            _ = self.child.wait() => {}
            () = tokio::time::sleep(world.limits().grace) => {}
        }
        // Kills what is left.
        self.group = None;
        self.child.wait().await.map(drop).ok();
    }
}
