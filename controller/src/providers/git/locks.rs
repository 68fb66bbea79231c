//! Locks of a repository of ours that a git left which was killed, or lost its power. Nobody takes them back, and each git after it
//! gives up over them.

use std::path::Path;
use std::time::Duration;

/// Whether git gave up over a lock of a repository here. Pure.
pub(super) fn is_told(complaint: &str) -> bool {
    complaint.contains(".lock': File exists")
}

/// Removes the locks in the repository at `dir` that are older than `age`. Whether there were any.
pub(super) fn freed(dir: &Path, age: Duration) -> bool {
    let mut freed = remove_in(dir, age);
    let mut folders = vec![dir.join("refs")];
    while let Some(folder) = folders.pop() {
        freed |= remove_in(&folder, age);
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    freed
}

fn remove_in(folder: &Path, age: Duration) -> bool {
    let mut removed = false;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let old = |entry: &std::fs::DirEntry| entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        if is_lock && old(&entry).is_some_and(|old| old >= age) && std::fs::remove_file(&path).is_ok() {
            tracing::warn!(lock = %path.display(), "a lock is removed that a killed git left");
            removed = true;
        }
    }
    removed
}
