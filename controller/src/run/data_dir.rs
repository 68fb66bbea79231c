//! The data folder of a daemon: one process at a time, as what lies there (downloads, code) is nobody else's.

use std::fs::{File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::RunError;

/// The file that is locked.
const LOCK: &str = "daemon.lock";

/// Holds the folder, made private if it is not there, until the process ends, whatever ends it.
pub(super) fn hold(folder: &Path) -> Result<File, RunError> {
    let failed = |source| RunError::File { path: folder.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK));
    let lock = lock.map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(RunError::Shared { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_daemons_never_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let held = hold(&data).unwrap();
        let told = hold(&data).unwrap_err().to_string();
        assert!(told.contains("another daemon uses") && told.contains("--data-dir"), "{told}");
        drop(held);
        hold(&data).unwrap();
    }
}
