//! Proving that an archive is what it says: its listing, a sample of its contents, or all of them.

use futures::TryStreamExt as _;
use serde::Serialize;

use super::Archiver;
use super::error::{ArchiveError, Result};
use super::format::{Record, object_key};
use super::manifest::Line;
use super::select::Which;
use super::take::create_private;
use crate::store::{Rung, Verdict};

mod beside;
mod reading;

/// Findings that a report names.
const NAMED: usize = 100;
/// Contents that are noted at once.
const BATCH: usize = 1_000;

/// How deeply it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Every content that the manifest names is listed, with its size.
    Listing,
    /// And some of them are read again and hashed: those first that were read longest ago.
    Sample,
    /// And all of them are.
    Full,
}

impl Depth {
    /// As it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Sample => "sample",
            Self::Full => "full",
        }
    }
}

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Of which run.
    pub run: String,
    /// How deeply it was looked.
    pub depth: Depth,
    /// Objects that the manifest names.
    pub objects: u64,
    /// Contents that were read again.
    pub read: u64,
    /// Contents that are in cold storage and were not read. Those that a sample wanted are being thawed, for the next one.
    pub frozen: u64,
    /// Contents that the store copied by itself and that nobody has hashed yet.
    pub pending: i64,
    /// Contents of the archive.
    pub contents: i64,
    /// Of these, read again within the last seven days.
    pub covered: i64,
    /// Days until every content was read, at the plan's weekly sample.
    pub days_to_full_coverage: i64,
    /// What is wrong with the objects; the first hundred. None: nothing was found.
    pub findings: Vec<String>,
    /// What is wrong with what lies beside them: code, configuration, records, copies of dumps, the chain of runs.
    pub beside: Vec<String>,
}

impl Verified {
    /// How deeply it could be looked: what lies in cold storage was only listed.
    const fn reached(&self) -> Depth {
        match self.depth {
            Depth::Sample | Depth::Full if self.frozen > 0 && self.read == 0 => Depth::Listing,
            Depth::Full if self.frozen > 0 => Depth::Sample,
            depth => depth,
        }
    }
}

/// What was found wrong. So much of it is kept as a report names: there may be as much as there are objects.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    pub(super) fn push(&mut self, finding: String) {
        if self.0.len() < NAMED {
            self.0.push(finding);
        }
    }
}

impl Archiver {
    /// Proves a run as deeply as is asked, and records the verdict. Damage is a finding and no error. What lies in cold storage cannot be
    /// read; with `thaw` it is asked for, and the next verification reads it.
    pub async fn verify(&self, which: &Which, depth: Depth, thaw: bool) -> Result<Verified> {
        let run = self.which(which).await?;
        let folder = self.work.join(format!("verify-{run}-{}", uuid::Uuid::new_v4().simple()));
        create_private(&folder)?;
        let result = self.verify_run(&run, &folder.join("manifest"), depth, thaw).await;
        std::fs::remove_dir_all(&folder).map_err(ArchiveError::file("clearing up"))?;
        let verified = result?;
        self.judge(&verified).await?;
        if !verified.findings.is_empty() {
            self.warn_others(&verified.run).await?;
        }
        Ok(verified)
    }

    /// What is lost or damaged may be named by other runs too: none of them passes for whole any more.
    async fn warn_others(&self, but: &str) -> Result<()> {
        for run in self.vault.runs().await?.into_iter().filter(|run| run != but) {
            let folder = self.work.join(format!("verify-{run}-{}", uuid::Uuid::new_v4().simple()));
            create_private(&folder)?;
            let manifest = folder.join("manifest");
            let mut findings = Findings::default();
            let result = match self.fetched(&run, &manifest).await {
                Ok(_) => self.match_manifest(&manifest, &mut findings).await.map(drop),
                Err(ArchiveError::Damaged { what, how }) => {
                    findings.push(format!("{what}: {how}"));
                    Ok(())
                }
                Err(error) => Err(error),
            };
            std::fs::remove_dir_all(&folder).map_err(ArchiveError::file("clearing up"))?;
            result?;
            if !findings.0.is_empty() {
                let findings = findings.0.join("; ");
                self.store.archive_verified(&self.plan, &run, Depth::Listing.name(), Some(&findings)).await?;
            }
        }
        Ok(())
    }

