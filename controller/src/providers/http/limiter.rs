//! How often one vendor account is spoken to. Shared by everything that uses the account's credentials.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex as Lock, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::{InMemoryState, NotKeyed},
};
use tokio::{sync::Mutex, time::Instant};

/// A token bucket with a queue: first come, first served. Cheap to clone; clones share the bucket.
///
/// No window of one minute ever holds more than the configured number of requests: a sixth of them may come at once, the rest
/// is spread, and both together stay within the number.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    bucket: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    clock: DefaultClock,
    turn: Mutex<()>,
    /// Until then nobody passes.
    held: Lock<Option<Instant>>,
    requests: NonZeroU32,
    window: Duration,
}

impl Limiter {
    /// At most `requests` in any minute. Below 2, a burst of one and one a minute are the floor.
    pub fn per_minute(requests: NonZeroU32) -> Self {
        Self::per(requests, Duration::from_mins(1))
    }

    /// The same for a window of another length: a rehearsed world's minutes are shorter.
    pub fn per(requests: NonZeroU32, window: Duration) -> Self {
        let burst = (requests.get() / 6).max(1);
        let sustained = requests.get().saturating_sub(burst).max(1);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let period = (window / sustained).max(Duration::from_nanos(1));
        let quota =
            Quota::with_period(period).unwrap_or_else(|| Quota::per_minute(requests)).allow_burst(burst);
        Self(Arc::new(Inner {
            bucket: RateLimiter::direct(quota),
            clock: DefaultClock::default(),
            turn: Mutex::new(()),
            held: Lock::default(),
            requests,
            window,
        }))
    }

    /// Waits for a place and returns how long that took. Cancelled by dropping.
    pub async fn acquire(&self) -> Duration {
        let since = Instant::now();
        // Held while waiting on purpose: later callers queue behind instead of racing for each place.
        let _turn = self.0.turn.lock().await;
        while let Some(until) = self.held() {
            tokio::time::sleep_until(until).await;
        }
        while let Err(full) = self.0.bucket.check() {
            tokio::time::sleep(full.wait_time_from(self.0.clock.now())).await;
        }
        since.elapsed()
    }

    /// The vendor said that this is too much: nobody passes for as long as it asked, a window where it did not say, and at most that. What
    /// it asks beyond is the business of whoever was refused; one request in each window learns whether it is over.
    pub fn hold(&self, asked: Option<Duration>) {
        let until = Instant::now() + asked.unwrap_or(self.0.window).min(self.0.window);
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(held.map_or(until, |known| known.max(until)));
    }

    fn held(&self) -> Option<Instant> {
        let held = *self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.filter(|until| *until > Instant::now())
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("requests", &self.0.requests)
            .field("window", &self.0.window)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_passes_and_the_next_one_waits() {
        let limiter = Limiter::per_minute(NonZeroU32::new(6000).unwrap());
        let mut waited = Duration::ZERO;
        for _ in 0..1000 {
            waited += limiter.acquire().await;
        }
        assert!(waited < Duration::from_secs(1), "the burst waited {waited:?}");
        let before = Instant::now();
        for _ in 0..10 {
            limiter.acquire().await;
        }
        // 5000 a minute is one each 12 ms.
        assert!(before.elapsed() > Duration::from_millis(60), "{:?}", before.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_refused_holds_everybody_for_a_window_at_most() {
        let limiter = Limiter::per(NonZeroU32::new(6000).unwrap(), Duration::from_mins(1));
        for (asked, waits) in [(None, 60), (Some(7), 7), (Some(3600), 60)] {
            limiter.clone().hold(asked.map(Duration::from_secs));
            // Timers have whole milliseconds.
            assert_eq!(limiter.acquire().await.as_secs(), waits, "{asked:?}");
        }
        assert_eq!(limiter.acquire().await, Duration::ZERO);
    }

    #[tokio::test]
    async fn clones_share_one_bucket() {
        let limiter = Limiter::per_minute(NonZeroU32::new(6).unwrap());
        limiter.acquire().await;
        let other = limiter.clone();
        let second = tokio::time::timeout(Duration::from_millis(50), other.acquire()).await;
        assert!(second.is_err(), "the second call of the account passed at once");
    }
}
