//! Copies of database backups in the archive: encrypted contents, each with a record of its own. What lies where is told in
//! `docs/archive-format.md`.

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::Archiver;
use super::crypt::Sealed;
use super::error::{ArchiveError, Result};
use super::format::{FORMAT, object_key};
use super::retention::{self, Decision};
use super::take::Holdings;
use super::walk::Held as _;
use crate::providers::s3::{Headers, Want};
use crate::store::{DumpRow, Stored};

/// No record is longer: it would be somebody else's file.
const LONGEST_RECORD: u64 = 1 << 20;

/// One copy of a database backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpRecord {
    /// [`FORMAT`].
    pub format: String,
    /// The plan.
    pub plan: String,
    /// The backup's id at the platform.
    pub backup: String,
    /// Its name there.
    pub name: String,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// When it was copied.
    pub copied_at: DateTime<Utc>,
    /// The backup as the platform served it.
    pub clear: Clear,
    /// Where its encrypted content lies, below the archive's prefix.
    pub key: String,
    /// Digest of the encrypted content.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// The format of the encryption: `age`.
    pub encryption: String,
}

/// What is known of a backup without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clear {
    /// Bytes of the download.
    pub size: u64,
    /// Digest of the download.
    pub sha256: String,
    /// Digest of the dump inside.
    pub dump_sha256: String,
    /// The server that was dumped.
    pub server_version: String,
    /// Tables in the dump.
    pub tables: u64,
    /// Rows in them; every one was read.
    pub rows: u64,
    /// Large objects in the dump.
    pub large_objects: u64,
}

/// The copies that lie in an archive.
#[derive(Debug, Default)]
pub(super) struct Dumps {
    /// Those that can be read.
    pub records: Vec<DumpRecord>,
    /// What is wrong with the others.
    pub damaged: Vec<String>,
}

impl DumpRecord {
    /// What its record's file is called: copies sort in the time that they were taken. Ids come from the platform, so only what
    /// cannot lead elsewhere becomes part of it.
    pub fn file_name(&self) -> String {
        let id: String =
            self.backup.chars().filter(|one| one.is_ascii_alphanumeric() || *one == '-').collect();
        format!("{}-{id}", self.taken_at.format("%Y%m%dT%H%M%SZ"))
    }

    fn row(&self) -> DumpRow {
        DumpRow {
            backup: self.backup.clone(),
            taken_at: self.taken_at,
            copied_at: self.copied_at,
            bytes: i64::try_from(self.size).unwrap_or(i64::MAX),
            sha256: self.clear.sha256.clone(),
            record: serde_json::to_value(self).unwrap_or_default(),
        }
    }
}

impl Archiver {
    /// Puts a sealed file under its digest, unless the archive holds it: its key below the prefix. Safe to repeat.
    pub async fn keep(&self, sealed: &Sealed) -> Result<String> {
        let digest = hex::encode(sealed.sha256);
        // Its lock may end too early, which is seen to; and what is gone is not held.
        let held = Holdings::new(self).held(vec![digest.clone()]).await?;
        if !held.contains(&digest) {
            self.put_sealed(sealed, &object_key(&self.vault.prefix, &digest)).await?;
        }
        Ok(object_key("", &digest))
    }

    async fn put_sealed(&self, sealed: &Sealed, key: &str) -> Result<()> {
        let (vault, keeping) = (&self.vault, self.vault.keeping_warm(self.clock.now()));
        vault.put_file(key, &sealed.path, &keeping).await?;
        let head = vault.s3.head(&vault.bucket, key).await;
        let head = head.map_err(ArchiveError::inside("looking at what was put"))?;
        if head.is_none_or(|head| head.size != sealed.size) {
            return Err(ArchiveError::Damaged {
                what: key.to_owned(),
                how: "it is not what was put".to_owned(),
            });
        }
        let size = i64::try_from(sealed.size).unwrap_or(i64::MAX);
        let locked_until = keeping.lock.map(|lock| lock.until);
        let stored = Stored { sha256: sealed.sha256, size, noise: true, locked_until };
        Ok(self.store.archive_stored(&self.plan, &stored).await?)
    }

    /// Writes a copy's record, after its content: from then on the copy exists. Safe to repeat.
    pub async fn keep_dump(&self, record: &DumpRecord) -> Result<()> {
        let vault = &self.vault;
        let key = format!("{}dumps/{}.json", vault.prefix, record.file_name());
        let text = serde_json::to_vec_pretty(record)
            .map_err(|error| ArchiveError::file("writing a dump's record")(error.into()))?;
        let headers = Headers { content_type: Some("application/json".to_owned()), ..Headers::default() };
        let keeping = vault.keeping_warm(self.clock.now());
        vault.put_bytes(&key, text, &headers, &keeping).await?;
        Ok(self.store.keep_dump(&self.plan, &record.row()).await?)
    }

