//! Private folders for what is at work on its way into the archive or out of it: a database's dump in clear among it, and manifests,
//! which name people's documents.
//!
//! A folder goes with its value. What a process that was killed left is swept at the next start. Whoever has a folder shares a lock on
//! its plan's place, which ends with the process whatever ends it; who sweeps must have that lock alone.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{ArchiveError, Result};
use super::take::create_private;

/// The file that is locked.
const LOCK: &str = "work.lock";

/// What such a folder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What is archived beside the bucket.
    Capture,
    /// Rows against objects.
    Truth,
    /// A verification.
    Verify,
    /// A restore.
    Restore,
    /// A prune.
    Prune,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::Capture, Self::Truth, Self::Verify, Self::Restore, Self::Prune];

    /// What the names of its folders begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Capture => "capture-",
            Self::Truth => "truth-",
            Self::Verify => "verify-",
            Self::Restore => "restore-",
            Self::Prune => "prune-",
        }
    }
}

/// A private folder.
#[derive(Debug)]
pub struct Folder {
    // Dropped in this order: what is not locked any more is gone.
    dir: tempfile::TempDir,
    _lock: File,
}

impl Folder {
    /// A new one below `root`, which is the plan's.
    pub fn below(root: &Path, purpose: Purpose) -> Result<Self> {
        let failed = ArchiveError::file("making a folder");
        create_private(root)?;
        let lock = lock(root).map_err(&failed)?;
        // A sweep, which is short, may have it.
        lock.lock_shared().map_err(&failed)?;
        let dir = tempfile::Builder::new().prefix(purpose.prefix()).tempdir_in(root).map_err(&failed)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn lock(root: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(root.join(LOCK))
}

/// Deletes what killed predecessors left below `work`, which has a folder for each plan. A plan of which another process has something at
/// work is left alone, until the next start. What cannot be deleted keeps nothing else: the first such error is the answer.
pub fn sweep(work: &Path) -> io::Result<()> {
    let plans = entries(work)?.into_iter().filter(|path| path.is_dir());
    plans.map(|plan| sweep_plan(&plan)).fold(Ok(()), Result::and)
}

fn sweep_plan(plan: &Path) -> io::Result<()> {
    let left: Vec<_> = entries(plan)?.into_iter().filter(|path| path.is_dir() && is_left(path)).collect();
    if left.is_empty() {
        return Ok(());
    }
    let lock = lock(plan)?;
    match lock.try_lock() {
        Ok(()) => left.iter().map(std::fs::remove_dir_all).fold(Ok(()), Result::and),
        Err(TryLockError::WouldBlock) => {
            tracing::info!(plan = %plan.display(), "something is at work, and stays");
            Ok(())
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_left(path: &Path) -> bool {
    let name = path.file_name().map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default();
    Purpose::ALL.iter().any(|purpose| name.starts_with(purpose.prefix().as_bytes()))
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_a_living_one_has_is_not() {
        let work = tempfile::tempdir().unwrap();
        sweep(&work.path().join("absent")).unwrap();
        let plan = work.path().join("shop");
        let left = Purpose::ALL.map(|purpose| plan.join(format!("{}left", purpose.prefix())));
        for left in &left {
            std::fs::create_dir_all(left).unwrap();
            std::fs::write(left.join("dump"), "rows of people").unwrap();
        }
        std::fs::create_dir_all(plan.join("20261101T010000Z-a")).unwrap();

        let living = Folder::below(&plan, Purpose::Capture).unwrap();
        let beside = Folder::below(&plan, Purpose::Truth).unwrap();
        sweep(work.path()).unwrap();
        assert!(living.path().is_dir() && beside.path().is_dir());
        drop(living);
        sweep(work.path()).unwrap();
        assert!(beside.path().is_dir() && left.iter().all(|left| left.is_dir()), "one of two still lives");
        drop(beside);
        sweep(work.path()).unwrap();
        assert!(!left.iter().any(|left| left.exists()));
        assert!(plan.join("20261101T010000Z-a").is_dir(), "what an unfinished run noted is no leftover");
    }

    #[test]
    fn a_plan_whose_leftovers_cannot_be_deleted_keeps_those_of_no_other() {
        let work = tempfile::tempdir().unwrap();
        for plan in ["a", "b", "c"] {
            std::fs::create_dir_all(work.path().join(plan).join("verify-left")).unwrap();
        }
        // No file that could be locked.
        std::fs::create_dir(work.path().join("b").join(LOCK)).unwrap();
        assert!(sweep(work.path()).is_err());
        let is_there = |plan: &str| work.path().join(plan).join("verify-left").exists();
        assert_eq!(["a", "b", "c"].map(is_there), [false, true, false]);
    }
}
