//! The world's folder: only an empty one or a former sandbox's is taken, and only what is ours is removed.

use std::path::Path;

use super::{SandboxError, part};

/// Proof that a folder is a sandbox's.
const MARKER: &str = ".reprise-sandbox";

/// Takes `dir`, clearing what a former sandbox left there.
pub(super) fn claim(dir: &Path) -> Result<(), SandboxError> {
    std::fs::create_dir_all(dir).map_err(part("the folder"))?;
    let empty = std::fs::read_dir(dir).map_err(part("the folder"))?.next().is_none();
    if !empty && !dir.join(MARKER).exists() {
        return Err(SandboxError::Occupied(dir.to_owned()));
    }
    clear(dir);
    std::fs::write(
        dir.join(MARKER),
        "made by reprise-sandbox; its content is removed when the sandbox stops\n",
    )
    .map_err(part("the folder"))
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
