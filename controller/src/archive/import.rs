//! Old copies as runs: a zip file that a workflow left, or a mirror bucket.

use std::path::Path;

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;

use super::error::{ArchiveError, Result};
use super::format::{
    ChangeCounts, Entry, FORMAT, ManifestRef, Record, Source, import_name, manifest_key, object_key,
    record_key,
};
use super::manifest::{Writer, Written};
use super::suspicion::Noise;
use super::take::{Holdings, create_private};
use super::vault::{BINARY, PART, is_cold};
use super::{Archiver, Place};
use crate::backup::objects::{ArtifactEntry, ArtifactIndex, read_entry};
use crate::providers::s3::{Headers, Thaw};
use crate::store::Stored;

/// Contents that are looked up at once.
const BATCH: usize = 1_000;
/// For how many days thawed objects of a mirror stay readable.
const DAYS: i32 = 7;
/// Between two looks at an object that thaws, in nominal time.
const LOOK: std::time::Duration = std::time::Duration::from_secs(30);

impl Archiver {
    /// Turns a zip file, whose every member was checked, into a run of the time at which it was taken: it sorts, is kept and is chosen by
    /// that time, so that it never passes for newer than it is. *Repeat*: safe; one file and time are one run.
    pub async fn import_zip(
        &self,
        zip: &Path,
        index: &ArtifactIndex,
        taken_at: DateTime<Utc>,
    ) -> Result<Record> {
        if taken_at > self.clock.now() {
            return Err(ArchiveError::Refused {
                why: format!("{taken_at} is still to come, a run of then would pass for the newest one"),
                advice: "say when the zip was taken",
            });
        }
        let _turn = self.prepare().await?;
        let run = import_name(taken_at, &hex::decode(&index.zip_sha256).unwrap_or_default());
        if let Some(record) = self.imported_before(&run, index).await? {
            return Ok(record);
        }
        let folder = self.work.join(&run);
        create_private(&folder)?;
        let result = self.import(zip, index, &run, taken_at, &folder).await;
        std::fs::remove_dir_all(&folder).map_err(ArchiveError::file("clearing up"))?;
        result
    }

    /// The run that this file made before, if it did.
    async fn imported_before(&self, run: &str, index: &ArtifactIndex) -> Result<Option<Record>> {
        let (vault, key) = (&self.vault, record_key(&self.vault.prefix, run));
        let there = vault.s3.head(&vault.bucket, &key).await;
        if there.map_err(ArchiveError::inside("looking whether it was imported before"))?.is_none() {
            return Ok(None);
        }
        let (record, _) = vault.record(run).await?;
        if record.source.endpoint != endpoint(index) {
            return Err(ArchiveError::Refused {
                why: format!("there is a run {run} already, which another file made"),
                advice: "say when the zip was taken, to the second",
            });
        }
        self.store.archive_found(&self.plan, run, record.started_at, &super::take::ended(&record)).await?;
        Ok(Some(record))
    }

    async fn import(
        &self,
        zip: &Path,
        index: &ArtifactIndex,
        run: &str,
        taken_at: DateTime<Utc>,
        folder: &Path,
    ) -> Result<Record> {
        // Owned: a stream of futures that borrow their entries cannot be proved to be `Send`.
        let entries: Vec<ArtifactEntry> = index.entries.clone();
        let copies =
            futures::stream::iter(entries.into_iter().map(|entry| self.copy_entry(zip, folder, entry)));
        copies.buffer_unordered(self.concurrency).try_collect::<Vec<()>>().await?;
        let holdings = Holdings::new(self);
        for some in index.entries.chunks(BATCH) {
            holdings.all(some.iter().map(|entry| entry.sha256.clone()).collect()).await?;
        }
        let manifest = folder.join("manifest");
        let written = write(index, &manifest)?;
        let name = zip.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let source = Source { endpoint: endpoint(index), bucket: name };
        let record = self.imported(run, source, taken_at, &written);
        let (vault, keeping) = (&self.vault, self.vault.keeping_warm(self.clock.now()));
        vault.put_file(&manifest_key(&vault.prefix, run), &manifest, &keeping).await?;
        let text = serde_json::to_vec_pretty(&record)
            .map_err(|error| ArchiveError::file("writing the record")(error.into()))?;
        let headers = Headers { content_type: Some("application/json".to_owned()), ..Headers::default() };
        vault.put_bytes(&record_key(&vault.prefix, run), text, &headers, &keeping).await?;
        self.store.archive_found(&self.plan, run, taken_at, &super::take::ended(&record)).await?;
        Ok(record)
    }

    fn imported(&self, run: &str, source: Source, taken_at: DateTime<Utc>, written: &Written) -> Record {
        let key = manifest_key("", run);
        let manifest = ManifestRef {
            key,
            sha256: written.sha256.clone(),
            objects: written.objects,
            bytes: written.bytes,
        };
        let changes =
            ChangeCounts { added: written.objects, bytes: written.bytes, ..ChangeCounts::default() };
        Record {
            format: FORMAT.to_owned(),
            plan: self.plan.clone(),
            run: run.to_owned(),
            source,
            mirrored: false,
            started_at: taken_at,
            finished_at: taken_at,
            manifest,
            changes,
            vanished: Vec::new(),
            replaced: 0,
            suspicious: Vec::new(),
            extras: Vec::new(),
            missing: Vec::new(),
            unread: Vec::new(),
            previous: None,
            cost: std::collections::BTreeMap::new(),
            writer: concat!("reprise ", env!("CARGO_PKG_VERSION"), ", import").to_owned(),
        }
    }

