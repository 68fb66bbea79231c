//! The reconcile loop: takes keys from the queue, runs the reconciler for several at once, and turns what a run ended
//! with into its next time.
//!
//! It must not know what is reconciled, and gives a run no hint of why it was woken: that is in the span only.

mod outcome;

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::backoff::{Backoffs, Policy, Random};
use super::chain::Chain;
use super::class::{Class, Classified};
use super::queue::{Depth, Request, WorkQueue};
use super::tasks::panic_text;
pub use outcome::{Outcome, RunOutcome};

/// What names an object in the queue.
pub trait Key: Clone + Eq + Hash + Ord + Debug + Display + Send + Sync + 'static {}
impl<K: Clone + Eq + Hash + Ord + Debug + Display + Send + Sync + 'static> Key for K {}

/// Brings one kind of object nearer to what is wanted of it.
pub trait Reconciler: Send + Sync + 'static {
    /// What names an object of this kind.
    type Key: Key;
    /// What a run can fail with.
    type Error: Classified + Send + 'static;

    /// One short run: observe, decide, start or stop something, record. It may be repeated at any point, never runs
    /// twice at once for a key, and is told nothing of why it runs.
    fn reconcile(&self, key: Self::Key) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;
}

/// Is told what the loop does, for metrics.
pub trait Observer: Send + Sync + 'static {
    /// A run has ended.
    fn run_ended(&self, kind: &'static str, outcome: RunOutcome, took: Duration);
    /// The queue after a change.
    fn queue_changed(&self, kind: &'static str, depth: Depth);
}

/// An observer that looks away.
impl Observer for () {
    fn run_ended(&self, _: &'static str, _: RunOutcome, _: Duration) {}
    fn queue_changed(&self, _: &'static str, _: Depth) {}
}

/// How a loop behaves. Its durations are nominal: the queue's clock scales them.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is reconciled: a label of spans and metrics.
    pub kind: &'static str,
    /// How many runs there may be at once.
    pub concurrency: usize,
    /// The waits after failures.
    pub backoff: Policy,
    /// The slow look after a terminal failure, in case that what it was about was changed behind our back.
    pub terminal_look: Duration,
    /// The shortest time between two runs of a key that asks for itself.
    pub shortest_period: Duration,
    /// Where jitter comes from.
    pub random: Random,
}

impl Options {
    /// Four runs at once, the default backoff, a look at terminal failures every ten minutes.
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            concurrency: 4,
            backoff: Policy::default(),
            terminal_look: Duration::from_mins(10),
            shortest_period: Duration::from_millis(100),
            random: Random::system(),
        }
    }
}

/// Runs the loop until `stop` fires; then takes nothing more from the queue, lets the runs that have begun finish, and
/// returns. Dropping the future aborts those runs at their next await.
pub async fn run<R: Reconciler>(
    queue: WorkQueue<R::Key>,
    reconciler: Arc<R>,
    options: Options,
    observer: Arc<dyn Observer>,
    stop: CancellationToken,
) {
    let backoffs = Backoffs::new(options.backoff, options.random.clone());
    let (ends, runs) = (JoinSet::new(), HashMap::new());
    let mut here = Loop { queue, reconciler, options, observer, backoffs, ends, runs };
    loop {
        let free = here.ends.len() < here.options.concurrency.max(1);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = here.ends.join_next_with_id() => here.settle(ended),
            request = here.queue.next(), if free => here.start(request),
        }
    }
    while let Some(ended) = here.ends.join_next_with_id().await {
        here.settle(ended);
    }
}

struct Loop<R: Reconciler> {
    queue: WorkQueue<R::Key>,
    reconciler: Arc<R>,
    options: Options,
    observer: Arc<dyn Observer>,
    backoffs: Backoffs<R::Key>,
    ends: JoinSet<Result<Outcome, R::Error>>,
    runs: HashMap<Id, Run<R::Key>>,
}

/// What is remembered of a run while it runs; a panic loses everything else.
struct Run<K> {
    key: K,
    span: Span,
    began: Instant,
}

impl<R: Reconciler> Loop<R> {
    fn start(&mut self, request: Request<R::Key>) {
        let Request { key, reason } = request;
        let attempt = self.backoffs.failures(&key).saturating_add(1);
        let span = tracing::info_span!("reconcile", kind = self.options.kind, id = %key, reason, attempt);
        let (reconciler, of) = (Arc::clone(&self.reconciler), key.clone());
        let run = async move { reconciler.reconcile(of).await };
        let id = self.ends.spawn(run.instrument(span.clone())).id();
        self.runs.insert(id, Run { key, span, began: Instant::now() });
        self.observer.queue_changed(self.options.kind, self.queue.depth());
    }

    /// The key is freed before it asks for itself: what was held during the run competes with the run's own wish.
    fn settle(&mut self, ended: Result<(Id, Result<Outcome, R::Error>), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(run) = self.runs.remove(&id) else { return };
        self.queue.done(&run.key);
        let outcome = run.span.clone().in_scope(|| match ended {
            Ok((_, Ok(outcome))) => self.well(run.key, outcome),
            Ok((_, Err(error))) => self.failed(run.key, &error),
            Err(broken) => self.panicked(run.key, broken),
        });
        self.observer.run_ended(self.options.kind, outcome, run.began.elapsed());
        self.observer.queue_changed(self.options.kind, self.queue.depth());
    }

    fn well(&mut self, key: R::Key, outcome: Outcome) -> RunOutcome {
        self.backoffs.succeeded(&key);
        if let Outcome::RequeueAfter(period) = outcome {
            let period = self.jittered(period).max(self.options.shortest_period);
            self.queue.add_after(key, period, "requeue");
        }
        outcome.into()
    }

    fn failed(&mut self, key: R::Key, error: &R::Error) -> RunOutcome {
        let class = error.class();
        let delay = match class {
            Class::Transient | Class::Throttled(_) => self.backoffs.failed(key.clone(), class),
            // Only a change can help, and a change comes by itself: this is the look in case that it does not.
            Class::Terminal => self.jittered(self.options.terminal_look),
            Class::Cancelled => self.options.backoff.base,
        };
        let next_s = delay.as_secs_f64();
        if class == Class::Cancelled {
            tracing::debug!(next_s, "run cancelled");
        } else {
            tracing::warn!(error = %Chain(error), class = class.label(), next_s, "run failed");
        }
        self.queue.add_after(key, delay, "retry");
        RunOutcome::Failed(class)
    }

    fn panicked(&mut self, key: R::Key, broken: JoinError) -> RunOutcome {
        let delay = self.backoffs.failed(key.clone(), Class::Transient);
        let payload = broken.try_into_panic();
        let panic = payload.as_ref().map_or("aborted", |payload| panic_text(payload.as_ref()));
        tracing::error!(panic, next_s = delay.as_secs_f64(), "run panicked");
        self.queue.add_after(key, delay, "retry");
        RunOutcome::Panicked
    }

    /// Up to a tenth longer, so that objects that were filed together do not ask the provider together for ever.
    fn jittered(&self, period: Duration) -> Duration {
        period.saturating_add((period / 10).mul_f64(self.options.random.draw()))
    }
}

#[cfg(test)]
mod tests;
