//! One attempt at one step: begun in the store, watched for silence, ended in the store.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::drive::QUIET;
use super::error::{Result, StepError};
use super::step::Step;
use super::steps::{self, Ctx};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{Severity, StepPhase, StepRow, StoreError, answered};

/// How often signs of life are written down, in wall time.
const FLUSH: Duration = Duration::from_millis(400);

/// Between two tries to write an end down, in wall time.
const AGAIN: Duration = Duration::from_secs(1);

/// No stall is called earlier than this, in wall time, however fast a rehearsed world runs: real programs are behind it.
const SHORTEST_STALL: Duration = Duration::from_secs(20);

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Done, or failed for good: it is in the store.
    Settled,
    /// Another attempt may help.
    Again(Class),
    /// Somebody asked it to stop, or the lease is gone.
    Stopped,
}

/// Runs one attempt. `last`, asked at its end: whether a failure now is final.
pub(super) async fn run(ctx: &Ctx, last: impl Fn() -> bool) -> End {
    let store = &ctx.tools.store;
    let key = ctx.step.to_string();
    let begun = store.begin_step(&ctx.run.request, ctx.run.epoch, &key, ctx.step.milestone().as_str());
    if let Err(error) = answered(begun).await {
        return not_recorded(&error);
    }
    let began = tokio::time::Instant::now();
    let result = watched(ctx).await;
    ctx.tools.metrics.step_ended(ctx.step.kind(), outcome(&result), began.elapsed());
    let (end, row) = conclude(ctx, (result, began.elapsed()), last).await;
    let write = || answered(store.finish_step(&ctx.run.request, ctx.run.epoch, &row));
    match written(write, &ctx.stop).await {
        Ok(()) => end,
        Err(error) => not_recorded(&error),
    }
}

/// Writes something down, again and again while the store does not answer: hours of work would be done once more for want of one line. Ends
/// when the attempt has to: whoever owns the request then looks again.
pub(super) async fn written<T, Writing>(
    write: impl Fn() -> Writing,
    stop: &CancellationToken,
) -> std::result::Result<T, StoreError>
where
    Writing: Future<Output = std::result::Result<T, StoreError>>,
{
    loop {
        match write().await {
            Err(error)
                if matches!(error.class(), Class::Transient | Class::Throttled(_))
                    && !error.is_about_the_data() =>
            {
                if stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
                    return Err(error);
                }
                tracing::warn!(error = %Chain(&error), "what a step has done is written down once more");
            }
            end => return end,
        }
    }
}

/// Without a record nothing was concluded: the next owner, or the next attempt, looks again.
fn not_recorded(error: &StoreError) -> End {
    tracing::warn!(error = %Chain(error), "a step's record could not be written");
    match error.class() {
        Class::Cancelled => End::Stopped,
        class => End::Again(class),
    }
}

fn outcome(result: &Result<Value>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.class().label(),
    }
}

/// Runs the step, writes its signs of life down, and ends it when nothing moves for too long.
async fn watched(ctx: &Ctx) -> Result<Value> {
    tokio::select! {
        biased;
        () = ctx.stop.cancelled() => Err(StepError::Stopped),
        result = steps::run(ctx) => result,
        error = beat(ctx) => Err(error),
    }
}

/// Writes signs of life until there is none for too long, or the lease is gone. It runs beside the step and never in its stead: both
/// lock the request's row, and one that is not polled while it holds the lock would block the other for ever.
async fn beat(ctx: &Ctx) -> StepError {
    let limit = ctx.tools.clock.scaled(ctx.run.plan.limits.stall.duration()).max(SHORTEST_STALL);
    let mut tick = tokio::time::interval(FLUSH);
    loop {
        tick.tick().await;
        if let Err(error) = flush(ctx).await {
            return error;
        }
        let silence = ctx.pulse.silence();
        if silence > limit {
            let doing = ctx.pulse.report(ctx.tools.clock.now()).message;
            return StepError::Stalled { silence, doing };
        }
    }
}

async fn flush(ctx: &Ctx) -> Result<()> {
    let Some(moved) = ctx.pulse.changed() else { return Ok(()) };
    let row = row(ctx, StepPhase::Running, None, None);
    match ctx.tools.store.heartbeat(&ctx.run.request, ctx.run.epoch, &row, moved).await {
        Err(error) if error.class() == Class::Cancelled => Err(error.into()),
        // The work goes on: the next beat tells the same.
        Err(_) | Ok(()) => Ok(()),
    }
}

