//! Bytes on disk. Small bodies share pack files, larger ones have files of their own; the index log names them.
//!
//! Invariant: a line of the log never names bytes that are not on disk. A *commit* therefore writes (and syncs) packed bytes
//! first, then the log, and only then deletes what the change set free. Commits that arrive while one is being written share
//! the next write, so many clients cost few syncs.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::log;
use super::model::{Blob, Segment};
use super::state::State;
use super::sync::Syncs;
use crate::world::World;

/// Bodies up to this size share pack files.
pub(crate) const SMALL: u64 = 128 << 10;
/// A pack that has grown to this size is left and a new one begun.
const PACK: u64 = 256 << 20;

/// How carefully writes reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// An answered write survives the loss of power.
    #[default]
    Full,
    /// An answered write survives the death of the process only: for benchmarks.
    Relaxed,
}

/// One request's worth of changes.
struct Commit {
    lines: Vec<u8>,
    packed: Vec<(Blob, Bytes)>,
    freed: Vec<Blob>,
    done: oneshot::Sender<bool>,
}

#[derive(Debug, Default)]
struct Packs {
    current: u32,
    end: u64,
    files: HashMap<u32, Arc<File>>,
    /// How many blobs of each pack are still referred to.
    live: HashMap<u32, u64>,
}

/// The folder of one endpoint.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    pub(crate) syncs: Syncs,
    packs: Mutex<Packs>,
    next_file: AtomicU64,
    failed: AtomicBool,
    commits: mpsc::UnboundedSender<Commit>,
    /// Held for as long as anything may still write here.
    _lock: File,
}

/// A large body that is on disk but not yet in the index; removed unless [`Loose::keep`] is called.
#[derive(Debug)]
pub(crate) struct Loose {
    path: Option<PathBuf>,
    /// Its name in the index.
    pub(crate) blob: Blob,
}

impl Loose {
    /// The index refers to it now.
    pub(crate) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Loose {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            remove(&path);
        }
    }
}

impl Disk {
    /// Opens the folder, replays the log, and removes what no record refers to.
    pub(crate) fn open(
        world: &Arc<World>,
        dir: &Path,
        durability: Durability,
    ) -> io::Result<(Arc<Self>, State)> {
        let durable = durability == Durability::Full;
        let syncs = Syncs::new(durable);
        for folder in [dir, &dir.join("blobs"), &dir.join("packs"), &dir.join("incoming")] {
            syncs.folder(folder)?;
        }
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock()?;
        let (state, log) = log::open(dir, durable)?;
        // The log may be new.
        syncs.names(dir)?;
        let (commits, receiver) = mpsc::unbounded_channel();
        let disk = Arc::new(Self {
            dir: dir.to_owned(),
            syncs,
            packs: Mutex::default(),
            next_file: AtomicU64::new(1),
            failed: AtomicBool::new(false),
            commits,
            _lock: lock,
        });
        disk.sweep(&state)?;
        world.tasks.spawn("s3-commits", commit_loop(Arc::downgrade(&disk), receiver, log));
        Ok((disk, state))
    }

    /// Queues a change; the answer is whether it reached the disk. Call while holding the lock on the index, so that the log
    /// has the order of the changes.
    pub(crate) fn commit(
        &self,
        lines: Vec<u8>,
        packed: Vec<(Blob, Bytes)>,
        freed: Vec<Blob>,
    ) -> oneshot::Receiver<bool> {
        let (done, receiver) = oneshot::channel();
        // A closed channel drops `done`, which the waiting side sees as a failure.
        drop(self.commits.send(Commit { lines, packed, freed, done }));
        receiver
    }

    /// The folder of this endpoint.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gives files that were put aside in `folder` their names again, where they lost them.
    pub(crate) fn give_back(&self, folder: &Path) -> io::Result<()> {
        link_missing(&folder.join("packs"), &self.dir.join("packs"))?;
        for part in std::fs::read_dir(folder.join("blobs"))? {
            let part = part?;
            link_missing(&part.path(), &self.dir.join("blobs").join(part.file_name()))?;
        }
        Ok(())
    }

