//! One-off containers: one command on the files of the app's release, attached to somebody's terminal or left to itself.
//!
//! An attached one gets a real pseudo-terminal, as at the vendor: its output has `\r\n`, what is typed is echoed unless the
//! program says otherwise, and the byte 4 is the end of input. It starts when somebody attaches, so that files can be sent before.
//! A detached one starts at once and prints into the app's log.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Runner;
use super::container::Ground;
use super::disk::Disk;
use super::environment::{self, Identity};
use super::groups::Group;
use super::output::Output;
use super::terminal::{self, Terminal};
use super::tools;

/// The vendor's own client loses what arrives together with the answer to its `CONNECT`.
const PAUSE: Duration = Duration::from_millis(300);
/// What a program printed just before its end is still read.
const LAST_WORDS: Duration = Duration::from_secs(1);
const CHUNK: usize = 16 * 1024;
/// Where the container sees what was sent to it.
const UPLOADS: &str = "/tmp/uploads";
/// The exit code of what SIGTERM ended.
const TERMINATED: i32 = 128 + Signal::SIGTERM as i32;
/// The end of input, typed.
const END_OF_INPUT: u8 = 4;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Order {
    /// `one-off-1234`.
    pub label: String,
    /// For `/bin/sh -c`.
    pub command: String,
    /// The app's variables and those of this order.
    pub env: BTreeMap<String, String>,
}

/// How a one-off ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself or by a signal (128 and its number).
    Code(i32),
    /// Killed because nothing was said for too long.
    Idle,
}

/// One container.
#[derive(Debug)]
pub struct OneOff {
    ground: Ground,
    app: String,
    book: String,
    dir: PathBuf,
    uploads: PathBuf,
    order: Order,
    claimed: AtomicBool,
    now: Mutex<Now>,
    stop: CancellationToken,
    ended: watch::Sender<Option<Exit>>,
}

/// What there is while it runs.
#[derive(Debug, Default)]
struct Now {
    group: Option<Group>,
    device: Option<PathBuf>,
    /// Goes after the processes that work on it.
    _disk: Option<Disk>,
}

impl Runner {
    /// A container for `order` on the release of `app` that serves now; `None` if it was never deployed.
    pub fn one_off(&self, name: &str, order: Order) -> Option<Arc<OneOff>> {
        let app = self.app(name);
        let dir = app.now().release.as_ref()?.dir.clone();
        let uploads = self.world.folder("uploads").ok()?.join(uuid::Uuid::new_v4().to_string());
        let one_off = Arc::new(OneOff {
            ground: self.ground(),
            app: name.to_owned(),
            book: app.folder.clone(),
            dir,
            uploads,
            order,
            claimed: AtomicBool::new(false),
            now: Mutex::default(),
            stop: CancellationToken::new(),
            ended: watch::Sender::new(None),
        });
        app.one_offs.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&one_off));
        // One that nobody attaches to ends as well.
        let (tasks, idle) = (self.world.tasks.clone(), Arc::clone(&one_off));
        tasks.spawn("one-off", async move { idle.expire_unclaimed().await });
        Some(one_off)
    }
}

impl OneOff {
    /// The folder for files that are sent before it starts.
    pub fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits for its end.
    pub async fn ended(&self) -> Exit {
        let mut ended = self.ended.subscribe();
        let exit = ended.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
        exit.unwrap_or(Exit::Code(-1))
    }

    /// SIGTERM, then SIGKILL; one that has not started never does.
    pub fn stop(&self) {
        self.stop.cancel();
        if self.claim() {
            self.finish(Exit::Code(TERMINATED));
        }
    }

