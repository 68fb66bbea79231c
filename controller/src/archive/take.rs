//! Taking an archive: list, copy what changed, write the manifest last.

use std::borrow::Cow;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use futures::TryStreamExt as _;
use serde_json::Value;

use super::Archiver;
use super::cost::Cost;
use super::error::{ArchiveError, Result};
use super::format::{
    ChangeCounts, Entry, Extra, FORMAT, ManifestRef, Record, manifest_key, next_run_name, record_key,
};
use super::manifest::{Writer, Written};
use super::walk::Walked;
use crate::runtime::chain::Chain;
use crate::store::{ArchiveEnd, ArchiveRow, Turn};
use copying::Listing;
pub(super) use holdings::Holdings;
use latest::Latest;
use meter::unread;
pub use meter::{Meter, Withheld};

mod copying;
mod due;
mod holdings;
mod judge;
mod latest;
mod meter;
mod open;
mod pace;

/// What is stored of the copies at once.
const BATCH: usize = 256;
/// Keys that a record names when they vanished.
const NAMED: usize = 1_000;

/// Objects that the bucket lists and does not give: above so many it is the bucket that cannot be read.
const MOST_UNREADABLE: usize = 100;

/// What is archived beside the bucket's objects. Its contents are there already.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// What there is.
    pub extras: Vec<Extra>,
    /// What could not be had, and why.
    pub missing: Vec<String>,
    /// The source is a copy of the bucket, and not the bucket.
    pub mirrored: bool,
}

impl Archiver {
    /// Takes an archive in the plan's `turn`, or ends the one that was cut off. At most one process does so for a plan.
    ///
    /// What is stored stays stored when it fails: the next call goes on.
    pub async fn take(&self, turn: Turn, beside: Beside) -> Result<Record> {
        let cost = Cost::default();
        cost.of(self).take_counted(turn, beside, &cost).await
    }

    async fn take_counted(&self, mut turn: Turn, beside: Beside, cost: &Cost) -> Result<Record> {
        let newest = self.vault.runs().await?.pop();
        let row = self.begin(&next_run_name(self.clock.now(), newest.as_deref())).await?;
        let folder = self.work.join(&row.run);
        create_private(&folder)?;
        let result = self.run(&row, &folder, beside, (cost, &mut turn)).await;
        match &result {
            Ok(_) => std::fs::remove_dir_all(&folder).map_err(ArchiveError::file("clearing up"))?,
            Err(error) => {
                let why = Chain(error).to_string();
                self.store.archive_stopped(row.id, &why).await?;
            }
        }
        drop(turn);
        result
    }

    /// The run that was cut off, or a new one called `name`. One that was cut off between its record and our row is whole, and is left
    /// as it is. Any other goes on under the new name: it lists again, so that it shows the bucket of now, however long ago it began; and
    /// a manifest that it may have written is not written twice.
    async fn begin(&self, name: &str) -> Result<ArchiveRow> {
        let (vault, inside) = (&self.vault, ArchiveError::inside("looking for what was cut off"));
        let source = self.source.name();
        let begin = || self.store.begin_archive(&self.plan, name, &self.identity, &source);
        let row = begin().await?;
        if row.run == name {
            return Ok(row);
        }
        let record = vault.s3.head(&vault.bucket, &record_key(&vault.prefix, &row.run)).await;
        if record.map_err(inside)?.is_some() {
            let (record, _) = vault.record(&row.run).await?;
            self.store.finish_archive(row.id, &ended(&record)).await?;
        } else {
            // What it spooled tells of the listing before.
            remove(&self.work.join(&row.run))?;
            self.reclaim(&row.run).await?;
            self.store.rename_archive(row.id, name).await?;
        }
        Ok(begin().await?)
    }

    /// Ends the uploads that `run` had begun when it was cut off and that nobody noted: they are billed until then. What this key pair may
    /// not end is swept by `prune`.
    async fn reclaim(&self, run: &str) -> Result<()> {
        let vault = &self.vault;
        let noted = self.store.uploads_below(&vault.as_place().name(), &self.sent_below()).await?;
        let uploads = vault.s3.uploads(&vault.bucket, &format!("{}uploads/{run}/", vault.prefix)).await;
        let uploads =
            uploads.inspect_err(|error| tracing::debug!(run, %error, "unfinished uploads are not listed"));
        let is_noted = |id: &str| noted.iter().any(|noted| noted.upload == id);
        for upload in uploads.unwrap_or_default().into_iter().filter(|upload| !is_noted(&upload.id)) {
            if let Err(error) = vault.s3.abort_parts(&vault.bucket, &upload.key, &upload.id).await {
                tracing::debug!(run, key = upload.key, %error, "an unfinished upload stays until it is pruned");
            }
        }
        Ok(())
    }

