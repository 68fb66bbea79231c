//! What a process prints: line by line into the app's log, its last words kept for whoever wonders why it ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use super::container::Ground;

/// How much of the output is shown when a container does not boot.
const TAIL: usize = 4_096;
/// What was printed just before the end is still waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The output of one process, being read.
#[derive(Debug)]
pub(super) struct Output {
    tail: Arc<Mutex<VecDeque<u8>>>,
    read: CancellationToken,
}

impl Output {
    /// Takes both pipes of `child` and writes what comes to the log `book`, as the container `label`.
    pub(super) fn of(child: &mut Child, ground: &Ground, book: &str, label: &str) -> Self {
        let output = Self { tail: Arc::default(), read: CancellationToken::new() };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let writer = Writer {
            ground: ground.clone(),
            book: book.to_owned(),
            label: label.to_owned(),
            tail: Arc::clone(&output.tail),
        };
        let read = output.read.clone();
        ground.world.tasks.spawn("container output", async move {
            tokio::join!(writer.read(stdout), writer.read(stderr));
            read.cancel();
        });
        output
    }

    /// Waits until all is read; a process that left its pipes to others is not waited for long.
    pub(super) async fn finished(&self) {
        tokio::time::timeout(LAST_WORDS, self.read.cancelled()).await.ok();
    }

    /// The end of the output, for a message that goes before it.
    pub(super) async fn last_words(&self) -> String {
        self.finished().await;
        let tail: Vec<u8> =
            self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        match String::from_utf8_lossy(&tail).trim() {
            "" => String::new(),
            text => format!(":\n{text}"),
        }
    }
}

struct Writer {
    ground: Ground,
    book: String,
    label: String,
    tail: Arc<Mutex<VecDeque<u8>>>,
}

impl Writer {
    async fn read(&self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(stream) = stream else { return };
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
            self.ground.logs.write(&self.book, &self.label, &String::from_utf8_lossy(&line));
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend(&line);
            let surplus = tail.len().saturating_sub(TAIL);
            tail.drain(..surplus);
            line.clear();
        }
    }
}
