//! A caching recursive resolver. It asks the authoritative servers of this world and believes them for as long as they say,
//! in world time; negative answers too (RFC 2308), failures for a few seconds (RFC 9520).
//!
//! Faults are those of [`super::server`], with the server name `resolver`; `stale` makes it give what it once knew.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::cache::{Cache, Known};
use super::server::Flattening;
use super::twist::{self, Twist};
use super::wire::{Answerer, Question, Spoken};
use super::zone::{Reply, SoaTimes, Zone};
use crate::world::World;

/// Aliases that are followed.
const MAX_CHAIN: usize = 16;
/// World time for which a failure is remembered.
const FAILURE_LIFE: Duration = Duration::from_secs(5);

/// The servers of one zone.
#[derive(Debug)]
pub struct Upstream {
    /// The zone's name.
    pub apex: Name,
    /// Who serves it, asked in turn.
    pub servers: Vec<Arc<Flattening>>,
}

/// The resolver.
#[derive(Debug)]
pub struct Resolver {
    world: Arc<World>,
    upstreams: Vec<Upstream>,
    turn: AtomicUsize,
    cache: Mutex<Cache>,
    failed: Mutex<Vec<(Name, RecordType, Duration)>>,
}

impl Resolver {
    /// A resolver with an empty cache.
    pub fn new(world: &Arc<World>, upstreams: Vec<Upstream>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            upstreams,
            turn: AtomicUsize::new(0),
            cache: Mutex::default(),
            failed: Mutex::default(),
        })
    }

    /// Forgets everything, as a restarted resolver does.
    pub fn flush(&self) {
        self.cache().clear();
        self.failed().clear();
    }

    /// The whole chain from `name` to records of `kind`.
    pub async fn resolve(&self, name: &Name, kind: RecordType, recurse: bool, stale: bool) -> Reply {
        let mut reply = Reply::code(ResponseCode::NoError);
        let mut at = name.clone();
        for _ in 0..MAX_CHAIN {
            let known = match self.recall(&at, kind, stale) {
                Some(known) => known,
                None if !recurse => return reply,
                None => match self.fetch(&at, kind).await {
                    Some(known) => known,
                    None => return Reply::code(ResponseCode::ServFail),
                },
            };
            match known {
                Known::Nothing(code, soa) => {
                    reply.code = code;
                    reply.authority = soa;
                    return reply;
                }
                Known::Records(records) => {
                    let next = alias_target(&records, kind);
                    reply.answers.extend(records);
                    let Some(next) = next else { return reply };
                    at = next;
                }
            }
        }
        Reply::code(ResponseCode::ServFail)
    }

    /// From the cache: the type itself, or the alias in its place.
    fn recall(&self, name: &Name, kind: RecordType, stale: bool) -> Option<Known> {
        let now = self.world.clock.elapsed();
        let cache = self.cache();
        cache
            .get(name, kind, now, stale)
            .or_else(|| cache.get(name, RecordType::CNAME, now, stale).filter(positive))
    }

    /// From the servers, one after the other; remembered. `None` when no server gave a usable answer.
    async fn fetch(&self, name: &Name, kind: RecordType) -> Option<Known> {
        let now = self.world.clock.elapsed();
        if self.failed().iter().any(|(failed, of, until)| failed == name && *of == kind && *until > now) {
            return None;
        }
        if let Some(known) = builtin(name, kind) {
            return Some(known);
        }
        let reply = self.ask_in_turn(name, kind).await;
        let mut failed = self.failed();
        failed.retain(|(_, _, until)| *until > now);
        let Some(reply) = reply else {
            failed.push((name.clone(), kind, now + FAILURE_LIFE));
            return None;
        };
        drop(failed);
        Some(self.remember(name, kind, reply))
    }

    async fn ask_in_turn(&self, name: &Name, kind: RecordType) -> Option<Reply> {
        let of_zone = |upstream: &&Upstream| upstream.apex.zone_of(name);
        let Some(upstream) = self.upstreams.iter().filter(of_zone).max_by_key(|up| up.apex.num_labels())
        else {
            return Some(outside(name, kind));
        };
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for index in 0..upstream.servers.len() {
            let server = &upstream.servers[(first + index) % upstream.servers.len()];
            let reply = server.ask(name, kind).await;
            // A lame server (no AA bit) is not believed.
            if let Some(reply) = reply.filter(|reply| reply.authoritative) {
                return Some(reply);
            }
        }
        None
    }

    /// Stores the first link of the answer and returns it; the caller follows the chain link by link.
    fn remember(&self, name: &Name, kind: RecordType, reply: Reply) -> Known {
        let now = self.world.clock.elapsed();
        let here: Vec<Record> = reply.answers.into_iter().filter(|record| record.name == *name).collect();
        let mut cache = self.cache();
        if here.is_empty() {
            cache.put_nothing(name, kind, reply.code, reply.authority.clone(), now);
            return Known::Nothing(reply.code, reply.authority);
        }
        let is_alias = here.iter().all(|record| record.record_type() == RecordType::CNAME);
        let under = if is_alias { RecordType::CNAME } else { kind };
        cache.put(name, under, here.clone(), now);
        Known::Records(here)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> MutexGuard<'_, Vec<(Name, RecordType, Duration)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Answerer for Resolver {
    async fn speak(&self, question: &Question) -> Option<Spoken> {
        let path = format!("resolver/{}", question.name.to_ascii());
        let fault = |method: &str| self.world.faults.take("dns", method, &path);
        let twist = twist::on_query(&self.world, &path).await;
        if twist == Twist::Silence {
            return None;
        }
        let code = [("refuse", ResponseCode::Refused), ("servfail", ResponseCode::ServFail)];
        let refused = code.into_iter().find(|(method, _)| fault(method).is_some());
        let (stale, lame) = (fault("stale").is_some() || twist == Twist::Stale, fault("lame").is_some());
        let refused = if let Twist::Code(code) = twist { Some(("query", code)) } else { refused };
        let mut reply = match refused {
            Some((_, code)) => Reply::code(code),
            None => self.resolve(&question.name, question.kind, question.recursion_desired, stale).await,
        };
        if let Twist::Lie(answer) = &twist {
            reply = twist::lied(reply, &question.name, question.kind, answer);
        }
        reply.truncated = twist == Twist::Truncated;
        Some(Spoken { reply, recursion_available: !lame })
    }
}

fn positive(known: &Known) -> bool {
    matches!(known, Known::Records(_))
}

/// Where an alias leads, if aliases are what was found and something else was asked.
fn alias_target(records: &[Record], kind: RecordType) -> Option<Name> {
    match records {
        [Record { data: RData::CNAME(target), .. }]
            if !matches!(kind, RecordType::CNAME | RecordType::ANY) =>
        {
            Some(target.0.clone())
        }
        _ => None,
    }
}

/// `localhost` is known to every resolver (RFC 6761).
fn builtin(name: &Name, kind: RecordType) -> Option<Known> {
    let local = name.is_localhost() && kind == RecordType::A;
    let record = || Record::from_rdata(name.clone(), 3_600, RData::A(A(Ipv4Addr::LOCALHOST)));
    local.then(|| Known::Records(vec![record()]))
}

/// A world without an internet: the root knows no other name.
fn outside(name: &Name, kind: RecordType) -> Reply {
    let servers = vec![Name::root()];
    Zone::new(Name::root(), servers, SoaTimes { ttl: 86_400, minimum: 3_600 }).answer(name, kind)
}