    /// Counts a blob that is referred to again.
    pub(crate) fn count(&self, blob: Blob) {
        if let Blob::Packed(pack, _) = blob {
            *self.packs().live.entry(pack).or_default() += 1;
        }
    }

    /// Whether writes wait for the disk.
    pub(crate) fn is_durable(&self) -> bool {
        self.syncs.is_durable()
    }

    /// From now on writes wait for the disk, or do not.
    pub(crate) fn set_durable(&self, durable: bool) {
        self.syncs.set_durable(durable);
    }

    /// Whether an earlier write failed: then the index in memory is ahead of the disk, and nothing more is accepted.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// A place in a pack for `len` bytes, to be written by the commit that names it.
    pub(crate) fn allocate(&self, len: u64) -> Blob {
        let mut packs = self.packs();
        if packs.end > 0 && packs.end + len > PACK {
            packs.current += 1;
            packs.end = 0;
        }
        let (pack, at) = (packs.current, packs.end);
        packs.end += len;
        *packs.live.entry(pack).or_default() += 1;
        Blob::Packed(pack, at)
    }

    /// A file for a large body, not yet under its final name.
    pub(crate) fn incoming(&self) -> io::Result<(File, Incoming)> {
        let id = self.next_file.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join("incoming").join(format!("{id:016x}"));
        Ok((
            File::create_new(&path)?,
            Incoming { id, loose: Loose { path: Some(path), blob: Blob::File(id) } },
        ))
    }

    /// Makes a written file durable and gives it its final name.
    pub(crate) fn settle(&self, file: &File, incoming: Incoming) -> io::Result<Loose> {
        let target = self.path(incoming.id);
        let folder = target.parent().unwrap_or(&self.dir);
        self.syncs.folder(folder)?;
        self.syncs.bytes(file, "body")?;
        let mut loose = incoming.loose;
        if let Some(path) = &loose.path {
            std::fs::rename(path, &target)?;
        }
        self.syncs.names(folder)?;
        loose.path = Some(target);
        Ok(loose)
    }

    /// An open file in which `segment` begins at the given offset.
    pub(crate) fn source(&self, segment: &Segment) -> io::Result<(Arc<File>, u64)> {
        match segment.blob {
            Blob::File(id) => Ok((Arc::new(File::open(self.path(id))?), segment.offset)),
            Blob::Packed(pack, at) => Ok((self.pack(pack, false)?, at + segment.offset)),
        }
    }

    /// The open pack; only who writes makes it: one that is gone must not come back empty.
    fn pack(&self, number: u32, writes: bool) -> io::Result<Arc<File>> {
        if let Some(file) = self.packs().files.get(&number) {
            return Ok(Arc::clone(file));
        }
        let path = self.dir.join("packs").join(number.to_string());
        let file = File::options().create(writes).truncate(false).read(true).write(true).open(path)?;
        if writes {
            self.syncs.names(&self.dir.join("packs"))?;
        }
        Ok(Arc::clone(self.packs().files.entry(number).or_insert_with(|| Arc::new(file))))
    }

    /// Waits until what was placed so far is on disk: the index names small bodies a moment before they are there.
    pub(crate) fn settled(&self) -> oneshot::Receiver<bool> {
        self.commit(Vec::new(), Vec::new(), Vec::new())
    }

    fn path(&self, id: u64) -> PathBuf {
        self.dir.join("blobs").join(format!("{:02x}", id & 0xff)).join(format!("{id:016x}"))
    }

