//! The requests that this process owns: for each a lease that is kept, and the tasks that work under it.
//!
//! When a lease ends, whatever works under it is stopped before anybody else can take over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::steps::Run;
use super::supervisor::{BusyStep, Live};
use super::tools::Tools;
use crate::runtime::backoff::Random;
use crate::runtime::lease::{Held, LeaseKeeper, Terms};
use crate::runtime::queue::WorkQueue;
use crate::runtime::tasks::Tasks;
use crate::store::{Epoch, RequestLease, StoreError};

/// How long a lease lasts without renewal: about as long as a store of more than one machine takes to hand over, since hours of work end with
/// it. Calls that take longer are cut off when it ends. Not longer than twice the term of the releases before (30 s): a daemon of theirs takes
/// what lasts longer for the work of a clock that was set back. Whoever takes over from a dead daemon waits for as long.
pub(super) const TERM: Duration = Duration::from_mins(1);
/// What renewals and their repetitions are parts of: far more of them than one fit into a term.
const PACE: Duration = Duration::from_secs(30);
/// How long a reconcile waits for a lease that can be had at once.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long stopped tasks may take to stop: less than the margin of a lease.
const GRACE: Duration = Duration::from_secs(4);

/// Every owned request.
#[derive(Debug)]
pub(super) struct Ownership {
    tools: Arc<Tools>,
    tasks: Tasks,
    queue: WorkQueue<String>,
    owned: Mutex<HashMap<String, Owned>>,
}

#[derive(Debug)]
struct Owned {
    held: watch::Receiver<Option<Held>>,
    keeper: Tasks,
    live: Option<Arc<Live>>,
}

impl Ownership {
    /// Nothing is owned yet.
    pub(super) fn new(tools: Arc<Tools>, tasks: Tasks, queue: WorkQueue<String>) -> Self {
        Self { tools, tasks, queue, owned: Mutex::default() }
    }

    /// The lease of `request`, if it is ours or can be had now. It is kept until [`Ownership::let_go`].
    pub(super) async fn lease(&self, request: &str) -> Option<Held> {
        let mut held = self.keeper(request);
        let there = tokio::time::timeout(PATIENCE, held.wait_for(Option::is_some)).await;
        let held = there.ok()?.ok()?.clone()?;
        self.tools.metrics.lease(Some(held.epoch));
        Some(held)
    }

    /// The tasks of the request of `run` under the lease `held`. Those of an earlier lease are ended first; those of this one go on, and
    /// what they begin next follows `run`.
    pub(super) async fn live(&self, run: Run, held: &Held) -> Arc<Live> {
        let known = self.owned().get(&run.request).and_then(|owned| owned.live.clone());
        match known {
            Some(live) if live.run().epoch == held.epoch => {
                live.follow(run);
                return live;
            }
            Some(live) => live.shut_down(GRACE).await,
            None => {}
        }
        let run = Arc::new(run);
        let live =
            Live::new(Arc::clone(&run), Arc::clone(&self.tools), self.queue.clone(), self.tasks.child());
        self.stop_with(&live, held);
        if let Some(owned) = self.owned().get_mut(&run.request) {
            owned.live = Some(Arc::clone(&live));
        }
        live
    }

    /// Whether a task works for `request` in this process.
    pub(super) fn is_at_work(&self, request: &str) -> bool {
        let live = self.owned().get(request).and_then(|owned| owned.live.clone());
        live.is_some_and(|live| live.is_at_work())
    }

    /// What the steps of `request` report that are busy under this epoch's lease.
    pub(super) fn reports(&self, request: &str, epoch: Epoch) -> Vec<BusyStep> {
        let live = self.owned().get(request).and_then(|owned| owned.live.clone());
        let live = live.filter(|live| live.run().epoch == epoch && live.is_at_work());
        live.map(|live| live.reports()).unwrap_or_default()
    }

    /// Stops what works for `request` and gives its lease back.
    pub(super) async fn let_go(&self, request: &str) {
        let Some(owned) = self.owned().remove(request) else { return };
        if let Some(live) = owned.live {
            live.shut_down(GRACE).await;
        }
        owned.keeper.shut_down(GRACE).await;
        if self.owned().is_empty() {
            self.tools.metrics.lease(None);
        }
    }

    /// What was done under a lease; `None` where that was not ours any more: then nothing more is done for the request.
    pub(super) async fn unless_fenced<T>(
        &self,
        request: &str,
        done: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match done {
            Err(error @ StoreError::Fenced { .. }) => {
                tracing::warn!(error = %error, "a write was refused; the request is let go");
                self.let_go(request).await;
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Lets go of everything.
    pub(super) async fn shut_down(&self) {
        let requests: Vec<String> = self.owned().keys().cloned().collect();
        for request in requests {
            self.let_go(&request).await;
        }
    }

    fn keeper(&self, request: &str) -> watch::Receiver<Option<Held>> {
        let mut owned = self.owned();
        if let Some(owned) = owned.get(request) {
            return owned.held.clone();
        }
        let store: Arc<RequestLease> = Arc::new(self.tools.store.lease(request));
        let keeper = LeaseKeeper::new(
            store,
            &self.tools.identity,
            Terms { pace: PACE, ..Terms::of(TERM) },
            Random::system(),
        );
        let (held, tasks) = (keeper.watch(), self.tasks.child());
        drop(tasks.spawn("lease", |stop| keeper.run(stop)));
        let (mut changes, queue, name) = (held.clone(), self.queue.clone(), request.to_owned());
        drop(tasks.spawn("lease watch", |stop| async move {
            while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
                queue.add(name.clone(), "lease");
            }
        }));
        owned.insert(request.to_owned(), Owned { held: held.clone(), keeper: tasks, live: None });
        held
    }

    /// Stops `live` when its lease ends.
    fn stop_with(&self, live: &Arc<Live>, held: &Held) {
        let (live, ended) = (Arc::clone(live), held.ended.clone());
        drop(self.tasks.spawn("lease end", |stop| async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = live.stopping() => {}
                () = ended.cancelled() => live.shut_down(GRACE).await,
            }
        }));
    }

    fn owned(&self) -> MutexGuard<'_, HashMap<String, Owned>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
