//! The names of this world: two authoritative servers of the estate's zone, the `PaaS` vendor's server, a caching resolver.
//!
//! Real packets on UDP and TCP. Every server keeps its own copy of the zone and sees a change after its own lag in world
//! time, so that "the API said 204" and "the name servers say so" are two events. Nothing here knows who may write what: the
//! rules of the provider's API live in [`crate::alwaysdata`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::{Name, RData, Record, RecordType};

mod caa;
pub mod cache;
pub mod record;
pub mod resolver;
pub mod server;
mod twist;
mod vendor;
pub mod wire;
pub mod zone;

pub use caa::Caa;
pub use record::{RecordError, RecordKind, ZoneRecord};
use resolver::{Resolver, Upstream};
use server::{Flattening, NameServer};
use zone::{SoaTimes, Zone};

use crate::world::World;

/// The zone under which the platform gives each app its default domain.
pub const VENDOR_ZONE: &str = "osc-fr1.scalingo.test";
/// The DNS provider's own zone, where its name servers are found.
const PROVIDER_ZONE: &str = "alwaysdata.test";
/// The platform vendor's own zone, where its name server is found.
const PLATFORM_ZONE: &str = "scalingo.test";
/// The platform vendor's name server.
const PLATFORM_SERVER: &str = "ns1.scalingo.test";
/// The estate's name servers.
pub const NAME_SERVERS: [&str; 2] = ["dns1.alwaysdata.test", "dns2.alwaysdata.test"];
/// World time until the primary and the secondary serve a change.
const LAGS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];
/// Aliases that a certificate authority follows.
const MAX_CHAIN: usize = 10;

/// Why the name servers could not start.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// No socket.
    #[error("binding the name server {server}")]
    Bind {
        /// Which server.
        server: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A name or value that DNS cannot hold.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Addresses that the name servers give out.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Where apps are served.
    pub ingress: Ipv4Addr,
    /// Where the name servers themselves answer on port 53: [`NAME_SERVERS`], then the platform's.
    pub servers: [Ipv4Addr; 3],
}

impl From<Ipv4Addr> for Places {
    /// Everything at one address.
    fn from(one: Ipv4Addr) -> Self {
        Self { ingress: one, servers: [one; 3] }
    }
}

/// All name servers of one sandbox.
#[derive(Debug)]
pub struct Dns {
    zone: String,
    ingress: Ipv4Addr,
    primary: Mutex<Zone>,
    vendor_zone: Mutex<Zone>,
    servers: [Arc<NameServer>; 2],
    speakers: [Arc<Flattening>; 2],
    vendor: Arc<NameServer>,
    resolver: Arc<Resolver>,
    addrs: Addrs,
}

#[derive(Debug, Clone, Copy)]
struct Addrs {
    authoritative: [SocketAddr; 2],
    vendor: SocketAddr,
    resolver: SocketAddr,
}

impl Dns {
    /// Starts all servers for the estate's `zone`; default domains of apps will point to the ingress of `places`.
    pub async fn start(world: &Arc<World>, zone: &str, places: Places) -> Result<Arc<Self>, DnsError> {
        let names = NAME_SERVERS.iter().map(|name| record::host(name)).collect::<Result<Vec<_>, _>>()?;
        let [first, second, third] = places.servers;
        let primary = Zone::new(record::host(zone)?, names.clone(), SoaTimes { ttl: 3_600, minimum: 300 });
        let vendor_ns = vec![record::host(PLATFORM_SERVER)?];
        let vendor_zone =
            Zone::new(record::host(VENDOR_ZONE)?, vendor_ns.clone(), SoaTimes { ttl: 300, minimum: 60 });
        let vendor = NameServer::new(
            world,
            "vendor",
            Duration::ZERO,
            &[
                vendor_zone.clone(),
                zone_of_servers(PROVIDER_ZONE, names, &[first, second])?,
                zone_of_servers(PLATFORM_ZONE, vendor_ns, &[third])?,
            ],
        );
        let one = [primary.clone()];
        let servers =
            [NameServer::new(world, "dns1", LAGS[0], &one), NameServer::new(world, "dns2", LAGS[1], &one)];
        let speakers = [Flattening::new(&servers[0], &vendor), Flattening::new(&servers[1], &vendor)];
        let resolver = Resolver::new(world, upstreams(&primary, &speakers, &vendor)?);
        let [first, second] = speakers.each_ref().map(Arc::clone);
        let addrs = Addrs {
            authoritative: [bind(world, "dns1", first).await?, bind(world, "dns2", second).await?],
            vendor: bind(world, "vendor", Flattening::new(&vendor, &vendor)).await?,
            resolver: bind(world, "resolver", Arc::<Resolver>::clone(&resolver)).await?,
        };
        Ok(Arc::new(Self {
            zone: zone.trim_end_matches('.').to_owned(),
            ingress: places.ingress,
            primary: Mutex::new(primary),
            vendor_zone: Mutex::new(vendor_zone),
            servers,
            speakers,
            vendor,
            resolver,
            addrs,
        }))
    }

