//! Refusals of who asks too often: one token bucket for reads and one for writes, refilled by the world's clock. Pure.
//!
//! The provider publishes no thresholds; the defaults lie far above ordinary work, and above what one client gets through here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many seconds' worth of requests may come at once.
const BURST: f64 = 2.0;

/// Requests per second of world time; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// GET, HEAD and listings.
    pub reads: Option<f64>,
    /// Everything else.
    pub writes: Option<f64>,
}

impl Rates {
    /// No limit: for measurements.
    pub const UNLIMITED: Self = Self { reads: None, writes: None };

    /// Whether requests could ever be let through by them: rates are numbers above nothing.
    pub fn are_sound(&self) -> bool {
        [self.reads, self.writes].into_iter().flatten().all(|rate| rate.is_finite() && rate > 0.0)
    }

    /// The same rate for both.
    pub fn uniform(rate: f64) -> Self {
        Self { reads: Some(rate), writes: Some(rate) }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self { reads: Some(20_000.0), writes: Some(10_000.0) }
    }
}

#[derive(Debug)]
struct Bucket {
    rate: f64,
    tokens: f64,
    /// When it was last refilled, world time.
    at: Duration,
}

impl Bucket {
    fn new(rate: f64, now: Duration) -> Self {
        Self { rate, tokens: (rate * BURST).max(1.0), at: now }
    }

    fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.rate).min((self.rate * BURST).max(1.0));
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

/// The two buckets of an endpoint.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<[Option<Bucket>; 2]>);

impl Throttle {
    /// Full buckets.
    pub(crate) fn new(rates: Rates, now: Duration) -> Self {
        let bucket = |rate: Option<f64>| rate.map(|rate| Bucket::new(rate, now));
        Self(Mutex::new([bucket(rates.reads), bucket(rates.writes)]))
    }

    /// Other rates from now on, with full buckets.
    pub(crate) fn set(&self, rates: Rates, now: Duration) {
        let fresh = Self::new(rates, now).0.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// The rates in force.
    pub(crate) fn rates(&self) -> Rates {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [reads, writes] = buckets.each_ref().map(|bucket| bucket.as_ref().map(|bucket| bucket.rate));
        Rates { reads, writes }
    }

    /// Whether one more request may come.
    pub(crate) fn admits(&self, is_read: bool, now: impl FnOnce() -> Duration) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets[usize::from(!is_read)].as_mut().is_none_or(|bucket| bucket.take(now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_the_rate_holds() {
        let throttle = Throttle::new(Rates::uniform(10.0), Duration::ZERO);
        let ask = |at: u64| throttle.admits(false, || Duration::from_millis(at));
        assert_eq!((0..30).filter(|_| ask(0)).count(), 20);
        assert!(ask(100) && !ask(100), "one more after a tenth of a second");
        assert_eq!((0..100).filter(|_| ask(60_000)).count(), 20, "no more than the burst is saved up");
    }

    #[test]
    fn rates_are_told_as_they_were_set() {
        let throttle = Throttle::new(Rates::default(), Duration::ZERO);
        let slow = Rates { reads: Some(0.5), writes: None };
        throttle.set(slow, Duration::ZERO);
        assert_eq!(throttle.rates(), slow);
        assert!(
            slow.are_sound() && !Rates::uniform(0.0).are_sound() && !Rates::uniform(f64::NAN).are_sound()
        );
    }

    #[test]
    fn reads_and_writes_do_not_share() {
        let throttle = Throttle::new(Rates { reads: Some(0.5), writes: None }, Duration::ZERO);
        assert!(throttle.admits(true, || Duration::ZERO) && !throttle.admits(true, || Duration::ZERO));
        assert!((0..10_000).all(|_| throttle.admits(false, || Duration::ZERO)));
    }
}
