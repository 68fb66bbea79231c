//! Takes a lease, keeps it, and says in time when it is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Decision, Epoch, LeaseStore, decide};
use crate::runtime::backoff::Random;
use crate::runtime::chain::Chain;
use crate::runtime::class::Classified;

/// How long a lease lasts and how it is kept. Real time, never scaled: the store's clock is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long it lasts without a renewal. It must outlast the longest call that is made under it.
    pub term: Duration,
    /// How long before the end our own proof is taken for lost: room for clocks that do not run equally fast, and for
    /// what is under way to be aborted.
    pub margin: Duration,
    /// What the waits between two calls are parts of: how soon a renewal, a refusal or a release is followed.
    pub pace: Duration,
}

impl Terms {
    /// A term with a sixth of it as margin, and at its own pace.
    pub fn of(term: Duration) -> Self {
        Self { term, margin: term / 6, pace: term }
    }

    /// How long we may believe that it is ours, from before the store was last asked.
    const fn proven(self) -> Duration {
        self.term.saturating_sub(self.margin)
    }

    /// Renewals begin between a quarter and a third of the pace after the last one.
    fn renewal(self, random: &Random) -> Duration {
        self.pace / 4 + (self.pace / 12).mul_f64(random.draw())
    }

    /// How soon to try again after a call that failed or gave no answer, and its longest time.
    fn retry(self) -> Duration {
        self.pace / 12
    }
}

/// A lease that is held now.
#[derive(Debug, Clone)]
pub struct Held {
    /// What every write carries.
    pub epoch: Epoch,
    /// Fires before the lease can be another's. Work under the lease stops then; it never un-fires.
    pub ended: CancellationToken,
}

/// Keeps one lease in one name. A task runs [`LeaseKeeper::run`]; anybody may watch what is held.
#[derive(Debug)]
pub struct LeaseKeeper<S> {
    store: Arc<S>,
    me: String,
    terms: Terms,
    random: Random,
    held: watch::Sender<Option<Held>>,
    again: Arc<Notify>,
}

impl<S: LeaseStore> LeaseKeeper<S> {
    /// A keeper that holds nothing yet. `me` must belong to one living process at a time.
    pub fn new(store: Arc<S>, me: impl Into<String>, terms: Terms, random: Random) -> Self {
        Self { store, me: me.into(), terms, random, held: watch::Sender::new(None), again: Arc::default() }
    }

    /// Tells it to look at once, for whoever heard that the lease may be free. One that holds it has no use for that.
    pub fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.again)
    }

    /// What is held, now and from now on.
    pub fn watch(&self) -> watch::Receiver<Option<Held>> {
        self.held.subscribe()
    }

    /// Takes the lease whenever it can be had and keeps it, until `stop` fires; then gives it back. Stop what works under
    /// the lease *before* that.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let (epoch, proven) = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                taken = self.take() => taken,
            };
            let ended = CancellationToken::new();
            // Also on a panic or an abort: what is not renewed is not held.
            let _guard = ended.clone().drop_guard();
            self.held.send_replace(Some(Held { epoch, ended: ended.clone() }));
            tracing::info!(epoch = epoch.0, "lease taken");
            let stopping = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = self.keep(epoch, proven) => false,
            };
            ended.cancel();
            self.held.send_replace(None);
            if stopping {
                return self.release(epoch).await;
            }
            tracing::warn!(epoch = epoch.0, "lease lost");
        }
    }

    /// Waits until the lease is ours, and returns the instant from which its term counts.
    async fn take(&self) -> (Epoch, Instant) {
        loop {
            let asked = Instant::now();
            match self.bounded(self.try_take()).await {
                Some(Attempt::Taken(epoch)) if asked.elapsed() < self.terms.proven() => {
                    return (epoch, asked);
                }
                Some(Attempt::Busy(left)) => {
                    // Not all at the same instant, and soon after a release as well.
                    let wait = left.min(self.terms.pace / 4) + self.terms.retry().mul_f64(self.random.draw());
                    tokio::select! {
                        () = sleep_until(Instant::now() + wait) => {}
                        () = self.again.notified() => {}
                    }
                }
                Some(Attempt::Taken(_)) | None => sleep_until(asked + self.terms.retry()).await,
            }
        }
    }

    async fn try_take(&self) -> Result<Attempt, S::Error> {
        match decide(&self.me, None, &self.store.read().await?, self.terms.term) {
            Decision::Take { after } => {
                let taken = self.store.take(&self.me, after, self.terms.term).await?;
                Ok(taken.map_or_else(|| Attempt::Busy(self.terms.retry()), Attempt::Taken))
            }
            Decision::Wait(left) => Ok(Attempt::Busy(left)),
            // Without an epoch in hand there is nothing to renew.
            Decision::Renew => Ok(Attempt::Busy(self.terms.retry())),
        }
    }

    /// Renews until the lease is refused, or can no longer be proved: returns then, by the margin before its end at the
    /// latest, even while a renewal hangs.
    async fn keep(&self, epoch: Epoch, mut proven: Instant) {
        loop {
            let lost = proven + self.terms.proven();
            match timeout_at(lost, self.renewed(epoch, proven)).await {
                Ok(Some(at)) => proven = at,
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Waits for the next renewal and makes it, again and again if it fails. The instant from which the new term counts,
    /// or `None` if it was refused.
    async fn renewed(&self, epoch: Epoch, proven: Instant) -> Option<Instant> {
        sleep_until(proven + self.terms.renewal(&self.random)).await;
        loop {
            let asked = Instant::now();
            match self.bounded(self.store.renew(&self.me, epoch, self.terms.term)).await {
                Some(true) => return Some(asked),
                Some(false) => return None,
                None => sleep_until(asked + self.terms.retry()).await,
            }
        }
    }

    async fn release(&self, epoch: Epoch) {
        if self.bounded(self.store.release(&self.me, epoch)).await.is_some() {
            tracing::info!(epoch = epoch.0, "lease given back");
        }
    }

    /// A call with a time limit. `None` if it failed or did not answer; that is in the log.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, S::Error>>) -> Option<T> {
        match timeout(self.terms.retry(), call).await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), class = error.class().label(), "lease store failed");
                None
            }
            Err(_) => {
                tracing::warn!("lease store did not answer in time");
                None
            }
        }
    }
}

enum Attempt {
    Taken(Epoch),
    Busy(Duration),
}