    /// The estate's two name servers, primary first.
    pub fn authoritative(&self) -> [SocketAddr; 2] {
        self.addrs.authoritative
    }

    /// The `PaaS` vendor's name server.
    pub fn vendor(&self) -> SocketAddr {
        self.addrs.vendor
    }

    /// The caching resolver.
    pub fn resolver(&self) -> SocketAddr {
        self.addrs.resolver
    }

    /// Where apps are served, and everything else that has a door.
    pub(crate) fn ingress(&self) -> Ipv4Addr {
        self.ingress
    }

    /// The name servers in the order of [`Places::servers`], to be asked without packets, and where they listen.
    pub fn name_servers(&self) -> [(Arc<dyn wire::Answerer>, SocketAddr); 3] {
        let [first, second] = self.speakers.each_ref().map(Arc::clone);
        let [at_first, at_second] = self.addrs.authoritative;
        let vendor = Flattening::new(&self.vendor, &self.vendor);
        [(first, at_first), (second, at_second), (vendor, self.addrs.vendor)]
    }

    /// The caching resolver, to be asked without packets.
    pub fn as_answerer(&self) -> Arc<dyn wire::Answerer> {
        Arc::<Resolver>::clone(&self.resolver)
    }

    /// Empties the resolver's cache.
    pub fn flush_resolver(&self) {
        self.resolver.flush();
    }

    /// The estate's zone, without a final dot.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The serial that each server serves now: primary copy first, then both servers.
    pub fn serials(&self) -> [u32; 3] {
        let apex = locked(&self.primary).apex().clone();
        let served = |server: &NameServer| server.zone_for(&apex).map_or(0, |(zone, _)| zone.serial());
        [locked(&self.primary).serial(), served(&self.servers[0]), served(&self.servers[1])]
    }

    /// Puts `record` in place of all records of its name and type; each server follows after its lag.
    pub fn upsert(&self, record: &ZoneRecord) -> Result<(), RecordError> {
        let mut zone = locked(&self.primary);
        let record = record.to_record(zone.apex())?;
        zone.upsert(record);
        self.announce(&zone);
        Ok(())
    }

    /// Removes the records of `name` (relative), all or those of one kind.
    pub fn remove(&self, name: &str, kind: Option<RecordKind>) -> Result<(), RecordError> {
        let mut zone = locked(&self.primary);
        let name = record::absolute(name, zone.apex())?;
        zone.remove(&name, kind.map(RecordKind::wire));
        self.announce(&zone);
        Ok(())
    }

    /// Puts exactly `records` at `name` (relative) in one change, so that no server ever serves the gap between.
    pub fn replace(&self, name: &str, records: &[ZoneRecord]) -> Result<(), RecordError> {
        let mut zone = locked(&self.primary);
        let name = record::absolute(name, zone.apex())?;
        let records = records.iter().map(|one| one.to_record(zone.apex())).collect::<Result<_, _>>()?;
        let before = zone.serial();
        zone.replace(&name, records);
        if zone.serial() != before {
            self.announce(&zone);
        }
        Ok(())
    }

    /// Lets every server serve the newest version at once: for what exists since always.
    pub fn catch_up(&self) {
        self.servers.iter().for_each(|server| server.catch_up());
    }

    /// Whether every authoritative server leads `name` to `target`, uncached: by a chain of aliases, or, at an apex, by
    /// serving the target's addresses. This is what a certificate authority sees from its several viewpoints.
    pub async fn points_to(&self, name: &str, target: &str) -> bool {
        let (Ok(name), Ok(target)) = (record::host(name), record::host(target)) else { return false };
        for index in 0..self.speakers.len() {
            if !self.leads_to(index, &name, &target).await {
                return false;
            }
        }
        true
    }

