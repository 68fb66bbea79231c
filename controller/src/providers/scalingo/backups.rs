//! Backups of a database.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{AddonRef, Scalingo, absent};
use crate::providers::{
    http::{Download, Method, ProviderError, Turn},
    open::open_enum,
};

open_enum! {
    /// How far a backup is.
    ///
    /// Source: developer documentation "Backups"; the vendor's clients.
    BackupStatus {
        /// Asked for.
        Scheduled = "scheduled",
        /// Asked for, in another word.
        Pending = "pending",
        /// Being made.
        Running = "running",
        /// Made. Says nothing of whether it can be read.
        Done = "done",
        /// Failed.
        Error = "error",
        /// Being given up.
        Cancelling = "cancelling",
        /// Given up.
        Cancelled = "cancelled",
    }
}

/// A backup.
#[derive(Debug, Clone, Deserialize)]
pub struct Backup {
    /// Its id.
    pub id: String,
    /// The database's own id, not the addon's.
    pub database_id: Option<String>,
    /// `YYYYMMDDhhmmss_<resource id>`, UTC.
    pub name: Option<String>,
    /// In bytes.
    pub size: Option<u64>,
    /// How far it is.
    pub status: BackupStatus,
    /// `periodic` or `manual`.
    pub method: Option<String>,
    /// When it was asked for.
    pub created_at: Option<DateTime<Utc>>,
    /// When it began: the moment whose data it holds.
    pub started_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct BackupRoot {
    database_backup: Backup,
}

#[derive(Deserialize)]
struct BackupsRoot {
    database_backups: Vec<Backup>,
}

#[derive(Deserialize)]
struct ArchiveRoot {
    download_url: SecretString,
}

impl Scalingo {
    /// `GET /databases/:addon/backups`, newest first as sent. Not paginated.
    ///
    /// Source: developer documentation "Backups / List". Safe to repeat.
    pub async fn backups(&self, addon: &AddonRef) -> Result<Vec<Backup>, ProviderError> {
        let call = self.database_api("backups.list", Method::GET).await?;
        let call = call.segments(["databases", &addon.addon, "backups"]);
        self.database_send::<BackupsRoot>(addon, call).await.map(|root| root.database_backups)
    }

    /// `GET /databases/:addon/backups/:id`.
    ///
    /// Source: developer documentation "Backups / Get". Safe to repeat.
    pub async fn backup(&self, addon: &AddonRef, id: &str) -> Result<Option<Backup>, ProviderError> {
        let call = self.database_api("backups.get", Method::GET).await?;
        let call = call.segments(["databases", &addon.addon, "backups", id]);
        Ok(absent(self.database_send::<BackupRoot>(addon, call).await)?.map(|root| root.database_backup))
    }

    /// `POST /databases/:addon/backups`. Asks for one more; the oldest manual one may be dropped for it.
    ///
    /// Source: developer documentation "Backups / Create". Not safe to repeat without looking.
    pub async fn create_backup(&self, addon: &AddonRef) -> Result<Backup, ProviderError> {
        let call = self.database_api("backups.create", Method::POST).await?;
        let call = call.segments(["databases", &addon.addon, "backups"]).json(&json!({}));
        self.database_send::<BackupRoot>(addon, call).await.map(|root| root.database_backup)
    }

    /// `GET /databases/:addon/backups/:id/archive`: a signed address, of unknown life: ask for a new one at each attempt.
    ///
    /// Source: developer documentation "Backups / Get archive". Safe to repeat.
    pub async fn backup_url(
        &self,
        addon: &AddonRef,
        id: &str,
    ) -> Result<Option<SecretString>, ProviderError> {
        let call = self.database_api("backups.archive", Method::GET).await?;
        let call = call.segments(["databases", &addon.addon, "backups", id, "archive"]);
        Ok(absent(self.database_send::<ArchiveRoot>(addon, call).await)?.map(|root| root.download_url))
    }

    /// The archive's bytes from a fresh signed address, without credentials. `None` if there is no such archive.
    ///
    /// Source: user documentation "Databases / Backing up". Safe to repeat.
    pub async fn download_backup(
        &self,
        addon: &AddonRef,
        id: &str,
    ) -> Result<Option<Download>, ProviderError> {
        let call = "backups.download";
        let turn = Turn::take(&self.auth, call).await?;
        let Some(url) = self.backup_url(addon, id).await? else { return Ok(None) };
        absent(Download::open(&self.auth, turn, call, url.expose_secret()).await)
    }
}
