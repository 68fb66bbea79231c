//! How often, and since when, one thing has been failing in a row while a request runs: when it is time to do without it. And what is waited
//! for by announcement: once, however many attempts that takes.
//!
//! In memory: a process that begins counts anew, so that nothing is passed over for what another one met.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What has been failing for one request.
#[derive(Debug, Default)]
pub struct Patience {
    failing: Mutex<HashMap<String, Failing>>,
    granted: Mutex<HashMap<String, Instant>>,
}

/// Failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// How many.
    pub times: u32,
    /// From the first to the last.
    pub lasted: Duration,
    since: Instant,
}

impl Patience {
    /// Counts one more failure of `what`, and tells how many there are in a row.
    pub fn failed(&self, what: &str) -> Failing {
        let mut all = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let first = Failing { times: 0, lasted: Duration::ZERO, since: Instant::now() };
        let failing = all.entry(what.to_owned()).or_insert(first);
        failing.times = failing.times.saturating_add(1);
        failing.lasted = failing.since.elapsed();
        *failing
    }

    /// How often `what` has failed in a row.
    pub fn times(&self, what: &str) -> u32 {
        let all = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(what).map_or(0, |failing| failing.times)
    }

    /// `what` gave an answer: its row of failures is over.
    pub fn answered(&self, what: &str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }

    /// What `what` was waited for is there: its next wait is another one.
    pub fn is_over(&self, what: &str) {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }

    /// What is left of a wait of this length that is granted to `what`, from when it was asked for first.
    pub fn granted(&self, what: &str, wait: Duration) -> Duration {
        let mut all = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let until = *all.entry(what.to_owned()).or_insert_with(|| Instant::now() + wait);
        until.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_thing_is_counted_by_itself_and_anew_after_an_answer() {
        let patience = Patience::default();
        assert_eq!(patience.failed("a").times, 1);
        tokio::time::advance(Duration::from_mins(1)).await;
        let again = patience.failed("a");
        assert_eq!((again.times, again.lasted), (2, Duration::from_mins(1)));
        assert_eq!(patience.failed("b").times, 1, "it is not the other one's fault");
        assert_eq!(["a", "b", "c"].map(|what| patience.times(what)), [2, 1, 0]);
        patience.answered("a");
        assert_eq!((patience.failed("a").times, patience.failed("a").lasted), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_granted_once_however_often_it_is_asked_for() {
        let (patience, hour) = (Patience::default(), Duration::from_hours(1));
        assert_eq!(patience.granted("certificate", hour), hour);
        tokio::time::advance(hour / 2).await;
        assert_eq!(patience.granted("certificate", hour), hour / 2);
        assert_eq!(patience.granted("deployment", hour), hour, "it is another wait");
        tokio::time::advance(hour).await;
        assert_eq!(patience.granted("certificate", hour), Duration::ZERO);
        patience.is_over("certificate");
        assert_eq!(patience.granted("certificate", hour), hour);
    }
}
