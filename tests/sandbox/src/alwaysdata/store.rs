//! The account's domains and records. A write is *accepted* at once and *executed* in order by one worker, which is when it
//! becomes visible to readers and goes to the name servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::model::{Domain, Record};
use super::rules::{self, Complaints};
use crate::dns::{Dns, RecordKind, ZoneRecord};
use crate::world::World;

/// World time between acceptance and execution of a write that nobody waits for.
const ASYNC_DELAY: Duration = Duration::from_secs(3);

/// Why a write is refused.
#[derive(Debug)]
pub enum Refusal {
    /// No such record.
    Unknown,
    /// 400 with these complaints.
    Invalid(Complaints),
}

/// What a write did to its record.
#[derive(Debug)]
struct Order {
    era: u64,
    id: u64,
    record: Option<Record>,
    due: Duration,
    done: oneshot::Sender<()>,
}

/// A write that was accepted; executed whether or not it is waited for.
#[derive(Debug)]
pub struct Accepted {
    /// The record's id.
    pub id: u64,
    /// What it is, for the journal.
    pub label: String,
    done: oneshot::Receiver<()>,
}

impl Accepted {
    /// Waits until readers and name servers have it.
    pub async fn executed(self) {
        // The worker ends only with the world; then there is nobody to tell.
        self.done.await.unwrap_or_default();
    }
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct State {
    domains: Vec<Domain>,
    accepted: BTreeMap<u64, Record>,
    visible: BTreeMap<u64, Record>,
    last_id: u64,
    /// How many states there were before this one: orders of an earlier one are void.
    #[serde(skip)]
    era: u64,
}

/// See the module's head.
#[derive(Debug)]
pub struct Store {
    world: Arc<World>,
    dns: Arc<Dns>,
    state: Mutex<State>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Store {
    /// The account with its domains: the estate's, and one whose name contains the other's (a substring filter finds both).
    pub fn start(world: &Arc<World>, dns: &Arc<Dns>) -> Arc<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let first = 110_000 + world.ids.below(50_000);
        let domains = vec![
            Domain { id: first, name: format!("mes-{}", dns.zone()) },
            Domain { id: first + 7, name: dns.zone().to_owned() },
        ];
        let state = State { domains, last_id: 1_200_000 + world.ids.below(500_000), ..State::default() };
        let (world, dns) = (Arc::clone(world), Arc::clone(dns));
        let store = Arc::new(Self { world, dns, state: Mutex::new(state), orders });
        store.world.tasks.spawn("alwaysdata-worker", Arc::clone(&store).work(inbox));
        store
    }

    /// All domains whose name contains `name`.
    pub fn domains(&self, name: &str) -> Vec<Domain> {
        self.state().domains.iter().filter(|domain| domain.name.contains(name)).cloned().collect()
    }

    /// All visible records, each with whether it is in force.
    pub fn records(&self) -> Vec<(Record, bool)> {
        let state = self.state();
        let active = |record: &Record| !state.visible.values().any(|other| record.yields_to(other));
        state.visible.values().map(|record| (record.clone(), active(record))).collect()
    }

    /// Creates a record.
    pub fn create(&self, body: &[u8], wait: bool) -> Result<Accepted, Refusal> {
        let mut state = self.state();
        let id = state.last_id + 1 + self.world.ids.below(8);
        let record = read(&state, body, rules::blank(id))?;
        state.last_id = id;
        Ok(self.accept(&mut state, id, Some(record), wait))
    }

    /// Changes a record: all of it (`whole`, PUT) or only what the body names (PATCH).
    pub fn change(&self, id: u64, body: &[u8], whole: bool, wait: bool) -> Result<Accepted, Refusal> {
        let mut state = self.state();
        let old = owned(&state, id)?;
        let record = read(&state, body, if whole { rules::blank(id) } else { old })?;
        Ok(self.accept(&mut state, id, Some(record), wait))
    }

    /// Deletes a record.
    pub fn delete(&self, id: u64, wait: bool) -> Result<Accepted, Refusal> {
        let mut state = self.state();
        owned(&state, id)?;
        Ok(self.accept(&mut state, id, None, wait))
    }

    /// Puts a record that exists since always: no rules, no delay.
    pub fn seed(&self, mut record: Record) {
        let mut state = self.state();
        state.last_id += 1 + self.world.ids.below(8);
        record.id = state.last_id;
        record.domain = self.published(&state);
        state.accepted.insert(record.id, record.clone());
        state.visible.insert(record.id, record.clone());
        self.publish(&state, &record.name);
    }

