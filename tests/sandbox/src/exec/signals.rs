//! Signals of a process that stands between a shell and the program: they are the program's business, and so is its exit code.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// The signals with which people and supervisors end a program.
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    // From the terminal, the program has these already: it is in the same group. They must only not end us.
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// The next signal that is to be passed on.
    pub(super) async fn next(&mut self) -> Option<Signal> {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Some(Signal::SIGTERM),
                _ = self.hangup.recv() => return Some(Signal::SIGHUP),
                _ = self.interrupt.recv() => {}
                _ = self.quit.recv() => {}
            }
        }
    }
}

/// Gives `signal` to `child`, if it still runs.
pub(super) fn pass_on(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(Err(error)) = pid.map(|pid| kill(Pid::from_raw(pid), signal)) {
        tracing::debug!(%error, "a signal was not passed on");
    }
}

/// The program's exit code; as a shell says it where a signal ended it.
pub(super) fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
