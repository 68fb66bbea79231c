//! Contents read again and hashed, as many as the depth asks for.

use std::time::Duration;

use futures::TryStreamExt as _;

use super::{Depth, Troubles};
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::object_key;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};

/// For how many days a thawed content stays readable: until after the next weekly verification, which reads it.
const THAW_DAYS: i32 = 10;

/// So many in a row that cannot be read are no damage: the store is away.
const ROW: usize = 16;
/// How often a content is read that breaks on its way; what the store answers with an error is asked for more often, below.
pub(in crate::archive) const READS: u32 = 2;
/// The pause before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(300);

/// Contents that could not be read, since the store last gave one.
#[derive(Debug, Default)]
pub(in crate::archive) struct Unread {
    /// Key, digest where it is known, and why.
    row: Vec<(String, Option<Vec<u8>>, String)>,
}

impl Unread {
    /// One more. An error where nothing is given any more, or it is not the store's.
    pub(in crate::archive) fn add(
        &mut self,
        (key, digest): (String, Option<Vec<u8>>),
        error: ArchiveError,
    ) -> Result<()> {
        let ArchiveError::Inside { source, .. } = &error else { return Err(error) };
        if source.is_of_all() || self.row.len() >= ROW {
            return Err(error);
        }
        self.row.push((key, digest, Chain(source).to_string()));
        Ok(())
    }

    /// The store gave another: those before it are not to be had by themselves.
    pub(in crate::archive) fn answered(&mut self) -> Vec<(String, Option<Vec<u8>>, String)> {
        std::mem::take(&mut self.row)
    }
}

/// Asks up to so many `times` where a line breaks or the store fails.
pub(in crate::archive) async fn again<T, F>(times: u32, ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut pause = PAUSE;
    for _ in 1..times {
        match ask().await {
            Err(error) if matches!(error.class(), Class::Transient | Class::Throttled(_)) => {}
            answer => return answer,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    ask().await
}

impl Archiver {
    /// Reads contents again and hashes them; first those that nobody ever did.
    pub(super) async fn read_again(
        &self,
        depth: Depth,
        thaw: bool,
        troubles: &mut Troubles,
    ) -> Result<(u64, u64)> {
        let pending = self.store.archive_unhashed_count(&self.plan).await?;
        let count = self.store.archive_count(&self.plan).await? + pending;
        let sample = match depth {
            Depth::Listing => return Ok((0, 0)),
            Depth::Sample => (count * i64::from(self.spec.sample_percent)).div_euclid(100).max(1),
            Depth::Full => i64::MAX,
        };
        let hashed = self.hash_pending(sample, troubles).await?;
        // What was hashed just now lies under its digest too, and a full reading reads all of that.
        let rest = if depth == Depth::Full { i64::MAX } else { sample - pending.min(sample) };
        let (read, frozen) = self.read_hashed(rest, thaw, troubles).await?;
        Ok((hashed.read + read, hashed.frozen + frozen))
    }

    async fn read_hashed(&self, sample: i64, thaw: bool, troubles: &mut Troubles) -> Result<(u64, u64)> {
        let due = self.store.archive_sample(&self.plan, sample).map_err(ArchiveError::from);
        let keys = due.map_ok(|digest| async move {
            let key = object_key(&self.vault.prefix, &hex::encode(&digest));
            let outcome = again(READS, || self.hash_inside(&key)).await;
            Ok((digest, key, outcome))
        });
        let mut hashed = std::pin::pin!(keys.try_buffer_unordered(self.concurrency.min(8)));
        let (mut read, mut frozen, mut good, mut unread) = (0, 0, Vec::new(), Unread::default());
        while let Some((digest, key, outcome)) = hashed.try_next().await? {
            match outcome {
                Ok(found) if found == hex::encode(&digest) => {
                    read += 1;
                    good.push(digest);
                }
                Ok(found) => {
                    troubles.add(key, format!("is damaged: its SHA-256 is {found}"));
                    self.store.archive_damaged(&self.plan, &[digest]).await?;
                }
                Err(ArchiveError::Inside { source, .. }) if source.is_frozen() => {
                    frozen += 1;
                    if thaw {
                        self.ask_for(&key, &digest).await?;
                    }
                }
                Err(ArchiveError::Inside { source, .. }) if source.is_not_found() => {
                    troubles.missing(key);
                    self.store.archive_lost(&self.plan, &[digest]).await?;
                }
                Err(error) => {
                    unread.add((key, Some(digest)), error)?;
                    continue;
                }
            }
            self.unreadable(unread.answered(), troubles).await?;
            if good.len() >= 256 {
                self.store.archive_read(&self.plan, &good).await?;
                good.clear();
            }
        }
        self.store.archive_read(&self.plan, &good).await?;
        self.left(unread, troubles).await?;
        Ok((read, frozen))
    }

    /// What could not be read to the end of all: these contents are damaged if the store answers at all.
    pub(in crate::archive) async fn left(&self, mut unread: Unread, troubles: &mut Troubles) -> Result<()> {
        let Some((key, ..)) = unread.row.first() else { return Ok(()) };
        let head = self.vault.s3.head(&self.vault.bucket, key).await;
        head.map_err(ArchiveError::inside("looking at a content that cannot be read"))?;
        self.unreadable(unread.answered(), troubles).await
    }

    /// Contents that the store does not give, though it gives others and they are asked for once more: they are as good as lost, and the next
    /// run puts them again.
    pub(in crate::archive) async fn unreadable(
        &self,
        row: Vec<(String, Option<Vec<u8>>, String)>,
        troubles: &mut Troubles,
    ) -> Result<()> {
        for (key, digest, why) in row {
            // It may have been a store that was away for a moment, and is back.
            let lasting = match again(READS, || self.hash_inside(&key)).await {
                Err(error @ ArchiveError::Inside { .. }) => error,
                Err(error) => return Err(error),
                Ok(_) => continue,
            };
            tracing::error!(plan = self.plan, key, why, error = %Chain(&lasting), "a content of the archive cannot be read");
            // What the store copied by itself is read by the next verification all the same, and then heals by itself.
            if let Some(digest) = digest {
                self.store.archive_damaged(&self.plan, &[digest]).await?;
            }
            troubles.add(key, format!("cannot be read: {why}"));
        }
        Ok(())
    }

    /// Has a content thawed that the next verification is to read.
    async fn ask_for(&self, key: &str, digest: &[u8]) -> Result<()> {
        match self.vault.s3.thaw(&self.vault.bucket, key, THAW_DAYS).await {
            Ok(()) => Ok(self.store.archive_thaw_asked(&self.plan, digest).await?),
            Err(error) if error.is_denied() || error.is_unsupported() => {
                tracing::warn!(plan = self.plan, key, %error, "a content cannot be thawed, and stays unread");
                Ok(())
            }
            Err(error) => Err(ArchiveError::inside("thawing a content")(error)),
        }
    }
}
