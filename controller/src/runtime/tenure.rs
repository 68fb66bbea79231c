//! The right to change the world outside, which one process has at a time. It is given where work begins; what that begins has the same.
//!
//! The end of a lease stops what works under it. But a process that stood still (it was stopped, or its machine was) does not know how late
//! it is before its timers have run, and would send what it was about to send. So whoever is about to change something asks first.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;

/// Knows whether the right still stands.
pub trait Fence: fmt::Debug + Send + Sync {
    /// Whether a change may be sent now.
    fn stands(&self) -> BoxFuture<'_, bool>;
}

tokio::task_local! {
    static CURRENT: Tenure;
}

/// The right of a task. What nobody has fenced in may always act.
#[derive(Debug, Clone, Default)]
pub struct Tenure(Option<Arc<dyn Fence>>);

impl Tenure {
    /// As long as `fence` says so.
    pub fn within(fence: Arc<dyn Fence>) -> Self {
        Self(Some(fence))
    }

    /// That of the task that asks.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Does `work` with this right and no other.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self, work)
    }

    /// Whether the task that asks may change something now.
    pub async fn stands() -> bool {
        match Self::current().0 {
            Some(fence) => fence.stands().await,
            None => true,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::runtime::tasks::{Tasks, aside};

    /// A right that is over.
    #[derive(Debug)]
    pub(crate) struct Over;

    impl Fence for Over {
        fn stands(&self) -> BoxFuture<'_, bool> {
            Box::pin(std::future::ready(false))
        }
    }

    #[tokio::test]
    async fn what_a_task_begins_may_do_no_more_than_itself() {
        assert!(Tenure::stands().await, "nobody has fenced it in");
        let begun = Tenure::within(Arc::new(Over)).scope(async {
            let beside = aside(Tenure::stands()).await;
            let task = Tasks::new().spawn("one", |_| Tenure::stands()).join().await;
            (Tenure::stands().await, beside, task.unwrap())
        });
        assert_eq!(begun.await, (false, false, false));
        assert!(Tenure::stands().await);
    }
}
