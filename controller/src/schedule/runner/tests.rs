//! The loop with a clock that stands still until it is moved, a real store, and jobs that only count.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use reprise_crds::RecoveryPlan;
use serde_json::{Value, json};

use super::*;
use crate::schedule::job::Order;
use crate::store::tests::{Lab, lab};

const BOUND: Duration = Duration::from_secs(20);

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a date")
}

/// The plan that the project ships, with an archive that is taken at 04:00.
fn plan(cron: &str) -> Value {
    let example = include_str!("../../../../deploy/examples/apilos.yaml");
    let spec = RecoveryPlan::parse_yaml(example).expect("the example is valid").spec;
    let mut spec = serde_json::to_value(spec).expect("it can be written");
    spec["archive"] = json!({
        "endpoint": "https://s3.archive.test", "bucket": "apilos-archive", "region": "fr-par",
        "credentials": spec["source"]["bucket"]["credentials"],
        "schedule": {"cron": cron},
    });
    spec
}

fn pace() -> Pace {
    Pace {
        tick: Duration::from_millis(20),
        heartbeat: Duration::from_millis(100),
        silence: Duration::from_secs(30),
        wind_down: Duration::from_secs(5),
        retry: Policy {
            base: Duration::from_millis(1),
            cap: Duration::from_millis(1),
            floor: Duration::ZERO,
        },
    }
}

/// What a job was told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn tell(&self, order: &Order) {
        let line = format!("{} {} {}", order.job.name(), order.plan, order.due_at.format("%m-%d %H:%M"));
        self.0.lock().expect("whole").push(line);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("whole").clone()
    }
}

/// A daemon that runs the loop, until it is stopped.
struct Daemon {
    tasks: Tasks,
}

impl Daemon {
    fn start(lab: &Lab, identity: &str, clock: &Clock, jobs: Jobs) -> Self {
        let tasks = Tasks::new();
        let (store, clock, identity) = (lab.store.clone(), clock.clone(), identity.to_owned());
        let parts = Parts { store, clock, identity, tasks: tasks.child(), jobs, pace: pace() };
        tasks.critical("schedule", |stop| run(parts, stop));
        Self { tasks }
    }

    async fn stop(self) {
        assert!(self.tasks.shut_down(Duration::from_secs(15)).await, "it stops in time");
    }
}

/// A scene: a store with the plan, made on 1 May 2026, and a clock.
async fn scene(cron: &str, now: &str) -> (Lab, Clock) {
    let lab = lab().await;
    lab.store.apply_plan("apilos", &plan(cron)).await.expect("applied");
    lab.sql("UPDATE recovery_plans SET created_at = '2026-05-01T00:00:00Z', generation = 1")
        .await
        .expect("set");
    (lab, Clock::fixed(at(now)))
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(BOUND, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "not within {BOUND:?}: {what}");
}

/// Waits for two ticks that began after now.
async fn two_ticks(lab: &Lab) {
    for _ in 0..2 {
        let before = lab.store.last_tick().await.expect("answered");
        until("a tick", async || lab.store.last_tick().await.expect("answered") > before).await;
    }
}

async fn state(lab: &Lab) -> Option<(RunState, Option<String>)> {
    let last = lab.store.last_run("apilos", "archive").await.expect("answered");
    last.map(|last| (last.state, last.message))
}

fn done(message: &str) -> (RunState, Option<String>) {
    (RunState::Done, Some(message.to_owned()))
}

#[tokio::test]
async fn what_comes_due_is_run_once_though_two_daemons_are_up() {
    let (lab, clock) = scene("0 4 * * *", "2026-05-01T03:59:00Z").await;
    let told = Told::default();
    let daemons = ["one", "two"].map(|name| {
        let told = told.clone();
        let jobs = Jobs::default().with(Job::Archive, move |order| {
            told.tell(&order);
            async { Ok("3 objects".to_owned()) }
        });
        Daemon::start(&lab, name, &clock, jobs)
    });
    two_ticks(&lab).await;
    assert_eq!(told.all(), Vec::<String>::new(), "nothing is due");
    clock.set(at("2026-05-01T04:00:00Z"));
    until("the first run", async || state(&lab).await == Some(done("3 objects"))).await;
    clock.set(at("2026-05-08T05:00:00Z"));
    let due = async || lab.store.last_due("apilos", "archive").await.expect("answered");
    until("the run after a week", async || due().await == Some(at("2026-05-08T04:00:00Z"))).await;
    two_ticks(&lab).await;
    assert_eq!(told.all(), ["archive apilos 05-01 04:00", "archive apilos 05-08 04:00"], "one for the week");
    for daemon in daemons {
        daemon.stop().await;
    }
    lab.end().await;
}

#[tokio::test]
async fn a_run_that_fails_or_panics_is_tried_again_under_the_same_due_time() {
    let (lab, clock) = scene("0 4 * * *", "2026-05-02T12:00:00Z").await;
    let (told, attempts) = (Told::default(), Arc::new(AtomicU32::new(0)));
    let (heard, counted) = (told.clone(), Arc::clone(&attempts));
    let jobs = Jobs::default().with(Job::Archive, move |order| {
        heard.tell(&order);
        let attempt = counted.fetch_add(1, Ordering::SeqCst);
        assert_eq!(order.failures, attempt, "it knows how often it failed");
        assert_ne!(attempt, 2, "panics before it has begun");
        async move {
            match attempt {
                0 => Err("the endpoint answers 503".to_owned()),
                1 => panic!("a broken invariant"),
                _ => Ok("at last".to_owned()),
            }
        }
    });
    let daemon = Daemon::start(&lab, "one", &clock, jobs);
    until("the fourth attempt", async || state(&lab).await == Some(done("at last"))).await;
    assert_eq!(told.all(), ["archive apilos 05-02 04:00"; 4]);
    let last = lab.store.last_run("apilos", "archive").await.expect("answered").expect("there");
    assert_eq!((last.failures, last.retry_at), (3, None));
    daemon.stop().await;
    lab.end().await;
}

