//! Deleting what retention does not save.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};

use super::Pruned;
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{manifest_key, object_key, record_key};
use crate::providers::s3::{Version, VersionToken};

/// What an archive's keys begin with, below its prefix.
const OURS: [&str; 6] = ["objects/", "pending/", "uploads/", "manifests/", "runs/", "dumps/"];
/// Contents that are deleted together.
const BATCH: i64 = 256;

impl Archiver {
    /// Deletes a run: first its record, then its manifest. That we are at it is on record before: whoever misses it knows why.
    pub(super) async fn delete_run(&self, run: &str) -> Result<()> {
        let prefix = &self.vault.prefix;
        self.store.archive_pruned(&self.plan, run, true).await?;
        let record = record_key(prefix, run);
        for key in [&record, &manifest_key(prefix, run)] {
            if !self.delete(key).await? {
                self.store.archive_pruned(&self.plan, run, *key != record).await?;
                let why = format!("the store keeps {key}, by a lock that it did not show");
                return Err(ArchiveError::Refused {
                    why,
                    advice: "wait until the lock ends, and prune again",
                });
            }
        }
        tracing::info!(plan = self.plan, run, "run pruned");
        Ok(())
    }

    /// Deletes manifests that belong to no run.
    pub(super) async fn sweep_orphans(&self, runs: &[String], pruned: &mut Pruned) -> Result<()> {
        for run in runs {
            if self.delete(&manifest_key(&self.vault.prefix, run)).await? {
                tracing::info!(plan = self.plan, run, "manifest without a run pruned");
                pruned.leftovers += 1;
            } else {
                pruned.locked += 1;
            }
        }
        Ok(())
    }

    /// Deletes the record of a copied dump; its content is swept when its time has come.
    pub(super) async fn delete_dump(&self, name: &str) -> Result<()> {
        let key = format!("{}dumps/{name}.json", self.vault.prefix);
        if !self.delete(&key).await? {
            tracing::info!(key, "a dump's record is locked for longer than the plan keeps it");
        }
        Ok(())
    }

    /// Deletes the contents whose time has come, and what runs that were cut off left.
    pub(super) async fn sweep(
        &self,
        grace_ended: DateTime<Utc>,
        now: DateTime<Utc>,
        pruned: &mut Pruned,
    ) -> Result<()> {
        let mut after = Vec::new();
        loop {
            let due = self.store.archive_due(&self.plan, grace_ended, now, &after, BATCH).await?;
            let Some((last, _)) = due.last() else { break };
            after.clone_from(last);
            // Nobody lists what is being deleted, and takes it for held.
            let _turn = self.store.archive_listing_turn(&self.plan).await?;
            self.store
                .archive_lost(&self.plan, &due.iter().map(|(digest, _)| digest.clone()).collect::<Vec<_>>())
                .await?;
            let key = |digest: &[u8]| object_key(&self.vault.prefix, &hex::encode(digest));
            self.sweep_contents(due.iter().map(|(digest, size)| (key(digest), *size)), pruned).await?;
        }
        self.sweep_pending(grace_ended, now, pruned).await?;
        self.sweep_leftovers(grace_ended, pruned).await
    }

    /// Contents that the store copied by itself, which no kept run names any more.
    async fn sweep_pending(
        &self,
        grace_ended: DateTime<Utc>,
        now: DateTime<Utc>,
        pruned: &mut Pruned,
    ) -> Result<()> {
        let mut after = String::new();
        loop {
            let due = self.store.archive_pending_due(&self.plan, grace_ended, now, &after, BATCH).await?;
            let Some((last, _)) = due.last() else { return Ok(()) };
            after.clone_from(last);
            let _turn = self.store.archive_listing_turn(&self.plan).await?;
            let names: Vec<_> = due.iter().map(|(name, _)| name.clone()).collect();
            self.store.archive_pending_lost(&self.plan, &names).await?;
            let prefix = &self.vault.prefix;
            self.sweep_contents(due.iter().map(|(name, size)| (format!("{prefix}{name}"), *size)), pruned)
                .await?;
        }
    }

    async fn sweep_contents(
        &self,
        due: impl Iterator<Item = (String, i64)>,
        pruned: &mut Pruned,
    ) -> Result<()> {
        let due: Vec<_> = due.map(|(key, size)| (key, u64::try_from(size).unwrap_or_default())).collect();
        let deletions =
            futures::stream::iter(due.into_iter().map(|(key, size)| self.delete_content(key, size)));
        let mut deletions = deletions.buffer_unordered(self.concurrency);
        while let Some((gone, size)) = deletions.try_next().await? {
            if gone {
                pruned.deleted += 1;
                pruned.deleted_bytes += size;
            } else {
                pruned.locked += 1;
            }
        }
        Ok(())
    }

    async fn delete_content(&self, key: String, size: u64) -> Result<(bool, u64)> {
        Ok((self.delete(&key).await?, size))
    }

