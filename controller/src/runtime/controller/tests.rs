//! The loop on a paused clock, with reconcilers that a test scripts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::{Observer, Options, Outcome, Reconciler, RunOutcome, run};
use crate::runtime::backoff::Random;
use crate::runtime::class::{Class, Classified};
use crate::runtime::clock::Clock;
use crate::runtime::queue::{Depth, WorkQueue};
use crate::runtime::tasks::Tasks;

#[derive(Debug, thiserror::Error)]
#[error("cannot do it")]
struct Failure(Class);

impl Classified for Failure {
    fn class(&self) -> Class {
        self.0
    }
}

#[derive(Clone, Copy)]
enum Act {
    End(Outcome),
    Fail(Class),
    Panic,
    /// Takes this long, then waits for a change.
    Take(Duration),
}

/// Does the same for a key each time, and notes when.
#[derive(Default)]
struct Scripted {
    acts: HashMap<&'static str, Act>,
    began: Mutex<Vec<(&'static str, Instant)>>,
    ended: Mutex<Vec<&'static str>>,
    inside: Mutex<(usize, usize)>,
}

impl Scripted {
    fn new(acts: &[(&'static str, Act)]) -> Arc<Self> {
        Arc::new(Self { acts: acts.iter().copied().collect(), ..Self::default() })
    }

    /// The whole seconds after `start` at which `key` ran.
    fn seconds(&self, key: &str, start: Instant) -> Vec<u64> {
        let began = self.began.lock().unwrap();
        began.iter().filter(|(of, _)| *of == key).map(|(_, at)| at.duration_since(start).as_secs()).collect()
    }

    fn most_at_once(&self) -> usize {
        self.inside.lock().unwrap().1
    }
}

impl Reconciler for Scripted {
    type Key = &'static str;
    type Error = Failure;

    async fn reconcile(&self, key: &'static str) -> Result<Outcome, Failure> {
        self.began.lock().unwrap().push((key, Instant::now()));
        match self.acts[key] {
            Act::End(outcome) => Ok(outcome),
            Act::Fail(class) => Err(Failure(class)),
            Act::Panic => panic!("broken"),
            Act::Take(time) => {
                {
                    let mut inside = self.inside.lock().unwrap();
                    inside.0 += 1;
                    inside.1 = inside.1.max(inside.0);
                }
                sleep(time).await;
                self.inside.lock().unwrap().0 -= 1;
                self.ended.lock().unwrap().push(key);
                Ok(Outcome::AwaitChange)
            }
        }
    }
}

/// Remembers every outcome.
#[derive(Default)]
struct Seen(Mutex<Vec<RunOutcome>>);

impl Observer for Seen {
    fn run_ended(&self, kind: &'static str, outcome: RunOutcome, _: Duration) {
        assert_eq!(kind, "thing");
        self.0.lock().unwrap().push(outcome);
    }
    fn queue_changed(&self, _: &'static str, _: Depth) {}
}

struct Bench {
    queue: WorkQueue<&'static str>,
    reconciler: Arc<Scripted>,
    seen: Arc<Seen>,
    tasks: Tasks,
    start: Instant,
}

fn begin(acts: &[(&'static str, Act)], concurrency: usize) -> Bench {
    let (queue, reconciler) = (WorkQueue::new(Clock::system()), Scripted::new(acts));
    let (seen, tasks) = (Arc::new(Seen::default()), Tasks::new());
    let options = Options { concurrency, random: Random::fixed(1.0), ..Options::new("thing") };
    let (q, r, s) = (queue.clone(), Arc::clone(&reconciler), Arc::<Seen>::clone(&seen));
    tasks.critical("loop", move |stop| run(q, r, options, s, stop));
    Bench { queue, reconciler, seen, tasks, start: Instant::now() }
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_each_key_by_itself() {
    let bench = begin(&[("bad", Act::Fail(Class::Transient)), ("good", Act::End(Outcome::AwaitChange))], 4);
    bench.queue.add("bad", "test");
    bench.queue.add("good", "test");
    sleep(Duration::from_secs(16)).await;
    assert_eq!(bench.reconciler.seconds("bad", bench.start), [0, 1, 3, 7, 15]);
    assert_eq!(bench.reconciler.seconds("good", bench.start), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_key_waits_for_what_was_asked() {
    let bench = begin(&[("a", Act::Fail(Class::Throttled(Some(Duration::from_secs(30)))))], 4);
    bench.queue.add("a", "test");
    sleep(Duration::from_secs(61)).await;
    assert_eq!(bench.reconciler.seconds("a", bench.start), [0, 30, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_terminal_failure_waits_for_a_change_and_a_slow_look() {
    let bench = begin(&[("a", Act::Fail(Class::Terminal))], 4);
    bench.queue.add("a", "test");
    sleep(Duration::from_secs(100)).await;
    bench.queue.add("a", "changed");
    sleep(Duration::from_mins(12)).await;
    assert_eq!(
        bench.reconciler.seconds("a", bench.start),
        [0, 100, 760],
        "ten minutes and a tenth of jitter"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_stops_neither_the_loop_nor_the_key() {
    let bench = begin(&[("broken", Act::Panic), ("good", Act::End(Outcome::AwaitChange))], 4);
    bench.queue.add("broken", "test");
    sleep(Duration::from_millis(10)).await;
    bench.queue.add("good", "test");
    sleep(Duration::from_secs(4)).await;
    assert_eq!(bench.reconciler.seconds("broken", bench.start), [0, 1, 3]);
    assert_eq!(bench.reconciler.seconds("good", bench.start), [0]);
    let seen = bench.seen.0.lock().unwrap().clone();
    assert_eq!(seen.iter().filter(|outcome| **outcome == RunOutcome::Panicked).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_period_is_kept_with_its_jitter_and_never_a_hot_loop() {
    let period = |seconds| Act::End(Outcome::RequeueAfter(Duration::from_secs(seconds)));
    let bench = begin(&[("steady", period(10)), ("hot", period(0))], 4);
    bench.queue.add("steady", "test");
    bench.queue.add("hot", "test");
    sleep(Duration::from_secs(25)).await;
    assert_eq!(bench.reconciler.seconds("steady", bench.start), [0, 11, 22]);
    let hot = bench.reconciler.seconds("hot", bench.start).len();
    assert!((200..=251).contains(&hot), "{hot} runs in 25 s");
}

#[tokio::test(start_paused = true)]
async fn no_more_runs_at_once_than_allowed() {
    let keys = ["a", "b", "c", "d", "e", "f", "g"];
    let acts: Vec<_> = keys.map(|key| (key, Act::Take(Duration::from_secs(1)))).to_vec();
    let bench = begin(&acts, 3);
    for key in keys {
        bench.queue.add(key, "test");
    }
    sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.reconciler.most_at_once(), 3);
    assert_eq!(bench.reconciler.ended.lock().unwrap().len(), 7);
    assert_eq!(
        bench.reconciler.seconds("g", bench.start),
        [2],
        "the places are used at once when they are free"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_never_runs_twice_at_once() {
    let bench = begin(&[("a", Act::Take(Duration::from_secs(10)))], 4);
    bench.queue.add("a", "test");
    for _ in 0..5 {
        sleep(Duration::from_secs(1)).await;
        bench.queue.add("a", "again");
    }
    sleep(Duration::from_secs(30)).await;
    assert_eq!(bench.reconciler.seconds("a", bench.start), [0, 10], "held, and once for all of them");
    assert_eq!(bench.reconciler.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_lets_runs_finish_and_starts_none() {
    let bench =
        begin(&[("a", Act::Take(Duration::from_secs(5))), ("b", Act::Take(Duration::from_secs(5)))], 1);
    bench.queue.add("a", "test");
    bench.queue.add("b", "test");
    sleep(Duration::from_secs(1)).await;
    assert!(bench.tasks.shut_down(Duration::from_secs(10)).await);
    assert_eq!(*bench.reconciler.ended.lock().unwrap(), ["a"]);
    assert_eq!(bench.start.elapsed().as_secs(), 5);
    assert_eq!(bench.tasks.failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_patience_aborts_the_runs() {
    let bench = begin(&[("a", Act::Take(Duration::from_hours(1)))], 1);
    bench.queue.add("a", "test");
    sleep(Duration::from_secs(1)).await;
    assert!(!bench.tasks.shut_down(Duration::from_secs(10)).await);
    assert!(bench.reconciler.ended.lock().unwrap().is_empty());
    assert_eq!(Arc::strong_count(&bench.reconciler), 1, "nothing runs on");
}

#[tokio::test(start_paused = true)]
async fn what_was_cancelled_counts_as_no_failure() {
    let bench = begin(&[("a", Act::Fail(Class::Cancelled))], 1);
    bench.queue.add("a", "test");
    sleep(Duration::from_millis(4500)).await;
    assert_eq!(bench.reconciler.seconds("a", bench.start), [0, 1, 2, 3, 4], "no backoff");
    assert!(bench.seen.0.lock().unwrap().iter().all(|seen| *seen == RunOutcome::Failed(Class::Cancelled)));
}

/// Never run: it must type-check that the loop can be a task, whatever the reconciler borrows.
#[expect(dead_code, reason = "compiled only")]
fn the_loop_can_be_spawned(queue: WorkQueue<String>, gate: Arc<Semaphore>) {
    struct Waits(Arc<Semaphore>);
    impl Reconciler for Waits {
        type Key = String;
        type Error = Failure;
        async fn reconcile(&self, _: String) -> Result<Outcome, Failure> {
            let _permit = self.0.acquire().await.map_err(|_| Failure(Class::Cancelled))?;
            Ok(Outcome::AwaitChange)
        }
    }
    let reconciler = Arc::new(Waits(gate));
    Tasks::new().critical("loop", |stop| run(queue, reconciler, Options::new("thing"), Arc::new(()), stop));
}
