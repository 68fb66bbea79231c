//! The decisions of the work queue, without any waiting.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::Depth;

/// Which key runs when.
///
/// # Guarantees
/// - A key has one place: a request for an earlier time moves it forward, one for a later time does nothing.
/// - A key never runs twice at once: a request during its run is held until the run ends.
/// - No request is lost: after it, the key runs at least once more, unless it is forgotten.
/// - Keys that are due run in the order in which they became due, so none starves.
#[derive(Debug)]
pub struct Scheduler<K> {
    slots: HashMap<K, Slot>,
    /// The waiting keys, earliest first; the number keeps the order of requests for the same instant.
    waiting: BTreeSet<(Instant, u64, K)>,
    requests: u64,
    running: usize,
}

/// A key whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<K> {
    /// What to run.
    pub key: K,
    /// Who asked for it: for the log, never for the run itself.
    pub reason: &'static str,
}

/// When, by which request, and why.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: Instant,
    number: u64,
    reason: &'static str,
}

#[derive(Debug)]
enum Slot {
    Waiting(Turn),
    Running { held: Option<Turn> },
}

impl<K> Default for Scheduler<K> {
    fn default() -> Self {
        Self { slots: HashMap::new(), waiting: BTreeSet::new(), requests: 0, running: 0 }
    }
}

impl<K: Clone + Eq + Hash + Ord> Scheduler<K> {
    /// Asks for a run of `key` at `at`.
    pub fn schedule(&mut self, key: K, at: Instant, reason: &'static str) {
        self.requests += 1;
        let turn = Turn { at, number: self.requests, reason };
        match self.slots.entry(key) {
            Entry::Vacant(free) => {
                self.waiting.insert((at, turn.number, free.key().clone()));
                free.insert(Slot::Waiting(turn));
            }
            Entry::Occupied(mut taken) => {
                let key = taken.key().clone();
                match taken.get_mut() {
                    Slot::Waiting(there) if at < there.at => {
                        self.waiting.remove(&(there.at, there.number, key.clone()));
                        self.waiting.insert((at, turn.number, key));
                        *there = turn;
                    }
                    Slot::Running { held } if held.is_none_or(|there| at < there.at) => *held = Some(turn),
                    Slot::Waiting(_) | Slot::Running { .. } => {}
                }
            }
        }
    }

    /// Takes the key that has been due for longest, if any is; it runs from now on.
    pub fn take(&mut self, now: Instant) -> Option<Request<K>> {
        self.next_due().filter(|due| *due <= now)?;
        let (_, _, key) = self.waiting.pop_first()?;
        let before = self.slots.insert(key.clone(), Slot::Running { held: None });
        self.running += 1;
        let reason = match before {
            Some(Slot::Waiting(turn)) => turn.reason,
            Some(Slot::Running { .. }) | None => "unknown",
        };
        Some(Request { key, reason })
    }

    /// The run of `key` has ended; what was held takes its place in the queue. A key that does not run is left alone.
    pub fn done(&mut self, key: &K) {
        let Some(Slot::Running { held }) = self.slots.get(key) else { return };
        let held = *held;
        self.slots.remove(key);
        self.running -= 1;
        if let Some(turn) = held {
            self.waiting.insert((turn.at, turn.number, key.clone()));
            self.slots.insert(key.clone(), Slot::Waiting(turn));
        }
    }

    /// Drops the requests for `key`; its run, if it has begun, goes on and must still be reported as done.
    pub fn forget(&mut self, key: &K) {
        match self.slots.get_mut(key) {
            Some(Slot::Running { held }) => *held = None,
            Some(Slot::Waiting(turn)) => {
                self.waiting.remove(&(turn.at, turn.number, key.clone()));
                self.slots.remove(key);
            }
            None => {}
        }
    }

