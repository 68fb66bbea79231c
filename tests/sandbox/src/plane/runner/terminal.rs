//! A pseudo-terminal for an attached one-off: what the process sees as its terminal, and our two ends of it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::unistd::ttyname;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::Command;

/// Until the client says how large its own is.
const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// Our side of a pseudo-terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    /// What the process prints.
    pub(super) screen: Receiver,
    /// What is typed.
    pub(super) keyboard: Sender,
    /// How `stty` reaches it.
    pub(super) device: PathBuf,
}

/// A new terminal, and the other side as the three streams of a process.
pub(super) fn open() -> std::io::Result<(Terminal, [Stdio; 3])> {
    let OpenptyResult { master, slave } = openpty(Some(&SIZE), None)?;
    for end in [&master, &slave] {
        // Neither end may leak into other children.
        fcntl(end, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    }
    fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let device = ttyname(&slave)?;
    let second: OwnedFd = master.try_clone()?;
    // Not pipes, but as pollable as pipes.
    let terminal = Terminal {
        screen: Receiver::from_owned_fd_unchecked(master)?,
        keyboard: Sender::from_owned_fd_unchecked(second)?,
        device,
    };
    let slave = File::from(slave);
    let streams = [slave.try_clone()?.into(), slave.try_clone()?.into(), slave.into()];
    Ok((terminal, streams))
}

/// Tells the terminal `device` its size; the processes on it hear of it.
pub(super) async fn resize(device: &std::path::Path, columns: u16, rows: u16) -> bool {
    let mut stty = Command::new("stty");
    stty.arg("-F").arg(device).args(["cols", &columns.to_string(), "rows", &rows.to_string()]);
    stty.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    stty.status().await.is_ok_and(|status| status.success())
}
