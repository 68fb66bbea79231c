//! Contents read again and hashed, as many as the depth asks for.

use futures::TryStreamExt as _;

use super::{Depth, Troubles};
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::object_key;

/// For how many days a thawed content stays readable: until after the next weekly verification, which reads it.
const THAW_DAYS: i32 = 10;

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
            let outcome = self.hash_inside(&key).await;
            Ok((digest, key, outcome))
        });
        let mut hashed = std::pin::pin!(keys.try_buffer_unordered(self.concurrency.min(8)));
        let (mut read, mut frozen, mut good, mut bad, mut lost) = (0, 0, Vec::new(), Vec::new(), Vec::new());
        while let Some((digest, key, outcome)) = hashed.try_next().await? {
            match outcome {
                Ok(found) if found == hex::encode(&digest) => {
                    read += 1;
                    good.push(digest);
                }
                Ok(found) => {
                    troubles.add(key, format!("is damaged: its SHA-256 is {found}"));
                    bad.push(digest);
                }
                Err(ArchiveError::Inside { source, .. }) if source.is_frozen() => {
                    frozen += 1;
                    if thaw {
                        self.ask_for(&key, &digest).await?;
                    }
                }
                Err(ArchiveError::Inside { source, .. }) if source.is_not_found() => {
                    troubles.missing(key);
                    lost.push(digest);
                }
                Err(error) => return Err(error),
            }
            if good.len() >= 256 {
                self.store.archive_read(&self.plan, &good).await?;
                good.clear();
            }
        }
        self.store.archive_read(&self.plan, &good).await?;
        self.store.archive_damaged(&self.plan, &bad).await?;
        self.store.archive_lost(&self.plan, &lost).await?;
        Ok((read, frozen))
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
