//! The lease of a request, asked before each change of the world outside.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::runtime::chain::Chain;
use crate::runtime::lease::Held;
use crate::runtime::tenure::Fence;
use crate::store::{Epoch, RequestLease};

/// For how long a yes is taken for one: a bucket is filled by thousands of changes.
const FRESH: Duration = Duration::from_secs(1);
/// A store that takes longer does not answer. What runs goes on until its lease cannot be proved any more, as it does without the question.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nobody waits for it anew before so long.
const SILENT: Duration = Duration::from_secs(10);

/// One lease that is held, and what the store last said of it.
#[derive(Debug)]
pub(super) struct LeaseFence {
    lease: RequestLease,
    epoch: Epoch,
    ended: CancellationToken,
    /// Until then the store is not asked.
    believed: Mutex<Option<Instant>>,
}

impl LeaseFence {
    /// Of the lease `held`.
    pub(super) fn new(lease: RequestLease, held: &Held) -> Self {
        Self { lease, epoch: held.epoch, ended: held.ended.clone(), believed: Mutex::default() }
    }

    async fn asked(&self) -> bool {
        let asked = Instant::now();
        match tokio::time::timeout(PATIENCE, self.lease.stands(self.epoch)).await {
            // From before it was asked.
            Ok(Ok(true)) => *self.believed() = Some(asked + FRESH),
            Ok(Ok(false)) => {
                tracing::warn!(epoch = self.epoch.0, "the lease is another's by now: nothing is sent");
                return false;
            }
            Ok(Err(error)) => self.silent(&Chain(&error).to_string()),
            Err(_) => self.silent("no answer in time"),
        }
        // Asking takes its time: by now a process that stood still knows how late it is.
        !self.ended.is_cancelled()
    }

    fn silent(&self, why: &str) {
        tracing::debug!(why, "the store does not say whether the lease stands");
        *self.believed() = Some(Instant::now() + SILENT);
    }

    fn believed(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.believed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fence for LeaseFence {
    fn stands(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            if self.ended.is_cancelled() {
                return false;
            }
            let known = self.believed().is_some_and(|until| Instant::now() < until);
            known || self.asked().await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::lease::LeaseStore as _;
    use crate::store::tests::lab;

    #[tokio::test]
    async fn who_lost_the_lease_without_noticing_sends_nothing_more() {
        let lab = lab().await;
        let epoch = lab.filed().await;
        let held = Held { epoch, ended: CancellationToken::new() };
        let fence = || LeaseFence::new(lab.store.lease("bad-day"), &held);
        let here = fence();
        assert!(here.stands().await && fence().stands().await);
        // It stood still for longer than its lease held, and nobody told it.
        lab.sql("UPDATE recovery_requests SET lease_expires_at = clock_timestamp()").await.expect("ended");
        assert!(here.stands().await, "a second is not asked about");
        assert!(!fence().stands().await, "it has ended");
        let taken = lab.store.lease("bad-day").take("another", epoch, Duration::from_secs(30)).await;
        assert_eq!(taken.expect("answered"), Some(epoch.next()));
        assert!(!fence().stands().await, "it is another's");
        held.ended.cancel();
        assert!(!here.stands().await, "the end is known here");
        lab.end().await;
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_ends_nothing_before_the_lease_cannot_be_proved() {
        let lab = lab().await;
        let held = Held { epoch: lab.filed().await, ended: CancellationToken::new() };
        let fence = LeaseFence::new(lab.store.lease("bad-day"), &held);
        lab.end().await;
        assert!(fence.stands().await);
        held.ended.cancel();
        assert!(!fence.stands().await);
    }
}