#[tokio::test]
async fn a_stopped_daemon_keeps_its_run_and_goes_on_with_it_at_the_next_start() {
    let (lab, clock) = scene("0 4 * * *", "2026-05-01T04:00:00Z").await;
    let told = Told::default();
    let heard = told.clone();
    let endless = Jobs::default().with(Job::Archive, move |order| {
        heard.tell(&order);
        async move {
            order.stop.cancelled().await;
            Err("stopped".to_owned())
        }
    });
    let daemon = Daemon::start(&lab, "one", &clock, endless);
    until("the run", async || told.all().len() == 1).await;
    daemon.stop().await;
    assert_eq!(state(&lab).await, Some((RunState::Claimed, None)), "no failure: it was stopped");
    let heard = told.clone();
    let jobs = Jobs::default().with(Job::Archive, move |order| {
        heard.tell(&order);
        async { Ok("resumed".to_owned()) }
    });
    let daemon = Daemon::start(&lab, "one", &clock, jobs);
    until("the rest of it", async || state(&lab).await == Some(done("resumed"))).await;
    assert_eq!(told.all(), ["archive apilos 05-01 04:00"; 2]);
    daemon.stop().await;
    lab.end().await;
}

#[tokio::test]
async fn a_run_whose_claim_is_lost_is_stopped() {
    let (lab, clock) = scene("0 4 * * *", "2026-05-01T04:00:00Z").await;
    let stopped = Told::default();
    let heard = stopped.clone();
    let jobs = Jobs::default().with(Job::Archive, move |order| {
        let heard = heard.clone();
        async move {
            order.stop.cancelled().await;
            heard.tell(&order);
            Ok("too late".to_owned())
        }
    });
    let daemon = Daemon::start(&lab, "one", &clock, jobs);
    until("the run", async || state(&lab).await.is_some()).await;
    lab.sql("UPDATE scheduled_runs SET claim = claim + 1, claimed_by = 'two'").await.expect("taken over");
    until("its end", async || stopped.all().len() == 1).await;
    two_ticks(&lab).await;
    assert_eq!(state(&lab).await, Some((RunState::Claimed, None)), "it is another's now");
    daemon.stop().await;
    lab.end().await;
}

#[tokio::test]
async fn a_new_schedule_of_an_old_plan_makes_up_for_nothing() {
    let (lab, clock) = scene("0 4 * * *", "2026-09-01T12:00:00Z").await;
    lab.sql("UPDATE recovery_plans SET generation = 7").await.expect("set");
    let told = Told::default();
    let heard = told.clone();
    let jobs = Jobs::default().with(Job::Archive, move |order| {
        heard.tell(&order);
        async { Ok(String::new()) }
    });
    let daemon = Daemon::start(&lab, "one", &clock, jobs);
    two_ticks(&lab).await;
    assert_eq!(told.all(), Vec::<String>::new());
    lab.store.apply_plan("apilos", &plan("30 13 * * *")).await.expect("changed while it runs");
    two_ticks(&lab).await;
    clock.set(at("2026-09-01T13:30:00Z"));
    until("the run", async || told.all() == ["archive apilos 09-01 13:30"]).await;
    daemon.stop().await;
    lab.end().await;
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_does_not_stop_the_others() {
    let (lab, clock) = scene("0 4 * * *", "2026-05-01T04:00:00Z").await;
    lab.store.apply_plan("aa-broken", &json!({"archive": 7})).await.expect("applied");
    let jobs = Jobs::default().with(Job::Archive, |_| async { Ok("fine".to_owned()) });
    let daemon = Daemon::start(&lab, "one", &clock, jobs);
    until("the run", async || state(&lab).await == Some(done("fine"))).await;
    daemon.stop().await;
    lab.end().await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_for_a_while_switches_no_schedule_off() {
    let (lab, clock) = scene("0 4 * * *", "2026-05-01T04:00:00Z").await;
    let told = Told::default();
    let heard = told.clone();
    let jobs = Jobs::default().with(Job::Archive, move |order| {
        heard.tell(&order);
        async { Ok(String::new()) }
    });
    let daemon = Daemon::start(&lab, "one", &clock, jobs);
    until("the run", async || told.all().len() == 1).await;
    clock.set(at("2030-07-07T12:00:00Z"));
    // A plan that is applied now is followed from a time to come.
    lab.store.apply_plan("apilos", &plan("0 5 * * *")).await.expect("changed meanwhile");
    two_ticks(&lab).await;
    clock.set(at("2030-07-08T05:00:00Z"));
    until("the run of another age", async || told.all().len() == 2).await;
    clock.set(at("2026-05-02T04:30:00Z"));
    two_ticks(&lab).await;
    clock.set(at("2026-05-02T05:00:00Z"));
    until("the next run", async || told.all().len() == 3).await;
    assert_eq!(told.all()[2], "archive apilos 05-02 05:00");
    daemon.stop().await;
    lab.end().await;
}
