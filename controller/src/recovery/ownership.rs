//! The requests that this process owns: for each a lease that is kept, and the tasks that work under it.
//!
//! When a lease ends, whatever works under it is stopped before anybody else can take over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::fence::LeaseFence;
use super::steps::Run;
use super::supervisor::{BusyStep, Live};
use super::tools::Tools;
use crate::runtime::backoff::Random;
use crate::runtime::chain::Chain;
use crate::runtime::lease::{Held, LeaseKeeper, Terms};
use crate::runtime::queue::WorkQueue;
use crate::runtime::tasks::Tasks;
use crate::runtime::tenure::Tenure;
use crate::store::{Epoch, RequestLease, StoreError};

/// What renewals and their repetitions are parts of, as a part of the term: far more of them than one fit into it.
const PACES: u32 = 2;
/// How long a reconcile waits for a lease that can be had at once.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the other daemons are told of something.
const PARTING: Duration = Duration::from_secs(1);
/// How much later a process asks for a lease for each that it has: of several, who has less to do is first.
const MANNERS: Duration = Duration::from_millis(250);
/// The latest: nobody else may be there.
const LATEST: Duration = Duration::from_secs(2);
/// How long stopped tasks may take to stop: less than the margin of a lease.
const GRACE: Duration = Duration::from_secs(4);

/// Every owned request.
#[derive(Debug)]
pub(super) struct Ownership {
    tools: Arc<Tools>,
    tasks: Tasks,
    queue: WorkQueue<String>,
    owned: Arc<Mutex<HashMap<String, Owned>>>,
}

#[derive(Debug)]
struct Owned {
    held: watch::Receiver<Option<Held>>,
    again: Arc<Notify>,
    keeper: Tasks,
    live: Option<Arc<Live>>,
}

impl Ownership {
    /// Nothing is owned yet.
    pub(super) fn new(tools: Arc<Tools>, tasks: Tasks, queue: WorkQueue<String>) -> Self {
        Self { tools, tasks, queue, owned: Arc::default() }
    }

    /// How long a lease lasts without renewal.
    pub(super) fn term(&self) -> Duration {
        self.tools.config.dev.lease
    }

    /// The lease of `request`, if it is ours or can be had now. It is kept until [`Ownership::let_go`].
    pub(super) async fn lease(&self, request: &str) -> Option<Held> {
        let mut held = self.keeper(request);
        if held.borrow().is_none() {
            // Its owner may just have given it back.
            self.again(request);
        }
        let there = tokio::time::timeout(PATIENCE, held.wait_for(Option::is_some)).await;
        there.ok()?.ok()?.clone()
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
        let fence = LeaseFence::new(self.tools.store.lease(&run.request), held);
        let may = (self.tasks.child(), Tenure::within(Arc::new(fence)));
        let live = Live::new(Arc::clone(&run), Arc::clone(&self.tools), self.queue.clone(), may);
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
        told(&self.tools, &self.owned());
    }

    /// The same, and tells the other daemons: one may go on with it, and what they have downloaded for one that has ended must go.
    pub(super) async fn hand_over(&self, request: &str) {
        self.let_go(request).await;
        match tokio::time::timeout(PARTING, self.tools.store.wake(request)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "the other daemons cannot be told"),
            Err(_) => tracing::warn!("the other daemons cannot be told in time"),
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
        futures::future::join_all(requests.iter().map(|request| self.hand_over(request))).await;
    }

    fn again(&self, request: &str) {
        if let Some(owned) = self.owned().get(request) {
            owned.again.notify_one();
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
            Terms { pace: self.term() / PACES, ..Terms::of(self.term()) },
            Random::system(),
        );
        let (held, again, tasks) = (keeper.watch(), keeper.waker(), self.tasks.child());
        let busy = owned.values().filter(|owned| owned.held.borrow().is_some()).count();
        let after = MANNERS.saturating_mul(u32::try_from(busy).unwrap_or(u32::MAX)).min(LATEST);
        drop(tasks.spawn("lease", |stop| async move {
            if stop.run_until_cancelled(tokio::time::sleep(after)).await.is_some() {
                keeper.run(stop).await;
            }
        }));
        let (mut changes, queue, name) = (held.clone(), self.queue.clone(), request.to_owned());
        let (tools, all) = (Arc::clone(&self.tools), Arc::clone(&self.owned));
        drop(tasks.spawn("lease watch", |stop| async move {
            while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
                // Here, as one that is cut off from its store comes no further.
                told(&tools, &all.lock().unwrap_or_else(PoisonError::into_inner));
                queue.add(name.clone(), "lease");
            }
        }));
        owned.insert(request.to_owned(), Owned { held: held.clone(), again, keeper: tasks, live: None });
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

/// Shows whether anything is owned.
fn told(tools: &Tools, owned: &HashMap<String, Owned>) {
    let epochs = owned.values().filter_map(|owned| owned.held.borrow().as_ref().map(|held| held.epoch));
    tools.metrics.lease(epochs.max());
}