    async fn verify_run(
        &self,
        run: &str,
        manifest: &std::path::Path,
        depth: Depth,
        thaw: bool,
    ) -> Result<Verified> {
        let (mut findings, mut beside) = (Findings::default(), Vec::new());
        let mut objects = 0;
        let (mut read, mut frozen) = (0, 0);
        match self.fetched(run, manifest).await {
            Err(ArchiveError::Damaged { what, how }) => findings.push(format!("{what}: {how}")),
            Err(error) => return Err(error),
            Ok(record) => {
                self.match_listings(&mut findings).await?;
                objects = self.match_manifest(manifest, &mut findings).await?;
                (read, frozen) = self.read_again(depth, thaw, &mut findings).await?;
                // By now all is known that reading told.
                beside = self.match_beside(&record).await?;
            }
        }
        let (contents, covered) = self.store.archive_coverage(&self.plan).await?;
        let pending = self.store.archive_unhashed_count(&self.plan).await?;
        let contents = contents + pending;
        let weekly = (contents * i64::from(self.spec.sample_percent)).div_euclid(100).max(1);
        let days_to_full_coverage = (contents - covered).max(0) * 7 / weekly;
        Ok(Verified {
            run: run.to_owned(),
            depth,
            objects,
            read,
            frozen,
            pending,
            contents,
            covered,
            days_to_full_coverage,
            findings: findings.0,
            beside,
        })
    }

    async fn fetched(&self, run: &str, manifest: &std::path::Path) -> Result<Record> {
        let (record, _) = self.record_of(run).await?;
        self.vault.fetch_manifest(&record, manifest).await?;
        Ok(record)
    }

    /// Brings what we know of the archive's contents in line with what it lists.
    pub(super) async fn relist(&self) -> Result<()> {
        self.match_listings(&mut Findings::default()).await
    }

    /// The same, with what is found to be wrong. Where the archive's store turns out to list in another order than S3 has, once more.
    async fn match_listings(&self, findings: &mut Findings) -> Result<()> {
        loop {
            let matched = match self.match_pending(findings).await {
                Ok(()) => self.match_listing(findings).await,
                failed => failed,
            };
            match matched {
                Err(error) if error.is_disordered() => {
                    tracing::warn!(plan = self.plan, %error, "the archive's list is sorted before it is read");
                    findings.0.clear();
                }
                matched => return matched,
            }
        }
    }

