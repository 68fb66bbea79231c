//! The archive's own bucket: records, manifests and contents, written once and checked when they are read.

use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use md5::Md5;
use reprise_crds::plan::{LockMode, LockSpec};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use super::Place;
use super::error::{ArchiveError, Result};
use super::format::{FORMAT, Record, digest, record_key};
use super::verify::again;
use crate::providers::s3::{Headers, Keeping, Lock, PartError, S3, S3Error, Want};

mod locks;

pub use locks::Lasting;

/// Contents above this are sent in parts.
pub const PART: u64 = 8 << 20;
/// How often a part is sent before all of the object is begun anew.
pub const SENDS: u32 = 4;
/// So much of a file is held at once.
const PIECE: usize = 256 << 10;
/// No store of ours takes more parts.
const MOST_PARTS: u64 = 1_000;
/// Nor a larger one. Source: S3 API, "Amazon S3 multipart upload limits".
const LARGEST_PART: u64 = 5 << 30;
/// No record is longer: it would be somebody else's file.
const LONGEST_RECORD: u64 = 16 << 20;

/// The size of the parts of an object of `size` bytes.
pub fn part_size(size: u64) -> u64 {
    // Whoever takes objects that are larger than so many of the largest parts takes more parts. Digests are put down between two blocks.
    (2 * PART).max(size.div_ceil(MOST_PARTS).next_multiple_of(PIECE as u64)).min(LARGEST_PART)
}

/// Where the archive lies, and how it is kept.
#[derive(Debug, Clone)]
pub struct Vault {
    /// The store, with the archive's own key pair.
    pub s3: S3,
    /// Its base URL.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// What every key of it begins with.
    pub prefix: String,
    /// Storage class of contents.
    pub storage_class: Option<String>,
    /// How long nobody deletes what a run refers to.
    pub lock: Option<LockSpec>,
}

/// What became of the archive's bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init {
    /// It was not there before.
    pub new: bool,
    /// Every version is kept: the store was asked.
    pub versioned: bool,
}

/// Whether what lies in this storage class must be thawed before it can be read.
pub fn is_cold(class: Option<&str>) -> bool {
    matches!(class, Some("GLACIER" | "DEEP_ARCHIVE"))
}

impl Vault {
    /// How a content is kept that a run at `now` refers to. Locked a quarter longer than is asked for, so that not every run has to
    /// extend every lock.
    pub fn keeping(&self, now: DateTime<Utc>) -> Keeping {
        Keeping { storage_class: self.storage_class.clone(), lock: self.lock_at(now) }
    }

    /// How a record or a manifest is kept: never in cold storage.
    pub fn keeping_warm(&self, now: DateTime<Utc>) -> Keeping {
        Keeping { storage_class: None, lock: self.lock_at(now) }
    }

