//! Runs a system program for a provider: an environment of our own, its lines as they come, and an end with its whole group.
//!
//! Arguments must hold no secret: every user of the machine can read them.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::Command,
};

/// Longest line that is handed on, in bytes; the rest of it is dropped.
const LINE_LIMIT: usize = 4096;
/// Lines of a failed program's complaint that are kept.
const COMPLAINT_LINES: usize = 5;

/// How a program is run.
#[derive(Debug)]
pub struct Program {
    command: Command,
    name: &'static str,
    output_limit: usize,
    limit: Duration,
}

/// What a program did.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its own last complaints (`fatal:`, `error:`…); nothing that it passed on from others.
    pub complaint: String,
}

/// Why a program gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not there, or may not be run.
    #[error("cannot start {program}")]
    Start {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its output could not be read.
    #[error("cannot follow {program}")]
    Follow {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It wrote more than we are willing to hold.
    #[error("{program} wrote more than {limit} bytes")]
    TooLarge {
        /// Which.
        program: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// It took too long and was ended.
    #[error("{program} did not end within {} s", limit.as_secs())]
    Timeout {
        /// Which.
        program: &'static str,
        /// How long it had.
        limit: Duration,
    },
}

impl Program {
    /// A program from `PATH` with no other variable than that, `LC_ALL=C` and what is added.
    pub fn new(name: &'static str) -> Self {
        let mut command = Command::new(name);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.kill_on_drop(true).process_group(0);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        Self { command, name, output_limit: 1 << 20, limit: Duration::from_mins(1) }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Ends it after `limit`. Default one minute.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Largest standard output, in bytes. Default 1 MiB.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Runs it to its end, telling each line of its standard error. Dropping the future ends the program and its children.
    pub async fn run(mut self, on_line: impl FnMut(&str)) -> Result<Finished, ProcessError> {
        let program = self.name;
        let mut child = self.command.spawn().map_err(|source| ProcessError::Start { program, source })?;
        let mut group = Group::of(&child);
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let follow = |source| ProcessError::Follow { program, source };
        let work = async {
            let (output, complaint) =
                tokio::try_join!(collect(output, self.output_limit), lines(errors, on_line))
                    .map_err(follow)?;
            let status = child.wait().await.map_err(follow)?;
            group.ended();
            let output = output.ok_or(ProcessError::TooLarge { program, limit: self.output_limit })?;
            Ok(Finished { status, output, complaint })
        };
        let result = tokio::time::timeout(self.limit, work).await;
        result.unwrap_or(Err(ProcessError::Timeout { program, limit: self.limit }))
    }
}

/// The program's process group, ended as a whole: `git` leaves an `ssh` behind otherwise.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// It was waited for: its number may belong to somebody else from now on.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already is as good.
            killpg(group, Signal::SIGKILL).ok();
        }
    }
}

/// All of the output, or `None` if it is too large; read to its end in any case, so that the program can end.
async fn collect(from: Option<impl AsyncRead + Unpin>, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let Some(mut from) = from else { return Ok(Some(Vec::new())) };
    let (mut all, mut chunk, mut whole) = (Vec::new(), vec![0; 64 << 10], true);
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(whole.then_some(all));
        }
        whole &= all.len() + read <= limit;
        if whole {
            all.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
    }
}

/// Tells each line, ended by a line feed or a carriage return, and keeps the program's own last complaints.
async fn lines(from: Option<impl AsyncRead + Unpin>, mut tell: impl FnMut(&str)) -> io::Result<String> {
    let Some(from) = from else { return Ok(String::new()) };
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    let mut kept = VecDeque::new();
    loop {
        let chunk = from.fill_buf().await?;
        let (ended, length) = (chunk.is_empty(), chunk.len());
        for byte in chunk {
            match byte {
                b'\n' | b'\r' => finish(&mut line, &mut tell, &mut kept),
                _ if line.len() < LINE_LIMIT => line.push(*byte),
                _ => {}
            }
        }
        from.consume(length);
        if ended {
            finish(&mut line, &mut tell, &mut kept);
            return Ok(kept.into_iter().collect::<Vec<_>>().join("; "));
        }
    }
}

fn finish(line: &mut Vec<u8>, tell: &mut impl FnMut(&str), kept: &mut VecDeque<String>) {
    let text = String::from_utf8_lossy(line);
    if !text.trim().is_empty() {
        tell(&text);
        let own = ["fatal:", "error:", "ssh:", "Host key"];
        if own.iter().any(|start| text.starts_with(start)) || text.contains("Permission denied") {
            kept.push_back(super::http::message::line(&text));
            if kept.len() > COMPLAINT_LINES {
                kept.pop_front();
            }
        }
    }
    line.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[tokio::test]
    async fn lines_are_told_and_only_own_complaints_are_kept() {
        let mut told = Vec::new();
        let script = "echo out; printf 'remote: secret\\rfatal: no\\n\\nlast' >&2; exit 3";
        let finished = sh(script).run(|line| told.push(line.to_owned())).await.unwrap();
        assert_eq!(told, ["remote: secret", "fatal: no", "last"]);
        assert_eq!(finished.complaint, "fatal: no");
        assert_eq!((finished.status.code(), finished.output.as_slice()), (Some(3), b"out\n".as_slice()));
    }

    #[tokio::test]
    async fn the_environment_is_not_inherited() {
        let finished = sh("echo ${HOME-none} $LC_ALL").run(|_| ()).await.unwrap();
        assert_eq!(finished.output, b"none C\n");
    }

    #[tokio::test]
    async fn output_is_bounded() {
        let error = sh("head -c 5000 /dev/zero").output_limit(4096).run(|_| ()).await.unwrap_err();
        assert!(matches!(error, ProcessError::TooLarge { limit: 4096, .. }), "{error}");
    }

    #[tokio::test]
    async fn children_end_with_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > '{}'; wait", pid.display());
        let error = sh(&script).limit(Duration::from_millis(300)).run(|_| ()).await.unwrap_err();
        assert!(matches!(error, ProcessError::Timeout { .. }), "{error}");
        let child = Pid::from_raw(std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap());
        let gone = async {
            // A zombie that nobody has waited for yet counts as ended.
            while std::fs::read_to_string(format!("/proc/{child}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z"))
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the child outlives its group");
    }
}
