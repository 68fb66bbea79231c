//! Addons and, behind each, what the database API knows of it.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A provisioned service of an app.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Addon {
    /// `ad-<uuid>`: what every URL uses.
    pub(in crate::paas) id: String,
    /// `my_app_4553`: also the default user and the database.
    pub(in crate::paas) resource_id: String,
    /// `postgresql`, `redis`.
    pub(in crate::paas) provider: String,
    /// The provider's older id, if it was bought by that: clients find it again as they named it.
    #[serde(default)]
    pub(in crate::paas) older_id: Option<String>,
    pub(in crate::paas) plan_id: String,
    /// `provisioning`, `running`, `suspended`.
    pub(in crate::paas) status: String,
    pub(in crate::paas) provisioned_at: DateTime<Utc>,
    /// The URL with its password, once it runs.
    pub(in crate::paas) url: Option<String>,
    /// `host:port`, once it runs.
    pub(in crate::paas) endpoint: Option<(String, u16)>,
    pub(in crate::paas) database: Database,
}

impl std::fmt::Debug for Addon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addon").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

impl Addon {
    /// Whether `key` names it, by id or by resource name.
    pub(in crate::paas) fn is(&self, key: &str) -> bool {
        self.id == key || self.resource_id == key
    }

    pub(in crate::paas) fn is_running(&self) -> bool {
        self.status == "running"
    }
}

/// The database API's side of an addon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Database {
    /// 24 hex digits; not the addon's id.
    pub(in crate::paas) id: String,
    pub(in crate::paas) instance: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) features: Vec<Feature>,
    pub(in crate::paas) users: Vec<DatabaseUser>,
    pub(in crate::paas) backups: Vec<Backup>,
    pub(in crate::paas) periodic_backups: bool,
    /// Hours, UTC.
    pub(in crate::paas) backup_hours: Vec<u32>,
    pub(in crate::paas) maintenance_weekday: u32,
    pub(in crate::paas) maintenance_hour: u32,
    /// Backups that were put back by the platform.
    #[serde(default)]
    pub(in crate::paas) restorations: Vec<Restoration>,
}

/// A backup that is put back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Restoration {
    pub(in crate::paas) id: String,
    pub(in crate::paas) backup: String,
    /// `scheduled`, `running`, `done`, `error`.
    pub(in crate::paas) status: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) started_at: Option<DateTime<Utc>>,
    pub(in crate::paas) ended_at: Option<DateTime<Utc>>,
}

/// A switch of a database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Feature {
    pub(in crate::paas) name: String,
    /// `PENDING`, `ACTIVATED`, `FAILED`.
    pub(in crate::paas) status: String,
}

/// A role; its password is known to the server only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct DatabaseUser {
    pub(in crate::paas) name: String,
    pub(in crate::paas) read_only: bool,
    /// The default user, which cannot be deleted.
    pub(in crate::paas) protected: bool,
}

/// A logical backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Backup {
    pub(in crate::paas) id: String,
    /// `YYYYMMDDhhmmss_<resource>`, UTC.
    pub(in crate::paas) name: String,
    pub(in crate::paas) size: Option<u64>,
    /// `scheduled`, `running`, `done`, `error`.
    pub(in crate::paas) status: String,
    /// `periodic` or `manual`.
    pub(in crate::paas) method: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) started_at: Option<DateTime<Utc>>,
    /// When it was made by the world's own calendar, which can be pushed forward: what retention goes by.
    pub(in crate::paas) world_date: DateTime<Utc>,
    /// The archive, once done.
    pub(in crate::paas) file: PathBuf,
}