    async fn match_listing(&self, findings: &mut Findings) -> Result<()> {
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
        let (mut lost, mut found, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(object) = listing.try_next().await? {
            let digest = object.key.strip_prefix(&start).and_then(|hex| hex::decode(hex).ok());
            let Some(digest) = digest.filter(|digest| digest.len() == 32) else { continue };
            if lost.len() + found.len() >= BATCH {
                self.learn(std::mem::take(&mut lost), std::mem::take(&mut found)).await?;
            }
            while let Some((sha, _)) = ours.as_ref().filter(|(sha, _)| *sha < digest) {
                lost.push(sha.clone());
                ours = known.try_next().await?;
            }
            let size = i64::try_from(object.size).unwrap_or(i64::MAX);
            match ours.as_ref().filter(|(sha, _)| *sha == digest) {
                Some((_, expected)) => {
                    if *expected != size {
                        findings.push(format!("{} has {size} bytes, and should have {expected}", object.key));
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
        self.learn(lost, found).await
    }

    /// Notes what a listing of the archive did not show, and what it did.
    async fn learn(&self, lost: Vec<Vec<u8>>, found: Vec<(Vec<u8>, i64)>) -> Result<()> {
        self.store.archive_lost(&self.plan, &lost).await?;
        let (digests, sizes): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        Ok(self.store.archive_listed(&self.plan, &digests, &sizes).await?)
    }

    /// Every content that the manifest names is one that the archive lists, with that size.
    async fn match_manifest(&self, manifest: &std::path::Path, findings: &mut Findings) -> Result<u64> {
        let mut lines = super::manifest::lines(manifest.to_owned());
        let mut objects = 0;
        while let Some(batch) = lines.recv().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(ArchiveError::Damaged { what, how }) => {
                    findings.push(format!("{what}: {how}"));
                    return Ok(objects);
                }
                Err(error) => return Err(error),
            };
            objects += batch.len() as u64;
            let digests: Vec<_> =
                batch.iter().filter_map(|line| hex::decode(&line.entry.sha256).ok()).collect();
            let held = self.store.archive_holds(&self.plan, &digests).await?;
            let held: std::collections::HashMap<_, _> =
                held.into_iter().map(|(sha, size, ..)| (sha, size)).collect();
            self.match_places(&batch, findings).await?;
            for line in batch.iter().filter(|line| line.entry.pending.is_none()) {
                let entry = &line.entry;
                let size = hex::decode(&entry.sha256).ok().and_then(|sha| held.get(&sha).copied());
                let key = || object_key(&self.vault.prefix, &entry.sha256);
                match size {
                    None => {
                        findings.push(format!("{} is missing or damaged; `{}` needs it", key(), entry.key));
                    }
                    Some(size) if u64::try_from(size) != Ok(entry.size) => {
                        findings.push(format!(
                            "{} has {size} bytes; `{}` needs {}",
                            key(),
                            entry.key,
                            entry.size
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(objects)
    }

    /// The same for the contents that the store copied by itself.
    async fn match_places(&self, batch: &[Line], findings: &mut Findings) -> Result<()> {
        let names: Vec<_> = batch.iter().filter_map(|line| line.entry.pending.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let held = self.store.archive_pending(&self.plan, &names).await?;
        let held: std::collections::HashMap<_, _> =
            held.into_iter().map(|one| (one.name, one.size)).collect();
        for entry in batch.iter().map(|line| &line.entry) {
            let Some(name) = &entry.pending else { continue };
            let key = entry.content_key(&self.vault.prefix);
            match held.get(name) {
                None => findings.push(format!("{key} is missing or damaged; `{}` needs it", entry.key)),
                Some(size) if u64::try_from(*size) != Ok(entry.size) => {
                    findings.push(format!("{key} has {size} bytes; `{}` needs {}", entry.key, entry.size));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Records what was found: with the run, and as a verdict that a recovery's choice reads.
    async fn judge(&self, verified: &Verified) -> Result<()> {
        let damaged = (!verified.findings.is_empty()).then(|| verified.findings.join("; "));
        let reached = verified.reached();
        let depth = reached.name();
        self.store.archive_verified(&self.plan, &verified.run, depth, damaged.as_deref()).await?;
        self.store.archive_lacks(&self.plan, &verified.run, &verified.beside).await?;
        if reached == Depth::Listing && damaged.is_none() {
            // Says less than what may be on record.
            return Ok(());
        }
        let rung = match (reached, &damaged) {
            (_, Some(_)) | (Depth::Listing, None) => Rung::Listed,
            // A sample says nothing of what it did not read.
            (Depth::Sample, None) => Rung::Downloaded,
            (Depth::Full, None) => Rung::Readable,
        };
        let verdict = Verdict {
            kind: "objects".to_owned(),
            backup: format!("archive:{}", verified.run),
            taken_at: None,
            size_bytes: None,
            rung,
            refused: damaged.as_ref().map(|_| "damaged".to_owned()),
            message: damaged,
            sha256: None,
            tools: serde_json::json!({"reprise": env!("CARGO_PKG_VERSION")}),
            checked_at: self.clock.now(),
            checked_by: Some(format!("archive verify ({depth})")),
            ..Verdict::default()
        };
        self.store.record_verdict(&self.plan, &verdict).await?;
        Ok(())
    }
}