    /// Where it is, all told.
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.endpoint.trim_end_matches('/'), self.bucket, self.prefix)
    }

    /// Its bucket.
    pub fn as_place(&self) -> Place {
        Place { s3: self.s3.clone(), endpoint: self.endpoint.clone(), bucket: self.bucket.clone() }
    }

    /// Makes the bucket: private, every version kept where the store does that, with locks where the plan wants them.
    pub async fn init(&self) -> Result<Init> {
        let failed = ArchiveError::inside("making the bucket");
        // Some stores answer that they made what was there.
        let there = self.s3.bucket_exists(&self.bucket).await.unwrap_or(false);
        let created = match self.lock {
            _ if there => Ok(()),
            Some(_) => self.s3.create_lockable_bucket(&self.bucket).await,
            None => self.s3.create_bucket(&self.bucket).await,
        };
        let new = match created {
            Ok(()) => !there,
            Err(error)
                if error.is_bucket_taken()
                    && self.s3.bucket_exists(&self.bucket).await.map_err(&failed)? =>
            {
                false
            }
            Err(error) => return Err(failed(error)),
        };
        let mut versioned = self.s3.is_versioned(&self.bucket).await.map_err(&failed)?;
        if !versioned {
            match self.s3.enable_versioning(&self.bucket).await {
                // A store that does not know versions refuses, or takes it for the bucket's creation.
                Err(error) if error.is_unsupported() || error.is_bucket_taken() => {}
                other => other.map_err(&failed)?,
            }
            versioned = self.s3.is_versioned(&self.bucket).await.map_err(&failed)?;
        }
        match self.must_lock().await {
            Err(ArchiveError::Refused { .. }) if new => Err(self.lockless(true)),
            locked => locked.map(|()| Init { new, versioned }),
        }
    }

    /// Contents lie in cold storage, and must be thawed before they can be read.
    pub fn is_cold(&self) -> bool {
        is_cold(self.storage_class.as_deref())
    }

    /// The lock that a run at `now` puts.
    pub fn lock_at(&self, now: DateTime<Utc>) -> Option<Lock> {
        let lock = self.lock?;
        let period = TimeDelta::from_std(lock.period.duration()).unwrap_or(TimeDelta::MAX);
        let until = now.checked_add_signed(period + period / 4).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Some(Lock { compliance: lock.mode == LockMode::Compliance, until })
    }

    /// The date before which a lock must not end after a run at `now`.
    pub fn lock_due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let period = TimeDelta::from_std(self.lock?.period.duration()).unwrap_or(TimeDelta::MAX);
        now.checked_add_signed(period)
    }

    /// The names of the runs that the archive has a record of, oldest first.
    pub async fn runs(&self) -> Result<Vec<String>> {
        let start = format!("{}runs/", self.prefix);
        let listed = self.s3.list(&self.bucket, &start);
        let keys: Vec<_> = listed.try_collect().await.map_err(ArchiveError::inside("listing the runs"))?;
        let name = |key: &str| Some(key.strip_prefix(&start)?.strip_suffix(".json")?.to_owned());
        Ok(keys.iter().filter_map(|object| name(&object.key)).collect())
    }

    /// The record of a run, and its digest.
    pub async fn record(&self, run: &str) -> Result<(Record, String)> {
        let key = record_key(&self.prefix, run);
        let damaged = |how: String| ArchiveError::Damaged { what: key.clone(), how };
        let bytes = self.small(&key).await?;
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|error| damaged(format!("it cannot be read: {error}")))?;
        if record.format != FORMAT {
            return Err(damaged(format!("its format is `{}`, and not {FORMAT}", record.format)));
        }
        if record.run != run {
            return Err(damaged(format!("it is the record of run {}", record.run)));
        }
        Ok((record, digest(&bytes)))
    }

    async fn small(&self, key: &str) -> Result<Vec<u8>> {
        let failed = ArchiveError::inside("reading a record");
        let found = self.s3.read(&self.bucket, key, Want::default()).await.map_err(&failed)?;
        if found.size > LONGEST_RECORD {
            return Err(ArchiveError::Damaged {
                what: key.to_owned(),
                how: format!("it has {} bytes", found.size),
            });
        }
        let chunks: Vec<Bytes> = found.body.try_collect().await.map_err(failed)?;
        Ok(chunks.concat())
    }

    /// Fetches the manifest of a run into a file and compares its digest. Nothing is believed before. One that is not there is damage
    /// like one that is other bytes: it costs its run, and no other.
    pub async fn fetch_manifest(&self, record: &Record, to: &Path) -> Result<()> {
        let key = format!("{}{}", self.prefix, record.manifest.key);
        let found = match self.fetch(&key, to).await {
            Err(ArchiveError::Inside { source, .. }) if source.is_not_found() => {
                let how = "it is missing, and the run's record names it".to_owned();
                return Err(ArchiveError::Damaged { what: key, how });
            }
            fetched => fetched?,
        };
        if found == record.manifest.sha256 {
            return Ok(());
        }
        let how = format!("its SHA-256 is {found}, and its record says {}", record.manifest.sha256);
        Err(ArchiveError::Damaged { what: key, how })
    }

    /// Fetches something into a file; returns its digest.
    pub async fn fetch(&self, key: &str, to: &Path) -> Result<String> {
        let (read, write) = (ArchiveError::inside("reading"), ArchiveError::file("keeping what was read"));
        let found = self.s3.read(&self.bucket, key, Want::default()).await.map_err(&read)?;
        let mut file = tokio::fs::File::create(to).await.map_err(&write)?;
        let (mut hash, mut body) = (Sha256::new(), found.body);
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(&read)?;
            hash.update(&bytes);
            file.write_all(&bytes).await.map_err(&write)?;
        }
        file.flush().await.map_err(write)?;
        Ok(hex::encode(hash.finalize()))
    }

    /// Puts a file, in parts if it is large. A key pair that only adds may not put what is there already: what is there and is the same is
    /// as good as put.
    pub async fn put_file(&self, key: &str, path: &Path, keeping: &Keeping) -> Result<()> {
        match self.put_once(key, path, keeping).await {
            Err(error) if error.is_denied() => {
                let read = ArchiveError::file("reading what is to be archived");
                let sha256 = hash_of(path).await.map_err(read)?;
                self.is_put(key, &sha256, error).await
            }
            put => put,
        }
    }

    /// Puts bytes in one piece; the same holds of what is there already.
    pub async fn put_bytes(
        &self,
        key: &str,
        bytes: impl Into<Bytes> + Send,
        headers: &Headers,
        keeping: &Keeping,
    ) -> Result<()> {
        let bytes: Bytes = bytes.into();
        let put = self.s3.write(&self.bucket, key, bytes.clone(), headers, keeping).await;
        match put.map_err(ArchiveError::inside("writing")) {
            Err(error) if error.is_denied() => self.is_put(key, &digest(&bytes), error).await,
            put => put.map(drop),
        }
    }

    /// Whether what lies under `key` has this digest; else it was `denied`.
    async fn is_put(&self, key: &str, sha256: &str, denied: ArchiveError) -> Result<()> {
        match self.hash(key).await {
            Ok(found) if found == sha256 => {
                tracing::debug!(key, "it is there already");
                Ok(())
            }
            _ => Err(denied),
        }
    }

    /// The digest of what lies under `key`.
    pub async fn hash(&self, key: &str) -> Result<String> {
        let failed = ArchiveError::inside("reading a content again");
        let mut body = self.s3.read(&self.bucket, key, Want::default()).await.map_err(&failed)?.body;
        let mut hash = Sha256::new();
        while let Some(chunk) = body.try_next().await.map_err(&failed)? {
            hash.update(&chunk);
        }
        Ok(hex::encode(hash.finalize()))
    }

    async fn put_once(&self, key: &str, path: &Path, keeping: &Keeping) -> Result<()> {
        let (read, write) =
            (ArchiveError::file("reading what is to be archived"), ArchiveError::inside("writing"));
        let size = tokio::fs::metadata(path).await.map_err(&read)?.len();
        let headers = Headers { content_type: Some(BINARY.to_owned()), ..Headers::default() };
        if size <= PART {
            let bytes = Bytes::from(tokio::fs::read(path).await.map_err(read)?);
            return self.s3.write(&self.bucket, key, bytes, &headers, keeping).await.map_err(write).map(drop);
        }
        let upload = self.s3.begin_parts(&self.bucket, key, &headers, keeping).await.map_err(&write)?;
        let sent = match self.parts_of(key, &upload, path, size).await {
            Ok(etags) => self.s3.complete_parts(&self.bucket, key, &upload, &etags).await.map_err(&write),
            Err(error) => Err(error),
        };
        if sent.is_err()
            && let Err(error) = self.s3.abort_parts(&self.bucket, key, &upload).await
        {
            tracing::warn!(key, %error, "an unfinished upload stays");
        }
        sent?;
        self.see_lock(key, keeping).await
    }

    /// The parts of a file, each sent again where the line breaks: a large file is not begun anew for one of them.
    async fn parts_of(&self, key: &str, upload: &str, path: &Path, size: u64) -> Result<Vec<String>> {
        let read = ArchiveError::file("reading what is to be archived");
        let (part, mut etags) = (part_size(size), Vec::new());
        for (number, from) in (1..).zip((0..size).step_by(usize::try_from(part).unwrap_or(usize::MAX))) {
            // Twice from the disk and never held: a part of a large dump is larger than what a small machine has left.
            let range = (from, part.min(size - from));
            let md5 = md5_of(path, range).await.map_err(&read)?;
            let put = || async {
                let bytes = pieces(path, range).await.map_err(&read)?;
                let unread =
                    |source: std::io::Error| S3Error::Request { call: "parts.put", source: source.into() };
                let bytes = bytes.map_err(unread).boxed();
                let put = self.s3.put_part(&self.bucket, key, upload, number, (range.1, Some(md5)), bytes);
                put.await.map_err(|error| match error {
                    PartError::Content(error) | PartError::Store(error) => {
                        ArchiveError::inside("writing")(error)
                    }
                })
            };
            etags.push(again(SENDS, put).await?.etag);
        }
        Ok(etags)
    }
}

