//! The world's folder: only an empty one or a former sandbox's is taken, and only what is ours is removed.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{SandboxError, part};

/// Proof that a folder is a sandbox's.
const MARKER: &str = ".reprise-sandbox";

/// Where the control API of the world that is up is found.
const CONTROL: &str = "control-url";
const TEXT: &str = "made by reprise-sandbox; its content is removed when the sandbox stops\n";

/// Takes `dir`, clearing what a former sandbox left there. The folder is taken for as long as the file is open.
pub(super) fn claim(dir: &Path) -> Result<File, SandboxError> {
    std::fs::create_dir_all(dir).map_err(part("the folder"))?;
    let empty = std::fs::read_dir(dir).map_err(part("the folder"))?.next().is_none();
    if !empty && !dir.join(MARKER).exists() {
        return Err(SandboxError::Occupied(dir.to_owned()));
    }
    let lock = |file: File| match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SandboxError::Running(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(part("the folder")(error)),
    };
    let marker = dir.join(MARKER);
    // Held while the folder is cleared, so that no two starts clear each other's.
    let _former = File::open(&marker).ok().map(lock).transpose()?;
    clear(dir);
    std::fs::write(&marker, TEXT).map_err(part("the folder"))?;
    lock(File::open(&marker).map_err(part("the folder"))?)
}

/// Says where the control API is, to other commands on this machine.
pub(super) fn announce(dir: &Path, control: SocketAddr) -> std::io::Result<()> {
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(dir.join(CONTROL))?;
    std::io::Write::write_all(&mut file, format!("http://{control}\n").as_bytes())
}

/// Where the control API of the world in `dir` is. `None`: no world is up there.
pub(crate) fn control_of(dir: &Path) -> Option<String> {
    let marker = File::open(dir.join(MARKER)).ok()?;
    let is_up = matches!(marker.try_lock(), Err(TryLockError::WouldBlock));
    let url = std::fs::read_to_string(dir.join(CONTROL)).ok()?;
    is_up.then(|| url.trim().to_owned())
}

/// Empties a folder that carries the marker; the marker goes last, so that a clearing that was cut short can be repeated.
pub(super) fn clear(dir: &Path) {
    if !dir.join(MARKER).exists() {
        return;
    }
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name() != MARKER) {
        let path = entry.path();
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "something stays behind");
        }
    }
    if let Err(error) = std::fs::remove_file(dir.join(MARKER)) {
        tracing::warn!(%error, "the folder's marker stays behind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("precious"), "x").unwrap();
        assert!(matches!(claim(dir.path()), Err(SandboxError::Occupied(_))));
        clear(dir.path());
        assert!(dir.path().join("precious").exists());
    }

    #[test]
    fn a_folder_where_a_world_is_up_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let held = claim(dir.path()).unwrap();
        announce(dir.path(), ([127, 0, 0, 1], 7).into()).unwrap();
        assert!(matches!(claim(dir.path()), Err(SandboxError::Running(_))));
        assert_eq!(control_of(dir.path()).as_deref(), Some("http://127.0.0.1:7"));
        drop(held);
        assert_eq!(control_of(dir.path()), None);
    }

    #[test]
    fn a_former_sandboxs_folder_is_taken_over_empty() {
        let dir = tempfile::tempdir().unwrap();
        claim(dir.path()).unwrap();
        std::fs::write(dir.path().join("old"), "x").unwrap();
        claim(dir.path()).unwrap();
        assert!(!dir.path().join("old").exists());
        clear(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
