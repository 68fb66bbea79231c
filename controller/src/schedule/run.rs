//! One scheduled run: it is kept alive while the job works, and its end is written down.
//!
//! A run that is stopped from outside gives its claim back: the next start of this daemon, or another one, goes on with it. A run whose claim is lost, or might be because the store has not answered for too long, is stopped: somebody
//! else is at it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::job::{Job, Order};
use super::runner::Parts;
use crate::runtime::backoff::{Backoff, Policy, Random};
use crate::runtime::chain::Chain;
use crate::runtime::tasks::{Task, TaskError, Tasks};
use crate::runtime::urgency::Urgency;
use crate::store::{Claim, Ending, StoreError};

/// How long a daemon that stops waits for its store.
const PARTING: Duration = Duration::from_secs(1);
/// No schedule fails so often in a row that a longer backoff would differ.
const COUNTED_FAILURES: u32 = 32;

/// A run that this daemon has claimed.
#[derive(Debug)]
pub(super) struct Run {
    pub parts: Arc<Parts>,
    pub job: Job,
    pub claim: Claim,
    /// From before the store was asked for the claim: its silence counts from later.
    pub asked: Instant,
}

/// Why nobody waits for the work any more.
enum Left {
    /// It ended.
    Ended(Result<Result<String, String>, TaskError>),
    /// The daemon stops.
    Stopped,
    /// The claim is lost.
    Lost,
}

impl Run {
    /// Does the work, to its end or until `stop` fires.
    pub(super) async fn attend(self, stop: CancellationToken) {
        let began = Instant::now();
        let tasks = self.parts.tasks.child();
        let mut task = self.start(&tasks);
        match self.watch(&mut task, &stop).await {
            Left::Ended(result) => self.record(flat(result), began, &stop).await,
            Left::Stopped => {
                tasks.shut_down(self.parts.pace.wind_down).await;
                // What ended well in its last seconds need not be done again.
                match task.join().await {
                    Ok(Ok(message)) => self.record(Ok(message), began, &stop).await,
                    Ok(Err(_)) | Err(_) => self.leave().await,
                }
            }
            Left::Lost => {
                tracing::warn!("another daemon may be at this run by now, stopping it here");
                tasks.shut_down(self.parts.pace.wind_down).await;
            }
        }
    }

    fn start(&self, tasks: &Tasks) -> Task<Result<String, String>> {
        let (plan, due_at) = (self.claim.plan.clone(), self.claim.due_at);
        let (job, failures) = (self.job, self.claim.failures);
        tracing::info!(failures, late_s = self.late(due_at), "scheduled run started");
        // Started within the task, so that a starter that panics is a job that panics.
        let parts = Arc::clone(&self.parts);
        tasks.spawn("scheduled job", |stop| {
            Urgency::Verdicts
                .scope(async move { parts.jobs.start(Order { job, plan, due_at, failures, stop }).await })
        })
    }

    fn late(&self, due_at: DateTime<Utc>) -> i64 {
        (self.parts.clock.now() - due_at).num_seconds()
    }

    /// Waits for the work, and shows meanwhile that somebody is at it.
    async fn watch(&self, task: &mut Task<Result<String, String>>, stop: &CancellationToken) -> Left {
        let pace = &self.parts.pace;
        let mut confirmed = self.asked;
        loop {
            tokio::select! {
                biased;
                result = task.join() => return Left::Ended(result),
                () = stop.cancelled() => return Left::Stopped,
                () = tokio::time::sleep(pace.heartbeat) => {}
            }
            let asked = Instant::now();
            match timeout(pace.heartbeat, self.parts.store.beat(&self.claim)).await {
                Ok(Ok(())) => confirmed = asked,
                Ok(Err(StoreError::Outrun { .. })) => return Left::Lost,
                Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "cannot show that the run is alive"),
                Err(_) => tracing::warn!("the store is too slow to show that the run is alive"),
            }
            // By the end of the silence, when another may begin, this one must have stopped.
            if confirmed.elapsed() + pace.heartbeat + pace.wind_down >= pace.silence {
                return Left::Lost;
            }
        }
    }

    /// For whoever comes next. One that cannot be given back is another's after the silence.
    async fn leave(&self) {
        match timeout(PARTING, self.parts.store.leave_run(&self.claim)).await {
            Ok(Ok(())) => tracing::info!("scheduled run left to whoever comes next"),
            Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "a run cannot be given back"),
            Err(_) => tracing::warn!("the store is too slow to give a run back"),
        }
    }

    /// Writes the end down, again and again while the store does not answer.
    async fn record(&self, result: Result<String, String>, began: Instant, stop: &CancellationToken) {
        let took_s = began.elapsed().as_secs_f64();
        let ending = match result {
            Ok(message) => {
                tracing::info!(took_s, message, "scheduled run done");
                Ending::Done(message)
            }
            Err(why) => {
                let retry = self.parts.clock.scaled(wait(self.parts.pace.retry, self.claim.failures));
                tracing::warn!(took_s, why, next_s = retry.as_secs_f64(), "scheduled run failed");
                Ending::Failed(why, retry)
            }
        };
        loop {
            match self.parts.store.finish_run(&self.claim, &ending).await {
                Ok(()) => return,
                Err(error @ StoreError::Outrun { .. }) => {
                    return tracing::warn!(error = %Chain(&error), "the end of a run is not written down");
                }
                Err(error) => tracing::warn!(error = %Chain(&error), "cannot write down the end of a run"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(self.parts.pace.heartbeat)).await.is_none() {
                return;
            }
        }
    }
}

/// A job that broke an invariant has failed, like one that says so.
fn flat(result: Result<Result<String, String>, TaskError>) -> Result<String, String> {
    result.unwrap_or_else(|broken| Err(broken.to_string()))
}

/// How long to rest after one more failure than `failures`.
fn wait(policy: Policy, failures: u32) -> Duration {
    let (mut backoff, random) = (Backoff::new(policy), Random::system());
    for _ in 0..failures.min(COUNTED_FAILURES) {
        backoff.next_delay(&random);
    }
    backoff.next_delay(&random)
}
