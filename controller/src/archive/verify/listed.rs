//! What the archive lists beside what our own tables know of it, and a manifest beside both.

use std::collections::HashMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;

use super::{Findings, Troubles};
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{Entry, object_key};
use crate::archive::manifest::{Line, lines};

/// Contents that are noted at once.
const BATCH: usize = 1_000;

/// What a manifest names.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Named {
    /// Objects.
    pub objects: u64,
    /// Of these, those whose content was read again since the verification began.
    pub read: u64,
}

/// Contents that are held: their size, and when each was last read again.
type Held<K> = HashMap<K, (i64, Option<DateTime<Utc>>)>;

impl Archiver {
    /// Brings what we know of the archive's contents in line with what it lists; what is wrong with them.
    pub(in crate::archive) async fn relist(&self) -> Result<Troubles> {
        let mut troubles = Troubles::default();
        self.match_listings(&mut troubles).await?;
        Ok(troubles)
    }

    /// The same. Where the archive's store turns out to list in another order than S3 has, once more.
    pub(super) async fn match_listings(&self, troubles: &mut Troubles) -> Result<()> {
        loop {
            let matched = match self.match_pending(troubles).await {
                Ok(()) => self.match_listing(troubles).await,
                failed => failed,
            };
            match matched {
                Err(error) if error.is_disordered() => {
                    tracing::warn!(plan = self.plan, %error, "the archive's list is sorted before it is read");
                    *troubles = Troubles::default();
                }
                matched => return matched,
            }
        }
    }

    async fn match_listing(&self, troubles: &mut Troubles) -> Result<()> {
        // What is pruned meanwhile would be listed before it is deleted, and taken for held after.
        let _turn = self.store.archive_listing_turn(&self.plan).await?;
        let start = format!("{}objects/", self.vault.prefix);
        let listing = self
            .vault
            .s3
            .list_in_order(&self.vault.bucket, &start)
            .map_err(ArchiveError::inside("listing the contents"));
        let mut listing = std::pin::pin!(listing);
        let mut known = std::pin::pin!(self.store.archive_contents(&self.plan).map_err(ArchiveError::from));
        let mut ours = known.try_next().await?;
        // What is lost is forgotten when the list has come to its end in order, and not before: what was known of it would be too.
        let (mut lost, mut found, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(object) = listing.try_next().await? {
            let digest = object.key.strip_prefix(&start).and_then(|hex| hex::decode(hex).ok());
            let Some(digest) = digest.filter(|digest| digest.len() == 32) else { continue };
            if found.len() >= BATCH {
                self.learn(Vec::new(), std::mem::take(&mut found), troubles).await?;
            }
            while let Some((sha, _)) = ours.as_ref().filter(|(sha, _)| *sha < digest) {
                lost.push(sha.clone());
                ours = known.try_next().await?;
            }
            let size = i64::try_from(object.size).unwrap_or(i64::MAX);
            match ours.as_ref().filter(|(sha, _)| *sha == digest) {
                Some((_, expected)) => {
                    if *expected != size {
                        troubles.add(object.key, format!("has {size} bytes, and should have {expected}"));
                        wrong.push(digest);
                    }
                    ours = known.try_next().await?;
                }
                None => found.push((digest, size)),
            }
        }
        while let Some((sha, _)) = ours {
            lost.push(sha);
            ours = known.try_next().await?;
        }
        self.store.archive_damaged(&self.plan, &wrong).await?;
        self.learn(lost, found, troubles).await
    }

    /// Notes what a listing of the archive did not show, and what it did.
    async fn learn(
        &self,
        lost: Vec<Vec<u8>>,
        found: Vec<(Vec<u8>, i64)>,
        troubles: &mut Troubles,
    ) -> Result<()> {
        let key = |digest: &Vec<u8>| object_key(&self.vault.prefix, &hex::encode(digest));
        let unlisted = lost.into_iter().map(|digest| (digest.clone(), key(&digest))).collect();
        let lost = self.not_there(unlisted).await?;
        for digest in &lost {
            troubles.missing(key(digest));
        }
        self.store.archive_lost(&self.plan, &lost).await?;
        let (digests, sizes): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        Ok(self.store.archive_listed(&self.plan, &digests, &sizes).await?)
    }

    /// Every content that the manifest names is one that the archive holds, with that size; and how many of them were read `since`.
    pub(super) async fn match_manifest(
        &self,
        manifest: &Path,
        troubles: &mut Troubles,
        since: DateTime<Utc>,
        findings: &mut Findings,
    ) -> Result<Named> {
        let mut lines = lines(manifest.to_owned());
        let mut named = Named::default();
        while let Some(batch) = lines.recv().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(ArchiveError::Damaged { what, how }) => {
                    findings.push(format!("{what}: {how}"));
                    return Ok(named);
                }
                Err(error) => return Err(error),
            };
            named.objects += batch.len() as u64;
            let (contents, places) = (self.contents(&batch).await?, self.places(&batch).await?);
            let mut other = Vec::new();
            for entry in batch.iter().map(|line| &line.entry) {
                let held = match &entry.pending {
                    Some(name) => places.get(name).copied(),
                    None => hex::decode(&entry.sha256).ok().and_then(|sha| contents.get(&sha).copied()),
                };
                named.read += u64::from(held.is_some_and(|(_, read)| read.is_some_and(|read| read >= since)));
                if let Some(finding) = self.wrong(entry, held.map(|(size, _)| size), troubles) {
                    findings.push(finding);
                    // What a listing showed first may be the damage itself: the next run puts it again.
                    let digest = hex::decode(&entry.sha256).ok().filter(|_| entry.pending.is_none());
                    other.extend(digest.filter(|_| held.is_some()));
                }
            }
            self.store.archive_damaged(&self.plan, &other).await?;
        }
        Ok(named)
    }

    fn wrong(&self, entry: &Entry, held: Option<i64>, troubles: &mut Troubles) -> Option<String> {
        let key = entry.content_key(&self.vault.prefix);
        match held {
            None => Some(format!("{key} {}; `{}` needs it", troubles.of(&key), entry.key)),
            Some(size) if u64::try_from(size) != Ok(entry.size) => {
                Some(format!("{key} has {size} bytes; `{}` needs {}", entry.key, entry.size))
            }
            Some(_) => None,
        }
    }

    async fn contents(&self, batch: &[Line]) -> Result<Held<Vec<u8>>> {
        let hashed = batch.iter().filter(|line| line.entry.pending.is_none());
        let digests: Vec<_> = hashed.filter_map(|line| hex::decode(&line.entry.sha256).ok()).collect();
        let held = self.store.archive_holds_read(&self.plan, &digests).await?;
        Ok(held.into_iter().map(|(sha, size, read)| (sha, (size, read))).collect())
    }

    /// The same for the contents that the store copied by itself.
    async fn places(&self, batch: &[Line]) -> Result<Held<String>> {
        let names: Vec<_> = batch.iter().filter_map(|line| line.entry.pending.clone()).collect();
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let held = self.store.archive_pending_read(&self.plan, &names).await?;
        Ok(held.into_iter().map(|(name, size, read)| (name, (size, read))).collect())
    }
}
