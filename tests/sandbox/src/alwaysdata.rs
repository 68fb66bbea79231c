//! The DNS provider's REST API (domains and records), in front of [`crate::dns`].
//!
//! Faithful to the vendor's public help and to what its clients rely on. Where the vendor's behaviour is unknown (the shape
//! of a 400, of a 429, PUT without a TTL) the choice is the one that trips a careless client.
//!
//! A fault of its own: service `alwaysdata`, method `location`, fault `reject`: a creation answers without `Location`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

pub mod auth;
pub mod model;
pub mod routes;
pub mod rules;
pub mod store;

use crate::dns::{Dns, NAME_SERVERS};
use crate::http;
use crate::world::World;
use model::Record;
use store::Store;

/// Where the platform's own web servers would be (documentation addresses: nothing of this world listens there).
const PLATFORM_ADDRESSES: [(&str, &str); 2] = [("A", "198.51.100.17"), ("AAAA", "2001:db8:17::1")];

/// The API of one account.
#[derive(Debug)]
pub struct Alwaysdata {
    addr: SocketAddr,
    dns: Arc<Dns>,
    store: Arc<Store>,
    account: String,
}

impl Alwaysdata {
    /// Serves the account `account`, reachable with `api_key`, whose domain is the zone of `dns`. The platform's own records
    /// (name servers, mail, the addresses of the apex and of `www`) are there from the start.
    pub async fn start(
        world: &Arc<World>,
        dns: &Arc<Dns>,
        account: &str,
        api_key: &str,
    ) -> io::Result<Arc<Self>> {
        let store = Store::start(world, dns);
        let router = routes::router(routes::Service::new(world, &store, account, api_key));
        let addr = http::serve(world, "alwaysdata", router).await?;
        let api = Arc::new(Self { addr, dns: Arc::clone(dns), store, account: account.to_owned() });
        api.seed_platform_records();
        Ok(api)
    }

    /// The base URL, without a path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Puts a record of the estate's domain that exists since always; `name` is relative, empty at the apex.
    pub fn seed_record(&self, name: &str, kind: &str, value: &str, ttl: u32, is_user_defined: bool) {
        self.seed(Record {
            kind: kind.into(),
            name: name.into(),
            value: value.into(),
            ttl,
            is_user_defined,
            ..rules::blank(0)
        });
    }

    /// Domains and records as the API shows them.
    pub fn inventory(&self) -> Value {
        let records = self.store.records();
        json!({
            "account": self.account,
            "domains": self.store.domains("").iter().map(|domain| json!({"id": domain.id, "name": domain.name})).collect::<Vec<_>>(),
            "records": records.iter().map(|(record, active)| record.to_json(*active)).collect::<Vec<_>>(),
        })
    }

    /// Domains and records as data.
    pub(crate) fn save(&self) -> serde_json::Result<Value> {
        self.store.save()
    }

    /// In place of everything, what was saved; every server and the resolver serve it at once.
    pub(crate) fn bring_back(&self, saved: Value) -> serde_json::Result<()> {
        self.store.bring_back(saved)?;
        self.dns.catch_up();
        self.dns.flush_resolver();
        Ok(())
    }

    fn seed(&self, record: Record) {
        self.store.seed(record);
        self.dns.catch_up();
    }

    fn seed_platform_records(&self) {
        for server in NAME_SERVERS {
            self.seed_record("", "NS", server, 3_600, false);
        }
        for (priority, host) in [(10, "mx1.alwaysdata.test"), (20, "mx2.alwaysdata.test")] {
            self.seed(Record {
                kind: "MX".into(),
                value: host.into(),
                priority: Some(priority),
                is_user_defined: false,
                ..rules::blank(0)
            });
        }
        for name in ["", "www"] {
            for (kind, value) in PLATFORM_ADDRESSES {
                self.seed_record(name, kind, value, 300, false);
            }
        }
    }
}

#[cfg(test)]
mod tests;
