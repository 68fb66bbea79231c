//! Sixty requests a minute and token, in fixed windows of world time.
//!
//! The vendor documents the number and the answer's text, not what is counted; counting what one API token caused is the
//! strictest reading, so a client that copes here copes there. The database API has a window of its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Requests that one window lets through.
const PER_WINDOW: u32 = 60;
const WINDOW: Duration = Duration::from_mins(1);

/// Counters of the current windows, by token.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<String, (u64, u32)>>);

impl Limiter {
    /// Counts one request of `who` at world time `now`; `false` if it is one too many.
    pub(super) fn admit(&self, who: &str, now: Duration) -> bool {
        let window = now.as_secs() / WINDOW.as_secs();
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(who.to_owned()).or_insert((window, 0));
        if counter.0 != window {
            *counter = (window, 0);
        }
        counter.1 += 1;
        counter.1 <= PER_WINDOW
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
}
