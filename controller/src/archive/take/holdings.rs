//! What the archive holds, asked many at a time, and locked for longer where a run refers to it again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::object_key;
use crate::archive::known::Known;
use crate::archive::walk::Held;

/// The contents of an archive, as a run sees them.
#[derive(Debug)]
pub(in crate::archive) struct Holdings<'a> {
    archiver: &'a Archiver,
    known: Option<Arc<Known>>,
    now: DateTime<Utc>,
}

impl<'a> Holdings<'a> {
    pub(in crate::archive) fn new(archiver: &'a Archiver) -> Self {
        Self { archiver, known: None, now: archiver.clock.now() }
    }

    /// The same, where most of them were `known` when the run began.
    pub(super) fn of(archiver: &'a Archiver, known: Arc<Known>) -> Self {
        Self { known: Some(known), ..Self::new(archiver) }
    }

    /// Makes sure that the archive holds all of them.
    pub(in crate::archive) async fn all(&self, digests: Vec<String>) -> Result<()> {
        let held = self.held(digests.clone()).await?;
        let Some(lost) = digests.iter().find(|digest| !held.contains(*digest)) else { return Ok(()) };
        let what = object_key(&self.archiver.vault.prefix, lost);
        Err(ArchiveError::Damaged { what, how: "the archive does not hold it".to_owned() })
    }

    /// Those of them that are held; each is locked for long enough from then on.
    async fn settle(&self, digests: Vec<String>) -> Result<HashSet<String>> {
        let known = match &self.known {
            Some(known) if !digests.is_empty() => known.contents().await?,
            _ => None,
        };
        let Some(known) = known else { return self.look(digests).await };
        let is_settled = |digest: &String| hex::decode(digest).is_ok_and(|digest| known.is_settled(&digest));
        let (settled, rest): (Vec<_>, Vec<_>) = digests.into_iter().partition(is_settled);
        let mut held = self.look(rest).await?;
        held.extend(settled);
        Ok(held)
    }

    async fn look(&self, digests: Vec<String>) -> Result<HashSet<String>> {
        if digests.is_empty() {
            return Ok(HashSet::new());
        }
        let mut known: Vec<Vec<u8>> = digests.iter().filter_map(|digest| hex::decode(digest).ok()).collect();
        known.sort_unstable();
        known.dedup();
        let held = self.archiver.store.archive_holds(&self.archiver.plan, &known).await?;
        for (digest, _, _, locked) in &held {
            self.extend(digest, *locked).await?;
        }
        Ok(held.into_iter().map(|(digest, ..)| hex::encode(digest)).collect())
    }

    async fn extend(&self, digest: &[u8], locked: Option<DateTime<Utc>>) -> Result<()> {
        let (archiver, vault) = (self.archiver, &self.archiver.vault);
        let (Some(due), Some(lock)) = (vault.lock_due(self.now), vault.lock_at(self.now)) else {
            return Ok(());
        };
        if locked.is_some_and(|locked| locked >= due) {
            return Ok(());
        }
        let key = object_key(&vault.prefix, &hex::encode(digest));
        vault.s3.lock(&vault.bucket, &key, lock).await.map_err(ArchiveError::inside("extending a lock"))?;
        archiver.store.archive_locked(&archiver.plan, digest, lock.until).await?;
        Ok(())
    }
}

impl Holdings<'_> {
    async fn look_pending(&self, names: Vec<String>) -> Result<HashMap<String, Option<String>>> {
        let (archiver, vault) = (self.archiver, &self.archiver.vault);
        let held = archiver.store.archive_pending(&archiver.plan, &names).await?;
        if let (Some(due), Some(lock)) = (vault.lock_due(self.now), vault.lock_at(self.now)) {
            let short = held
                .iter()
                .filter(|one| one.sha256.is_none() && one.locked_until.is_none_or(|locked| locked < due));
            for one in short {
                let key = format!("{}{}", vault.prefix, one.name);
                let locked = vault.s3.lock(&vault.bucket, &key, lock).await;
                locked.map_err(ArchiveError::inside("extending a lock"))?;
                archiver.store.archive_pending_locked(&archiver.plan, &one.name, lock.until).await?;
            }
        }
        Ok(held.into_iter().map(|one| (one.name, one.sha256.map(hex::encode))).collect())
    }
}

impl Held for Holdings<'_> {
    fn held(&self, digests: Vec<String>) -> BoxFuture<'_, Result<HashSet<String>>> {
        self.settle(digests).boxed()
    }

    fn pending(&self, names: Vec<String>) -> BoxFuture<'_, Result<HashMap<String, Option<String>>>> {
        self.look_pending(names).boxed()
    }
}
