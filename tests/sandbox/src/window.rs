//! A counter over fixed windows of world time: how vendors count requests "per minute" and "per hour". Pure.

use std::time::Duration;

/// Requests of one caller in the window that is running.
#[derive(Debug, Clone)]
pub struct Window {
    length: Duration,
    limit: u32,
    number: u128,
    used: u32,
}

impl Window {
    /// `limit` units for each `length` of world time.
    pub fn new(limit: u32, length: Duration) -> Self {
        Self { length, limit, number: 0, used: 0 }
    }

    /// Takes `units`, if they are left at world time `now`. What is refused costs nothing.
    pub fn take(&mut self, units: u32, now: Duration) -> bool {
        self.turn(now);
        let fits = self.used.saturating_add(units) <= self.limit;
        self.used += if fits { units } else { 0 };
        fits
    }

    /// Gives `units` back (a request that turned out to be free).
    pub fn give_back(&mut self, units: u32) {
        self.used = self.used.saturating_sub(units);
    }

    /// Units taken in the window of `now`.
    pub fn used(&mut self, now: Duration) -> u32 {
        self.turn(now);
        self.used
    }

    /// Units of each window.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// World time until the next window.
    pub fn resets_in(&self, now: Duration) -> Duration {
        let length = self.length.as_nanos().max(1);
        Duration::from_nanos(u64::try_from(length - now.as_nanos() % length).unwrap_or(u64::MAX))
    }

    fn turn(&mut self, now: Duration) {
        let number = now.as_nanos() / self.length.as_nanos().max(1);
        if number != self.number {
            (self.number, self.used) = (number, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_exhausted_and_comes_back() {
        let mut window = Window::new(2, Duration::from_mins(1));
        let at = Duration::from_secs;
        assert_eq!([at(1), at(2), at(3)].map(|now| window.take(1, now)), [true, true, false]);
        assert_eq!(window.resets_in(at(50)), at(10));
        assert!(window.take(1, at(60)));
        assert_eq!(window.used(at(61)), 1);
    }
}
