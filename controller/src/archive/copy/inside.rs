//! Mode `server-side`: the archive's store copies the source's object by itself, to a place of its own. Nobody has hashed it then.

use std::sync::atomic::Ordering;

use futures::TryStreamExt as _;

use super::{Copier, Done, Kept, short};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::is_md5;
use crate::providers::s3::{Found, Keeping, ObjectSummary, Want};
use crate::store::Pending;

impl Copier {
    /// Lets the store copy what the listing showed, and nothing else: the entity tag is its condition. `None`: it is gone, or
    /// the store does not find it.
    pub(super) async fn inside(&self, listed: &ObjectSummary) -> Result<Option<Done>> {
        let Some(found) = self.glance(listed).await? else { return Ok(None) };
        let vault = &self.archiver.vault;
        let (number, drawn) = (self.pending.fetch_add(1, Ordering::Relaxed), rand::random::<u32>());
        let name = format!("pending/{}/{number}-{drawn:08x}", self.run);
        let key = format!("{}{name}", vault.prefix);
        let source = self.archiver.source.bucket.as_str();
        let want = Want { version: found.version.as_deref(), etag: Some(&found.etag), range: None };
        // Cold storage has its turn when it is hashed: before that it is to be read.
        let warm = Keeping { lock: self.keeping.lock, storage_class: None };
        let copied =
            vault.s3.copy_exactly((source, &listed.key), want, (&vault.bucket, &key), listed.size, &warm);
        let (acl, etag) = futures::join!(self.acl(&listed.key, found.version.as_deref()), copied);
        let etag = match etag {
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            // The condition is about the source, as its changes are elsewhere.
            Err(error) if error.is_changed() => {
                return Err(ArchiveError::outside("copying inside the store")(error));
            }
            etag => etag.map_err(ArchiveError::inside("copying inside the store"))?,
        };
        vault.see_lock(&key, &warm).await?;
        if is_md5(&found.etag) && is_md5(&etag) && etag != found.etag {
            return Err(short(&listed.key, 0, listed.size));
        }
        let pending = Pending {
            name,
            size: i64::try_from(listed.size).unwrap_or(i64::MAX),
            etag: found.etag.clone(),
            locked_until: self.locked_until(),
            sha256: None,
        };
        let found = Found { size: listed.size, ..found };
        self.done(listed, found, acl?, Kept::Pending(pending)).await.map(Some)
    }

    /// What travels with the object, without its content: its first byte tells as much as reading it, tags included.
    async fn glance(&self, listed: &ObjectSummary) -> Result<Option<Found>> {
        let source = &self.archiver.source;
        let range = (listed.size > 0).then_some((0, 1));
        let want = Want { version: None, etag: Some(&listed.etag), range };
        let outside = ArchiveError::outside("looking at an object");
        let mut found = match source.s3.read(&source.bucket, &listed.key, want).await {
            Err(error) if error.is_not_found() => return Ok(None),
            found => found.map_err(&outside)?,
        };
        // A connection whose answer is not read to its end cannot be used again.
        while found.body.try_next().await.map_err(&outside)?.is_some() {}
        Ok(Some(found))
    }
}