    /// When the next key becomes due; in the past if one is due already.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(at, _, _)| *at)
    }

    /// How full it is at `now`.
    pub fn depth(&self, now: Instant) -> Depth {
        let due = self.waiting.iter().take_while(|(at, _, _)| *at <= now).count();
        let oldest = self.next_due().map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        Depth { due, delayed: self.waiting.len() - due, running: self.running, oldest }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::Scheduler;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn an_earlier_request_moves_a_key_forward() {
        let (mut queue, start) = (Scheduler::default(), Instant::now());
        queue.schedule("a", after(start, 10), "late");
        queue.schedule("a", after(start, 5), "early");
        assert_eq!(queue.take(after(start, 4)), None);
        assert_eq!(queue.take(after(start, 5)).unwrap().reason, "early");
        queue.done(&"a");
        assert_eq!(queue.take(after(start, 99)), None, "one place for a key");
    }

    #[test]
    fn a_later_request_does_nothing() {
        let (mut queue, start) = (Scheduler::default(), Instant::now());
        queue.schedule("a", after(start, 5), "first");
        queue.schedule("a", after(start, 10), "second");
        assert_eq!(queue.next_due(), Some(after(start, 5)));
        assert_eq!(queue.take(after(start, 5)).unwrap().reason, "first");
    }

    #[test]
    fn requests_during_a_run_are_held_and_the_earliest_wins() {
        let (mut queue, start) = (Scheduler::default(), Instant::now());
        queue.schedule("a", start, "run");
        queue.take(start).unwrap();
        queue.schedule("a", after(start, 9), "late");
        queue.schedule("a", after(start, 3), "early");
        assert_eq!(queue.take(after(start, 99)), None, "never twice at once");
        queue.done(&"a");
        assert_eq!(queue.take(after(start, 2)), None);
        assert_eq!(queue.take(after(start, 3)).unwrap().reason, "early");
    }

    #[test]
    fn a_busy_key_does_not_starve_the_others() {
        let (mut queue, start) = (Scheduler::default(), Instant::now());
        queue.schedule("busy", start, "test");
        queue.schedule("other", start, "test");
        assert_eq!(queue.take(start).unwrap().key, "busy");
        queue.schedule("busy", start, "test");
        queue.done(&"busy");
        assert_eq!(queue.take(start).unwrap().key, "other");
    }

    #[test]
    fn a_forgotten_key_does_not_come_back() {
        let (mut queue, start) = (Scheduler::default(), Instant::now());
        queue.schedule("waits", start, "test");
        queue.forget(&"waits");
        assert_eq!(queue.take(start), None);
        queue.schedule("runs", start, "test");
        queue.take(start).unwrap();
        queue.schedule("runs", start, "test");
        queue.forget(&"runs");
        queue.done(&"runs");
        assert_eq!(queue.take(start), None);
    }

    #[test]
    fn the_depth_tells_due_from_delayed() {
        let (mut queue, start) = (Scheduler::default(), Instant::now());
        for (key, at) in [("a", 0), ("b", 1), ("c", 60)] {
            queue.schedule(key, after(start, at), "test");
        }
        queue.take(start).unwrap();
        let depth = queue.depth(after(start, 5));
        assert_eq!((depth.running, depth.due, depth.delayed), (1, 1, 1));
        assert_eq!(depth.oldest, Duration::from_secs(4));
    }

    #[derive(Debug, Clone)]
    enum Move {
        Schedule(u8, u64),
        Take(u64),
        Done(u8),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            (0_u8..4, 0_u64..20).prop_map(|(key, delay)| Move::Schedule(key, delay)),
            (0_u64..5).prop_map(Move::Take),
            (0_u8..4).prop_map(Move::Done),
        ];
        prop::collection::vec(one, 0..200)
    }

    proptest! {
        /// Held against the plainest model there is: what runs, and the earliest request of each key since its run began.
        #[test]
        fn no_key_runs_twice_at_once_and_none_is_lost(moves in moves()) {
            let (start, mut now) = (Instant::now(), 0);
            let mut queue = Scheduler::default();
            let (mut running, mut asked) = (BTreeSet::new(), BTreeMap::<u8, u64>::new());
            for step in moves {
                match step {
                    Move::Schedule(key, delay) => {
                        queue.schedule(key, after(start, now + delay), "test");
                        let at = asked.entry(key).or_insert(u64::MAX);
                        *at = (*at).min(now + delay);
                    }
                    Move::Take(passed) => {
                        now += passed;
                        let free = |key: &u8| !running.contains(key);
                        let due = asked.iter().filter(|(key, at)| free(key) && **at <= now).map(|(_, at)| *at).min();
                        match queue.take(after(start, now)) {
                            None => prop_assert_eq!(due, None, "a due key was kept back"),
                            Some(request) => {
                                prop_assert_eq!(asked.remove(&request.key), due, "not the one due for longest");
                                prop_assert!(running.insert(request.key), "twice at once: {}", request.key);
                            }
                        }
                    }
                    Move::Done(key) => {
                        queue.done(&key);
                        running.remove(&key);
                    }
                }
            }
            for key in &running {
                queue.done(key);
            }
            while let Some(request) = queue.take(after(start, now + 1000)) {
                queue.done(&request.key);
                prop_assert!(asked.remove(&request.key).is_some(), "nobody asked for {}", request.key);
            }
            prop_assert!(asked.is_empty(), "lost: {:?}", asked);
        }
    }
}
