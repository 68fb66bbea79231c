//! How often one vendor account is spoken to. Shared by everything that uses the account's credentials, in this process and beside it; what is
//! urgent comes first.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex as Lock, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{sync::Mutex, time::Instant};

use crate::runtime::urgency::Urgency;

/// How often an account may be spoken to: so many at once, and one more each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Between two, at an even pace.
    pub period: Duration,
    /// At once, after a rest.
    pub burst: u32,
    /// No window of this length ever holds more than was asked for.
    pub window: Duration,
}

impl Rate {
    /// At most `requests` in any window: a sixth of them may come at once, the rest is spread, and both together stay within the number.
    fn of(requests: NonZeroU32, window: Duration) -> Self {
        let burst = (requests.get() / 6).max(1);
        let sustained = requests.get().saturating_sub(burst).max(1);
        Self { period: (window / sustained).max(Duration::from_nanos(1)), burst, window }
    }

    /// How far ahead of the even pace one may be to be let through. What is less urgent leaves some of the burst to what is more so, and while
    /// that uses all of it, waits.
    pub fn ahead(&self, urgency: Urgency) -> Duration {
        let part = match urgency {
            Urgency::Recovery => 4,
            Urgency::Drill => 3,
            Urgency::Preflight => 2,
            Urgency::Verdicts => 1,
        };
        self.period * ((self.burst - 1) * part / 4)
    }

    /// How far ahead an account is put that is to be left alone for `pause`: then one is let through, and the next at the even pace.
    fn pause(&self, pause: Duration) -> Duration {
        pause + self.period * (self.burst - 1)
    }
}

/// Where processes that use one account share its budget.
pub trait Budget: fmt::Debug + Send + Sync {
    /// Takes a request, if what was taken is at most `ahead` of the pace; else how long to wait before asking again. `None`: it does not answer.
    fn spend<'a>(
        &'a self,
        account: &'a str,
        rate: Rate,
        ahead: Duration,
    ) -> BoxFuture<'a, Option<Result<(), Duration>>>;

    /// Leaves nothing for as long as `ahead`.
    fn exhaust<'a>(&'a self, account: &'a str, ahead: Duration) -> BoxFuture<'a, ()>;
}

/// A token bucket with queues: the more urgent first, and of one urgency first come, first served. Cheap to clone; clones share the bucket.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    rate: Rate,
    /// Until when an even pace would have taken for what was spent here.
    spent_until: Lock<Option<Instant>>,
    turns: [Mutex<()>; Urgency::ALL.len()],
    shared: Option<(&'static str, Arc<dyn Budget>)>,
}

impl Limiter {
    /// At most `requests` in any minute. Below 2, a burst of one and one a minute are the floor.
    pub fn per_minute(requests: NonZeroU32) -> Self {
        Self::per(requests, Duration::from_mins(1))
    }

    /// The same for a window of another length: a rehearsed world's minutes are shorter.
    pub fn per(requests: NonZeroU32, window: Duration) -> Self {
        Self::new(Rate::of(requests, window), None)
    }

    /// The same budget for all who share it under this name. While it does not answer, this process has one of its own.
    pub fn shared(
        requests: NonZeroU32,
        window: Duration,
        account: &'static str,
        budget: Arc<dyn Budget>,
    ) -> Self {
        Self::new(Rate::of(requests, window), Some((account, budget)))
    }

