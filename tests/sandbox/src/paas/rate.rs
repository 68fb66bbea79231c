//! Sixty requests a minute and token, in fixed windows of world time.
//!
//! The vendor documents the number and the answer's text, not what is counted; counting what one API token caused is the
//! strictest reading, so a client that copes here copes there. The database API has a window of its own.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const WINDOW: Duration = Duration::from_mins(1);

/// How often the platform may be asked by one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests a minute of world time; `None` for no limit.
    pub requests: Option<NonZeroU32>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { requests: NonZeroU32::new(60) }
    }
}

/// Counters of the current windows, by token.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    rate: Mutex<Rate>,
    counters: Mutex<HashMap<String, (u64, u32)>>,
}

impl Limiter {
    /// Counts one request of `who` at world time `now`; `false` if it is one too many.
    pub(super) fn admit(&self, who: &str, now: Duration) -> bool {
        let window = now.as_secs() / WINDOW.as_secs();
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(who.to_owned()).or_insert((window, 0));
        if counter.0 != window {
            *counter = (window, 0);
        }
        counter.1 = counter.1.saturating_add(1);
        self.rate().requests.is_none_or(|most| counter.1 <= most.get())
    }

    /// The rate in force, to be read or set. What was counted in the current window goes on to count.
    pub(super) fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_first_request_of_a_minute_is_refused_and_the_next_minute_is_new() {
        let limiter = Limiter::default();
        let at = |second| limiter.admit("token", Duration::from_secs(second));
        assert!((0..60).all(|second| at(60 + second)));
        assert!(!at(119));
        assert!(limiter.admit("other", Duration::from_secs(119)));
        assert!(at(120));
    }

    #[test]
    fn another_rate_holds_at_once_and_none_lets_everything_through() {
        let limiter = Limiter::default();
        let admitted = || (0..100).filter(|_| limiter.admit("token", Duration::ZERO)).count();
        *limiter.rate() = Rate { requests: NonZeroU32::new(70) };
        assert_eq!(admitted(), 70);
        *limiter.rate() = Rate { requests: None };
        assert_eq!(admitted(), 100);
        *limiter.rate() = Rate::default();
        assert_eq!(admitted(), 0);
    }
}
