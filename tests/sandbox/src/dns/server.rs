//! One authoritative server: its own copy of each zone, that follows the primary's versions after a lag in world time.
//!
//! A copy is a queue of versions with the moment from which each is served, so that nothing has to tick and an advanced clock
//! is obeyed at once. Faults are asked per question, under service `dns` with the path `<server>/<name asked>`:
//!
//! | Method | Effect |
//! |---|---|
//! | `lag` (asked when a zone changes, path `<server>`) | a latency delays this change by so many wall milliseconds; anything else loses it for this server, until the next change |
//! | `query` | a latency delays; `stale_read`, `lie`, `truncate` (over UDP) and a `reject` that names a response code do that; anything else is silence (the client times out) |
//! | `refuse`, `servfail` | that response code |
//! | `lame` | the answer without the AA bit |
//! | `stale` | the answer of the version before the last change |

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};

use super::twist::{self, Twist};
use super::wire::{Answerer, Question, Spoken};
use super::zone::{Reply, Zone};
use crate::world::{Fault, World};

/// One server with its copies.
#[derive(Debug)]
pub struct NameServer {
    world: Arc<World>,
    name: &'static str,
    lag: Duration,
    copies: Mutex<Vec<ZoneCopy>>,
}

#[derive(Debug)]
struct ZoneCopy {
    previous: Arc<Zone>,
    current: Arc<Zone>,
    coming: VecDeque<(Duration, Arc<Zone>)>,
}

impl ZoneCopy {
    /// Takes over every version that is due.
    fn settle(&mut self, now: Duration) {
        while self.coming.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, zone)) = self.coming.pop_front() {
                self.previous = std::mem::replace(&mut self.current, zone);
            }
        }
    }
}

impl NameServer {
    /// A server called `name` that sees changes `lag` of world time late and serves `zones` at once.
    pub fn new(world: &Arc<World>, name: &'static str, lag: Duration, zones: &[Zone]) -> Arc<Self> {
        let copy = |zone: &Zone| {
            let zone = Arc::new(zone.clone());
            ZoneCopy { previous: Arc::clone(&zone), current: zone, coming: VecDeque::new() }
        };
        let copies = Mutex::new(zones.iter().map(copy).collect());
        Arc::new(Self { world: Arc::clone(world), name, lag, copies })
    }

    /// The name under which faults find this server.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Announces a new version of a zone; served after the lag, never before an older one.
    pub fn announce(&self, zone: &Arc<Zone>) {
        let mut lag = self.lag;
        match self.world.faults.take("dns", "lag", self.name) {
            Some(Fault::Latency { ms }) => lag += Duration::from_millis(ms).mul_f64(self.world.clock.speed()),
            Some(_) => return,
            None => {}
        }
        let now = self.world.clock.elapsed();
        let mut copies = self.copies();
        if let Some(copy) = copies.iter_mut().find(|copy| copy.current.apex() == zone.apex()) {
            let last = copy.coming.back().map_or(Duration::ZERO, |(due, _)| *due);
            copy.coming.push_back(((now + lag).max(last), Arc::clone(zone)));
            copy.settle(now);
        }
    }

    /// Serves what is announced at once.
    pub fn catch_up(&self) {
        self.copies().iter_mut().for_each(|copy| copy.settle(Duration::MAX));
    }

    /// The version of the zone around `name` that is served now, and the one before.
    pub fn zone_for(&self, name: &Name) -> Option<(Arc<Zone>, Arc<Zone>)> {
        let now = self.world.clock.elapsed();
        let mut copies = self.copies();
        let best = copies
            .iter_mut()
            .filter(|copy| copy.current.apex().zone_of(name))
            .max_by_key(|copy| copy.current.apex().num_labels())?;
        best.settle(now);
        Some((Arc::clone(&best.current), Arc::clone(&best.previous)))
    }

    /// The answer to one question, faults included. `None` is silence.
    pub async fn ask(&self, name: &Name, kind: RecordType) -> Option<Reply> {
        let path = format!("{}/{}", self.name, name.to_ascii());
        let fault = |method: &str| self.world.faults.take("dns", method, &path);
        let twist = twist::on_query(&self.world, &path).await;
        match &twist {
            Twist::Silence => return None,
            Twist::Code(code) => return Some(Reply::code(*code)),
            _ => {}
        }
        if fault("refuse").is_some() {
            return Some(Reply::code(ResponseCode::Refused));
        }
        if fault("servfail").is_some() {
            return Some(Reply::code(ResponseCode::ServFail));
        }
        let Some((current, previous)) = self.zone_for(name) else {
            return Some(Reply::code(ResponseCode::Refused));
        };
        let stale = fault("stale").is_some() || twist == Twist::Stale;
        let zone = if stale { previous } else { current };
        let mut reply = zone.answer(name, kind);
        if let Twist::Lie(answer) = &twist {
            reply = twist::lied(reply, name, kind, answer);
        }
        reply.truncated = twist == Twist::Truncated;
        reply.authoritative &= fault("lame").is_none();
        Some(reply)
    }

    fn copies(&self) -> MutexGuard<'_, Vec<ZoneCopy>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An authoritative server that can also replace the provider's `ALIAS` by addresses, asking `helper` for them.
#[derive(Debug)]
pub struct Flattening {
    server: Arc<NameServer>,
    helper: Arc<NameServer>,
}

impl Flattening {
    /// `server` speaks; `helper` knows the targets of its aliases.
    pub fn new(server: &Arc<NameServer>, helper: &Arc<NameServer>) -> Arc<Self> {
        Arc::new(Self { server: Arc::clone(server), helper: Arc::clone(helper) })
    }

    /// The server's answer with aliases flattened.
    pub async fn ask(&self, name: &Name, kind: RecordType) -> Option<Reply> {
        let mut reply = self.server.ask(name, kind).await?;
        let Some(flatten) = reply.flatten.take() else { return Some(reply) };
        let found = self.helper.ask(&flatten.target, kind).await;
        let is_told = found.is_some();
        let mut addresses: Vec<Record> = found.map(|found| found.answers).unwrap_or_default();
        addresses.retain(|record| record.record_type() == kind);
        if addresses.is_empty() && is_told {
            reply.authority.push(flatten.soa);
        }
        for mut record in addresses {
            record.name = flatten.owner.clone();
            record.ttl = record.ttl.min(flatten.ttl);
            reply.answers.push(record);
        }
        Some(reply)
    }
}

#[async_trait]
impl Answerer for Flattening {
    async fn speak(&self, question: &Question) -> Option<Spoken> {
        let reply = self.ask(&question.name, question.kind).await?;
        Some(Spoken { reply, recursion_available: false })
    }
}
