//! The listing of the source beside the manifest of the run before: what is unchanged, what has to be copied, what is gone.
//!
//! Both come in the order of keys, so that one pass over both decides, whatever their number. What it decides is spooled to disk in
//! the same order; the manifest is written from there.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use serde_json::Value;
use tokio::sync::mpsc;

use super::error::{ArchiveError, Result};
use super::format::{ChangeCounts, Entry};
use super::manifest::Line;
use crate::providers::s3::ObjectSummary;
use crate::store::StoreError;

/// An object that has to be copied.
#[derive(Debug, Clone)]
pub struct Changed {
    /// As the listing shows it.
    pub listed: ObjectSummary,
    /// Its line in the run before, if the listing shows it as another object by now.
    pub before: Option<Box<Entry>>,
    /// Its line in the run before, if that holds: only what may change beside it is read again.
    pub known: Option<Box<Entry>>,
}

/// What a walk saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// What changed since the run before, as far as a listing tells.
    pub counts: ChangeCounts,
    /// What this run had copied when it was cut off, and what still holds.
    pub resumed: Resumed,
}

/// Copies of before a cut. What is in memory of a run tells only of those after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, those that were another one than the listing showed.
    pub replaced: u64,
}

impl Resumed {
    fn add(&mut self, entry: &Entry, listed: &ObjectSummary) {
        self.objects += 1;
        self.bytes += entry.size;
        self.replaced += u64::from(!listed.may_be(&entry.etag));
    }
}

/// Where the walk writes what it decided: a line that is kept (`=` and the line), or a key that is copied (`+` and the key as JSON).
#[derive(Debug)]
pub struct Spool {
    out: BufWriter<File>,
}

impl Spool {
    /// A new file.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(ArchiveError::file("spooling the listing"))?;
        Ok(Self { out: BufWriter::with_capacity(1 << 18, file) })
    }

    fn keep(&mut self, line: &Line) -> Result<()> {
        writeln!(self.out, "={}", line.text).map_err(ArchiveError::file("spooling the listing"))
    }

    fn copy(&mut self, key: &str) -> Result<()> {
        writeln!(self.out, "+{}", Value::from(key)).map_err(ArchiveError::file("spooling the listing"))
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(ArchiveError::file("spooling the listing"))
    }
}

/// Whether the source still has what the manifest names, and all of it is known. Pure.
fn unchanged(entry: &Entry, listed: &ObjectSummary) -> bool {
    let same =
        entry.size == listed.size && listed.may_be(&entry.etag) && entry.last_modified == listed.modified;
    // Of a list without entity tags and without dates nothing is known.
    let told = !listed.etag.is_empty() || listed.modified.is_some();
    same && told && !entry.acl_unread
}

/// Lines of the manifest of the run before, one at a time.
#[derive(Debug)]
pub struct Before {
    lines: Option<mpsc::Receiver<Result<Vec<Line>>>>,
    batch: VecDeque<Line>,
    refresh: bool,
}

impl Before {
    /// All lines that come; none if there was no run before.
    pub fn new(lines: Option<mpsc::Receiver<Result<Vec<Line>>>>) -> Self {
        Self { lines, batch: VecDeque::new(), refresh: false }
    }

    /// The same; with `refresh`, what may change of an unchanged object and is in no listing is read again.
    #[must_use]
    pub fn read_again(self, refresh: bool) -> Self {
        Self { refresh, ..self }
    }

    /// The next line, without taking it.
    async fn peek(&mut self) -> Result<Option<&Line>> {
        while self.batch.is_empty() {
            let Some(lines) = &mut self.lines else { return Ok(None) };
            match lines.recv().await {
                Some(batch) => self.batch.extend(batch?),
                None => self.lines = None,
            }
        }
        Ok(self.batch.front())
    }

    fn take(&mut self) -> Option<Line> {
        self.batch.pop_front()
    }

