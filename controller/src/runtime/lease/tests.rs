//! Leases on a paused clock, over a store in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{Decision, Epoch, Held, Lease, LeaseKeeper, LeaseStore, Seen, Terms, decide};
use crate::runtime::backoff::Random;
use crate::runtime::class::{Class, Classified};
use crate::runtime::clock::Clock;
use crate::runtime::tasks::Tasks;

const TERM: Duration = Duration::from_secs(12);

#[derive(Debug, thiserror::Error)]
#[error("store is away")]
struct Away;

impl Classified for Away {
    fn class(&self) -> Class {
        Class::Transient
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    Failing,
    Hanging,
}

/// One row, with the same conditions as a database would check.
struct Memory {
    clock: Clock,
    row: Mutex<Option<Lease>>,
    health: watch::Sender<Health>,
    renewals: Mutex<Vec<Instant>>,
}

impl Memory {
    fn new() -> Arc<Self> {
        let clock = Clock::starting_at(noon());
        let (row, renewals) = (Mutex::new(None), Mutex::new(Vec::new()));
        Arc::new(Self { clock, row, health: watch::Sender::new(Health::Well), renewals })
    }

    async fn reached(&self) -> Result<(), Away> {
        let health = *self.health.borrow();
        match health {
            Health::Well => Ok(()),
            Health::Failing => Err(Away),
            Health::Hanging => std::future::pending().await,
        }
    }

    fn until(&self, term: Duration) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::from_std(term).unwrap()
    }

    fn row(&self) -> Lease {
        self.row.lock().unwrap().clone().unwrap()
    }
}

impl LeaseStore for Memory {
    type Error = Away;

    async fn read(&self) -> Result<Seen, Away> {
        self.reached().await?;
        Ok(Seen { lease: self.row.lock().unwrap().clone(), now: self.clock.now() })
    }

    async fn take(&self, me: &str, after: Epoch, term: Duration) -> Result<Option<Epoch>, Away> {
        self.reached().await?;
        let mut row = self.row.lock().unwrap();
        let (now, latest) = (self.clock.now(), self.until(2 * term));
        let free = row
            .as_ref()
            .is_none_or(|lease| lease.holder == me || lease.expires_at <= now || lease.expires_at > latest);
        if !free || row.as_ref().map_or(Epoch(0), |lease| lease.epoch) != after {
            return Ok(None);
        }
        *row = Some(Lease { holder: me.into(), epoch: after.next(), expires_at: self.until(term) });
        Ok(Some(after.next()))
    }