    /// Whether every authoritative server has `value` as a text at `name`.
    pub async fn has_text(&self, name: &str, value: &str) -> bool {
        let Ok(name) = record::host(name) else { return false };
        for index in 0..self.speakers.len() {
            let reply = self.ask_owner(index, &name, RecordType::TXT).await;
            let mut answers = reply.into_iter().flat_map(|reply| reply.answers);
            let is_value = |data: &RData| match data {
                RData::TXT(text) => text.txt_data.concat() == value.as_bytes(),
                _ => false,
            };
            if !answers.any(|record| is_value(&record.data)) {
                return false;
            }
        }
        true
    }

    /// One viewpoint of [`Dns::points_to`].
    async fn leads_to(&self, server: usize, name: &Name, target: &Name) -> bool {
        let mut at = name.clone();
        for _ in 0..MAX_CHAIN {
            if at == *target {
                return self.addresses(server, &at).await.is_some_and(|found| !found.is_empty());
            }
            let Some(reply) = self.ask_owner(server, &at, RecordType::CNAME).await else { return false };
            let next = reply.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(next) => Some(next.0.clone()),
                _ => None,
            });
            let Some(next) = next else {
                // Every app of a region has the same address: it proves something only for a name that is no alias.
                if at != *name {
                    return false;
                }
                let (here, there) = (self.addresses(server, &at).await, self.addresses(server, target).await);
                return here.is_some_and(|found| !found.is_empty() && there.as_ref() == Some(&found));
            };
            at = next;
        }
        false
    }

    async fn addresses(&self, server: usize, name: &Name) -> Option<Vec<RData>> {
        let reply = self.ask_owner(server, name, RecordType::A).await?;
        Some(reply.answers.into_iter().filter(|r| r.record_type() == RecordType::A).map(|r| r.data).collect())
    }

    /// The answer of the server that owns `name`'s zone. `None`: silence, or an answer without authority.
    async fn ask_owner(&self, server: usize, name: &Name, kind: RecordType) -> Option<zone::Reply> {
        let ours = locked(&self.primary).apex().zone_of(name);
        let reply = if ours {
            self.speakers[server].ask(name, kind).await
        } else {
            self.vendor.ask(name, kind).await
        };
        reply.filter(|reply| reply.authoritative)
    }

    /// The zone as the primary holds it and what the servers serve, for the inventory.
    pub fn inventory(&self) -> serde_json::Value {
        let records = |zone: &Zone| zone.records().map(ToString::to_string).collect::<Vec<_>>();
        let (primary, vendor) = (locked(&self.primary).clone(), locked(&self.vendor_zone).clone());
        serde_json::json!({
            "zone": self.zone,
            "serials": self.serials(),
            "records": records(&primary),
            "default_domains": records(&vendor),
        })
    }

    fn announce(&self, zone: &Zone) {
        let version = Arc::new(zone.clone());
        self.servers.iter().for_each(|server| server.announce(&version));
    }
}

fn upstreams(
    primary: &Zone,
    speakers: &[Arc<Flattening>; 2],
    vendor: &Arc<NameServer>,
) -> Result<Vec<Upstream>, RecordError> {
    let by_vendor = |zone: &str| -> Result<Upstream, RecordError> {
        Ok(Upstream { apex: record::host(zone)?, servers: vec![Flattening::new(vendor, vendor)] })
    };
    let estate = Upstream { apex: primary.apex().clone(), servers: speakers.to_vec() };
    Ok(vec![estate, by_vendor(VENDOR_ZONE)?, by_vendor(PROVIDER_ZONE)?, by_vendor(PLATFORM_ZONE)?])
}

async fn bind(
    world: &Arc<World>,
    server: &'static str,
    answerer: Arc<dyn wire::Answerer>,
) -> Result<SocketAddr, DnsError> {
    wire::listen(world, server, answerer).await.map_err(|source| DnsError::Bind { server, source })
}

/// A zone whose own name servers are found in it.
fn zone_of_servers(apex: &str, names: Vec<Name>, places: &[Ipv4Addr]) -> Result<Zone, RecordError> {
    let mut zone = Zone::new(record::host(apex)?, names.clone(), SoaTimes { ttl: 3_600, minimum: 300 });
    for (name, place) in names.into_iter().zip(places) {
        zone.upsert(Record::from_rdata(name, 3_600, address(*place)));
    }
    Ok(zone)
}

fn address(ip: Ipv4Addr) -> RData {
    RData::A(ip.into())
}

fn locked(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