    /// One member under its digest, unless the archive holds it.
    async fn copy_entry(&self, zip: &Path, folder: &Path, entry: ArtifactEntry) -> Result<()> {
        let (vault, keeping) = (&self.vault, self.vault.keeping(self.clock.now()));
        let damaged =
            |how: String| ArchiveError::Damaged { what: format!("`{}` in the zip", entry.key), how };
        let digest: [u8; 32] = hex::decode(&entry.sha256)
            .ok()
            .and_then(|digest| digest.try_into().ok())
            .ok_or_else(|| damaged("its digest is none".to_owned()))?;
        if !self.store.archive_holds(&self.plan, &[digest.to_vec()]).await?.is_empty() {
            return Ok(());
        }
        let key = object_key(&vault.prefix, &entry.sha256);
        let mut pieces = read_entry(zip, &entry).map_err(|error| damaged(error.to_string())).boxed();
        let mut noise = Noise::new();
        if entry.size <= PART {
            let mut bytes = BytesMut::new();
            while let Some(piece) = pieces.try_next().await? {
                noise.update(&piece);
                bytes.extend_from_slice(&piece);
            }
            let headers = Headers { content_type: Some(BINARY.to_owned()), ..Headers::default() };
            vault.put_bytes(&key, bytes.freeze(), &headers, &keeping).await?;
        } else {
            let path = folder.join(&entry.sha256);
            let local = ArchiveError::file("unpacking a large member");
            let mut file = tokio::fs::File::create(&path).await.map_err(&local)?;
            while let Some(piece) = pieces.try_next().await? {
                noise.update(&piece);
                file.write_all(&piece).await.map_err(&local)?;
            }
            file.flush().await.map_err(&local)?;
            vault.put_file(&key, &path, &keeping).await?;
            tokio::fs::remove_file(&path).await.map_err(local)?;
        }
        let (size, locked_until) =
            (i64::try_from(entry.size).unwrap_or(i64::MAX), keeping.lock.map(|lock| lock.until));
        let stored = Stored { sha256: digest, size, noise: noise.is_noise(), locked_until };
        Ok(self.store.archive_stored(&self.plan, &stored).await?)
    }

    /// Turns a mirror bucket into a run of now: what lies in cold storage is thawed first, which takes up to a day.
    pub async fn import_mirror(&self, mirror: Place) -> Result<Record> {
        let outside = ArchiveError::outside("thawing the mirror");
        let cold: Vec<String> = mirror
            .s3
            .list(&mirror.bucket, "")
            .try_filter(|object| std::future::ready(is_cold(object.storage_class.as_deref())))
            .map_ok(|object| object.key)
            .try_collect()
            .await
            .map_err(&outside)?;
        for key in &cold {
            mirror.s3.thaw(&mirror.bucket, key, DAYS).await.map_err(&outside)?;
        }
        for key in &cold {
            while let Some(head) = mirror.s3.head(&mirror.bucket, key).await.map_err(&outside)? {
                if matches!(head.thaw, Thaw::Readable | Thaw::Thawed) {
                    break;
                }
                tokio::select! {
                    () = self.clock.sleep(LOOK) => {}
                    () = self.cancel.cancelled() => return Err(ArchiveError::Cancelled),
                }
            }
        }
        let turn = self.prepare().await?;
        Self { source: mirror, ..self.clone() }
            .take(turn, super::take::Beside { mirrored: true, ..Default::default() })
            .await
    }
}

/// What stands for the endpoint in the record of a zip's run.
fn endpoint(index: &ArtifactIndex) -> String {
    format!("zip:sha256:{}", index.zip_sha256)
}

/// The manifest of a zip's members, in the order of their keys.
fn write(index: &ArtifactIndex, path: &Path) -> Result<Written> {
    let mut entries: Vec<&ArtifactEntry> = index.entries.iter().collect();
    entries.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
    let mut writer = Writer::create(path)?;
    for entry in entries {
        let line = Entry {
            key: entry.key.clone(),
            size: entry.size,
            sha256: entry.sha256.clone(),
            etag: entry.md5.clone(),
            last_modified: None,
            version_id: None,
            content_type: super::content_type::of(&entry.key).map(str::to_owned),
            cache_control: None,
            content_disposition: None,
            content_encoding: None,
            content_language: None,
            expires: None,
            website_redirect_location: None,
            metadata: std::collections::BTreeMap::new(),
            tags: std::collections::BTreeMap::new(),
            acl_unread: false,
            acl: None,
            opaque: false,
            pending: None,
        };
        let text = serde_json::to_string(&line)
            .map_err(|error| ArchiveError::file("writing a line")(error.into()))?;
        writer.line(&entry.key, entry.size, &text)?;
    }
    writer.finish()
}