    /// Domains and records as data. What is accepted and not yet executed counts as executed.
    pub(super) fn save(&self) -> serde_json::Result<serde_json::Value> {
        let mut state = self.state().clone();
        state.visible.clone_from(&state.accepted);
        serde_json::to_value(state)
    }

    /// In place of everything, what was saved; the name servers learn of each name.
    pub(super) fn bring_back(&self, saved: serde_json::Value) -> serde_json::Result<()> {
        let mut new: State = serde_json::from_value(saved)?;
        let mut state = self.state();
        new.era = state.era + 1;
        let old = std::mem::replace(&mut *state, new);
        let names =
            |state: &State| state.visible.values().map(|one| one.name.clone()).collect::<BTreeSet<_>>();
        for name in names(&old).union(&names(&state)) {
            self.publish(&state, name);
        }
        Ok(())
    }

    fn accept(&self, state: &mut State, id: u64, record: Option<Record>, wait: bool) -> Accepted {
        let label = match record.as_ref().or_else(|| state.accepted.get(&id)) {
            Some(record) => format!("record/{id} {} {}", record.kind, record.name),
            None => format!("record/{id}"),
        };
        match record.clone() {
            Some(record) => drop(state.accepted.insert(id, record)),
            None => drop(state.accepted.remove(&id)),
        }
        let (done, waiting) = oneshot::channel();
        let due = self.world.clock.elapsed() + if wait { Duration::ZERO } else { ASYNC_DELAY };
        if self.orders.send(Order { era: state.era, id, record, due, done }).is_err() {
            tracing::warn!(id, "no worker for an accepted write");
        }
        Accepted { id, label, done: waiting }
    }

    /// Executes orders one after the other, each when it is due.
    async fn work(self: Arc<Self>, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(Order { era, id, record, due, done }) = inbox.recv().await {
            self.world.clock.sleep_until(due).await;
            self.execute(era, id, record);
            // Nobody waits for an asynchronous write.
            done.send(()).unwrap_or_default();
        }
    }

    fn execute(&self, era: u64, id: u64, record: Option<Record>) {
        let mut state = self.state();
        if state.era != era {
            return;
        }
        let new_name = record.as_ref().map(|record| record.name.clone());
        let old = match record {
            Some(record) => state.visible.insert(id, record),
            None => state.visible.remove(&id),
        };
        let old_name = old.map(|record| record.name);
        if let Some(name) = &new_name {
            self.publish(&state, name);
        }
        if let Some(name) = old_name.filter(|name| Some(name) != new_name.as_ref()) {
            self.publish(&state, &name);
        }
    }

    /// Writes what is in force at `name` through to the name servers, in one change.
    fn publish(&self, state: &State, name: &str) {
        let domain = self.published(state);
        let here = |record: &&Record| record.domain == domain && record.name == name;
        let in_force = |record: &&Record| !state.visible.values().any(|other| record.yields_to(other));
        let records: Vec<ZoneRecord> =
            state.visible.values().filter(here).filter(in_force).filter_map(zone_record).collect();
        if let Err(error) = self.dns.replace(name, &records) {
            tracing::warn!(name, error = %error, "a record is not publishable");
        }
    }

    /// The domain that this world's name servers serve.
    fn published(&self, state: &State) -> u64 {
        state.domains.iter().find(|domain| domain.name == self.dns.zone()).map_or(0, |domain| domain.id)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that its user may touch.
fn owned(state: &State, id: u64) -> Result<Record, Refusal> {
    let record = state.accepted.get(&id).ok_or(Refusal::Unknown)?;
    if record.is_user_defined {
        return Ok(record.clone());
    }
    let text = "This record was created by the platform: it can be overridden, not changed or deleted.";
    Err(Refusal::Invalid(Complaints::from([("__all__", vec![text.to_owned()])])))
}

fn read(state: &State, body: &[u8], base: Record) -> Result<Record, Refusal> {
    let record =
        rules::object(body).and_then(|fields| rules::read(&fields, base)).map_err(Refusal::Invalid)?;
    if !state.domains.iter().any(|domain| domain.id == record.domain) {
        let text = "Select a valid choice: that domain is not one of yours.";
        return Err(Refusal::Invalid(Complaints::from([("domain", vec![text.to_owned()])])));
    }
    let others = state.accepted.values().filter(|other| other.id != record.id);
    rules::check(&record, others).map_err(Refusal::Invalid)?;
    Ok(record)
}

/// The record for the name servers; `None` for types that they do not serve (DS without DNSSEC).
fn zone_record(record: &Record) -> Option<ZoneRecord> {
    let Record { name, value, priority, ttl, .. } = record.clone();
    Some(ZoneRecord { name, kind: RecordKind::from_label(&record.kind)?, value, priority, ttl })
}
