//! The loop inside a step: observe, decide, act, observe again, until the post-condition is *seen*.
//!
//! At most one mutation a turn. After a mutation whose answer was lost nothing more is created until a quiet period of
//! observing has shown that nothing new appears: a doubled addon is a doubled bill. What was taken is not asked for again as long, and a
//! refusal is looked into as long: lists may be late, and vendors refuse what is there already.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{Result, StepError};
use super::steps::Ctx;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::runtime::tenure::Tenure;
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

    /// The pause that follows `pause`.
    fn after(self, pause: Duration) -> Duration {
        pause.mul_f64(1.5).min(self.longest)
    }
}

/// Drives one step to its post-condition. `in_doubt`: an earlier attempt may have sent the mutation. A refusal is believed once a later
/// look, after the quiet period, still asks for the same; and what was seen ends the step once it has for as long.
pub async fn drive<O, A, T, Observing, Acting>(
    ctx: &Ctx,
    pace: Pace,
    in_doubt: bool,
    observe: impl Fn() -> Observing,
    decide: impl Fn(&O) -> Result<Next<A, T>>,
    act: impl Fn(A) -> Acting,
) -> Result<T>
where
    A: Clone + PartialEq,
    Observing: Future<Output = Result<O>>,
    Acting: Future<Output = Result<()>>,
{
    let (mut pause, mut acts, mut ending) = (pace.first, 0, None);
    let mut doubt = Doubt { until: in_doubt.then(|| ctx.deadline(QUIET)), answer: Answer::Lost };
    loop {
        let seen = look(ctx, pace, &observe).await?;
        let next = match decide(&seen) {
            Err(error)
                if error.is_final() && ctx.now() < *ending.get_or_insert_with(|| ctx.deadline(QUIET)) =>
            {
                Next::Wait(format!("looking whether it stays so: {}", Chain(&error)))
            }
            decided => {
                ending = None;
                decided.map_err(StepError::lasting)?
            }
        };
        match next {
            Next::Done(done) => return Ok(done),
            Next::Act(action) => match doubt.of(&action, ctx.now()) {
                Verdict::Act => {
                    if !Tenure::stands().await {
                        return Err(StepError::Stopped);
                    }
                    let answer = act(action.clone()).await;
                    doubt = Doubt::after(action, answer, ctx.deadline(QUIET))?;
                    pause = pace.first;
                    acts += 1;
                    // The first look comes at once; an action that changes nothing must not become a hot loop.
                    ctx.pause(AFTER_ACT * acts).await?;
                    continue;
                }
                Verdict::Look(why) => ctx.doing(pace.waiting_for, why),
                Verdict::Refused(why) => return Err(why.lasting()),
            },
            Next::Wait(why) => ctx.doing(pace.waiting_for, why),
        }
        ctx.pause(pause).await?;
        pause = pace.after(pause);
    }
}

/// Looks. What is refused, or answered with something else than was asked for, is believed once it has been for a quiet period: what was
/// just made may not be listed yet, and what stands before a vendor's service answers for it now and then.
pub async fn look<O, Observing>(ctx: &Ctx, pace: Pace, observe: impl Fn() -> Observing) -> Result<O>
where
    Observing: Future<Output = Result<O>>,
{
    let (mut until, mut pause) = (None, pace.first);
    loop {
        match observe().await {
            Err(error)
                if error.is_final() && ctx.now() < *until.get_or_insert_with(|| ctx.deadline(QUIET)) =>
            {
                tracing::warn!(step = %ctx.step, error = %Chain(&error), "a look was refused: looking again");
            }
            end => return end.map_err(StepError::lasting),
        }
        ctx.pause(pause).await?;
        pause = pace.after(pause);
    }
}

/// What is not known of the last action: whether it took effect.
#[derive(Debug)]
struct Doubt<A> {
    /// Until then it is only looked.
    until: Option<Instant>,
    answer: Answer<A>,
}

/// What the vendor said to an action.
#[derive(Debug)]
enum Answer<A> {
    /// Perhaps nothing, perhaps its answer did not arrive.
    Lost,
    /// It took it. As long as a list does not show that, the same is not asked for again.
    Taken(A),
    /// It refused it. What was looked at before may have been late: what is there already is refused, too.
    Refused(A, StepError),
}

/// What to do about an action that is due.
#[derive(Debug)]
enum Verdict {
    Act,
    Look(&'static str),
    Refused(StepError),
}

impl<A: PartialEq> Doubt<A> {
    /// A lost answer is not a failure, and a refusal not yet one: the next looks tell.
    fn after(action: A, answer: Result<()>, quiet: Instant) -> Result<Self> {
        match answer {
            Ok(()) => Ok(Self { until: Some(quiet), answer: Answer::Taken(action) }),
            Err(error) if error.is_in_doubt() => {
                tracing::warn!(error = %Chain(&error), "the answer to a mutating call was lost");
                Ok(Self { until: Some(quiet), answer: Answer::Lost })
            }
            Err(error) if error.is_final() => {
                Ok(Self { until: Some(quiet), answer: Answer::Refused(action, error) })
            }
            Err(error) => Err(error),
        }
    }

