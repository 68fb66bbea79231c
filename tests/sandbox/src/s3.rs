//! Object storage: S3 over HTTP, one instance per endpoint, each with its own keys and its own folder.
//!
//! The protocol (XML, `SigV4`, streaming signatures, checksums in trailers) is the crate `s3s`; what is stored, and every rule
//! of the provider, is here: versions and delete markers, object lock, GLACIER with a thaw, 1,000 parts an upload, refusals
//! with a message. Simulated from the provider's documentation; where that is silent, the protocol's own rule holds.
//!
//! Layers: [`server`](self) (HTTP) → `keys`, `play` (who may, what goes wrong) → `api` → one module per operation → `store`
//! (index under a lock) → `disk`, `log` (bytes, durability).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use s3s::service::S3ServiceBuilder;
use sha2::{Digest as _, Sha256};

use crate::world::World;

mod acl;
mod api;
mod assembly;
mod attributes;
mod buckets;
mod claims;
mod combine;
mod completion;
mod conditions;
mod copy;
pub(crate) mod cors;
mod deleting;
mod digest;
mod disk;
mod documents;
mod encryption;
mod errors;
pub(crate) mod form;
mod gate;
mod holds;
mod host;
mod hurry;
mod intake;
mod interleave;
mod inventory;
mod keys;
mod lifecycle;
mod listing;
mod location;
mod lock;
mod log;
mod model;
mod multipart;
mod objects;
mod outflow;
mod play;
pub(crate) mod policy;
mod presigned;
mod reading;
mod restore;
mod seeding;
mod server;
mod state;
mod store;
mod sync;
mod tagging;
mod throttle;
mod tidy;
mod times;
mod trace;
mod uploads;
mod versions;
mod walk;

#[cfg(test)]
mod tests;

pub use disk::Durability;
pub use hurry::Hurry;
pub use keys::{Key, Policy};
pub use seeding::Seeded;
pub use throttle::Rates;

use conditions::WriteConditions;
use model::{Attributes, Headers, StorageClass};
use state::Record;
use store::Store;

/// How an endpoint is set up.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// Its name in journal and faults: `s3-source`, `s3-archive`.
    pub name: &'static str,
    /// The only region that signatures may name.
    pub region: String,
    /// Who may do what.
    pub keys: Vec<Key>,
    /// How long GLACIER takes to thaw, world time.
    pub thaw: Duration,
}

