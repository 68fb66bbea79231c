//! The one seam to time. Waits go through it, so that a simulated world can be faster than the real one; dates come
//! from it, so that a test can choose them.
//!
//! What a peer compares with its own clock (a token's expiry, a certificate, a request signature) is [`Clock::now`] and
//! is never scaled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// So far may a vendor's clock, or another machine's, be ahead of ours. A date that is later still was written by a clock that was
/// wrong: it says nothing of how old something is, and nothing waits for it.
pub const SKEW: TimeDelta = TimeDelta::minutes(5);

/// The date and the waits of this process. Cheap to clone; clones share their time.
#[derive(Debug, Clone)]
pub struct Clock {
    wall: Wall,
    scale: f64,
}

#[derive(Debug, Clone)]
enum Wall {
    System,
    /// A date that was true at an instant, and moves with tokio's time, which a test may pause.
    Since(DateTime<Utc>, Instant),
    Manual(Arc<Mutex<DateTime<Utc>>>),
}

/// A time scale must be a number of at least 1: it shortens waits.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the time scale {0} is not a number between 1 and 1000000")]
pub struct BadScale(pub f64);

impl Clock {
    /// The machine's clock, unscaled.
    pub const fn system() -> Self {
        Self { wall: Wall::System, scale: 1.0 }
    }

    /// A clock for tests that starts at `at` and moves with tokio's time, paused or not.
    pub fn starting_at(at: DateTime<Utc>) -> Self {
        Self { wall: Wall::Since(at, Instant::now()), scale: 1.0 }
    }

    /// A clock for tests whose date stands still until [`Clock::set`].
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self { wall: Wall::Manual(Arc::new(Mutex::new(at))), scale: 1.0 }
    }

    /// The same clock with every wait divided by `scale`. Only for a world that is itself that much faster.
    pub fn with_scale(self, scale: f64) -> Result<Self, BadScale> {
        if (1.0..=1e6).contains(&scale) { Ok(Self { scale, ..self }) } else { Err(BadScale(scale)) }
    }

    /// By what waits are divided: 1 in the real world.
    pub const fn scale(&self) -> f64 {
        self.scale
    }

    /// The date, in UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.wall {
            Wall::System => Utc::now(),
            Wall::Since(date, instant) => {
                let passed = TimeDelta::from_std(instant.elapsed()).unwrap_or(TimeDelta::MAX);
                date.checked_add_signed(passed).unwrap_or(DateTime::<Utc>::MAX_UTC)
            }
            Wall::Manual(date) => *date.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Sets the date of a [`Clock::fixed`]; any other clock cannot be set and ignores it.
    pub fn set(&self, at: DateTime<Utc>) {
        if let Wall::Manual(date) = &self.wall {
            *date.lock().unwrap_or_else(PoisonError::into_inner) = at;
        }
    }

    /// How long a nominal wait really takes.
    pub fn scaled(&self, nominal: Duration) -> Duration {
        if self.scale > 1.0 { nominal.div_f64(self.scale) } else { nominal }
    }

    /// The instant at which a nominal wait that starts now is over.
    pub fn after(&self, nominal: Duration) -> Instant {
        later(Instant::now(), self.scaled(nominal))
    }

    /// Waits for a nominal duration. Dropping the future gives up the wait.
    pub async fn sleep(&self, nominal: Duration) {
        tokio::time::sleep(self.scaled(nominal)).await;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

/// `instant + wait`, or thirty years later where that is beyond what an instant can hold.
pub(crate) fn later(instant: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_hours(24 * 365 * 30);
    instant.checked_add(wait).unwrap_or_else(|| instant + FAR)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, TimeDelta, Utc};
    use tokio::time::Instant;

    use super::Clock;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_divided_by_the_scale_and_dates_are_not() {
        let clock = Clock::starting_at(noon()).with_scale(60.0).unwrap();
        let start = Instant::now();
        clock.sleep(Duration::from_mins(10)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert_eq!(clock.now(), noon() + TimeDelta::seconds(10));
    }

    #[test]
    fn a_scale_never_lengthens_a_wait() {
        for bad in [0.0, -1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert!(Clock::system().with_scale(bad).is_err(), "{bad}");
        }
        assert!(Clock::system().with_scale(1.0).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_without_end_does_not_overflow() {
        assert!(Clock::system().after(Duration::MAX) > Instant::now());
    }

    #[test]
    fn a_fixed_clock_moves_only_when_it_is_set() {
        let clock = Clock::fixed(noon());
        let same = clock.clone();
        clock.set(noon() + TimeDelta::days(1));
        assert_eq!(same.now(), noon() + TimeDelta::days(1));
    }
}
