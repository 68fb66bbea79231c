//! What the daemon reads again and again from its store: what is asked for, and how old everything is.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use crate::http::health::Reporter;
use crate::metrics::Metrics;
use crate::runtime::chain::Chain;
use crate::runtime::queue::WorkQueue;
use crate::schedule::runner;
use crate::store::{ASKED, PlanRow, Store, StoreError, answered};

/// A lost notification is made up for after this long, in wall time.
const RESYNC: Duration = Duration::from_secs(15);
/// How long these questions may take together. With the time between two resyncs it is less than a lease lasts: whoever is cut off from the
/// store says so before the work ends.
const PROMPT: Duration = Duration::from_secs(15);
/// How often ages are read again: Prometheus seldom looks more often.
const REFRESH: Duration = Duration::from_secs(5);

/// How often it is looked for what drills left behind, in wall time; the first time at once.
const LEFTOVERS: Duration = Duration::from_hours(1);
/// The look after one that failed.
const SOON: Duration = Duration::from_mins(1);

/// Has drills torn down again whose tear-down failed, for as long as something of theirs is on record: it is paid for.
pub(super) async fn leftovers(store: Store, stop: CancellationToken) {
    loop {
        let next = match answered(store.reopen_drills()).await {
            Ok(drills) => {
                for drill in drills {
                    tracing::warn!(request = drill, "a drill left something behind: it is torn down again");
                }
                LEFTOVERS
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "cannot look for what drills left behind");
                SOON
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(next)).await.is_none() {
            return;
        }
    }
}

/// Feeds the queue: with what people ask for as soon as it is told, and with everything that is open now and then.
pub(super) async fn requests(
    store: Store,
    queue: WorkQueue<String>,
    metrics: Arc<Metrics>,
    reporter: Reporter,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        match promptly(store.listen(&[ASKED])).await {
            Ok(listener) => follow(&store, &queue, &metrics, &reporter, listener, &stop).await,
            Err(error) => lost(&reporter, &error),
        }
        if stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_none() {
            return;
        }
    }
}

/// Keeps the metrics that come from durable state in line with it.
pub(super) async fn ages(store: Store, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut refresh = tokio::time::interval(REFRESH);
    refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(refresh.tick()).await.is_some() {
        if let Err(error) = answered(read_ages(&store, &metrics)).await {
            tracing::warn!(error = %Chain(&error), "cannot read how old everything is");
        }
    }
}

async fn read_ages(store: &Store, metrics: &Metrics) -> Result<(), StoreError> {
    let plans = store.plans().await?;
    metrics.alerts_are_rehearsed(store.alerts_are_rehearsed(chrono::Utc::now()).await?);
    metrics.milestones_are(&store.milestones().await?);
    metrics.archives_are(&store.archive_facts().await?);
    let readable = |plan: &PlanRow| (plan.name.clone(), runner::check(plan).is_ok());
    metrics.plans_are(&plans.iter().map(readable).collect::<Vec<_>>());
    metrics.schedules_are(store.last_tick().await?, &runner::next(store, &plans).await?);
    Ok(())
}

/// Follows one connection until it breaks.
async fn follow(
    store: &Store,
    queue: &WorkQueue<String>,
    metrics: &Metrics,
    reporter: &Reporter,
    mut listener: PgListener,
    stop: &CancellationToken,
) {
    let mut resync = tokio::time::interval(RESYNC);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = resync.tick() => match promptly(open(store, queue, metrics)).await {
                Ok(()) => told(reporter, promptly(store.takes_writes()).await),
                Err(error) => return lost(reporter, &error),
            },
            told = listener.recv() => match told {
                Ok(told) => queue.add(told.payload().to_owned(), "asked"),
                Err(source) => return lost(reporter, &StoreError::Query { op: "listen", source }),
            },
        }
    }
}

async fn promptly<T>(asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PROMPT, asking).await.unwrap_or(Err(StoreError::Silent))
}

async fn open(store: &Store, queue: &WorkQueue<String>, metrics: &Metrics) -> Result<(), StoreError> {
    for name in store.open_requests().await? {
        queue.add(name, "resync");
    }
    metrics.requests_are(&store.phases().await?);
    metrics.scopes_are(&store.scopes().await?);
    metrics.failures_are(&store.failures().await?);
    metrics.movements_are(&store.movements().await?);
    metrics.hand_overs_are(&store.hand_overs().await?);
    Ok(())
}

/// Reports whether the store takes writes. Without them nothing begins, and what is at work ends with its lease.
fn told(reporter: &Reporter, written: Result<(), StoreError>) {
    match written {
        Ok(()) => reporter.holds(),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "the store takes no writes");
            let why = if error.takes_no_writes() {
                "the store takes no writes"
            } else {
                "the store does not answer"
            };
            reporter.missing(why);
        }
    }
}

fn lost(reporter: &Reporter, error: &StoreError) {
    tracing::warn!(error = %Chain(error), "the store cannot be watched");
    reporter.missing("the store does not answer");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::health::Health;
    use crate::store::tests::lab;

    #[tokio::test]
    async fn a_daemon_whose_store_takes_no_writes_is_not_ready() {
        let lab = lab().await;
        let (health, reads) =
            (Health::new(), "ALTER DATABASE postgres SET default_transaction_read_only = on");
        let reporter = health.condition("store");
        told(&reporter, lab.store.takes_writes().await);
        assert!(health.readiness().ready);
        lab.sql(reads).await.expect("altered");
        let copy = Store::connect(lab.options()).await.expect("connected");
        told(&reporter, copy.takes_writes().await);
        let now = health.readiness();
        assert!(!now.ready && now.report.contains("takes no writes"), "{}", now.report);
        copy.close().await;
        lab.end().await;
    }
}