/// Why an endpoint could not do what the sandbox itself asked of it.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The folder could not be opened or replayed, or another process holds it.
    #[error("opening the object store of {name}")]
    Open {
        /// Which endpoint.
        name: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No port could be bound.
    #[error("binding a port for {name}")]
    Bind {
        /// Which endpoint.
        name: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store refused, by the rules that clients meet.
    #[error("{action} {resource}")]
    Refused {
        /// What was being done.
        action: &'static str,
        /// To what.
        resource: String,
        /// The refusal.
        #[source]
        source: s3s::S3Error,
    },
    /// The storage class does not exist at this provider.
    #[error("no storage class is called {0:?}")]
    Class(String),
}

/// One running endpoint. It serves until the world's tasks are shut down.
#[derive(Debug)]
pub struct S3 {
    store: Arc<Store>,
    addr: std::net::SocketAddr,
    endpoint: String,
}

impl S3 {
    /// Opens (or makes) the store in `dir` and serves it on a port of its own, durably.
    pub async fn start(world: &Arc<World>, dir: &Path, config: S3Config) -> Result<Arc<Self>, S3Error> {
        Self::start_with(world, dir, config, Durability::Full).await
    }

    /// The same with a choice of durability.
    pub async fn start_with(
        world: &Arc<World>,
        dir: &Path,
        config: S3Config,
        durability: Durability,
    ) -> Result<Arc<Self>, S3Error> {
        let S3Config { name, region, keys, thaw } = config;
        let opened = open(world, dir, durability).await.map_err(|source| S3Error::Open { name, source })?;
        let store = Arc::new(Store::new(
            world,
            opened,
            store::Settings {
                name,
                region: region.clone(),
                owner: owner_of(name),
                thaw,
                rates: match durability {
                    Durability::Full => Rates::default(),
                    Durability::Relaxed => Rates::UNLIMITED,
                },
            },
        ));
        world.tasks.spawn("s3-lifecycle", lifecycle::run(Arc::downgrade(&store)));
        claims::reclaim(&store).map_err(|source| S3Error::Open { name, source })?;
        store.read(|state| state.buckets.keys().for_each(|bucket| buckets::publish(&store, bucket)));
        let keys = keys::Keys(Arc::new(keys));
        let mut protocol = S3ServiceBuilder::new(api::Api(Arc::clone(&store)));
        let hosts = Arc::new(host::Hosts::new(&region));
        protocol.set_host(host::Hosts::clone(&hosts));
        protocol.set_auth(keys.clone());
        protocol.set_access(gate::Gate { service: name, store: Arc::clone(&store), keys });
        let front = server::Front {
            world: Arc::clone(world),
            service: name,
            region: region.into(),
            store: Arc::clone(&store),
            hosts,
            protocol: protocol.build(),
            requests: Arc::new(AtomicU64::new(1)),
        };
        let address = server::serve(front).await.map_err(|source| S3Error::Bind { name, source })?;
        if durability == Durability::Relaxed {
            tracing::warn!(endpoint = name, "object store does not wait for the disk: for measurements only");
        }
        tracing::info!(endpoint = name, %address, "object store serves");
        Ok(Arc::new(Self { store, addr: address, endpoint: format!("http://{address}") }))
    }

    /// The base URL, for path-style clients.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Where it listens.
    pub fn addr(&self) -> std::net::SocketAddr {
        self.addr
    }

    /// Whether it holds a bucket of this name.
    pub fn has_bucket(&self, name: &str) -> bool {
        self.store.read(|state| state.buckets.contains_key(name))
    }

    /// Other rates from now on; see [`Rates`].
    pub fn limit(&self, rates: Rates) {
        self.store.throttle.set(rates, self.store.world.clock.elapsed());
    }

    /// The rates in force.
    pub fn rates(&self) -> Rates {
        self.store.throttle.rates()
    }

    /// Makes a private bucket. Refused where the name is taken.
    pub async fn make_bucket(&self, name: &str, versioning: bool, object_lock: bool) -> Result<(), S3Error> {
        let new = buckets::NewBucket { name, acl: acl::Acl::default(), versioning, lock: object_lock };
        let refused =
            |source| S3Error::Refused { action: "making bucket", resource: name.to_owned(), source };
        buckets::make(&self.store, new).await.map_err(refused)
    }

    /// Puts an object, replacing what is there (or adding a version, by the bucket's rule).
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        content_type: &str,
        storage_class: &str,
    ) -> Result<(), S3Error> {
        let class =
            StorageClass::parse(storage_class).ok_or_else(|| S3Error::Class(storage_class.to_owned()))?;
        let headers = Headers { content_type: Some(content_type.to_owned()), ..Headers::default() };
        let attributes = Attributes { class, headers, ..Attributes::default() };
        let target = objects::Target { bucket, key, conditions: WriteConditions::default() };
        let resource = || format!("{bucket}/{key}");
        let refused = |source| S3Error::Refused { action: "putting object", resource: resource(), source };
        objects::put_bytes(&self.store, target, body, attributes).await.map_err(refused)
    }

    /// Puts many small objects in few writes to the disk: seeding. Larger ones are put one by one.
    pub async fn seed_many(
        &self,
        bucket: &str,
        storage_class: &str,
        objects: impl Iterator<Item = Seeded> + Send,
    ) -> Result<u64, S3Error> {
        let class =
            StorageClass::parse(storage_class).ok_or_else(|| S3Error::Class(storage_class.to_owned()))?;
        let seeded = seeding::put_many(&self.store, bucket, class, objects).await;
        let refused =
            |source| S3Error::Refused { action: "seeding bucket", resource: bucket.to_owned(), source };
        seeded.map_err(refused)
    }

    /// A disaster: every object, version and upload of the bucket is gone, whatever protects it; the bucket stays.
    pub async fn empty(&self, bucket: &str) -> Result<(), S3Error> {
        let refused =
            |source| S3Error::Refused { action: "emptying bucket", resource: bucket.to_owned(), source };
        let emptied = self.store.change(|draft| {
            draft.bucket(bucket)?;
            draft.apply(Record::Emptied(bucket.to_owned()))
        });
        emptied.await.map_err(refused)
    }

    /// A disaster: every bucket is gone with everything in it.
    pub async fn remove_all(&self) -> Result<(), S3Error> {
        let refused =
            |source| S3Error::Refused { action: "removing", resource: "all buckets".to_owned(), source };
        let removed = self.store.change(|draft| {
            let names: Vec<String> = draft.state.buckets.keys().cloned().collect();
            names.iter().try_for_each(|name| draft.apply(Record::BucketGone(name.clone())))?;
            Ok(names)
        });
        removed.await.map_err(refused)?.iter().for_each(|name| buckets::withdraw(&self.store, name));
        Ok(())
    }

    /// Everything that the endpoint holds, into `folder`: cheap, because bytes once written never change.
    pub(crate) async fn save(&self, folder: &Path) -> std::io::Result<()> {
        let (store, folder) = (Arc::clone(&self.store), folder.to_owned());
        crate::files::aside(move || store.save(&folder)).await
    }

    /// In place of everything, what was saved in `folder`.
    pub(crate) async fn bring_back(&self, folder: &Path) -> std::io::Result<()> {
        let before: Vec<String> = self.store.read(|state| state.buckets.keys().cloned().collect());
        for name in &before {
            buckets::withdraw(&self.store, name);
        }
        self.store.bring_back(folder).await?;
        claims::reclaim(&self.store)?;
        self.store.read(|state| state.buckets.keys().for_each(|name| buckets::publish(&self.store, name)));
        Ok(())
    }

    /// Every bucket with its settings, counts, bytes and a digest over what it holds.
    pub fn inventory(&self) -> serde_json::Value {
        inventory::of(&self.store)
    }
}

/// Opens the folder, waiting a little for a predecessor that is just letting go of it.
async fn open(
    world: &Arc<World>,
    dir: &Path,
    durability: Durability,
) -> std::io::Result<(Arc<disk::Disk>, state::State)> {
    let mut patience = 100;
    loop {
        let (world, dir) = (Arc::clone(world), dir.to_owned());
        let opened = tokio::task::spawn_blocking(move || disk::Disk::open(&world, &dir, durability));
        match opened.await.map_err(std::io::Error::other)? {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && patience > 0 => {
                patience -= 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// The owner of all that an endpoint holds, in the provider's form; the same at each start.
fn owner_of(name: &str) -> String {
    let sum: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sum[..16]);
    let project = uuid::Builder::from_random_bytes(bytes).into_uuid();
    format!("{project}:{project}")
}
