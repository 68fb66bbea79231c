//! The one place that spawns. Every task has a name, belongs to a group, and is waited for; none is detached.
//!
//! Groups form a tree: stopping a group stops what is below it, and waiting for a group waits for what is below it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument;

use super::tenure::Tenure;
use super::urgency::Urgency;

/// How long tasks have to fall after they were cut off, before they are given up.
const CUT_OFF: Duration = Duration::from_secs(1);

/// A group of tasks. Cheap to clone; clones are the same group.
#[derive(Clone)]
pub struct Tasks {
    stop: CancellationToken,
    /// Cut off at their next await: what did not stop in time.
    abort: CancellationToken,
    /// Our own first, then those of the groups above.
    trackers: Arc<[TaskTracker]>,
    process: Arc<Process>,
}

/// What all groups of a process share.
struct Process {
    root: CancellationToken,
    first_failure: OnceLock<&'static str>,
    on_failure: Box<dyn Fn(&'static str) + Send + Sync>,
}

/// Begins `work` at once, on whatever core is free. Dropped, it ends: nothing of it outlives whoever waits for it. For one of many pieces
/// of somebody's work; what lives on its own belongs to a group.
///
/// A panic in it is one of whoever waits.
#[expect(clippy::disallowed_methods, reason = "it is waited for, or ended")]
pub fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Aside<T> {
    Aside(AbortOnDropHandle::new(tokio::spawn(inherited(work.in_current_span()))))
}

/// As urgent as the task that begins it, and with its right to act.
fn inherited<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
    Urgency::current().scope(Tenure::current().scope(work))
}

/// Work that goes on aside.
#[derive(Debug)]
#[must_use = "dropped, it ends"]
pub struct Aside<T>(AbortOnDropHandle<T>);

impl<T> Future for Aside<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(self.0.poll_unpin(context)) {
            Ok(done) => Poll::Ready(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Nobody but us can abort it: the runtime is going down, and whoever waits with it.
                Err(_) => Poll::Pending,
            },
        }
    }
}

/// Why a task gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It broke an invariant; the panic is in the log.
    #[error("task {0} panicked")]
    Panicked(&'static str),
    /// It did not stop in time and was cut off.
    #[error("task {0} was cut off")]
    Aborted(&'static str),
}

/// A running task. Dropping this does not stop it: its group does.
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    stop: CancellationToken,
    handle: JoinHandle<Result<T, TaskError>>,
}

impl Tasks {
    /// The root group of a process.
    pub fn new() -> Self {
        Self::observed(|_| {})
    }

    /// The root group of a process; `on_failure` is told the name of each task that panicked or ended too early.
    pub fn observed(on_failure: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        let stop = CancellationToken::new();
        let (first_failure, on_failure) = (OnceLock::new(), Box::new(on_failure));
        let process = Arc::new(Process { root: stop.clone(), first_failure, on_failure });
        Self { stop, abort: CancellationToken::new(), trackers: Arc::new([TaskTracker::new()]), process }
    }

    /// A group below this one, which can be stopped and waited for by itself.
    #[must_use]
    pub fn child(&self) -> Self {
        let trackers = std::iter::once(TaskTracker::new()).chain(self.trackers.iter().cloned()).collect();
        let (stop, abort) = (self.stop.child_token(), self.abort.child_token());
        Self { stop, abort, trackers, process: Arc::clone(&self.process) }
    }

    /// Fires when this group is asked to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Asks this group to stop, without waiting.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// The critical task that ended too early and so stopped the process, if one did.
    pub fn failure(&self) -> Option<&'static str> {
        self.process.first_failure.get().copied()
    }

    /// Runs `start(stop)`, where `stop` fires when the task or its group is asked to stop. It may end whenever it likes;
    /// a panic is logged, counted, and becomes its result.
    pub fn spawn<F, Fut, T>(&self, name: &'static str, start: F) -> Task<T>
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let stop = self.stop.child_token();
        let caught = AssertUnwindSafe(start(stop.clone())).catch_unwind();
        let (process, abort) = (Arc::clone(&self.process), self.abort.clone());
        let work = async move {
            tokio::select! {
                biased;
                () = abort.cancelled() => Err(TaskError::Aborted(name)),
                result = caught => result.map_err(|panic| process.panicked(name, panic.as_ref())),
            }
        };
        Task { name, stop, handle: self.run(name, work) }
    }

    /// Runs `start(stop)` until it is told to stop. If it ends earlier, even by a panic, the process stops.
    pub fn critical<F, Fut>(&self, name: &'static str, start: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        let caught = AssertUnwindSafe(start(stop.clone())).catch_unwind();
        let (process, abort) = (Arc::clone(&self.process), self.abort.clone());
        let work = async move {
            let result = tokio::select! {
                biased;
                () = abort.cancelled() => return,
                result = caught => result,
            };
            match result {
                Ok(()) if stop.is_cancelled() => {}
                Ok(()) => {
                    (process.on_failure)(name);
                    process.give_up(name);
                }
                Err(panic) => {
                    process.panicked(name, panic.as_ref());
                    process.give_up(name);
                }
            }
        };
        self.run(name, work);
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    fn run<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let counted: Vec<TaskTrackerToken> = self.trackers.iter().map(TaskTracker::token).collect();
        let work = async move {
            let result = work.await;
            drop(counted);
            result
        };
        tokio::spawn(inherited(work.instrument(tracing::info_span!("task", name))))
    }

    /// Asks every task of this group to stop and waits for them, at most `grace`; what is left then is cut off at its
    /// next await. `false` if something had to be.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        self.stop.cancel();
        let [own, ..] = &*self.trackers else { return true };
        own.close();
        if tokio::time::timeout(grace, own.wait()).await.is_ok() {
            return true;
        }
        tracing::warn!(
            tasks = own.len(),
            grace_s = grace.as_secs_f64(),
            "tasks did not stop in time, cutting them off"
        );
        self.abort.cancel();
        if tokio::time::timeout(CUT_OFF, own.wait()).await.is_err() {
            tracing::error!(tasks = own.len(), "tasks could not be cut off");
        }
        false
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.trackers.first().map_or(0, TaskTracker::len);
        f.debug_struct("Tasks")
            .field("running", &running)
            .field("stopping", &self.stop.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Process {
    fn panicked(&self, name: &'static str, panic: &(dyn Any + Send)) -> TaskError {
        tracing::error!(task = name, panic = panic_text(panic), "task panicked");
        (self.on_failure)(name);
        TaskError::Panicked(name)
    }

    /// Stops everything; nothing runs on half alive. Only the first failure is kept, the others follow from it.
    fn give_up(&self, name: &'static str) {
        tracing::error!(task = name, "task ended early, stopping");
        self.first_failure.get_or_init(|| name);
        self.root.cancel();
    }
}

impl<T> Task<T> {
    /// The name that it was started with.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Asks this one task to stop, without waiting.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether it has ended, so that [`Task::join`] returns at once.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for its end and result. Safe to give up and to call again, until it has returned once.
    pub async fn join(&mut self) -> Result<T, TaskError> {
        (&mut self.handle).await.unwrap_or(Err(TaskError::Aborted(self.name)))
    }
}

/// What a panic said, as far as it can be known.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests;
