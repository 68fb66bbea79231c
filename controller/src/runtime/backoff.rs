//! How long to wait after a failure: exponential, capped, with full jitter. The growth is `backon`'s; its own jitter is
//! not used, because it only ever lengthens a wait and does so beyond the cap.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::class::Class;

/// A source of numbers in `[0, 1)`, given from outside so that a test can choose them.
#[derive(Clone)]
pub struct Random(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Random {
    /// Real randomness.
    pub fn system() -> Self {
        Self(Arc::new(rand::random::<f64>))
    }

    /// Always `value`, held within `[0, 1]`.
    pub fn fixed(value: f64) -> Self {
        let value = value.clamp(0.0, 1.0);
        Self(Arc::new(move || value))
    }

    /// The next number.
    pub fn draw(&self) -> f64 {
        (self.0)()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// The shape of a backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The upper bound of the first wait; it doubles with each failure.
    pub base: Duration,
    /// The upper bound of every wait.
    pub cap: Duration,
    /// The lower bound of every wait: full jitter may draw zero, which would be a hot loop.
    pub floor: Duration,
}

impl Default for Policy {
    /// From 1 s to 5 min, never under 100 ms.
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_mins(5), floor: Duration::from_millis(100) }
    }
}

/// The failures of one thing in a row, and what they cost.
#[derive(Debug)]
pub struct Backoff {
    policy: Policy,
    growth: <ExponentialBuilder as BackoffBuilder>::Backoff,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(policy: Policy) -> Self {
        let growth = ExponentialBuilder::new()
            .with_min_delay(policy.base)
            .with_max_delay(policy.cap)
            .without_max_times()
            .build();
        Self { policy, growth, failures: 0 }
    }

    /// One more failure: how long to wait now, somewhere between the floor and this failure's upper bound.
    pub fn next_delay(&mut self, random: &Random) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let bound = self.growth.next().unwrap_or(self.policy.cap).min(self.policy.cap);
        bound.mul_f64(random.draw()).max(self.policy.floor).min(bound)
    }

    /// How many failures in a row there were.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

/// A backoff for each key that failed; a key that succeeds costs nothing.
#[derive(Debug)]
pub struct Backoffs<K> {
    policy: Policy,
    random: Random,
    failing: HashMap<K, Backoff>,
}

impl<K: Eq + Hash> Backoffs<K> {
    /// Nothing has failed yet.
    pub fn new(policy: Policy, random: Random) -> Self {
        Self { policy, random, failing: HashMap::new() }
    }

    /// `key` failed: how long to wait. What the other side asked for is kept, but never less than the backoff.
    pub fn failed(&mut self, key: K, class: Class) -> Duration {
        let backoff = self.failing.entry(key).or_insert_with(|| Backoff::new(self.policy));
        let own = backoff.next_delay(&self.random);
        class.retry_after().map_or(own, |asked| asked.max(own))
    }

    /// `key` succeeded, or is gone: its failures are forgotten.
    pub fn succeeded(&mut self, key: &K) {
        self.failing.remove(key);
    }

    /// How many failures in a row `key` had.
    pub fn failures(&self, key: &K) -> u32 {
        self.failing.get(key).map_or(0, Backoff::failures)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Backoff, Backoffs, Policy, Random};
    use crate::runtime::class::Class;

    #[test]
    fn the_upper_bound_doubles_up_to_the_cap() {
        let mut backoff = Backoff::new(Policy::default());
        let most = Random::fixed(1.0);
        let waits: Vec<u64> = (0..11).map(|_| backoff.next_delay(&most).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.failures(), 11);
    }

    #[test]
    fn jitter_spreads_over_the_whole_wait() {
        let wait = |draw| {
            let mut backoff = Backoff::new(Policy::default());
            (0..5).map(|_| backoff.next_delay(&Random::fixed(draw))).last().unwrap()
        };
        assert_eq!(wait(0.0), Duration::from_millis(100), "never a hot loop");
        assert_eq!(wait(0.5), Duration::from_secs(8));
        assert_eq!(wait(1.0), Duration::from_secs(16));
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(failures in 1_usize..200, draw in 0.0_f64..1.0) {
            let policy = Policy::default();
            let mut backoff = Backoff::new(policy);
            for _ in 0..failures {
                let wait = backoff.next_delay(&Random::fixed(draw));
                prop_assert!(wait >= policy.floor && wait <= policy.cap, "{wait:?}");
            }
        }
    }

    #[test]
    fn each_key_has_its_own_failures() {
        let mut backoffs = Backoffs::new(Policy::default(), Random::fixed(1.0));
        backoffs.failed("a", Class::Transient);
        assert_eq!(backoffs.failed("a", Class::Transient).as_secs(), 2);
        assert_eq!(backoffs.failed("b", Class::Transient).as_secs(), 1);
        backoffs.succeeded(&"a");
        assert_eq!((backoffs.failures(&"a"), backoffs.failures(&"b")), (0, 1));
    }

    #[test]
    fn what_was_asked_is_kept_but_never_under_the_backoff() {
        let mut backoffs = Backoffs::new(Policy::default(), Random::fixed(1.0));
        let asked = |seconds| Class::Throttled(Some(Duration::from_secs(seconds)));
        assert_eq!(backoffs.failed("a", asked(30)).as_secs(), 30);
        assert_eq!(backoffs.failed("a", asked(1)).as_secs(), 2);
        assert_eq!(backoffs.failed("a", Class::Throttled(None)).as_secs(), 4);
    }
}