    fn packs(&self) -> MutexGuard<'_, Packs> {
        self.packs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a batch of commits: bytes, then lines, then deletions.
    fn write(&self, log: &mut File, batch: &[Commit]) -> io::Result<()> {
        let mut touched: HashMap<u32, Arc<File>> = HashMap::new();
        for (blob, bytes) in batch.iter().flat_map(|commit| &commit.packed) {
            let Blob::Packed(pack, at) = *blob else { continue };
            let file = match touched.get(&pack) {
                Some(file) => Arc::clone(file),
                None => self.pack(pack, true)?,
            };
            file.write_all_at(bytes, at)?;
            touched.insert(pack, file);
        }
        touched.values().try_for_each(|file| self.syncs.bytes(file, "pack"))?;
        match batch {
            [only] => log.write_all(&only.lines)?,
            _ => log.write_all(
                &batch.iter().map(|commit| commit.lines.as_slice()).collect::<Vec<_>>().concat(),
            )?,
        }
        self.syncs.bytes(log, "log")?;
        for commit in batch {
            self.free_all(&commit.freed);
        }
        Ok(())
    }

    /// Removes what nothing refers to any more. Blocking.
    pub(crate) fn free_all(&self, blobs: &[Blob]) {
        for blob in blobs {
            self.free(*blob);
        }
    }

    fn free(&self, blob: Blob) {
        match blob {
            Blob::File(id) => remove(&self.path(id)),
            Blob::Packed(pack, _) => {
                let mut packs = self.packs();
                let Some(live) = packs.live.get_mut(&pack) else { return };
                *live -= 1;
                if *live > 0 {
                    return;
                }
                packs.live.remove(&pack);
                packs.files.remove(&pack);
                if packs.current == pack {
                    packs.current += 1;
                    packs.end = 0;
                }
                remove(&self.dir.join("packs").join(pack.to_string()));
            }
        }
    }

    /// Removes files that the index does not name, and begins a new pack after the last one.
    fn sweep(&self, state: &State) -> io::Result<()> {
        let (mut files, mut packs) = (HashSet::new(), Packs::default());
        for blob in state.blobs() {
            match blob {
                Blob::File(id) => drop(files.insert(id)),
                Blob::Packed(pack, _) => *packs.live.entry(pack).or_default() += 1,
            }
        }
        packs.current = packs.live.keys().max().map_or(0, |last| last + 1);
        self.next_file.store(files.iter().max().map_or(1, |last| last + 1), Ordering::Relaxed);
        remove_all_but(&self.dir.join("incoming"), |_| false)?;
        remove_all_but(&self.dir.join("packs"), |name| {
            name.parse().is_ok_and(|pack| packs.live.contains_key(&pack))
        })?;
        for folder in std::fs::read_dir(self.dir.join("blobs"))? {
            remove_all_but(&folder?.path(), |name| {
                u64::from_str_radix(name, 16).is_ok_and(|id| files.contains(&id))
            })?;
        }
        *self.packs() = packs;
        Ok(())
    }
}

/// A file that is being written; see [`Disk::incoming`].
#[derive(Debug)]
pub(crate) struct Incoming {
    id: u64,
    loose: Loose,
}

async fn commit_loop(disk: std::sync::Weak<Disk>, mut receiver: mpsc::UnboundedReceiver<Commit>, log: File) {
    let mut log = Some(log);
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, 4_096).await > 0 {
        let (Some(disk), Some(mut file)) = (disk.upgrade(), log.take()) else { return };
        let commits = std::mem::take(&mut batch);
        let written = tokio::task::spawn_blocking(move || {
            let outcome =
                if disk.has_failed() { Ok(false) } else { disk.write(&mut file, &commits).map(|()| true) };
            let well = outcome.unwrap_or_else(|error| {
                tracing::error!(%error, "store cannot write, it refuses every change from now on");
                disk.failed.store(true, Ordering::Release);
                false
            });
            for commit in commits {
                if commit.done.send(well).is_err() {
                    tracing::debug!("a change was made for a client that has gone");
                }
            }
            file
        });
        let Ok(file) = written.await else { return };
        log = Some(file);
    }
}

fn remove_all_but(folder: &Path, keep: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(&keep) {
            remove(&entry.path());
        }
    }
    Ok(())
}

/// Links every file of `from` into `to` that is not there.
fn link_missing(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if !target.exists() && std::fs::hard_link(entry.path(), &target).is_err() {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "cannot remove a file of the store");
    }
}