    /// Large contents that were on their way when a run was cut off, whole or not. No manifest ever names them.
    async fn sweep_leftovers(&self, grace_ended: DateTime<Utc>, pruned: &mut Pruned) -> Result<()> {
        let (vault, inside) = (&self.vault, ArchiveError::inside("sweeping what was left"));
        let old = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= grace_ended);
        for key in self.leftovers(grace_ended).await? {
            pruned.leftovers += u64::from(self.delete(&key).await?);
        }
        let uploads = match vault.s3.uploads(&vault.bucket, &vault.prefix).await {
            // A store that cannot tell its uploads: what it charges for them it has to end by itself.
            Err(error) if error.is_unsupported() => Vec::new(),
            uploads => uploads.map_err(&inside)?,
        };
        for upload in uploads {
            // In a bucket that is the archive's alone by no prefix, others may have uploads too.
            let name = upload.key.strip_prefix(&vault.prefix).unwrap_or(&upload.key);
            if OURS.iter().any(|folder| name.starts_with(folder)) && old(upload.begun) {
                vault.s3.abort_parts(&vault.bucket, &upload.key, &upload.id).await.map_err(&inside)?;
                pruned.leftovers += 1;
            }
        }
        Ok(())
    }

    /// Keys of large contents that were on their way before the grace period. In a bucket with versions what is deleted may be hidden only,
    /// and is billed.
    async fn leftovers(&self, grace_ended: DateTime<Utc>) -> Result<BTreeSet<String>> {
        let (vault, inside) = (&self.vault, ArchiveError::inside("listing what was left"));
        let start = format!("{}uploads/", vault.prefix);
        let listed: Vec<_> = vault.s3.list(&vault.bucket, &start).try_collect().await.map_err(&inside)?;
        let is_old = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= grace_ended);
        let (old, young): (Vec<_>, Vec<_>) = listed.into_iter().partition(|object| is_old(object.modified));
        let young: BTreeSet<_> = young.into_iter().map(|object| object.key).collect();
        let mut keys: BTreeSet<_> = old.into_iter().map(|object| object.key).collect();
        let mut token = Some(VersionToken::default());
        while let Some(at) = token.take() {
            match vault.s3.versions_page(&vault.bucket, &start, at).await {
                Ok((versions, next)) => {
                    // A key that is not listed is hidden: whoever put it is done with it.
                    keys.extend(versions.into_iter().map(|one| one.key).filter(|key| !young.contains(key)));
                    token = next;
                }
                Err(error) if error.is_unsupported() => {}
                Err(error) => return Err(inside(error)),
            }
        }
        Ok(keys)
    }

    /// Deletes a key with every version of it: a mere marker would free nothing, and hide what is locked. `false`: a lock protects it.
    async fn delete(&self, key: &str) -> Result<bool> {
        let vault = &self.vault;
        let inside = ArchiveError::inside("listing the versions of what is pruned");
        let (mut token, mut free) = (Some(VersionToken::default()), true);
        while let Some(at) = token {
            let page = match vault.s3.versions_page(&vault.bucket, key, at).await {
                // A store without versions has the object, and no more.
                Err(error) if error.is_unsupported() => (vec![Version::only(key)], None),
                page => page.map_err(&inside)?,
            };
            let (versions, next) = page;
            for version in versions.iter().filter(|version| version.key == key) {
                free &= self.delete_version(key, &version.id).await?;
            }
            token = next;
        }
        Ok(free)
    }

    async fn delete_version(&self, key: &str, version: &str) -> Result<bool> {
        let id = (version != "null").then_some(version);
        match self.delete_one(key, id).await? {
            Deleted::Yes => Ok(true),
            Deleted::Locked => Ok(false),
            // It was put before the bucket kept versions: a store without any does not understand that it is called `null`.
            Deleted::Hidden(marker) => {
                let gone = matches!(self.delete_one(key, Some("null")).await?, Deleted::Yes);
                Ok(matches!(self.delete_one(key, Some(&marker)).await?, Deleted::Yes) && gone)
            }
        }
    }

    async fn delete_one(&self, key: &str, id: Option<&str>) -> Result<Deleted> {
        let vault = &self.vault;
        let inside = ArchiveError::inside("deleting what is pruned");
        let refused = match vault.s3.delete(&vault.bucket, key, id).await {
            Ok(Some(marker)) => return Ok(Deleted::Hidden(marker)),
            Ok(None) => return Ok(Deleted::Yes),
            Err(error) if error.is_not_found() => return Ok(Deleted::Yes),
            // Stores say in several ways that something is locked.
            Err(error) if error.is_refused() => error,
            Err(error) => return Err(inside(error)),
        };
        let head = vault.s3.head_version(&vault.bucket, key, id).await;
        let head = head.map_err(ArchiveError::inside("looking whether a lock protects what is pruned"))?;
        match head.and_then(|head| head.locked_until) {
            Some(until) if until > self.clock.now() => Ok(Deleted::Locked),
            _ if !refused.is_denied() => Err(inside(refused)),
            _ => Err(ArchiveError::Refused {
                why: format!("the archive's key pair may not delete {key}: {refused}"),
                advice: "that is as it should be for the pair that takes archives; prune with one that may delete",
            }),
        }
    }
}

/// What became of a deletion.
enum Deleted {
    Yes,
    /// By a marker, whose version this is.
    Hidden(String),
    Locked,
}
