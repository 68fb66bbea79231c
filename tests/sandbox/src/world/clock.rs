//! Durations run `speed` times faster than the wall, and can be pushed forward by hand. What a client compares with its own
//! clock (dates in answers, JWT `exp`, X.509, `SigV4`) stays wall time: use [`Clock::wall`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::Instant;

/// The sandbox's clock.
#[derive(Debug)]
pub struct Clock {
    speed: f64,
    start: Instant,
    advanced: watch::Sender<Advanced>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Advanced {
    /// How much world time was added by hand, in nanoseconds; less than nothing in a world that was put back.
    by: i128,
    /// How often it was made another time altogether.
    times_set: u64,
}

impl Clock {
    /// A clock whose durations are divided by `speed` (1 = as at the vendor's).
    pub fn new(speed: f64) -> Self {
        Self { speed: speed.max(0.001), start: Instant::now(), advanced: watch::Sender::default() }
    }

    /// The factor given at the start.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// World time since the start: real time times speed, plus what was advanced.
    pub fn elapsed(&self) -> Duration {
        let total = self.run() + self.advanced();
        Duration::from_nanos(u64::try_from(total.max(0)).unwrap_or(u64::MAX))
    }

    /// Pushes the world `by` forward: what waits longer than that wakes up later, the rest now.
    pub fn advance(&self, by: Duration) {
        self.advanced.send_modify(|advanced| advanced.by += nanoseconds(by));
    }

    /// How much of [`Clock::elapsed`] was added by hand since it was so much.
    pub fn advanced_since(&self, earlier: i128) -> Duration {
        let more = (self.advanced() - earlier).max(0);
        Duration::from_nanos(u64::try_from(more).unwrap_or(u64::MAX))
    }

    /// World time that was added by hand, in nanoseconds; to be given to [`Clock::advanced_since`].
    pub fn advanced(&self) -> i128 {
        self.advanced.borrow().by
    }

    /// Changes when it is made another time altogether: what came round between the two did not.
    pub(crate) fn times_set(&self) -> u64 {
        self.advanced.borrow().times_set
    }

    /// Makes it as late as it was in another state of the world. Whoever sleeps wakes up: what was waited for may never come.
    pub(crate) fn set_elapsed(&self, elapsed: Duration) {
        let run = self.run();
        self.advanced.send_modify(|advanced| {
            advanced.by = nanoseconds(elapsed) - run;
            advanced.times_set += 1;
        });
    }

    /// World time that passed by itself.
    fn run(&self) -> i128 {
        nanoseconds(self.start.elapsed().mul_f64(self.speed))
    }

    /// Waits for `duration` of *world* time; returns early when the world is advanced past it.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.elapsed() + duration).await;
    }

    /// Waits until [`Clock::elapsed`] reaches `deadline`, or the clock is set to another time.
    pub async fn sleep_until(&self, deadline: Duration) {
        let mut advanced = self.advanced.subscribe();
        let times_set = advanced.borrow_and_update().times_set;
        while let Some(left) = deadline.checked_sub(self.elapsed()).filter(|left| !left.is_zero()) {
            tokio::select! {
                () = tokio::time::sleep(left.div_f64(self.speed)) => {}
                changed = advanced.changed() => {
                    if changed.is_err() || advanced.borrow().times_set != times_set {
                        return;
                    }
                }
            }
        }
    }

    /// The wall's date, for what a client compares with its own.
    pub fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

fn nanoseconds(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_can_be_as_late_as_it_was() {
        let clock = Clock::new(2.0);
        tokio::time::sleep(Duration::from_secs(10)).await;
        clock.set_elapsed(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn setting_it_wakes_who_sleeps() {
        let (clock, before) = (Clock::new(1.0), Instant::now());
        clock.advance(Duration::from_hours(24));
        let ((), ()) = tokio::join!(clock.sleep(Duration::from_mins(1)), async {
            tokio::task::yield_now().await;
            clock.set_elapsed(Duration::ZERO);
        });
        assert!(before.elapsed() < Duration::from_secs(1), "waited {:?}", before.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn speed_divides_a_wait() {
        let (clock, before) = (Clock::new(60.0), Instant::now());
        clock.sleep(Duration::from_mins(1)).await;
        assert!(before.elapsed() < Duration::from_millis(1_100), "waited {:?}", before.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn advancing_wakes_what_is_due() {
        let (clock, before) = (std::sync::Arc::new(Clock::new(1.0)), Instant::now());
        let ((), ()) = tokio::join!(clock.sleep(Duration::from_hours(1)), async {
            tokio::task::yield_now().await;
            clock.advance(Duration::from_secs(3_601));
        });
        assert!(before.elapsed() < Duration::from_secs(1), "waited {:?}", before.elapsed());
    }
}