/// What contents are, as far as the archive's store is told.
pub const BINARY: &str = "application/octet-stream";

/// The digest of a file.
async fn hash_of(path: &Path) -> std::io::Result<String> {
    let mut pieces = ReaderStream::with_capacity(tokio::fs::File::open(path).await?, PIECE);
    let mut hash = Sha256::new();
    while let Some(bytes) = pieces.try_next().await? {
        hash.update(&bytes);
    }
    Ok(hex::encode(hash.finalize()))
}

type Pieces = ReaderStream<tokio::io::Take<tokio::fs::File>>;

/// A range of a file, as it is read.
async fn pieces(path: &Path, (from, size): (u64, u64)) -> std::io::Result<Pieces> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(std::io::SeekFrom::Start(from)).await?;
    Ok(ReaderStream::with_capacity(file.take(size), PIECE))
}

async fn md5_of(path: &Path, range: (u64, u64)) -> std::io::Result<[u8; 16]> {
    let (mut pieces, mut hash) = (pieces(path, range).await?, Md5::new());
    while let Some(bytes) = pieces.try_next().await? {
        hash.update(&bytes);
    }
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_object_that_a_store_takes_has_more_parts_than_it_takes() {
        // Source: S3 API, "Amazon S3 multipart upload limits" (5 TiB, 5 MiB a part); reference of the provider: 1,000 parts.
        for size in [PART + 1, 16 << 20, 20_000_000_000, 1_000 * (16 << 20), 1_000 * (16 << 20) + 1, 5 << 40]
        {
            let part = part_size(size);
            let most = if size <= 1_000 * (5 << 30) { 1_000 } else { 10_000 };
            assert!(size.div_ceil(part) <= most, "{size} in parts of {part}");
            assert!((5 << 20..=5 << 30).contains(&part), "{size} in parts of {part}");
            assert_eq!(part % 64, 0, "{size} in parts of {part}: a part's end is that of a block");
        }
    }
}
