//! What becomes of tasks and of their groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::{TaskError, Tasks, aside};

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_critical_task_that_ends_stops_the_process() {
    let tasks = Tasks::new();
    tasks.critical("watcher", |_| async {});
    tasks.stopping().cancelled().await;
    assert_eq!(tasks.failure(), Some("watcher"));
    assert!(tasks.shut_down(GRACE).await);
}

#[tokio::test(start_paused = true)]
async fn a_critical_task_that_panics_stops_the_process_from_any_depth() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let tasks = Tasks::observed(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    tasks.child().child().critical("deep", |_| async { panic!("broken") });
    tasks.stopping().cancelled().await;
    assert_eq!(tasks.failure(), Some("deep"));
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_critical_task_that_was_told_to_stop_is_no_failure() {
    let tasks = Tasks::new();
    tasks.critical("watcher", |stop| async move { stop.cancelled().await });
    assert!(tasks.shut_down(GRACE).await);
    assert_eq!(tasks.failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_result_of_that_task_alone() {
    let tasks = Tasks::new();
    let mut broken = tasks.spawn("broken", |_| async { panic!("broken") });
    let mut whole = tasks.spawn("whole", |_| async { 7 });
    let result: Result<(), TaskError> = broken.join().await;
    assert_eq!(result, Err(TaskError::Panicked("broken")));
    assert_eq!(whole.join().await, Ok(7));
    assert!(!tasks.stopping().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn stopping_a_group_leaves_its_siblings_running() {
    let tasks = Tasks::new();
    let (left, right) = (tasks.child(), tasks.child());
    let mut stopped = left.spawn("left", |stop| async move { stop.cancelled().await });
    let running = right.spawn("right", |stop| async move { stop.cancelled().await });
    assert!(left.shut_down(GRACE).await);
    assert_eq!(stopped.join().await, Ok(()));
    assert!(!running.is_finished());
    assert!(tasks.shut_down(GRACE).await);
    assert!(running.is_finished(), "the root waits for everything below it");
}

#[tokio::test(start_paused = true)]
async fn one_task_can_be_stopped_by_itself() {
    let tasks = Tasks::new();
    let mut one = tasks.spawn("one", |stop| async move { stop.cancelled().await });
    let other = tasks.spawn("other", |stop| async move { stop.cancelled().await });
    one.stop();
    assert_eq!(one.join().await, Ok(()));
    assert!(!other.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_stop_is_cut_off_after_the_grace() {
    let tasks = Tasks::new();
    let mut deaf = tasks.child().spawn("deaf", |_| sleep(Duration::from_hours(1)));
    let start = Instant::now();
    assert!(!tasks.shut_down(GRACE).await);
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(deaf.join().await, Err(TaskError::Aborted("deaf")));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_needs_a_moment_gets_it() {
    let tasks = Tasks::new();
    let mut slow = tasks.spawn("slow", |stop| async move {
        stop.cancelled().await;
        sleep(Duration::from_secs(9)).await;
        "finished"
    });
    assert!(tasks.shut_down(GRACE).await);
    assert_eq!(slow.join().await, Ok("finished"));
}

#[tokio::test]
async fn what_goes_on_aside_ends_with_whoever_waits_for_it() {
    let (alive, mut gone) = oneshot::channel::<()>();
    let work = aside(async move {
        let _alive = alive;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
    assert_eq!(gone.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    drop(work);
    gone.await.expect_err("it was dropped");
    assert_eq!(aside(async { 7 }).await, 7);
}

#[tokio::test]
#[should_panic(expected = "broken invariant")]
async fn a_panic_aside_is_one_of_whoever_waits() {
    aside(async { panic!("broken invariant") }).await;
}
