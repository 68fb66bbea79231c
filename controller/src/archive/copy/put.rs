//! A content on its way into the archive: put under its digest unless it is held, locked for long enough, and read back in doubt.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::Copier;
use super::lookups::Holding;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{is_md5, object_key};
use crate::archive::vault::{BINARY, Lasting};
use crate::providers::s3::{Headers, Payload, S3Error};

impl Copier {
    /// Puts a content under its digest, unless it is there. Until when it is locked.
    pub(super) async fn put(
        &self,
        sha256: [u8; 32],
        md5: [u8; 16],
        bytes: Bytes,
    ) -> Result<Option<DateTime<Utc>>> {
        let vault = &self.archiver.vault;
        let key = object_key(&vault.prefix, &hex::encode(sha256));
        if let Some(held) = self.held(sha256, &key).await? {
            return Ok(held.locked);
        }
        let headers = Headers { content_type: Some(BINARY.to_owned()), ..Headers::default() };
        let size = bytes.len() as u64;
        let payload = Payload::hashed(bytes, sha256).with_md5(md5);
        let put = vault.s3.write(&vault.bucket, &key, payload, &headers, &self.keeping).await;
        match put {
            Err(error) if error.is_denied() => self.is_there(&key, sha256, size, error).await?,
            put => {
                let etag = put.map_err(ArchiveError::inside("writing a content"))?;
                if is_md5(&etag) && etag != hex::encode(md5) {
                    self.read_back(&key, sha256).await?;
                }
            }
        }
        Ok(self.locked_until())
    }

    /// What is held of this digest, from now on locked for long enough. `None`: it is to be put.
    pub(super) async fn held(&self, sha256: [u8; 32], key: &str) -> Result<Option<Holding>> {
        let Some(held) = self.lookups.ask(sha256).await? else { return Ok(None) };
        let vault = &self.archiver.vault;
        let due = vault.lock_due(self.archiver.clock.now());
        let (Some(lock), Some(due)) = (self.keeping.lock, due) else { return Ok(Some(held)) };
        if held.locked.is_some_and(|locked| locked >= due) {
            return Ok(Some(held));
        }
        match vault.lock_longer(key, lock).await? {
            Lasting::Until(until) => Ok(Some(Holding { locked: Some(until), ..held })),
            Lasting::Gone => {
                tracing::warn!(key, "a content is gone, and put again");
                Ok(None)
            }
        }
    }

    /// A key pair that only adds may not put what is there already: a run that was cut off, or an answer that got lost, left it. What is
    /// there and is what it is called is as good as put.
    pub(super) async fn is_there(
        &self,
        key: &str,
        sha256: [u8; 32],
        size: u64,
        denied: S3Error,
    ) -> Result<()> {
        let inside = ArchiveError::inside("writing a content");
        let vault = &self.archiver.vault;
        let head = vault.s3.head(&vault.bucket, key).await.map_err(&inside)?;
        if head.is_none_or(|head| head.size != size) {
            return Err(inside(denied));
        }
        self.read_back(key, sha256).await?;
        // It may be locked for less long than what is put now.
        vault.see_lock(key, &self.keeping).await
    }

    /// The store claims another MD5 than that of what it was sent: what does it hold?
    pub(super) async fn read_back(&self, key: &str, sha256: [u8; 32]) -> Result<()> {
        match self.archiver.hash_inside(key).await {
            // It arrived, and lies in cold storage already: a verification that has it thawed reads it first.
            Err(ArchiveError::Inside { source, .. }) if source.is_frozen() => {
                tracing::info!(key, "what was put lies in cold storage, and is not read back");
                return Ok(());
            }
            found => {
                if found? == hex::encode(sha256) {
                    return Ok(());
                }
            }
        }
        Err(ArchiveError::Damaged {
            what: key.to_owned(),
            how: "the archive holds other bytes than it was sent".to_owned(),
        })
    }
}
