//! A plan's folder below `proof`, while no server of ours holds it: a lock says that it is in use, and ends with the process.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// The file that is locked.
const LOCK: &str = "work.lock";

/// Makes the folder (0700) and holds it.
pub(super) fn hold(folder: &Path) -> io::Result<File> {
    make(folder)?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    lock.lock()?;
    Ok(lock)
}

/// Makes the folder, for us alone.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Holds a folder that was held once, and by nobody now. [`io::ErrorKind::WouldBlock`] if somebody holds it.
pub(super) fn seize(folder: &Path) -> io::Result<Option<File>> {
    let lock = match File::options().write(true).open(folder.join(LOCK)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
