//! One real `PostgreSQL` server per addon, as at the vendor's, each behind a TCP front of its own.
//!
//! A server of its own keeps an addon's roles to itself: two addons may both have a user `reader`. Servers listen on a Unix socket
//! only. Nobody but us can be superuser: even on the socket every role needs its password, since tunnels end there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reprise_cluster::{Binaries, ClusterError};
use thiserror::Error;
use tokio::sync::mpsc;

use super::runner::Runner;
use super::runner::groups::Groups;
use super::tls::DatabaseAuthority;
use crate::world::World;

mod addon;
mod copies;
mod extensions;
mod front;
mod gate;
mod origin;
mod peer;
mod sql;
mod tools;

pub use extensions::WHITELIST as EXTENSIONS;

use addon::Addon;
pub(crate) use copies::SavedDatabase;
use front::Admission;
pub(crate) use gate::refusal_of;
use origin::Origin;
pub(crate) use origin::listen;

/// How to reach a database with the rights of its owner.
#[derive(Clone)]
pub struct DatabaseAccess {
    /// A name of this world.
    pub host: String,
    /// The port of its TCP front.
    pub port: u16,
    /// The owner: same as the database.
    pub user: String,
    /// The owner's password.
    pub password: String,
    /// The database: same as the addon's resource id.
    pub database: String,
}

impl std::fmt::Debug for DatabaseAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseAccess")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// What went wrong with a database. No message holds a password.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The server could not be found, started or given a place.
    #[error("running the server of {resource}")]
    Server {
        /// The addon.
        resource: String,
        /// What was wrong.
        #[source]
        source: ClusterError,
    },
    /// A file could not be handled.
    #[error("keeping the files of {resource}")]
    Files {
        /// The addon.
        resource: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The server refused a statement.
    #[error("{doing} in {resource}")]
    Sql {
        /// What we were doing.
        doing: &'static str,
        /// The addon.
        resource: String,
        /// What the server said.
        #[source]
        source: sqlx::Error,
    },
    /// A program of the server's installation failed.
    #[error("{tool} of {resource} ended with {status}: {message}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// The addon.
        resource: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        message: String,
    },
    /// There is no such addon.
    #[error("there is no database {0}")]
    Unknown(String),
    /// There is one already.
    #[error("there is a database {0} already")]
    Exists(String),
    /// Not a resource id.
    #[error("{0:?} cannot be the name of a database")]
    Name(String),
}

/// The databases of one sandbox.
pub struct Databases {
    world: Arc<World>,
    binaries: Binaries,
    groups: Arc<Groups>,
    admission: Arc<Admission>,
    authority: DatabaseAuthority,
    addons: Mutex<BTreeMap<String, Arc<Addon>>>,
    /// Where the next addon may begin as a copy.
    copies: copies::Copies,
}

