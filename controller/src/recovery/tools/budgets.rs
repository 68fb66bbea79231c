//! The vendors' budgets of requests, as all processes at our store share them.

use std::time::Duration;

use futures::future::BoxFuture;

use crate::providers::http::{Budget, Rate};
use crate::runtime::chain::Chain;
use crate::store::{Store, StoreError};

/// A store that takes longer does not answer: no recovery waits for that.
const PATIENCE: Duration = Duration::from_secs(2);

/// Budgets that are kept in our store.
#[derive(Debug)]
pub(super) struct Budgets(pub(super) Store);

impl Budget for Budgets {
    fn spend<'a>(
        &'a self,
        account: &'a str,
        rate: Rate,
        ahead: Duration,
    ) -> BoxFuture<'a, Option<Result<(), Duration>>> {
        Box::pin(async move {
            // Held for a window at most, and then the burst.
            let most = rate.window * 2;
            let spent = answered(self.0.spend_budget(account, rate.period, ahead, most)).await?;
            Some(spent.map_or(Ok(()), Err))
        })
    }

    fn exhaust<'a>(&'a self, account: &'a str, ahead: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            answered(self.0.exhaust_budget(account, ahead)).await;
        })
    }
}

async fn answered<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?;
    answer
        .inspect_err(|error| tracing::debug!(error = %Chain(error), "the shared budget does not answer"))
        .ok()
}