    /// Sends a signal to all its processes.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = &self.now().group {
            group.signal(signal);
        }
    }

    /// Tells its terminal the size of the client's.
    pub async fn resize(&self, columns: u16, rows: u16) -> bool {
        let device = self.now().device.clone();
        match device {
            Some(device) => terminal::resize(&device, columns, rows).await,
            // Not attached yet: there is nothing to resize.
            None => true,
        }
    }

    /// Makes it the caller's to run: true once.
    pub fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::SeqCst)
    }

    /// Gives up what was [claimed](Self::claim) before it began.
    pub fn abandon(&self) {
        self.finish(Exit::Code(-1));
    }

    /// Runs what was [claimed](Self::claim) on a terminal whose other end is `stream`.
    pub async fn attach(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        tokio::select! {
            () = self.stop.cancelled() => {
                self.finish(Exit::Code(TERMINATED));
                stream.shutdown().await.ok();
                return;
            }
            () = tokio::time::sleep(PAUSE) => {}
        }
        let exit = match self.on_terminal(&mut stream).await {
            Ok(exit) => exit,
            Err(error) => {
                let line = format!("the container could not be started: {error}\r\n");
                stream.write_all(line.as_bytes()).await.ok();
                Exit::Code(127)
            }
        };
        self.finish(exit);
        stream.shutdown().await.ok();
    }

    /// Runs what was [claimed](Self::claim) with its output in the app's log.
    pub async fn detach(&self) {
        let started =
            self.command(&["/bin/sh", "-c", &self.order.command]).and_then(|(mut command, disk)| {
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
                Ok((command.spawn()?, disk))
            });
        let exit = match started {
            Ok((mut child, disk)) => {
                self.keep(&child, None, disk);
                let output = Output::of(&mut child, &self.ground, &self.book, &self.order.label);
                let code = self.watched(&mut child).await;
                output.finished().await;
                code
            }
            Err(error) => {
                let line = format!("the container could not be started: {error}");
                self.ground.logs.write(&self.book, &self.order.label, &line);
                127
            }
        };
        self.finish(Exit::Code(exit));
    }

    async fn on_terminal(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<Exit> {
        let (terminal, [stdin, stdout, stderr]) = terminal::open()?;
        let (mut child, disk) = {
            // The streams of the other side close with the command: else the terminal would never end.
            let (mut command, disk) =
                self.command(&["setsid", "-c", "/bin/sh", "-c", &self.order.command])?;
            command.stdin(stdin).stdout(stdout).stderr(stderr);
            (command.spawn()?, disk)
        };
        self.keep(&child, Some(terminal.device.clone()), disk);
        let Terminal { mut screen, mut keyboard, .. } = terminal;
        let (mut typed, mut shown) = tokio::io::split(stream);
        let (active, mut activity) = watch::channel(());
        let typing = async {
            copy(&mut typed, &mut keyboard, &active).await;
            keyboard.write_all(&[END_OF_INPUT]).await.ok();
            std::future::pending::<()>().await;
        };
        let showing = copy(&mut screen, &mut shown, &active);
        tokio::pin!(showing);
        let idle = async {
            while tokio::select! {
                changed = activity.changed() => changed.is_ok(),
                () = tokio::time::sleep(self.ground.world.limits().silence) => false,
            } {}
        };
        let mut shown_all = false;
        let code = tokio::select! {
            code = self.watched(&mut child) => Some(code),
            hung_up = &mut showing => {
                shown_all = true;
                // Either all its processes have closed the terminal, or the client is gone: then so is its line.
                if hung_up == Ended::Writing {
                    self.signal(Signal::SIGHUP);
                }
                Some(self.watched(&mut child).await)
            }
            () = typing => None,
            () = idle => None,
        };
        match code {
            Some(code) => {
                if !shown_all {
                    tokio::time::timeout(LAST_WORDS, showing).await.ok();
                }
                Ok(Exit::Code(code))
            }
            None => Ok(Exit::Idle),
        }
    }

    /// The command in the world's namespace, and the disk that it is to run on: the release's files, and what was sent.
    fn command(&self, words: &[&str]) -> std::io::Result<(Command, Disk)> {
        let disk = Disk::new(&self.ground.world, &self.dir)?;
        let sent = self.uploads.is_dir().then_some((self.uploads.as_path(), UPLOADS));
        let mut command = disk.command(words, sent.as_slice());
        let identity =
            Identity { app: &self.app, container: Some(&self.order.label), dir: &self.dir, port: None };
        environment::apply(&mut command, self.ground.world.dir(), identity, &self.order.env);
        let path = self.order.env.get("PATH").map_or_else(environment::search_path, Into::into);
        command.env("PATH", tools::path(&self.ground.world, &self.dir, &path)?);
        Ok((command, disk))
    }

    fn keep(&self, child: &Child, device: Option<PathBuf>, disk: Disk) {
        let group = child.id().map(|leader| self.ground.groups.adopt(leader));
        *self.now() = Now { group, device, _disk: Some(disk) };
    }

    /// The exit code of `child`, which is ended when this container is to stop.
    async fn watched(&self, child: &mut Child) -> i32 {
        let status = tokio::select! {
            status = child.wait() => status,
            () = self.stop.cancelled() => {
                // The process itself, too: it may not lead its group yet.
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM).ok();
                }
                self.signal(Signal::SIGTERM);
                // Shells on a terminal do not listen to the other.
                self.signal(Signal::SIGHUP);
                tokio::select! {
                    status = child.wait() => status,
                    () = tokio::time::sleep(self.ground.world.limits().grace) => {
                        self.signal(Signal::SIGKILL);
                        child.wait().await
                    }
                }
            }
        };
        status.map_or(-1, code)
    }

    async fn expire_unclaimed(&self) {
        tokio::time::sleep(self.ground.world.limits().silence).await;
        if self.claim() {
            self.finish(Exit::Idle);
        }
    }

    fn finish(&self, exit: Exit) {
        // What is left of its group is killed.
        *self.now() = Now::default();
        std::fs::remove_dir_all(&self.uploads).ok();
        self.ended.send_replace(Some(exit));
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Which side a copy ended on.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Reading,
    Writing,
}

/// Copies until one side ends, and tells each time that something moved.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    active: &watch::Sender<()>,
) -> Ended {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk).await {
            // A terminal whose other side is closed says so by an error.
            Ok(0) | Err(_) => return Ended::Reading,
            Ok(read) => {
                active.send_replace(());
                if to.write_all(&chunk[..read]).await.is_err() || to.flush().await.is_err() {
                    return Ended::Writing;
                }
            }
        }
    }
}
