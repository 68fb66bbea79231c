//! The archive: point-in-time copies of a bucket, content-addressed, written last what makes them exist, restorable without us.
//!
//! A run lists the source beside the manifest of the run before ([`walk`]), copies what changed ([`copy`]), and writes the manifest
//! and its record ([`take`]). What lies where is [`format`](mod@format).

use std::path::PathBuf;

use reprise_crds::plan::ArchiveSpec;
use tokio_util::sync::CancellationToken;

use crate::providers::s3::S3;
use crate::runtime::clock::Clock;
use crate::store::Store;

pub mod acl;
pub mod content_type;
mod copies;
pub mod copy;
pub mod cost;
pub mod crypt;
pub mod dumps;
pub mod error;
pub mod folder;
pub mod format;
pub mod gate;
mod hashes;
pub mod import;
mod known;
pub mod manifest;
pub mod pending;
pub mod prune;
pub mod restore;
pub mod retention;
pub mod select;
mod sending;
pub mod suspicion;
pub mod tags;
pub mod take;
pub mod vault;
pub mod verify;
pub mod walk;

pub use copies::own_first;
pub use error::ArchiveError;
pub use select::Which;
pub use vault::Vault;

/// A bucket outside the archive.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its store.
    pub s3: S3,
    /// Its base URL, for the record.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
}

impl Place {
    /// Which bucket it is, all told.
    pub fn name(&self) -> String {
        format!("{}/{}", self.endpoint.trim_end_matches('/'), self.bucket)
    }
}

/// Everything that the archive of one plan needs.
#[derive(Debug, Clone)]
pub struct Archiver {
    /// The plan's name.
    pub plan: String,
    /// What the plan says of its archive.
    pub spec: ArchiveSpec,
    /// Objects on their way at once.
    pub concurrency: usize,
    /// The production bucket.
    pub source: Place,
    /// Where the archive lies.
    pub vault: Vault,
    /// Our records.
    pub store: Store,
    /// The one clock.
    pub clock: Clock,
    /// A private folder.
    pub work: PathBuf,
    /// Who we are among several processes.
    pub identity: String,
    /// Stops everything.
    pub cancel: CancellationToken,
}

impl Archiver {
    /// The record of a run, and its digest. If we wrote it ourselves, it is compared with what we know.
    pub(crate) async fn record_of(&self, run: &str) -> error::Result<(format::Record, String)> {
        let (record, sha256) = self.vault.record(run).await?;
        let rows = self.store.archives(&self.plan).await?;
        let known = rows.iter().find(|row| row.run == run && row.phase == "Complete").map(|row| &row.status);
        let same = known.is_none_or(|known| {
            known.is_null()
                || serde_json::from_value(known.clone()).is_ok_and(|known: format::Record| known == record)
        });
        if same {
            return Ok((record, sha256));
        }
        let what = format::record_key(&self.vault.prefix, run);
        Err(ArchiveError::Damaged { what, how: "it is not what was written".to_owned() })
    }

    /// The digest of what lies in the archive under `key`.
    pub async fn hash_inside(&self, key: &str) -> error::Result<String> {
        self.vault.hash(key).await
    }
}