    /// The next line.
    pub async fn next(&mut self) -> Result<Option<Line>> {
        self.peek().await?;
        Ok(self.take())
    }

    /// The line of `key`; lines before it are passed over. Keys must be asked for in order.
    pub async fn at(&mut self, key: &str) -> Result<Option<Line>> {
        while self.peek().await?.is_some_and(|line| line.entry.key.as_str() < key) {
            self.take();
        }
        let found = self.peek().await?.is_some_and(|line| line.entry.key == key);
        Ok(if found { self.take() } else { None })
    }
}

/// What the archive holds.
pub trait Held: Sync {
    /// Which of these contents it holds.
    fn held(&self, digests: Vec<String>) -> BoxFuture<'_, Result<HashSet<String>>>;

    /// Which of these contents that its store copied by itself it holds; with the digest of each that was hashed since.
    fn pending(&self, names: Vec<String>) -> BoxFuture<'_, Result<HashMap<String, Option<String>>>>;
}

/// What a walk tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// So many objects were listed.
    Listed(u64),
    /// One of them is due, and so many bytes of it have to be copied.
    Due(u64),
}

/// What is decided of one object that the listing shows.
struct Decided {
    listed: ObjectSummary,
    /// Its line in the run before.
    line: Option<Line>,
    unchanged: bool,
    /// What this run had copied of it when it was cut off.
    copied: Option<Entry>,
}

type Copied = Result<(String, String, Option<Value>), StoreError>;

/// One pass over everything. `copied` is what this run had copied when it was cut off, in the order of keys. A line is kept only if the
/// archive still holds its content, and so is a copy: what was found lost or damaged is copied again. Where `before` is to be
/// read again, so is what may change of an object and is in no listing.
pub async fn walk(
    mut pages: mpsc::Receiver<Result<Vec<ObjectSummary>>>,
    mut before: Before,
    copied: impl Stream<Item = Copied>,
    mut spool: Spool,
    changed: mpsc::Sender<Changed>,
    seen: &(dyn Fn(Sight) + Sync),
    held: &dyn Held,
) -> Result<Walked> {
    let mut walked = Walked::default();
    let mut copied = std::pin::pin!(copied.peekable());
    while let Some(page) = pages.recv().await {
        let page = page?;
        seen(Sight::Listed(page.len() as u64));
        let mut decided = decide(page, &mut before, &mut walked.counts).await?;
        for one in &mut decided {
            one.copied = is_copied(copied.as_mut(), &one.listed).await?;
        }
        let lost = settle(&mut decided, held).await?;
        let held = held.held(decided.iter().flat_map(Decided::digests).collect()).await?;
        let holds = |entry: &Entry| match &entry.pending {
            Some(name) => !lost.contains(name),
            None => held.contains(&entry.sha256),
        };
        for Decided { listed, line, unchanged, copied } in decided {
            let kept = line.as_ref().filter(|line| unchanged && holds(&line.entry));
            if let Some(line) = kept.filter(|_| !before.refresh) {
                spool.keep(line)?;
                continue;
            }
            spool.copy(&listed.key)?;
            let known = kept.map(|line| Box::new(line.entry.clone()));
            let other = line.filter(|_| !unchanged).map(|line| line.entry);
            if let (Some(known), Some(entry)) = (&known, copied.as_ref().filter(|entry| holds(entry))) {
                walked.counts.redressed += u64::from(**known != *entry);
                continue;
            }
            if let Some(entry) = copied.filter(holds) {
                walked.resumed.add(&entry, &listed);
                let same = other.is_some_and(|other| other.is_same_content(&entry));
                walked.counts.rewritten -= u64::from(same);
                continue;
            }
            seen(Sight::Due(if known.is_some() { 0 } else { listed.size }));
            let change = Changed { listed, before: other.map(Box::new), known };
            if changed.send(change).await.is_err() {
                return Err(ArchiveError::Cancelled);
            }
        }
    }
    while before.next().await?.is_some() {
        walked.counts.before += 1;
        walked.counts.deleted += 1;
    }
    spool.finish()?;
    Ok(walked)
}