    async fn renew(&self, me: &str, epoch: Epoch, term: Duration) -> Result<bool, Away> {
        self.reached().await?;
        self.renewals.lock().unwrap().push(Instant::now());
        let mut row = self.row.lock().unwrap();
        match row.as_mut() {
            Some(lease)
                if lease.holder == me && lease.epoch == epoch && lease.expires_at > self.clock.now() =>
            {
                lease.expires_at = self.until(term);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn release(&self, me: &str, epoch: Epoch) -> Result<(), Away> {
        self.reached().await?;
        let mut row = self.row.lock().unwrap();
        if let Some(lease) = row.as_mut().filter(|lease| lease.holder == me && lease.epoch == epoch) {
            lease.expires_at = self.clock.now();
        }
        Ok(())
    }
}

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A process with a keeper.
struct Process {
    tasks: Tasks,
    held: watch::Receiver<Option<Held>>,
}

impl Process {
    fn start(store: &Arc<Memory>, name: &str, draw: f64) -> Self {
        Self::of(LeaseKeeper::new(Arc::clone(store), name, Terms::of(TERM), Random::fixed(draw)))
    }

    fn keeping(store: &Arc<Memory>, name: &str, terms: Terms) -> Self {
        Self::of(LeaseKeeper::new(Arc::clone(store), name, terms, Random::fixed(0.5)))
    }

    fn of(keeper: LeaseKeeper<Memory>) -> Self {
        let (held, tasks) = (keeper.watch(), Tasks::new());
        tasks.critical("lease", |stop| keeper.run(stop));
        Self { tasks, held }
    }

    async fn holding(&mut self) -> Held {
        let held = timeout(Duration::from_mins(10), self.held.wait_for(Option::is_some)).await.unwrap();
        held.unwrap().clone().unwrap()
    }

    /// As SIGKILL would: nothing is given back.
    async fn kill(&self, store: &Memory) {
        store.health.send_replace(Health::Hanging);
        self.tasks.shut_down(Duration::ZERO).await;
        store.health.send_replace(Health::Well);
    }
}

fn seen(holder: &str, epoch: i64, seconds_left: i64) -> Seen {
    let expires_at = noon() + TimeDelta::seconds(seconds_left);
    Seen { lease: Some(Lease { holder: holder.into(), epoch: Epoch(epoch), expires_at }), now: noon() }
}

#[test]
fn a_free_lease_is_taken() {
    assert_eq!(
        decide("me", None, &Seen { lease: None, now: noon() }, TERM),
        Decision::Take { after: Epoch(0) }
    );
    for (holder, held) in [("other", None), ("me", None), ("me", Some(Epoch(7)))] {
        assert_eq!(
            decide("me", held, &seen(holder, 7, 0), TERM),
            Decision::Take { after: Epoch(7) },
            "{holder}"
        );
    }
}

#[test]
fn only_what_this_process_holds_is_renewed() {
    assert_eq!(decide("me", Some(Epoch(7)), &seen("me", 7, 5), TERM), Decision::Renew);
    assert_eq!(
        decide("me", None, &seen("me", 7, 5), TERM),
        Decision::Take { after: Epoch(7) },
        "a predecessor's"
    );
    assert_eq!(decide("me", Some(Epoch(6)), &seen("me", 7, 5), TERM), Decision::Take { after: Epoch(7) });
}

#[test]
fn what_another_holds_is_waited_for() {
    for held in [None, Some(Epoch(7))] {
        assert_eq!(decide("me", held, &seen("other", 7, 5), TERM), Decision::Wait(Duration::from_secs(5)));
    }
}

#[test]
fn what_ends_later_than_anybody_could_have_asked_for_is_free() {
    let day = 24 * 3_600;
    assert_eq!(decide("me", None, &seen("other", 7, day), TERM), Decision::Take { after: Epoch(7) });
    assert_eq!(decide("me", None, &seen("other", 7, 24), TERM), Decision::Wait(2 * TERM));
}

#[tokio::test(start_paused = true)]
async fn renewals_come_before_a_third_of_the_term() {
    for draw in [0.0, 1.0] {
        let store = Memory::new();
        let start = Instant::now();
        let mut process = Process::start(&store, "a", draw);
        let held = process.holding().await;
        sleep(TERM * 10).await;
        let mut last = start;
        for at in store.renewals.lock().unwrap().iter() {
            let gap = at.duration_since(last);
            assert!(gap <= TERM / 3 + Duration::from_millis(2) && gap >= TERM / 5, "{gap:?}");
            last = *at;
        }
        assert!(!held.ended.is_cancelled());
        assert_eq!(store.row().epoch, Epoch(1), "kept, not taken again");
    }
}

#[tokio::test(start_paused = true)]
async fn the_epoch_rises_with_each_owner() {
    let store = Memory::new();
    let mut first = Process::start(&store, "a", 0.5);
    assert_eq!(first.holding().await.epoch, Epoch(1));
    let mut second = Process::start(&store, "b", 0.5);
    sleep(TERM * 5).await;
    assert!(second.held.borrow().is_none(), "two owners");
    assert!(first.tasks.shut_down(TERM).await);
    let start = Instant::now();
    assert_eq!(second.holding().await.epoch, Epoch(2));
    assert!(start.elapsed() < TERM / 2, "a released lease is taken soon");
}

#[tokio::test(start_paused = true)]
async fn a_killed_owner_s_lease_is_taken_when_it_ends_and_not_before() {
    let store = Memory::new();
    let mut first = Process::start(&store, "a", 0.5);
    let held = first.holding().await;
    first.kill(&store).await;
    assert!(held.ended.is_cancelled(), "what worked under it is stopped with it");
    let mut second = Process::start(&store, "b", 0.5);
    let ends = store.row().expires_at;
    assert_eq!(second.holding().await.epoch, Epoch(2));
    assert!(store.clock.now() >= ends);
    assert!(store.clock.now() <= ends + TimeDelta::from_std(TERM / 2).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_successor_of_the_same_name_takes_over_at_once() {
    let store = Memory::new();
    let mut first = Process::start(&store, "a", 0.5);
    first.holding().await;
    first.kill(&store).await;
    let start = Instant::now();
    assert_eq!(Process::start(&store, "a", 0.5).holding().await.epoch, Epoch(2));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_proved_is_given_up_before_it_ends() {
    for ill in [Health::Failing, Health::Hanging] {
        let store = Memory::new();
        let mut process = Process::start(&store, "a", 0.5);
        let held = process.holding().await;
        sleep(TERM).await;
        store.health.send_replace(ill);
        timeout(TERM * 2, held.ended.cancelled()).await.unwrap();
        let left = store.row().expires_at - store.clock.now();
        assert!(left >= TimeDelta::seconds(2), "{ill:?}: {left} before the end");
        assert!(process.held.borrow_and_update().is_none());

        store.health.send_replace(Health::Well);
        assert_eq!(process.holding().await.epoch, Epoch(2), "taken anew, as another owner");
        assert!(held.ended.is_cancelled(), "what is lost stays lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_of_the_store_is_survived() {
    let store = Memory::new();
    let mut process = Process::start(&store, "a", 0.5);
    let held = process.holding().await;
    for ill in [Health::Failing, Health::Hanging] {
        store.health.send_replace(ill);
        sleep(TERM / 3).await;
        store.health.send_replace(Health::Well);
        sleep(TERM * 2).await;
        assert!(!held.ended.is_cancelled(), "{ill:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_term_outlasts_a_store_that_is_away_and_is_taken_as_soon_as_before() {
    let store = Memory::new();
    let terms = Terms { pace: TERM, ..Terms::of(TERM * 3) };
    let mut process = Process::keeping(&store, "a", terms);
    let held = process.holding().await;
    for ill in [Health::Failing, Health::Hanging] {
        store.health.send_replace(ill);
        sleep(TERM * 2).await;
        store.health.send_replace(Health::Well);
        sleep(TERM * 3).await;
        assert!(!held.ended.is_cancelled(), "{ill:?}");
    }
    let mut second = Process::keeping(&store, "b", terms);
    sleep(TERM).await;
    assert!(process.tasks.shut_down(TERM).await);
    let start = Instant::now();
    assert_eq!(second.holding().await.epoch, Epoch(2));
    assert!(start.elapsed() < TERM / 2, "a released lease is taken soon");
}

#[tokio::test(start_paused = true)]
async fn who_is_told_that_a_lease_was_given_back_takes_it_at_once() {
    let store = Memory::new();
    let mut first = Process::start(&store, "a", 0.5);
    first.holding().await;
    let keeper = LeaseKeeper::new(Arc::clone(&store), "b", Terms::of(TERM), Random::fixed(0.5));
    let again = keeper.waker();
    let mut second = Process::of(keeper);
    // Told for nothing, it looks once and waits again.
    again.notify_one();
    sleep(TERM * 2).await;
    assert!(second.held.borrow().is_none(), "two owners");
    assert!(first.tasks.shut_down(TERM).await);
    let start = Instant::now();
    again.notify_one();
    assert_eq!(second.holding().await.epoch, Epoch(2));
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_away_is_not_held() {
    let store = Memory::new();
    let mut process = Process::start(&store, "a", 0.5);
    let held = process.holding().await;
    let stolen = Lease { holder: "b".into(), epoch: Epoch(9), expires_at: store.until(TERM) };
    *store.row.lock().unwrap() = Some(stolen);
    timeout(TERM / 3 + Duration::from_millis(2), held.ended.cancelled()).await.unwrap();
    assert_eq!(process.holding().await.epoch, Epoch(10));
}