impl std::fmt::Debug for Databases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Databases")
            .field("version", &self.binaries.version)
            .field("addons", &self.addons().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Databases {
    /// Looks for the machine's `PostgreSQL`; servers start with their addons.
    #[expect(clippy::unused_async, reason = "callers need not know that nothing is waited for yet")]
    pub async fn start(world: &Arc<World>) -> Result<Arc<Self>, DatabaseError> {
        let missing = |source| DatabaseError::Server { resource: "all databases".into(), source };
        let authority = DatabaseAuthority::of(world).map_err(|source| DatabaseError::Files {
            resource: "all databases".into(),
            source: source.into(),
        })?;
        Ok(Arc::new(Self {
            authority,
            world: Arc::clone(world),
            binaries: Binaries::find().map_err(missing)?,
            // SIGINT: the server's fast shutdown.
            groups: Arc::new(Groups::start("INT")),
            admission: Arc::default(),
            addons: Mutex::default(),
            copies: copies::Copies::default(),
        }))
    }

    /// From now on the TCP fronts accept the processes of this runner's apps. Before, they accept nobody.
    pub fn admit(&self, runner: &Arc<Runner>) {
        self.admission.admit(runner);
    }

    /// A new server with a role and a database called `resource_id`, behind a TCP front. Takes about a second.
    pub async fn create(&self, resource_id: &str) -> Result<DatabaseAccess, DatabaseError> {
        sql::check_name(resource_id)?;
        if self.addons().contains_key(resource_id) {
            return Err(DatabaseError::Exists(resource_id.to_owned()));
        }
        let addon = self.begin(resource_id).await?;
        let access = addon.access.clone();
        self.world.names.add(&access.host).map_err(sql::files(resource_id))?;
        self.addons().insert(resource_id.to_owned(), Arc::new(addon));
        Ok(access)
    }

    /// Everything of the addon gone: front, server and files.
    pub async fn destroy(&self, resource_id: &str) -> Result<(), DatabaseError> {
        let addon = self.addons().remove(resource_id);
        let addon = addon.ok_or_else(|| DatabaseError::Unknown(resource_id.to_owned()))?;
        self.world.names.remove(&addon.access.host).map_err(sql::files(resource_id))?;
        addon.stop().await;
        tokio::fs::remove_dir_all(self.folder(resource_id)?).await.map_err(sql::files(resource_id))
    }

    /// A disaster: the content is destroyed, schemas and large objects and all. The access stays, and every user's rights.
    pub async fn wipe(&self, resource_id: &str) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.wipe().await
    }

    /// A user beside the owner, with all rights on the content or with reading only.
    pub async fn add_user(
        &self,
        resource_id: &str,
        name: &str,
        password: &str,
        read_only: bool,
    ) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.add_user(name, password, read_only).await
    }

    /// Another password for the owner or a user.
    pub async fn set_password(
        &self,
        resource_id: &str,
        name: &str,
        password: &str,
    ) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.set_password(name, password).await
    }

    /// A user gone; what it owned is the owner's.
    pub async fn drop_user(&self, resource_id: &str, name: &str) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.drop_user(name).await
    }

    /// A real `pg_dump` in custom format into `file`; its size in bytes.
    pub async fn dump(&self, resource_id: &str, file: &Path) -> Result<u64, DatabaseError> {
        self.addon(resource_id)?.dump(&self.binaries, file, &[]).await
    }

    /// The same, compressed as little as is worth it: for gigabytes that somebody waits for.
    pub async fn dump_fast(&self, resource_id: &str, file: &Path) -> Result<u64, DatabaseError> {
        self.addon(resource_id)?.dump(&self.binaries, file, &["--compress=1"]).await
    }

    /// Seeds the database from a custom-format dump; everything will be the owner's.
    pub async fn load_dump(&self, resource_id: &str, file: &Path) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.load_dump(&self.binaries, file).await
    }

    /// Runs statements as the addon's owner.
    pub async fn run_sql(&self, resource_id: &str, sql: &str) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.run_sql(sql).await
    }

    /// Runs statements as the addon's owner in one session, as they come.
    pub async fn run_each(
        &self,
        resource_id: &str,
        statements: mpsc::Receiver<String>,
    ) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.run_each(statements).await
    }

    /// The servers' version, such as `15.18`.
    pub fn version(&self) -> &str {
        &self.binaries.version
    }

    /// The CA of the databases' certificates (PEM file).
    pub fn ca_file(&self) -> &Path {
        self.authority.file()
    }

    /// Refuses plain connections to the addon from now on, or accepts them again.
    pub fn force_tls(&self, resource_id: &str, on: bool) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.force_tls(on);
        Ok(())
    }

    /// Admits everybody at the addon's front from now on, or only apps again.
    pub fn publish(&self, resource_id: &str, on: bool) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.publish(on);
        Ok(())
    }

    /// The end of what the addon's server wrote into its log.
    pub async fn log_tail(&self, resource_id: &str) -> Result<String, DatabaseError> {
        self.addon(resource_id)?.log_tail().await
    }

    /// What the addon's server wrote into its log after its first `from` bytes, whole lines only, and how far that is. From the
    /// end where there are not so many.
    pub async fn log_from(&self, resource_id: &str, from: u64) -> Result<(String, u64), DatabaseError> {
        self.addon(resource_id)?.log_from(from).await
    }

    /// Brings the database back to what `file`, a custom-format dump, holds; objects that it does not hold stay.
    pub async fn restore_dump(&self, resource_id: &str, file: &Path) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.restore_dump(&self.binaries, file).await
    }

    /// Ends every session of the addon, as a restart of the server would.
    pub async fn cut_sessions(&self, resource_id: &str) -> Result<(), DatabaseError> {
        self.addon(resource_id)?.cut_sessions().await
    }

    /// Rows of a statement of the platform's own, run as the superuser; `texts` are its parameters.
    pub async fn rows(
        &self,
        resource_id: &str,
        sql: &str,
        texts: &[&str],
    ) -> Result<serde_json::Value, DatabaseError> {
        self.addon(resource_id)?.rows(sql, texts).await
    }

    /// The socket of the database that is reached at `host` and `port` from the private network.
    pub fn socket_of(&self, host: &str, port: u16) -> Option<PathBuf> {
        self.found_at(host, port).map(|(_, addon)| addon.tunnels.clone())
    }

    /// The resource that is reached at `host` and `port`.
    pub fn resource_at(&self, host: &str, port: u16) -> Option<String> {
        self.found_at(host, port).map(|(resource, _)| resource)
    }

    fn found_at(&self, host: &str, port: u16) -> Option<(String, Arc<Addon>)> {
        let is_here =
            |addon: &Addon| addon.access.host.eq_ignore_ascii_case(host) && addon.access.port == port;
        let addons = self.addons();
        let (resource, addon) = addons.iter().find(|(_, addon)| is_here(addon))?;
        Some((resource.clone(), Arc::clone(addon)))
    }

    /// Stops every server, waited for. Their files stay.
    pub async fn shut_down(&self) {
        let addons = std::mem::take(&mut *self.addons());
        futures::future::join_all(addons.values().map(|addon| addon.stop())).await;
    }

    fn addon(&self, resource_id: &str) -> Result<Arc<Addon>, DatabaseError> {
        let addon = self.addons().get(resource_id).cloned();
        addon.ok_or_else(|| DatabaseError::Unknown(resource_id.to_owned()))
    }

    fn addons(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Addon>>> {
        self.addons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of an addon's server and of our own notes.
    fn folder(&self, resource_id: &str) -> Result<PathBuf, DatabaseError> {
        self.world.folder("databases").map(|folder| folder.join(resource_id)).map_err(sql::files(resource_id))
    }
}

#[cfg(test)]
mod tests;
