//! Folders as wholes: copied, or, where their files never change once written, linked. Blocking; call from a blocking task.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// How the files of a tree are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// Their bytes, so that either side may change afterwards.
    Copy,
    /// The very same files, as further names: for files that are replaced but never changed in place. Copied where the file
    /// system cannot link.
    Link,
}

/// Takes the folder `from` over to `to`, which must not be there. Sockets, pipes and what vanishes meanwhile are left out.
pub(crate) fn take_tree(from: &Path, to: &Path, how: Take) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, Permissions::from_mode(fs::metadata(from)?.mode() & 0o7777))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        match take(&entry.path(), &to.join(entry.file_name()), how) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            taken => taken?,
        }
    }
    Ok(())
}

fn take(from: &Path, to: &Path, how: Take) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_dir() {
        return take_tree(from, to, how);
    }
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if kind.is_socket() || kind.is_fifo() {
        return Ok(());
    }
    if how == Take::Link && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).map(drop)
}

/// Puts a copy of `from` in the place of the folder `to`; where `from` is not there, `to` will be empty.
pub(crate) fn replace_tree(from: &Path, to: &Path, how: Take) -> io::Result<()> {
    remove_tree(to)?;
    if from.exists() { take_tree(from, to, how) } else { fs::create_dir_all(to) }
}

/// Removes a folder; that there is none is fine.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The bytes below a folder.
pub(crate) fn size_of(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size_of(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// Runs blocking work on files aside.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_tree_is_its_own_and_a_linked_one_shares_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/c"), "1").unwrap();
        fs::set_permissions(at("a/b"), Permissions::from_mode(0o700)).unwrap();
        take_tree(&at("a"), &at("copy"), Take::Copy).unwrap();
        take_tree(&at("a"), &at("link"), Take::Link).unwrap();
        let inode = |name: &str| fs::metadata(at(name)).unwrap().ino();
        assert_eq!(inode("a/b/c"), inode("link/b/c"));
        assert_ne!(inode("a/b/c"), inode("copy/b/c"));
        assert_eq!(fs::metadata(at("copy/b")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(size_of(&at("copy")), 1);
        replace_tree(&at("missing"), &at("copy"), Take::Copy).unwrap();
        assert_eq!(fs::read_dir(at("copy")).unwrap().count(), 0);
    }
}
