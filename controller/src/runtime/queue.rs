//! The work queue: which key runs next, and when.
//!
//! [`Scheduler`] decides and is given the time; [`WorkQueue`] waits. Neither knows what a key stands for.

mod scheduler;

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::clock::Clock;
pub use scheduler::{Request, Scheduler};

/// A queue that anybody may add to and one loop takes from. Cheap to clone; clones are the same queue.
#[derive(Debug)]
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    scheduler: Mutex<Scheduler<K>>,
    changed: Notify,
    clock: Clock,
}

/// How full a queue is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Keys that are due and wait for a free place.
    pub due: usize,
    /// Keys whose time has not come.
    pub delayed: usize,
    /// Keys that run.
    pub running: usize,
    /// How long the oldest due key has been waiting.
    pub oldest: Duration,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Clone + Eq + Hash + Ord> WorkQueue<K> {
    /// An empty queue whose delays are the clock's nominal time.
    pub fn new(clock: Clock) -> Self {
        let scheduler = Mutex::new(Scheduler::default());
        Self { shared: Arc::new(Shared { scheduler, changed: Notify::new(), clock }) }
    }

    /// Asks for a run of `key` as soon as possible. `reason` is for the log only.
    pub fn add(&self, key: K, reason: &'static str) {
        self.add_at(key, Instant::now(), reason);
    }

    /// Asks for a run of `key` after a nominal delay. An earlier request that is already there stays.
    pub fn add_after(&self, key: K, delay: Duration, reason: &'static str) {
        self.add_at(key, self.shared.clock.after(delay), reason);
    }

    fn add_at(&self, key: K, at: Instant, reason: &'static str) {
        self.lock().schedule(key, at, reason);
        self.shared.changed.notify_one();
    }

    /// Drops what waits for `key`: the object is gone. A run that has begun goes on.
    pub fn forget(&self, key: &K) {
        self.lock().forget(key);
    }

    /// Waits for the next key that may run; it then runs until [`WorkQueue::done`]. One loop at a time may wait here.
    /// Dropping the future loses nothing.
    pub async fn next(&self) -> Request<K> {
        loop {
            let next_due = {
                let mut scheduler = self.lock();
                if let Some(request) = scheduler.take(Instant::now()) {
                    return request;
                }
                scheduler.next_due()
            };
            // A change between the look and this wait has left a permit: nothing is slept through.
            match next_due {
                None => self.shared.changed.notified().await,
                Some(due) => {
                    tokio::select! {
                        () = self.shared.changed.notified() => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
            }
        }
    }

    /// The run of `key` has ended; what was asked for in the meantime may run now.
    pub fn done(&self, key: &K) {
        self.lock().done(key);
        self.shared.changed.notify_one();
    }

    /// How full the queue is.
    pub fn depth(&self) -> Depth {
        self.lock().depth(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Scheduler<K>> {
        self.shared.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::WorkQueue;
    use crate::runtime::clock::Clock;

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_delayed_key_comes_when_it_is_due() {
        let queue = WorkQueue::new(Clock::system());
        let start = Instant::now();
        queue.add_after("late", Duration::from_secs(9), "test");
        queue.add_after("early", Duration::from_secs(3), "test");
        assert_eq!(queue.next().await.key, "early");
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(queue.next().await.key, "late");
        assert_eq!(start.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_request_wakes_a_waiting_loop() {
        let queue = WorkQueue::new(Clock::system());
        queue.add_after("a", Duration::from_hours(1), "test");
        let other = queue.clone();
        let (request, ()) = tokio::join!(timeout(Duration::from_mins(1), queue.next()), async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            other.add("a", "sooner");
        });
        assert_eq!(request.unwrap().reason, "sooner");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_during_a_run_comes_after_it() {
        let queue = WorkQueue::new(Clock::system());
        queue.add("a", "first");
        queue.next().await;
        queue.add("a", "second");
        assert!(timeout(SOON, queue.next()).await.is_err(), "ran twice at once");
        queue.done(&"a");
        assert_eq!(timeout(SOON, queue.next()).await.unwrap().reason, "second");
    }

    #[tokio::test(start_paused = true)]
    async fn giving_up_a_wait_loses_nothing() {
        let queue = WorkQueue::new(Clock::system());
        queue.add_after("a", Duration::from_secs(2), "test");
        assert!(timeout(Duration::from_secs(1), queue.next()).await.is_err());
        assert_eq!(timeout(Duration::from_secs(2), queue.next()).await.unwrap().key, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn delays_are_nominal() {
        let queue = WorkQueue::new(Clock::system().with_scale(10.0).unwrap());
        let start = Instant::now();
        queue.add_after("a", Duration::from_secs(20), "test");
        queue.next().await;
        assert_eq!(start.elapsed().as_secs(), 2);
    }
}
