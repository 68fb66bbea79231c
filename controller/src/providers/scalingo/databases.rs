//! Databases, as the database API sees them.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{AddonRef, Scalingo, absent};
use crate::providers::{
    http::{Method, ProviderError},
    open::open_enum,
};

open_enum! {
    /// What a database is doing.
    ///
    /// Source: developer documentation "Databases".
    DatabaseStatus {
        /// Not usable yet.
        Creating = "creating",
        /// Usable.
        Running = "running",
        /// Moving.
        Migrating = "migrating",
        /// Changing its plan: connections are cut.
        Updating = "updating",
        /// Changing its version.
        Upgrading = "upgrading",
        /// Switched off.
        Stopped = "stopped",
    }
}

/// A database.
#[derive(Debug, Clone, Deserialize)]
pub struct Database {
    /// Its own id: not the addon's, but the `database_id` of its backups.
    pub id: String,
    /// Name of the database and of its first user.
    pub resource_id: Option<String>,
    /// `postgresql`, `redis`…
    pub type_name: Option<String>,
    /// Name of its plan.
    pub plan: Option<String>,
    /// What it is doing.
    pub status: DatabaseStatus,
    /// `major.minor.patch-build`.
    pub readable_version: Option<String>,
    /// `fqdn:port`.
    pub hostname: Option<String>,
    /// What the vendor is doing with it, if anything.
    pub current_operation_id: Option<String>,
    /// Whether backups are made by themselves.
    pub periodic_backups_enabled: Option<bool>,
    /// At which hours, UTC.
    #[serde(default)]
    pub periodic_backups_scheduled_at: Option<Vec<u8>>,
    /// Switched-on features.
    #[serde(default)]
    pub features: Option<Vec<Feature>>,
    /// When it was created.
    pub created_at: Option<DateTime<Utc>>,
}

/// A feature of a database. Anything but `ACTIVATED` and `FAILED` is pending.
#[derive(Debug, Clone, Deserialize)]
pub struct Feature {
    /// Such as `force-ssl`.
    pub name: String,
    /// How far it is.
    pub status: Option<String>,
}

#[derive(Deserialize)]
struct DatabaseRoot {
    database: Database,
}

impl Scalingo {
    /// `GET /databases/:addon`. `None` until the addon is provisioned.
    ///
    /// Source: developer documentation "Databases / Get". Safe to repeat.
    pub async fn database(&self, addon: &AddonRef) -> Result<Option<Database>, ProviderError> {
        let call =
            self.database_api("databases.get", Method::GET).await?.segments(["databases", &addon.addon]);
        Ok(absent(self.database_send::<DatabaseRoot>(addon, call).await)?.map(|root| root.database))
    }
}