async fn conclude(
    ctx: &Ctx,
    (result, worked): (Result<Value>, Duration),
    last: impl Fn() -> bool,
) -> (End, StepRow) {
    let denials = format!("denied/{}", ctx.step);
    // What was done meanwhile was not denied.
    if worked > ctx.tools.clock.scaled(QUIET) {
        ctx.patience.answered(&denials);
    }
    let error = match result {
        Ok(output) => {
            ctx.patience.answered(&denials);
            if ctx.step == Step::HandOver {
                // One look of many: what is new of it is told by the condition.
                tracing::debug!(step = %ctx.step, "step done");
            } else {
                tracing::info!(step = %ctx.step, "step done");
            }
            return (End::Settled, row(ctx, StepPhase::Done, None, Some(output)));
        }
        Err(error) => error,
    };
    let sentence = Chain(&error).to_string();
    let denied = error.is_denied().then(|| ctx.patience.failed(&denials).lasted);
    if denied.is_none() {
        ctx.patience.answered(&denials);
    }
    match passing(error.class(), denied, ctx.tools.clock.scaled(QUIET)) {
        Class::Cancelled => (End::Stopped, row(ctx, StepPhase::Pending, Some("stopped".to_owned()), None)),
        class @ (Class::Transient | Class::Throttled(_)) if !last() => {
            tracing::warn!(step = %ctx.step, error = sentence, class = class.label(), "step will be tried again");
            tell(ctx, "StepRetrying", &sentence).await;
            (
                End::Again(class),
                row(ctx, StepPhase::Pending, Some(format!("{sentence}; it will be tried again")), None),
            )
        }
        class => {
            tracing::error!(step = %ctx.step, error = sentence, class = class.label(), "step failed");
            tell(ctx, "StepFailed", &sentence).await;
            (End::Settled, row(ctx, StepPhase::Failed, Some(sentence), None))
        }
    }
}

/// The class of a failure. That our credentials do not suffice is believed once it has been said for a quiet period, wherever in a step:
/// what stands before a vendor's service answers for it now and then. `denied`: since when it has been said. Pure.
fn passing(class: Class, denied: Option<Duration>, quiet: Duration) -> Class {
    match (class, denied) {
        (Class::Terminal, Some(lasted)) if lasted < quiet => Class::Transient,
        (class, _) => class,
    }
}

/// An event that cannot be written is no reason to stop: the step's own row says the same.
async fn tell(ctx: &Ctx, reason: &str, sentence: &str) {
    if let Err(error) = ctx.event(Severity::Warning, reason, sentence).await {
        tracing::warn!(error = %Chain(&error), "an event could not be written");
    }
}

fn row(ctx: &Ctx, phase: StepPhase, message: Option<String>, output: Option<Value>) -> StepRow {
    let report = ctx.pulse.report(ctx.tools.clock.now());
    let told = if phase == StepPhase::Running { Some(report.message) } else { None };
    StepRow {
        step: ctx.step.to_string(),
        phase,
        attempt: 0,
        done: i64::try_from(report.done).unwrap_or(i64::MAX),
        total: report.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
        unit: report.unit.map(str::to_owned),
        message: message.or(told),
        output,
        spans: report.spans,
        started_at: None,
        heartbeat_at: None,
        finished_at: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::recovery::steps::bench::{Bench, vendors};

    #[tokio::test]
    async fn what_a_step_has_done_is_written_down_when_the_store_takes_it() {
        let bench = Bench::new(Step::Restore, vendors(|_, _| Ok(json!({ "user": { "id": "us-1" } })))).await;
        let row = bench.ctx.intend("database-content", "db", None, json!({})).await.expect("intended");
        bench.sql("CREATE SEQUENCE tries").await;
        bench
            .sql(
                "CREATE FUNCTION lacks() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
                    IF nextval(''tries'') < 2 THEN RAISE EXCEPTION ''full'' USING ERRCODE = ''53100''; END IF; RETURN NEW; END'",
            )
            .await;
        bench
            .sql(
                "CREATE TRIGGER lacks BEFORE UPDATE ON resource_ledger FOR EACH ROW EXECUTE FUNCTION lacks()",
            )
            .await;
        bench.ctx.saw(&row, "backup-1").await.expect("hours of work stand behind it");
        bench.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_written_down_when_the_store_is_back() {
        let (tries, stop) = (AtomicUsize::new(0), CancellationToken::new());
        let away = async |times: usize| {
            let before = tries.fetch_add(1, Ordering::Relaxed);
            if before < times { Err(StoreError::Silent) } else { Ok(()) }
        };
        written(|| away(3), &stop).await.expect("the store is back");
        assert_eq!(tries.swap(0, Ordering::Relaxed), 4);
        let fenced = || async { Err::<(), _>(StoreError::Fenced { request: "bad-day".to_owned() }) };
        let error = written(fenced, &stop).await.expect_err("it is another's by now");
        assert_eq!(error.class(), Class::Cancelled);
        stop.cancel();
        assert!(written(|| away(9), &stop).await.is_err(), "it has to end");
        assert_eq!(tries.into_inner(), 1);
    }

    #[test]
    fn one_word_that_credentials_do_not_suffice_is_no_end() {
        let (quiet, second) = (Duration::from_secs(20), Duration::from_secs(1));
        assert_eq!(passing(Class::Terminal, Some(Duration::ZERO), quiet), Class::Transient);
        assert_eq!(passing(Class::Terminal, Some(quiet + second), quiet), Class::Terminal, "it lasts");
        assert_eq!(passing(Class::Terminal, None, quiet), Class::Terminal, "it is about something else");
        assert_eq!(passing(Class::Cancelled, None, quiet), Class::Cancelled);
    }
}