impl Decided {
    /// Digests that the archive has to hold if what is known of the object is to be taken for the new run.
    fn digests(&self) -> impl Iterator<Item = String> {
        let line = self.line.as_ref().filter(|_| self.unchanged).map(|line| &line.entry);
        let entries = line.into_iter().chain(&self.copied);
        entries.filter(|entry| entry.pending.is_none()).map(|entry| entry.sha256.clone())
    }
}

/// Lines whose content was hashed since they were written name it by its digest from now on. Returns the places that the archive holds
/// nothing in.
async fn settle(decided: &mut [Decided], held: &dyn Held) -> Result<HashSet<String>> {
    let copied = decided.iter().filter_map(|one| one.copied.as_ref());
    let mut names: Vec<_> = copied.filter_map(|entry| entry.pending.clone()).collect();
    let lines = decided.iter_mut().filter(|one| one.unchanged).filter_map(|one| one.line.as_mut());
    let lines: Vec<_> = lines.filter(|line| line.entry.pending.is_some()).collect();
    names.extend(lines.iter().filter_map(|line| line.entry.pending.clone()));
    if names.is_empty() {
        return Ok(HashSet::new());
    }
    let known = held.pending(names.clone()).await?;
    for line in lines {
        let sha256 = line.entry.pending.as_ref().and_then(|name| known.get(name)).cloned().flatten();
        if let Some(sha256) = sha256 {
            line.entry.sha256 = sha256;
            line.entry.pending = None;
            line.text = serde_json::to_string(&line.entry)
                .map_err(|error| ArchiveError::file("writing a line")(error.into()))?;
        }
    }
    Ok(names.into_iter().filter(|name| !known.contains_key(name)).collect())
}

/// A page of the listing beside the run before.
async fn decide(
    page: Vec<ObjectSummary>,
    before: &mut Before,
    counts: &mut ChangeCounts,
) -> Result<Vec<Decided>> {
    let mut decided = Vec::with_capacity(page.len());
    for listed in page {
        while before.peek().await?.is_some_and(|line| line.entry.key < listed.key) {
            before.take();
            counts.before += 1;
            counts.deleted += 1;
        }
        let line = before.at(&listed.key).await?;
        counts.before += u64::from(line.is_some());
        let unchanged = line.as_ref().is_some_and(|line| unchanged(&line.entry, &listed));
        match (&line, unchanged) {
            (None, _) => counts.added += 1,
            (Some(_), false) => counts.rewritten += 1,
            (Some(_), true) => {}
        }
        decided.push(Decided { listed, line, unchanged, copied: None });
    }
    Ok(decided)
}

/// The line of exactly this object, if this run copied it before it was cut off.
async fn is_copied<S: Stream<Item = Copied>>(
    mut copied: std::pin::Pin<&mut futures::stream::Peekable<S>>,
    listed: &ObjectSummary,
) -> Result<Option<Entry>> {
    loop {
        match copied.as_mut().peek().await {
            None => return Ok(None),
            Some(Ok((key, etag, entry))) if key >= &listed.key => {
                let same = key == &listed.key && etag == &listed.etag;
                // What could not be read then is asked for again; so is what cannot be understood.
                let entry = entry.clone().filter(|entry| same && entry.is_object());
                let entry = entry.and_then(|entry| serde_json::from_value(entry).ok());
                // Tags say nothing where lists have none, and nothing of an object that was put again with the same bytes.
                return Ok(entry.filter(|entry: &Entry| {
                    entry.size == listed.size
                        && (entry.last_modified == listed.modified || listed.modified.is_none())
                }));
            }
            Some(_) => {
                if let Some(Err(error)) = copied.next().await {
                    return Err(error.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