    fn of(&mut self, action: &A, now: Instant) -> Verdict {
        let looking = self.until.is_some_and(|until| until > now);
        match (std::mem::replace(&mut self.answer, Answer::Lost), looking) {
            (Answer::Lost, true) => {
                Verdict::Look("the answer to a call was lost: looking whether it took effect")
            }
            (answer @ Answer::Refused(..), true) => {
                self.answer = answer;
                Verdict::Look("a call was refused: looking whether what it asked for is there")
            }
            (Answer::Taken(before), true) if before == *action => {
                self.answer = Answer::Taken(before);
                Verdict::Look("a call was taken, and its effect is not seen yet")
            }
            (Answer::Refused(before, why), false) if before == *action => Verdict::Refused(why),
            (Answer::Taken(_), true) | (_, false) => Verdict::Act,
        }
    }
}

impl StepError {
    /// Nobody but a person changes that.
    fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::Denied { .. } | Self::Failed { class: Class::Terminal, .. }
        )
    }

    /// Wraps a provider's error, and keeps whether a mutation may have taken effect. One that may have is no end: who looks again learns
    /// what became of it.
    pub fn provider(doing: impl Into<String>) -> impl FnOnce(crate::providers::http::ProviderError) -> Self {
        let doing = doing.into();
        move |source| {
            if source.is_denied() {
                return Self::denied(&doing, &source);
            }
            let (class, in_doubt) = (source.class(), source.outcome_unknown());
            Self::Failed {
                doing,
                class: if in_doubt && class == Class::Terminal { Class::Transient } else { class },
                in_doubt,
                source: Box::new(source),
            }
        }
    }

    /// Our credentials do not open the door: only a person can give better ones.
    fn denied(doing: &str, source: &crate::providers::http::ProviderError) -> Self {
        let advice = "set credentials that are valid and suffice (SCALINGO_API_TOKEN, ALWAYSDATA_API_KEY or GITHUB_TOKEN) where the daemon runs, \
                      restart it, and resume the request";
        let what = format!("{doing}: {}", Chain(source));
        Self::Denied { what, advice: advice.to_owned(), lasted: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::http::{Effect, ProviderError};
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, vendors};

    #[tokio::test]
    async fn a_denial_that_a_look_has_waited_out_is_no_single_word_any_more() {
        let bench = Bench::new(Step::ChooseBackup, vendors(|_, _| Err(403))).await;
        let tools = &bench.ctx.tools;
        let observe = || async {
            let listed = tools.target_platform(&bench.ctx.run)?.keys().await;
            listed.map_err(StepError::provider("listing the keys"))
        };
        assert!(observe().await.expect_err("denied").is_denied(), "it may be somebody's in between");
        let error = look(&bench.ctx, Pace::PROVIDER, observe).await.expect_err("denied");
        assert!(matches!(error, StepError::Denied { .. }) && !error.is_denied(), "{error}");
        bench.end().await;
    }

    const SOON: Duration = Duration::from_secs(20);

    fn refusal() -> Result<()> {
        Err(StepError::refused("there is one already", "look at it"))
    }

    fn after(answer: Result<()>, now: Instant) -> Doubt<&'static str> {
        Doubt::after("create", answer, now + SOON).expect("a doubt")
    }

    #[test]
    fn an_answer_to_a_change_that_cannot_be_read_is_no_end() {
        let garbled = |effect| {
            let error = ProviderError::Incomplete { call: "users.create", what: "a user", effect };
            StepError::provider("creating a user")(error)
        };
        let changed = garbled(Effect::Mutating);
        assert!(changed.is_in_doubt() && !changed.is_final(), "it may have been carried out: {changed}");
        assert_eq!(changed.class(), Class::Transient);
        assert!(garbled(Effect::Repeatable).is_final());
    }

    #[test]
    fn a_refusal_is_believed_when_the_same_is_still_due_after_the_quiet_period() {
        let now = Instant::now();
        let mut doubt = after(refusal(), now);
        assert!(matches!(doubt.of(&"create", now), Verdict::Look(_)), "a list may be late");
        assert!(matches!(doubt.of(&"create", now + SOON), Verdict::Refused(_)));
        let mut doubt = after(refusal(), now);
        assert!(
            matches!(doubt.of(&"change", now + SOON), Verdict::Act),
            "it is there, and not as it should be"
        );
    }

    #[test]
    fn what_was_taken_is_not_asked_for_again_while_a_list_may_be_late() {
        let now = Instant::now();
        let mut doubt = after(Ok(()), now);
        assert!(matches!(doubt.of(&"create", now), Verdict::Look(_)));
        assert!(matches!(doubt.of(&"create", now + SOON), Verdict::Act), "it was taken and came to nothing");
        assert!(matches!(after(Ok(()), now).of(&"mark", now), Verdict::Act), "it is there, and this is next");
    }

    #[test]
    fn a_lost_answer_is_looked_for_and_then_sent_again_and_trouble_ends_the_attempt() {
        let now = Instant::now();
        let trouble = |in_doubt| StepError::Failed {
            doing: "creating".to_owned(),
            class: Class::Transient,
            in_doubt,
            source: "cut".into(),
        };
        let mut doubt = after(Err(trouble(true)), now);
        assert!(matches!(doubt.of(&"create", now), Verdict::Look(_)));
        assert!(matches!(doubt.of(&"create", now + SOON), Verdict::Act));
        assert!(Doubt::after("create", Err(trouble(false)), now).is_err());
    }
}
