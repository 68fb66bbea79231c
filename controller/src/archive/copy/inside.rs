//! Mode `server-side`: the archive's store copies the source's object by itself, to a place of its own. Nobody has hashed it then.

use std::sync::atomic::Ordering;

use futures::TryStreamExt as _;

use super::{Copier, Done, Kept, claimed, condition, replaced, short};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::is_md5;
use crate::providers::s3::{Found, Keeping, ObjectHead, ObjectSummary, S3Error, Want};
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
            // The source may give to its own key pair what it does not let the archive's copy.
            Err(error) if is_not_copied(&error) => {
                tracing::debug!(key = listed.key, %error, "the store does not copy it: the object is read");
                self.doubts.fetch_add(1, Ordering::Relaxed);
                return Ok(None);
            }
            // The condition is about the source, as its changes are elsewhere.
            Err(error) if error.is_changed() => {
                return Err(ArchiveError::outside("copying inside the store")(error));
            }
            etag => etag.map_err(ArchiveError::inside("copying inside the store"))?,
        };
        vault.see_lock(&key, &warm).await?;
        let source = (found.etag.as_str(), found.version.as_deref(), claimed(&found));
        if !self.is_believed(listed, source, (&key, &etag)).await? {
            tracing::debug!(key = listed.key, "the store's copy bears another tag: the object is read");
            return Ok(None);
        }
        let pending = Pending {
            name,
            size: i64::try_from(listed.size).unwrap_or(i64::MAX),
            etag: found.etag.clone(),
            opaque: found.proof.is_encrypted,
            source_key: listed.key.clone(),
            source_version: found.version.clone(),
            locked_until: self.locked_until(),
            sha256: None,
        };
        let found = Found { size: listed.size, ..found };
        self.done(listed, found, (acl?, false), Kept::Pending(pending)).await.map(Some)
    }

    /// Whether the copy under `key`, which bears `etag`, is to be taken for what the source has, until it is hashed. `false`: one of the two
    /// tags is no digest, though the store does not say so, or the copy is another one.
    async fn is_believed(
        &self,
        listed: &ObjectSummary,
        (tag, version, claimed): (&str, Option<&str>, Option<&str>),
        (key, etag): (&str, &str),
    ) -> Result<bool> {
        if claimed == Some(etag) {
            return Ok(true);
        }
        let (source, vault) = (&self.archiver.source, &self.archiver.vault);
        let there = source.s3.head_proof(&source.bucket, &listed.key, version);
        let here = vault.s3.head_proof(&vault.bucket, key, None);
        let (there, here) = futures::join!(there, here);
        let there = there.map_err(ArchiveError::outside("looking at what was copied inside the store"))?;
        let here = here.map_err(ArchiveError::inside("looking at what was copied inside the store"))?;
        // Some stores pass over a copy's condition, or over that of its parts.
        let there = there.filter(|there| there.etag == tag).ok_or_else(|| replaced(&listed.key))?;
        let here = here.ok_or_else(|| short(key, 0, listed.size))?;
        match judged(claimed, etag, &there, &here) {
            Judged::Other => Err(short(key, here.size, listed.size)),
            Judged::Same | Judged::Unknown => Ok(true),
            Judged::Doubtful => {
                self.doubts.fetch_add(1, Ordering::Relaxed);
                // Nothing will name it. Append-only key pairs may not: then `prune` sweeps it.
                if let Err(error) = vault.s3.delete(&vault.bucket, key, here.version.as_deref()).await {
                    tracing::debug!(key, %error, "a doubtful copy stays until it is pruned");
                }
                Ok(false)
            }
        }
    }

    /// What travels with the object, without its content: its first byte tells as much as reading it, tags included.
    pub(super) async fn glance(&self, listed: &ObjectSummary) -> Result<Option<Found>> {
        let source = &self.archiver.source;
        let range = (listed.size > 0).then_some((0, 1));
        let want = Want { version: None, etag: condition(&listed.etag), range };
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

/// Whether the store does not copy this, or copies nothing. A condition that fails, what is cold, and trouble that passes are other matters.
fn is_not_copied(error: &S3Error) -> bool {
    let refused = error.is_refused() && !error.is_of_all() && !error.is_changed() && !error.is_frozen();
    refused || error.is_unsupported()
}

/// What a copy is beside its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// The store's checksums say so.
    Same,
    /// Its size or its checksum is another one.
    Other,
    /// It has the right size; whoever hashes it knows more.
    Unknown,
    /// The source claims an MD5, and the copy bears another tag, which looks like one.
    Doubtful,
}

/// Weighs what is known of a copy whose tag is not the MD5 that the source claims. Pure.
fn judged(claimed: Option<&str>, etag: &str, there: &ObjectHead, here: &ObjectHead) -> Judged {
    match there.proof.agrees(&here.proof) {
        _ if there.size != here.size => Judged::Other,
        Some(true) => Judged::Same,
        Some(false) => Judged::Other,
        None if claimed.is_some() && is_md5(etag) && !here.proof.is_encrypted => Judged::Doubtful,
        None => Judged::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::s3::{Headers, Proof, Thaw};

    const ONE: &str = "0cc175b9c0f1b6a831c399e269772661";
    const OTHER: &str = "92eb5ffee6ae2fec3ad71c777531578f";

    fn head(size: u64, checksum: Option<&str>, is_encrypted: bool) -> ObjectHead {
        let proof = Proof { checksum: checksum.map(|sum| ("crc32", sum.to_owned())), is_encrypted };
        let (etag, metadata, version) = (String::new(), Headers::default(), None);
        ObjectHead { size, etag, metadata, version, thaw: Thaw::Readable, locked_until: None, proof }
    }

    #[test]
    fn a_tag_that_is_no_digest_makes_a_copy_neither_wrong_nor_right() {
        let (plain, encrypted) = (head(1, None, false), head(1, None, true));
        // The archive encrypts, the source does, both do.
        assert_eq!(judged(Some(ONE), OTHER, &plain, &encrypted), Judged::Unknown);
        assert_eq!(judged(None, OTHER, &encrypted, &plain), Judged::Unknown);
        assert_eq!(judged(None, OTHER, &encrypted, &encrypted), Judged::Unknown);
        // Sent in parts.
        assert_eq!(judged(None, OTHER, &plain, &plain), Judged::Unknown);
        // One of them is none, and nobody says so.
        assert_eq!(judged(Some(ONE), OTHER, &plain, &plain), Judged::Doubtful);
    }

    #[test]
    fn what_means_something_is_believed_whatever_the_tags_are() {
        assert_eq!(judged(None, OTHER, &head(1, None, false), &head(2, None, true)), Judged::Other);
        let sum = |sum| head(1, Some(sum), true);
        assert_eq!(judged(Some(ONE), OTHER, &sum("a"), &sum("a")), Judged::Same);
        assert_eq!(judged(Some(ONE), OTHER, &sum("a"), &sum("b")), Judged::Other);
    }
}
