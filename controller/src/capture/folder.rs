//! Where what is captured lies on its way into the archive: a database's dump among it, in clear.
//!
//! A folder goes with its value. What a process that was killed left is swept at the next start. Whoever has a folder shares a lock on
//! its plan's place, which ends with the process whatever ends it; who sweeps must have that lock alone.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::CaptureError;
use crate::archive::take::create_private;

/// What the names of these folders begin with.
const PREFIX: &str = "capture-";
/// The file that is locked.
const LOCK: &str = "capture.lock";

/// A private folder.
#[derive(Debug)]
pub(super) struct Folder {
    // Dropped in this order: what is not locked any more is gone.
    dir: tempfile::TempDir,
    _lock: File,
}

impl Folder {
    /// A new one below `root`, which is the plan's.
    pub(super) fn below(root: &Path) -> Result<Self, CaptureError> {
        let failed = |source| CaptureError::File { doing: "making a folder", source };
        create_private(root)?;
        let lock = lock(root).map_err(failed)?;
        // A sweep, which is short, may have it.
        lock.lock_shared().map_err(failed)?;
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root).map_err(failed)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn lock(root: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(root.join(LOCK))
}

/// Deletes what killed predecessors left below `work`, which has a folder for each plan: dumps are personal data. A plan of which another
/// process captures something is left alone, until the next start.
pub fn sweep(work: &Path) -> io::Result<()> {
    for plan in entries(work)?.into_iter().filter(|path| path.is_dir()) {
        let is_left = |path: &Path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
        };
        let left: Vec<_> =
            entries(&plan)?.into_iter().filter(|path| path.is_dir() && is_left(path)).collect();
        if left.is_empty() {
            continue;
        }
        let lock = lock(&plan)?;
        match lock.try_lock() {
            Ok(()) => left.iter().try_for_each(std::fs::remove_dir_all)?,
            Err(TryLockError::WouldBlock) => {
                tracing::info!(plan = %plan.display(), "something is being captured, and stays");
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_a_living_one_captures_is_not() {
        let work = tempfile::tempdir().unwrap();
        sweep(&work.path().join("absent")).unwrap();
        let plan = work.path().join("shop");
        let left = plan.join("capture-left");
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("dump"), "rows of people").unwrap();
        std::fs::create_dir_all(plan.join("20261101T010000Z-a")).unwrap();

        let living = Folder::below(&plan).unwrap();
        let beside = Folder::below(&plan).unwrap();
        sweep(work.path()).unwrap();
        assert!(living.path().is_dir() && beside.path().is_dir());
        drop(living);
        sweep(work.path()).unwrap();
        assert!(beside.path().is_dir() && left.is_dir(), "one of two still lives");
        drop(beside);
        sweep(work.path()).unwrap();
        assert!(!left.exists());
        assert!(plan.join("20261101T010000Z-a").is_dir(), "what an unfinished run noted is no dump");
    }
}
