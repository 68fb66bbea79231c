//! Who may run a server on a folder: one living owner, and never beside a server that is still running.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use crate::ClusterError;
use crate::error::io;

/// In the command line of every server of ours, and of no other: what proves that one may be stopped.
pub(crate) const CLUSTER_NAME: &str = "cluster_name=reprise";

const POLL: Duration = Duration::from_millis(20);
/// For how long a process that is ending may still be listed.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// The signals that end a server, each with how long to wait for its effect: fast shutdown (writes a checkpoint),
/// immediate shutdown (recovery at the next start), and the last resort.
pub(crate) const ENDINGS: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_mins(1)),
    (Signal::SIGQUIT, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// Proof that no other process uses the folder; the kernel ends it with our process, however that ends.
#[derive(Debug)]
pub(crate) struct Owner {
    lock: File,
}

impl Drop for Owner {
    /// Said aloud: a program that another thread of ours is just starting has the file as well, until it is one of its own.
    fn drop(&mut self) {
        self.lock.unlock().ok();
    }
}

impl Owner {
    /// Takes the folder, or says who has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, ClusterError> {
        let path = dir.join("owner.lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(&path).map_err(io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {
                write_pid(&mut lock).map_err(io("write", &path))?;
                Ok(Self { lock })
            }
            Err(TryLockError::WouldBlock) => {
                Err(ClusterError::Owned { dir: dir.to_owned(), holder: read_pid(&mut lock) })
            }
            Err(TryLockError::Error(source)) => Err(io("lock", &path)(source)),
        }
    }
}

fn write_pid(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}

fn read_pid(lock: &mut File) -> String {
    let mut text = String::new();
    let read = lock.rewind().and_then(|()| lock.take(32).read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), pid) if !pid.is_empty() => pid.to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Ends what an earlier owner left running on `pgdata`; refuses a server that is not provably ours.
/// Must be called with the folder's [`Owner`] held.
pub(crate) async fn end_survivors(pgdata: &Path) -> Result<(), ClusterError> {
    let Ok(pgdata) = pgdata.canonicalize() else { return Ok(()) };
    let postmaster = postmaster(&pgdata).filter(|pid| processes_in(&pgdata).contains(pid));
    if let Some(pid) = postmaster
        && is_foreign(&pgdata, pid).await
    {
        return Err(ClusterError::Foreign { dir: pgdata, pid: pid.as_raw() });
    }
    for (signal, patience) in ENDINGS {
        let left = processes_in(&pgdata);
        if left.is_empty() {
            return Ok(());
        }
        tracing::info!(processes = left.len(), signal = signal.as_str(), "ending what an earlier owner left");
        // A postmaster ends its children itself; without one they end by themselves, or are asked one by one.
        let asked = postmaster.filter(|pid| left.contains(pid)).map_or(left, |pid| vec![pid]);
        for pid in asked {
            // One that just ended cannot be signalled: what counts is whether it is still there afterwards.
            kill(pid, signal).ok();
        }
        wait_until_none(&pgdata, patience).await;
    }
    if processes_in(&pgdata).is_empty() { Ok(()) } else { Err(ClusterError::Survivor { dir: pgdata }) }
}

async fn wait_until_none(pgdata: &Path, patience: Duration) {
    let deadline = Instant::now() + patience;
    while !processes_in(pgdata).is_empty() && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
    }
}

/// The postmaster that the folder's pid file names, living or not.
fn postmaster(pgdata: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok().map(Pid::from_raw)
}

/// Every server process whose working directory is `pgdata`: all of a server's processes, and nothing else.
fn processes_in(pgdata: &Path) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| serves(*pid, pgdata)).map(Pid::from_raw).collect()
}

fn serves(pid: i32, pgdata: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd == pgdata)
        && std::fs::read_to_string(proc.join("comm")).is_ok_and(|name| name.starts_with("post"))
}

/// Whether a server is not provably ours. One that is just ending has no command line any more, which tells nothing: it is waited for.
async fn is_foreign(pgdata: &Path, postmaster: Pid) -> bool {
    let deadline = Instant::now() + LAST_BREATH;
    loop {
        let line = std::fs::read(format!("/proc/{postmaster}/cmdline")).unwrap_or_default();
        if !line.is_empty() || Instant::now() > deadline {
            return !line.split(|byte| *byte == 0).any(|argument| argument == CLUSTER_NAME.as_bytes());
        }
        if !processes_in(pgdata).contains(&postmaster) {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Owner, end_survivors};
    use crate::ClusterError;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Owner::take(dir.path()).unwrap();
        let refused = Owner::take(dir.path()).unwrap_err();
        let ClusterError::Owned { holder, .. } = &refused else { panic!("{refused}") };
        assert_eq!(holder, &std::process::id().to_string());
        drop(first);
        Owner::take(dir.path()).unwrap();
    }

    #[test]
    fn a_folder_that_was_let_go_is_free_though_a_child_has_the_file_for_a_moment() {
        let dir = tempfile::tempdir().unwrap();
        let first = Owner::take(dir.path()).unwrap();
        let of_a_child = first.lock.try_clone().unwrap();
        drop(first);
        Owner::take(dir.path()).unwrap();
        drop(of_a_child);
    }

    #[tokio::test]
    async fn a_stale_pid_file_with_a_reused_number_hurts_nobody() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
        end_survivors(dir.path()).await.unwrap();
    }
}
