//! Contents that the archive's store copied by itself: listed, read and hashed, and then copied to their digest.

use futures::{StreamExt as _, TryStreamExt as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::Archiver;
use super::error::{ArchiveError, Result};
use super::format::{is_md5, object_key};
use super::suspicion::Noise;
use super::verify::{READS, Troubles, Unread, again};
use crate::providers::s3::{Found, Want};
use crate::store::{Pending, Stored};

/// What reading some of them gave.
#[derive(Debug, Default)]
pub(super) struct Hashed {
    /// Contents that were read and are what the source had.
    pub read: u64,
    /// Contents in cold storage.
    pub frozen: u64,
}

/// What one of them turned out to be.
enum Outcome {
    Good(Stored),
    Bad(String),
    Frozen,
    Missing,
    /// Its own tag says that it is other bytes, and whether that is a digest nobody can tell any more.
    Unproven,
}

impl Archiver {
    /// Brings what we know of them in line with what the archive lists; tells those of another size than they had.
    pub(super) async fn match_pending(&self, troubles: &mut Troubles) -> Result<()> {
        let prefix = &self.vault.prefix;
        let start = format!("{prefix}pending/");
        let listing = self.vault.s3.list_in_order(&self.vault.bucket, &start);
        let mut listing = std::pin::pin!(listing.map_err(ArchiveError::inside("listing what is pending")));
        let known = self.store.archive_pending_names(&self.plan).map_err(ArchiveError::from);
        let mut known = std::pin::pin!(known);
        let mut ours = known.try_next().await?;
        let (mut lost, mut names, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(object) = listing.try_next().await? {
            let name = object.key.get(prefix.len()..).unwrap_or_default().to_owned();
            while let Some((gone, _)) = ours.take_if(|(known, _)| *known < name) {
                lost.push((gone.clone(), format!("{prefix}{gone}")));
                ours = known.try_next().await?;
            }
            let size = i64::try_from(object.size).unwrap_or(i64::MAX);
            if let Some((_, expected)) = ours.take_if(|(known, _)| *known == name) {
                if expected != size {
                    self.store.archive_pending_damaged(&self.plan, &name).await?;
                    troubles.add(object.key, format!("has {size} bytes, and should have {expected}"));
                }
                ours = known.try_next().await?;
            } else {
                names.push(name);
                sizes.push(size);
            }
        }
        while let Some((gone, _)) = ours {
            lost.push((gone.clone(), format!("{prefix}{gone}")));
            ours = known.try_next().await?;
        }
        let lost = self.not_there(lost).await?;
        for gone in &lost {
            troubles.missing(format!("{prefix}{gone}"));
        }
        self.store.archive_pending_lost(&self.plan, &lost).await?;
        self.store.archive_pending_listed(&self.plan, &names, &sizes).await?;
        Ok(())
    }

    /// Reads at most `most` that nobody has hashed yet. The good ones are copied to their digest, by the store; a run names them by it
    /// from now on.
    pub(super) async fn hash_pending(&self, most: i64, troubles: &mut Troubles) -> Result<Hashed> {
        let due = self.store.archive_unhashed(&self.plan, most).await?;
        let reads = futures::stream::iter(due.into_iter().map(|pending| async move {
            let outcome = again(READS, || self.hash_one(&pending)).await;
            (pending, outcome)
        }));
        let mut reads = std::pin::pin!(reads.buffer_unordered(self.concurrency.min(8)));
        let (mut hashed, mut unread) = (Hashed::default(), Unread::default());
        while let Some((pending, outcome)) = reads.next().await {
            let name = format!("{}{}", self.vault.prefix, pending.name);
            let outcome = match outcome {
                // Whatever else fails is not about this content: it was read.
                Err(error) if is_reading(&error) => {
                    unread.add((name, None), error)?;
                    continue;
                }
                outcome => outcome?,
            };
            self.unreadable(unread.answered(), troubles).await?;
            match outcome {
                Outcome::Good(stored) => {
                    self.store.archive_hashed(&self.plan, &pending.name, &stored).await?;
                    hashed.read += 1;
                }
                Outcome::Bad(how) => {
                    self.store.archive_pending_damaged(&self.plan, &pending.name).await?;
                    troubles.add(name, format!("is damaged: {how}"));
                }
                Outcome::Missing => {
                    self.store.archive_pending_lost(&self.plan, &[pending.name]).await?;
                    troubles.missing(name);
                }
                Outcome::Frozen => hashed.frozen += 1,
                Outcome::Unproven => {
                    tracing::warn!(
                        name,
                        "a copy bears another tag than its MD5, and the source has it no more: it stays unhashed"
                    );
                }
            }
        }
        self.left(unread, troubles).await?;
        Ok(hashed)
    }

    /// Whether the source has the content of this digest; `None`: it does not have what was copied any more, or does not show it.
    async fn source_has(&self, pending: &Pending, sha256: [u8; 32]) -> Result<Option<bool>> {
        if pending.source_key.is_empty() {
            return Ok(None);
        }
        let (source, outside) = (&self.source, ArchiveError::outside("reading what was copied"));
        let condition = Some(pending.etag.as_str()).filter(|etag| !etag.is_empty());
        let want = Want { version: pending.source_version.as_deref(), etag: condition, range: None };
        let found = match source.s3.read(&source.bucket, &pending.source_key, want).await {
            Err(error) if error.is_refused() => return Ok(None),
            found => found.map_err(&outside)?,
        };
        if condition.is_some_and(|etag| etag != found.etag) {
            return Ok(None);
        }
        let (mut hash, mut body) = (Sha256::new(), found.body);
        while let Some(chunk) = body.try_next().await.map_err(&outside)? {
            hash.update(&chunk);
        }
        Ok(Some(<[u8; 32]>::from(hash.finalize()) == sha256))
    }

    async fn hash_one(&self, pending: &Pending) -> Result<Outcome> {
        let (vault, inside) = (&self.vault, ArchiveError::inside(READING));
        let name = format!("{}{}", vault.prefix, pending.name);
        let found = match vault.s3.read(&vault.bucket, &name, Want::default()).await {
            Err(error) if error.is_frozen() => return Ok(Outcome::Frozen),
            Err(error) if error.is_not_found() => return Ok(Outcome::Missing),
            found => found.map_err(&inside)?,
        };
        let own = (!found.proof.is_encrypted).then(|| found.etag.clone());
        let (bytes, md5, mut stored) = digest(found).await?;
        if i64::try_from(bytes) != Ok(pending.size) {
            return Ok(Outcome::Bad(format!("it has {bytes} bytes, and should have {}", pending.size)));
        }
        if let Some(doubt) = doubt(pending, own.as_deref(), &md5) {
            match (self.source_has(pending, stored.sha256).await?, doubt) {
                (Some(true), _) => {}
                (None, Doubt::Own) => return Ok(Outcome::Unproven),
                (Some(false), _) | (None, Doubt::Source) => {
                    return Ok(Outcome::Bad(format!(
                        "its MD5 is {md5}, and the source's entity tag {}",
                        pending.etag
                    )));
                }
            }
        }
        let key = object_key(&vault.prefix, &hex::encode(stored.sha256));
        let keeping = vault.keeping(self.clock.now());
        let (from, to) = ((vault.bucket.as_str(), name.as_str()), (vault.bucket.as_str(), key.as_str()));
        let copied = vault.s3.copy_exactly(from, Want::default(), to, bytes, &keeping).await;
        match copied {
            // Another run put the same content meanwhile, and this key pair may only add: the next verification reads it.
            Err(error) if error.is_denied() => {
                let inside = ArchiveError::inside("copying what is pending to its digest");
                let head = vault.s3.head(&vault.bucket, &key).await.map_err(&inside)?;
                if head.is_none_or(|head| head.size != bytes) {
                    return Err(inside(error));
                }
            }
            copied => drop(copied.map_err(ArchiveError::inside("copying what is pending to its digest"))?),
        }
        vault.see_lock(&key, &keeping).await?;
        stored.locked_until = keeping.lock.map(|lock| lock.until);
        Ok(Outcome::Good(stored))
    }
}

/// What is being done while a content comes.
const READING: &str = "reading what is pending";

fn is_reading(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Inside { doing, .. } if *doing == READING)
}

/// Whose entity tag looks like an MD5, and is not that of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// That of the source, when it was copied.
    Source,
    /// That of the copy alone, which may be no digest: only the source says more.
    Own,
}

