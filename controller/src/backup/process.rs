//! A child program together with everything it forked: no way out of here leaves one of them running.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};
use tokio::process::{Child, Command};

/// How long a child may take to end after it was asked to; `pg_restore` cancels its queries meanwhile.
const GRACE: Duration = Duration::from_secs(5);

/// A running child that leads its own process group (see [`super::PgTools`]). Dropped, it kills the whole group.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { child, leader })
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end. The group's number is forgotten then, as it may be given away again.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.leader = None;
        Ok(status)
    }

    /// Asks the group to end, and makes it end after a while.
    pub(super) async fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(GRACE, self.wait()).await.is_err() {
            tracing::warn!("a child program did not end when asked, killing it");
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader
            && let Err(error) = killpg(leader, signal)
        {
            tracing::debug!(%error, "a child program's group could not be signalled");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Calls `each` with every line of `reader`, without its end and cut to `limit` bytes, so that no line fills memory.
pub(super) async fn bounded_lines<R: AsyncBufRead + Unpin>(
    mut reader: R,
    limit: usize,
    mut each: impl FnMut(&str),
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        let piece = reader.fill_buf().await?;
        if piece.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', piece);
        let (text, consumed) = end.map_or((piece, piece.len()), |end| (&piece[..end], end + 1));
        line.extend_from_slice(&text[..text.len().min(limit.saturating_sub(line.len()))]);
        reader.consume(consumed);
        if end.is_some() {
            each(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    if !line.is_empty() {
        each(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::bounded_lines;

    #[tokio::test]
    async fn lines_are_cut_to_the_limit_and_none_is_lost() {
        let text: &[u8] = b"one\na very long line\n\nlast";
        let mut seen = Vec::new();
        let reader = tokio::io::BufReader::with_capacity(3, text);
        bounded_lines(reader, 6, |line| seen.push(line.to_owned())).await.expect("from memory");
        assert_eq!(seen, ["one", "a very", "", "last"]);
    }
}