    fn new(rate: Rate, shared: Option<(&'static str, Arc<dyn Budget>)>) -> Self {
        Self(Arc::new(Inner { rate, spent_until: Lock::default(), turns: Default::default(), shared }))
    }

    /// Waits for a place and returns how long that took. Cancelled by dropping.
    pub async fn acquire(&self) -> Duration {
        let (since, urgency) = (Instant::now(), Urgency::current());
        // Held while waiting on purpose: later callers queue behind instead of racing for each place.
        let turn = match urgency {
            Urgency::Recovery => &self.0.turns[0],
            Urgency::Drill => &self.0.turns[1],
            Urgency::Preflight => &self.0.turns[2],
            Urgency::Verdicts => &self.0.turns[3],
        };
        let _turn = turn.lock().await;
        let ahead = self.0.rate.ahead(urgency);
        while let Err(wait) = self.spend(ahead).await {
            tokio::time::sleep(wait).await;
        }
        since.elapsed()
    }

    /// Takes from this process's own bucket first: it knows what was spent while the shared one did not answer.
    async fn spend(&self, ahead: Duration) -> Result<(), Duration> {
        self.spend_here(ahead)?;
        let Some((account, budget)) = &self.0.shared else { return Ok(()) };
        if let Some(Err(wait)) = budget.spend(account, self.0.rate, ahead).await {
            // It is not made.
            let mut spent_until = self.spent_until();
            *spent_until = spent_until.and_then(|until| until.checked_sub(self.0.rate.period));
            return Err(wait);
        }
        Ok(())
    }

    fn spend_here(&self, ahead: Duration) -> Result<(), Duration> {
        let (now, mut spent_until) = (Instant::now(), self.spent_until());
        let from = spent_until.map_or(now, |until| until.max(now));
        let wait = from.duration_since(now).saturating_sub(ahead);
        if wait.is_zero() {
            *spent_until = Some(from + self.0.rate.period);
            return Ok(());
        }
        Err(wait)
    }

    /// The vendor said that this is too much: nobody passes for as long as it asked, a window where it did not say, and at most that. What
    /// it asks beyond is the business of whoever was refused; one request in each window learns whether it is over.
    pub async fn hold(&self, asked: Option<Duration>) {
        let rate = &self.0.rate;
        let ahead = rate.pause(asked.unwrap_or(rate.window).min(rate.window));
        let until = Instant::now() + ahead;
        {
            let mut spent_until = self.spent_until();
            *spent_until = Some(spent_until.map_or(until, |known| known.max(until)));
        }
        if let Some((account, budget)) = &self.0.shared {
            budget.exhaust(account, ahead).await;
        }
    }

    fn spent_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.spent_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("rate", &self.0.rate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_no_minute_holds_more_than_was_asked_for() {
        let limiter = Limiter::per_minute(requests(60));
        let began = Instant::now();
        let mut passed = Vec::new();
        for _ in 0..200 {
            Urgency::Recovery.scope(limiter.acquire()).await;
            passed.push(began.elapsed());
        }
        assert!(passed[9] < Duration::from_millis(1), "the burst waited {:?}", passed[9]);
        for (first, last) in passed.iter().zip(&passed[60..]) {
            let span = last.saturating_sub(*first);
            assert!(span >= Duration::from_mins(1), "61 requests within {span:?}");
        }
        assert!(passed[199] < Duration::from_mins(4), "{:?}", passed[199]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_refused_holds_everybody_for_a_window_at_most() {
        let limiter = Limiter::per(requests(6000), Duration::from_mins(1));
        for (asked, waits) in [(None, 60), (Some(7), 7), (Some(3600), 60)] {
            limiter.clone().hold(asked.map(Duration::from_secs)).await;
            // Timers have whole milliseconds.
            let waited = Urgency::Recovery.scope(limiter.acquire()).await;
            assert_eq!(waited.as_secs(), waits, "{asked:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clones_share_one_bucket() {
        let limiter = Limiter::per_minute(requests(6));
        limiter.acquire().await;
        assert!(limiter.clone().acquire().await > Duration::from_secs(11));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_passes_what_has_all_day() {
        let limiter = Limiter::per_minute(requests(60));
        let all = |urgency: Urgency, number: usize| {
            let limiter = limiter.clone();
            urgency.scope(async move {
                for _ in 0..number {
                    limiter.acquire().await;
                }
                Instant::now()
            })
        };
        let began = Instant::now();
        let (verdicts, recovery) = tokio::join!(all(Urgency::Verdicts, 20), async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            all(Urgency::Recovery, 40).await
        });
        // As if there were no others: ten at once but for what they had spent, and the rest at the pace.
        assert!(recovery - began < Duration::from_secs(2 + 40), "{:?}", recovery - began);
        assert!(verdicts > recovery, "{:?} before {:?}", verdicts - began, recovery - began);
    }

    /// A budget that another process uses too, and that does not always answer.
    #[derive(Debug, Default)]
    struct Elsewhere(Lock<Vec<Option<Result<(), Duration>>>>);

    impl Budget for Elsewhere {
        fn spend<'a>(
            &'a self,
            _: &'a str,
            _: Rate,
            _: Duration,
        ) -> BoxFuture<'a, Option<Result<(), Duration>>> {
            Box::pin(async { self.0.lock().unwrap().pop().unwrap_or(Some(Ok(()))) })
        }

        fn exhaust<'a>(&'a self, _: &'a str, _: Duration) -> BoxFuture<'a, ()> {
            Box::pin(async {})
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_spent_is_waited_for_and_silence_is_not() {
        let answers = vec![None, Some(Ok(())), Some(Err(Duration::from_secs(9)))];
        let budget = Arc::new(Elsewhere(Lock::new(answers)));
        let limiter = Limiter::shared(requests(60), Duration::from_mins(1), "test", budget);
        assert_eq!(limiter.acquire().await.as_secs(), 9);
        assert_eq!(limiter.acquire().await, Duration::ZERO, "the store does not answer");
    }
}