/// Whether a tag contradicts the MD5 that was found. `own` is the copy's, where it can be one. Pure.
fn doubt(pending: &Pending, own: Option<&str>, md5: &str) -> Option<Doubt> {
    if !pending.opaque && is_md5(&pending.etag) {
        return (pending.etag != md5).then_some(Doubt::Source);
    }
    own.filter(|own| is_md5(own) && *own != md5).map(|_| Doubt::Own)
}

/// Reads a content to its end: its bytes, MD5 and what is to be stored of it.
async fn digest(found: Found) -> Result<(u64, String, Stored)> {
    let (mut sha256, mut md5, mut noise, mut bytes) = (Sha256::new(), Md5::new(), Noise::new(), 0);
    let mut body = found.body;
    while let Some(chunk) = body.try_next().await.map_err(ArchiveError::inside(READING))? {
        sha256.update(&chunk);
        md5.update(&chunk);
        noise.update(&chunk);
        bytes += chunk.len() as u64;
    }
    let stored = Stored {
        sha256: sha256.finalize().into(),
        size: i64::try_from(bytes).unwrap_or(i64::MAX),
        noise: noise.is_noise(),
        locked_until: None,
    };
    Ok((bytes, hex::encode(md5.finalize()), stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0cc175b9c0f1b6a831c399e269772661";
    const OTHER: &str = "92eb5ffee6ae2fec3ad71c777531578f";

    fn pending(etag: &str, opaque: bool) -> Pending {
        let (name, etag, source_key) = ("pending/1".to_owned(), etag.to_owned(), "a".to_owned());
        Pending {
            name,
            size: 1,
            etag,
            opaque,
            source_key,
            source_version: None,
            locked_until: None,
            sha256: None,
        }
    }

    #[test]
    fn only_a_tag_that_can_be_a_digest_contradicts_what_was_hashed() {
        assert_eq!(doubt(&pending(ONE, false), Some(OTHER), ONE), None, "the source's tag tells enough");
        assert_eq!(doubt(&pending(OTHER, false), Some(ONE), ONE), Some(Doubt::Source));
        // The source encrypts, or sent it in parts, or nobody knows: then the copy's own tag is held against it.
        for unknown in
            [pending(OTHER, true), pending("0cc175b9c0f1b6a831c399e269772661-2", false), pending("", false)]
        {
            assert_eq!(doubt(&unknown, Some(ONE), ONE), None);
            assert_eq!(doubt(&unknown, Some(OTHER), ONE), Some(Doubt::Own));
            assert_eq!(doubt(&unknown, None, ONE), None, "the archive encrypts");
        }
    }
}
