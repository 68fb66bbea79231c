//! The loop inside a step: observe, decide, act, observe again, until the post-condition is *seen*.
//!
//! At most one mutation a turn. After a mutation whose answer was lost nothing more is created until a quiet period of
//! observing has shown that nothing new appears: a doubled addon is a doubled bill.

use std::time::Duration;

use super::error::{Result, StepError};
use super::steps::Ctx;
use crate::store::SpanKind;

/// What a step decides, from what was observed alone.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<A, T> {
    /// The post-condition holds.
    Done(T),
    /// Do this, then look again.
    Act(A),
    /// Nothing to do but wait, for this reason.
    Wait(String),
}

/// How a step watches the world.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The first pause between two looks; it grows by half each time.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// What waiting is accounted as.
    pub waiting_for: SpanKind,
}

/// How long to look for the effect of a call whose answer was lost before sending it again.
pub(super) const QUIET: Duration = Duration::from_secs(20);

/// What each further action of a step waits longer before the next look.
const AFTER_ACT: Duration = Duration::from_millis(200);

impl Pace {
    /// For the platform, whose calls are rationed.
    pub const PROVIDER: Self = Self {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(10),
        waiting_for: SpanKind::Provider,
    };
    /// For name servers.
    pub const DNS: Self =
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(5), waiting_for: SpanKind::Dns };
}

/// Drives one step to its post-condition. `in_doubt`: an earlier process may have sent the mutation.
pub async fn drive<O, A, T, Observing, Acting>(
    ctx: &Ctx,
    pace: Pace,
    in_doubt: bool,
    observe: impl Fn() -> Observing,
    decide: impl Fn(&O) -> Result<Next<A, T>>,
    act: impl Fn(A) -> Acting,
) -> Result<T>
where
    Observing: Future<Output = Result<O>>,
    Acting: Future<Output = Result<()>>,
{
    let (mut pause, mut acts) = (pace.first, 0);
    let mut doubt = in_doubt.then(|| ctx.deadline(QUIET));
    loop {
        let seen = observe().await?;
        match decide(&seen)? {
            Next::Done(done) => return Ok(done),
            Next::Act(action) if doubt.is_none_or(|until| until <= ctx.now()) => {
                doubt = settle(act(action).await)?.then(|| ctx.deadline(QUIET));
                pause = pace.first;
                acts += 1;
                // The first look comes at once; an action that changes nothing must not become a hot loop.
                ctx.pause(AFTER_ACT * acts).await?;
                continue;
            }
            Next::Act(_) => {
                ctx.doing(pace.waiting_for, "the answer to a call was lost: looking whether it took effect");
            }
            Next::Wait(why) => ctx.doing(pace.waiting_for, why),
        }
        ctx.pause(pause).await?;
        pause = pause.mul_f64(1.5).min(pace.longest);
    }
}

/// A lost answer is not a failure: the next look tells.
fn settle(result: Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(false),
        Err(error) if error.is_in_doubt() => {
            tracing::warn!(error = %crate::runtime::chain::Chain(&error), "the answer to a mutating call was lost");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

impl StepError {
    /// Wraps a provider's error, and keeps whether a mutation may have taken effect.
    pub fn provider(doing: impl Into<String>) -> impl FnOnce(crate::providers::http::ProviderError) -> Self {
        let doing = doing.into();
        move |source| {
            if source.is_denied() {
                return Self::denied(&doing, &source);
            }
            Self::Failed {
                doing,
                class: crate::runtime::class::Classified::class(&source),
                in_doubt: source.outcome_unknown(),
                source: Box::new(source),
            }
        }
    }

    /// Our credentials do not open the door: only a person can give better ones.
    fn denied(doing: &str, source: &crate::providers::http::ProviderError) -> Self {
        Self::refused(
            format!("{doing}: {}", crate::runtime::chain::Chain(source)),
            "set credentials that are valid and suffice (SCALINGO_API_TOKEN, ALWAYSDATA_API_KEY or GITHUB_TOKEN) where the daemon runs, \
             restart it, and resume the request",
        )
    }
}