    /// The copies that lie in the archive, newest backup first. Our own tables follow it. One whose content was lost is none any more.
    pub async fn dumps(&self) -> Result<Vec<DumpRecord>> {
        let mut records = self.read_dumps().await?.records;
        let lost = self.lost_dumps(&records).await?;
        for dump in &lost {
            tracing::error!(plan = self.plan, backup = dump.name, key = dump.key, "a copied dump was lost");
        }
        records.retain(|dump| !lost.contains(dump));
        let rows: Vec<DumpRow> = records.iter().map(DumpRecord::row).collect();
        self.store.dumps_are(&self.plan, &rows).await?;
        Ok(records)
    }

    /// The records of copies, newest backup first, and what is wrong with those that cannot be read.
    pub(super) async fn read_dumps(&self) -> Result<Dumps> {
        let start = format!("{}dumps/", self.vault.prefix);
        let listed: Vec<_> = self
            .vault
            .s3
            .list(&self.vault.bucket, &start)
            .try_collect()
            .await
            .map_err(ArchiveError::inside("listing the dumps"))?;
        let mut dumps = Dumps::default();
        for object in listed.iter().filter(|object| object.key.strip_suffix(".json").is_some()) {
            match self.dump_record(&object.key).await {
                Ok(record) => dumps.records.push(record),
                Err(error @ ArchiveError::Damaged { .. }) => {
                    tracing::error!(plan = self.plan, %error, "the record of a copied dump is damaged");
                    dumps.damaged.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        dumps.records.sort_by(|a, b| (b.taken_at, &b.backup).cmp(&(a.taken_at, &a.backup)));
        Ok(dumps)
    }

    /// Copies whose content the archive does not hold any more. Where our tables are not about this archive, nobody can say.
    pub(super) async fn lost_dumps(&self, records: &[DumpRecord]) -> Result<Vec<DumpRecord>> {
        if self.store.archive_place(&self.plan).await?.is_none_or(|place| place != self.vault.place()) {
            return Ok(Vec::new());
        }
        let mut lost = Vec::new();
        for dump in records {
            if !self.is_held(&dump.sha256).await? {
                lost.push(dump.clone());
            }
        }
        Ok(lost)
    }

    /// Whether the archive holds this content undamaged, as far as is known.
    pub async fn is_held(&self, sha256: &str) -> Result<bool> {
        let Ok(digest) = hex::decode(sha256) else { return Ok(false) };
        Ok(!self.store.archive_holds(&self.plan, &[digest]).await?.is_empty())
    }

    async fn dump_record(&self, key: &str) -> Result<DumpRecord> {
        let failed = ArchiveError::inside("reading a dump's record");
        let damaged = |how: String| ArchiveError::Damaged { what: key.to_owned(), how };
        let found = self.vault.s3.read(&self.vault.bucket, key, Want::default()).await.map_err(&failed)?;
        if found.size > LONGEST_RECORD {
            return Err(damaged(format!("it has {} bytes", found.size)));
        }
        let chunks: Vec<bytes::Bytes> = found.body.try_collect().await.map_err(failed)?;
        let record: DumpRecord = serde_json::from_slice(&chunks.concat())
            .map_err(|error| damaged(format!("it cannot be read: {error}")))?;
        let expected = object_key("", &record.sha256);
        if record.format != FORMAT || record.key != expected {
            return Err(damaged("it is of another format".to_owned()));
        }
        Ok(record)
    }

    /// Which copies the plan keeps: by the time at which their backups were taken. All of them while retention is `frozen`: what
    /// damaged the bucket may have been at the database.
    pub(super) fn decide_dumps(&self, dumps: &[DumpRecord], frozen: bool, now: DateTime<Utc>) -> Decision {
        let run = |dump: &DumpRecord| retention::Run {
            rank: dump.taken_at.format("%Y%m%dT%H%M%S%.9f").to_string(),
            id: dump.file_name(),
            finished_at: dump.taken_at,
            verified: true,
            suspicious: frozen,
            locked_until: None,
            mirrored: false,
        };
        let runs: Vec<_> = dumps.iter().map(run).collect();
        retention::decide(&runs, &self.spec.dumps.retention, now)
    }
}