    /// Where large contents are while they are sent.
    pub(super) fn sent_below(&self) -> String {
        format!("{}uploads/", self.vault.prefix)
    }

    /// Ends the uploads that nobody went on with: the run is whole without them.
    async fn end_uploads(&self) -> Result<()> {
        let to = self.vault.as_place();
        for noted in self.store.uploads_below(&to.name(), &self.sent_below()).await? {
            self.end_upload(&to, &noted).await?;
        }
        Ok(())
    }

    async fn run(
        &self,
        row: &ArchiveRow,
        folder: &Path,
        beside: Beside,
        (cost, turn): (&Cost, &mut Turn),
    ) -> Result<Record> {
        // The store lists while the run before is read.
        let listing = self.listing();
        let latest = self.latest(folder).await?;
        let spool = folder.join("listing");
        let manifest = latest.as_ref().map(|latest| latest.manifest.clone());
        let (walked, meter) = self.listed_and_copied(row, (manifest, listing), &spool).await?;
        if let Some(withheld) = meter.withheld.get() {
            self.is_open(&spool, withheld).await?;
        }
        let (written, vanished, unreadable) =
            self.write_manifest(row.id, &spool, &folder.join("manifest")).await?;
        let counts = self.counted(walked, &meter, latest.as_ref(), folder).await?;
        let kept = beside.extras.iter().map(|extra| extra.sha256.clone()).collect();
        Holdings::new(self).all(kept).await?;
        let suspicious = self.suspicion(latest.as_ref(), &counts, folder).await?;
        let record = Record {
            suspicious,
            mirrored: beside.mirrored,
            extras: beside.extras,
            missing: [beside.missing, unreadable].concat(),
            vanished,
            unread: unread(&meter),
            replaced: meter.replaced.load(Ordering::Relaxed) + walked.resumed.replaced,
            previous: latest.map(|latest| latest.newest),
            ..self.record(row, counts, &written)
        };
        turn.is_ours().await?;
        self.end_uploads().await?;
        self.publish(row, (record, cost), &folder.join("manifest")).await
    }

    /// Lists and copies, and shows how far it is. Where the source's list turns out to be in another order than S3 has, once more: what was
    /// copied until then is not copied again.
    async fn listed_and_copied(
        &self,
        row: &ArchiveRow,
        (manifest, mut listing): (Option<PathBuf>, Listing),
        spool: &Path,
    ) -> Result<(Walked, Meter)> {
        loop {
            let meter = Meter::default();
            let done = futures::try_join!(
                self.copy_changes(row, (manifest.clone(), listing), spool, &meter),
                self.beat(row.id, &meter)
            );
            match done {
                Err(error) if error.is_disordered() => {
                    tracing::warn!(plan = self.plan, error = %Chain(&error), "the source's list is sorted before it is read");
                    listing = self.listing();
                }
                done => return done.map(|(walked, ())| (walked, meter)),
            }
        }
    }

    /// What changed since the run before, by all that this run did: also by what it did before it was cut off.
    async fn counted(
        &self,
        walked: Walked,
        meter: &Meter,
        latest: Option<&Latest>,
        folder: &Path,
    ) -> Result<ChangeCounts> {
        let counts = ChangeCounts {
            rewritten: walked.counts.rewritten.saturating_sub(meter.same.load(Ordering::Relaxed)),
            scrambled: meter.scrambled.load(Ordering::Relaxed),
            bytes: meter.bytes.load(Ordering::Relaxed) + walked.resumed.bytes,
            redressed: meter.redressed.load(Ordering::Relaxed) + walked.counts.redressed,
            ..walked.counts
        };
        let Some(latest) = latest.filter(|_| walked.resumed.objects > 0) else { return Ok(counts) };
        // Whether something turned into noise is not noted with a copy: the two manifests tell it again.
        let (changes, _) = self.changes(&latest.manifest, &folder.join("manifest")).await?;
        Ok(ChangeCounts { scrambled: changes.scrambled, ..counts })
    }

