//! What the archive holds, asked many at a time, and locked for longer where a run refers to it again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::object_key;
use crate::archive::known::Known;
use crate::archive::vault::Lasting;
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
        let locked = held.iter().map(|(digest, _, _, locked)| (digest.clone(), *locked));
        let gone = self.extend(locked.collect()).await?;
        let held = held.into_iter().filter(|(digest, ..)| !gone.contains(digest));
        Ok(held.map(|(digest, ..)| hex::encode(digest)).collect())
    }

    /// Locks for longer those whose lock ends too early, many at a time. Those that turn out to be gone are held no more.
    async fn extend(&self, held: Vec<(Vec<u8>, Option<DateTime<Utc>>)>) -> Result<HashSet<Vec<u8>>> {
        let (archiver, vault) = (self.archiver, &self.archiver.vault);
        let (Some(due), Some(lock)) = (vault.lock_due(self.now), vault.lock_at(self.now)) else {
            return Ok(HashSet::new());
        };
        let short = held.into_iter().filter(|(_, locked)| locked.is_none_or(|locked| locked < due));
        let asked = futures::stream::iter(short).map(|(digest, _)| async move {
            let key = object_key(&vault.prefix, &hex::encode(&digest));
            Ok::<_, ArchiveError>((digest, vault.lock_longer(&key, lock).await?))
        });
        let asked: Vec<_> = asked.buffer_unordered(archiver.concurrency).try_collect().await?;
        let (mut digests, mut dates, mut gone) = (Vec::new(), Vec::new(), HashSet::new());
        for (digest, lasting) in asked {
            match lasting {
                Lasting::Until(until) => {
                    digests.push(digest);
                    dates.push(until);
                }
                Lasting::Gone => {
                    tracing::warn!(plan = archiver.plan, sha256 = hex::encode(&digest), "a content is gone");
                    gone.insert(digest);
                }
            }
        }
        archiver.store.archive_locked(&archiver.plan, &digests, &dates).await?;
        archiver.store.archive_lost(&archiver.plan, &gone.iter().cloned().collect::<Vec<_>>()).await?;
        Ok(gone)
    }
}

impl Holdings<'_> {
    /// The digests of those that were hashed of what the store copied by itself.
    pub(super) async fn hashed(&self, names: &[String]) -> Result<HashMap<String, Vec<u8>>> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let known = self.archiver.store.archive_pending(&self.archiver.plan, names).await?;
        Ok(known.into_iter().filter_map(|one| Some((one.name, one.sha256?))).collect())
    }

    async fn look_pending(&self, names: Vec<String>) -> Result<HashMap<String, Option<String>>> {
        let (archiver, vault) = (self.archiver, &self.archiver.vault);
        let mut held = archiver.store.archive_pending(&archiver.plan, &names).await?;
        if let (Some(due), Some(lock)) = (vault.lock_due(self.now), vault.lock_at(self.now)) {
            let mut gone = Vec::new();
            let short = held
                .iter()
                .filter(|one| one.sha256.is_none() && one.locked_until.is_none_or(|locked| locked < due));
            for one in short {
                match vault.lock_longer(&format!("{}{}", vault.prefix, one.name), lock).await? {
                    Lasting::Until(until) => {
                        archiver.store.archive_pending_locked(&archiver.plan, &one.name, until).await?;
                    }
                    Lasting::Gone => gone.push(one.name.clone()),
                }
            }
            archiver.store.archive_pending_lost(&archiver.plan, &gone).await?;
            held.retain(|one| !gone.contains(&one.name));
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