    fn record(&self, row: &ArchiveRow, changes: ChangeCounts, written: &Written) -> Record {
        let key = manifest_key("", &row.run);
        let manifest = ManifestRef {
            key,
            sha256: written.sha256.clone(),
            objects: written.objects,
            bytes: written.bytes,
        };
        Record {
            format: FORMAT.to_owned(),
            plan: self.plan.clone(),
            run: row.run.clone(),
            source: self.source_named(),
            mirrored: false,
            started_at: row.started_at,
            finished_at: self.clock.now(),
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
            writer: concat!("reprise ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Puts the manifest and then its record, without which it does not exist; then our own row.
    async fn publish(
        &self,
        row: &ArchiveRow,
        (mut record, cost): (Record, &Cost),
        file: &Path,
    ) -> Result<Record> {
        let (vault, now) = (&self.vault, self.clock.now());
        let keeping = vault.keeping_warm(now);
        vault.put_file(&manifest_key(&vault.prefix, &row.run), file, &keeping).await?;
        record.cost = cost.counts_with_one_more("archive.put");
        let text = serde_json::to_vec_pretty(&record)
            .map_err(|error| ArchiveError::file("writing the record")(error.into()))?;
        std::fs::write(file, text).map_err(ArchiveError::file("writing the record"))?;
        vault.put_file(&record_key(&vault.prefix, &row.run), file, &keeping).await?;
        self.store.finish_archive(row.id, &ended(&record)).await?;
        Ok(record)
    }

    /// Writes the manifest from the spool and what was copied; every content that it names is one that the archive holds. For the
    /// lines that are kept the walk has seen to that.
    async fn write_manifest(
        &self,
        archive: i64,
        spool: &Path,
        to: &Path,
    ) -> Result<(Written, Vec<String>, Vec<String>)> {
        let read = ArchiveError::file("reading the spooled listing");
        let file = std::fs::File::open(spool).map_err(&read)?;
        let mut writer = Writer::create(to)?;
        let mut copied = std::pin::pin!(self.store.archive_lines(archive));
        let (mut vanished, mut unreadable) = (Vec::new(), Vec::new());
        let holdings = Holdings::new(self);
        let mut digests = Vec::new();
        for line in std::io::BufReader::with_capacity(1 << 18, file).lines() {
            let line = line.map_err(&read)?;
            if let Some(kept) = line.strip_prefix('=') {
                let Brief { key, size } = parse(kept)?;
                writer.line(&key, size, kept)?;
                continue;
            }
            let key: String = parse(line.trim_start_matches('+'))?;
            match copied_entry(&mut copied, &key).await? {
                // In place of its line there is the reason.
                Some(value) if !value.is_object() => {
                    let why = value.as_str().unwrap_or("the bucket lists it, and does not give it");
                    unreadable.push(format!("`{key}`: {why}"));
                    if unreadable.len() > MOST_UNREADABLE {
                        return Err(ArchiveError::Refused {
                            why: format!(
                                "the bucket does not give what it lists: `{key}`: {why}; and {MOST_UNREADABLE} others"
                            ),
                            advice: "mend that, look at one of them with another client, and take the archive again",
                        });
                    }
                }
                Some(value) => {
                    let entry: Entry = serde_json::from_value(value).map_err(|error| damaged(&error))?;
                    let text = serde_json::to_string(&entry).map_err(|error| damaged(&error))?;
                    writer.line(&key, entry.size, &text)?;
                    digests.extend(entry.pending.is_none().then_some(entry.sha256));
                    if digests.len() >= BATCH {
                        holdings.all(std::mem::take(&mut digests)).await?;
                    }
                }
                None if vanished.len() < NAMED => vanished.push(key),
                None => {}
            }
        }
        holdings.all(digests).await?;
        Ok((writer.finish()?, vanished, unreadable))
    }
}

/// What our own row says of a run that is whole.
pub fn ended(record: &Record) -> ArchiveEnd {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    ArchiveEnd {
        finished_at: record.finished_at,
        objects: signed(record.manifest.objects),
        bytes: signed(record.manifest.bytes),
        changed_objects: signed(record.changes.added + record.changes.rewritten),
        changed_bytes: signed(record.changes.bytes),
        duration_seconds: (record.finished_at - record.started_at).as_seconds_f64().max(0.0),
        suspicious: !record.suspicious.is_empty(),
        manifest_sha256: record.manifest.sha256.clone(),
        record: serde_json::to_value(record).unwrap_or_default(),
    }
}

/// As much of a kept line as the manifest's sums need.
#[derive(serde::Deserialize)]
struct Brief<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    size: u64,
}

/// The line of an object that was copied; `None` if it vanished.
async fn copied_entry(
    copied: &mut std::pin::Pin<
        &mut (impl futures::Stream<Item = crate::store::Result<(String, String, Option<Value>)>> + ?Sized),
    >,
    key: &str,
) -> Result<Option<Value>> {
    while let Some((found, _, entry)) = copied.try_next().await? {
        if found == key {
            return Ok(entry);
        }
        if found.as_str() > key {
            break;
        }
    }
    Err(ArchiveError::Damaged {
        what: "the run's own notes".to_owned(),
        how: format!("nothing is known of `{key}`"),
    })
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

fn damaged(error: &serde_json::Error) -> ArchiveError {
    ArchiveError::Damaged { what: "the run's own notes".to_owned(), how: error.to_string() }
}

/// Deletes a folder, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ArchiveError::file("clearing up what was cut off")(error))
        }
        _ => Ok(()),
    }
}

/// A folder that only we can look into.
pub fn create_private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(ArchiveError::file("making the work folder"))
}
