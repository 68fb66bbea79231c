//! What killed predecessors left on this disk is deleted at the start: dumps and names of documents are personal data.
//!
//! What cannot be deleted is told, loudly, and keeps nothing from starting: a daemon that stays down for the sake of a folder brings
//! nothing back.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::store::StoreError;

/// Deletes all of it that nobody uses.
pub(super) async fn leftovers(tools: &Tools) {
    if let Err(error) = downloads(tools).await {
        told(&tools.work_dir, &error);
    }
    if let Err(error) = crate::proof::sweep(&tools.proof_work).await {
        told(&tools.proof_work, &error);
    }
    if let Err(error) = crate::archive::folder::sweep(&tools.archive_work) {
        told(&tools.archive_work, &error);
    }
}

/// Of databases on servers that plans name: those may be slow, and nobody waits for them.
pub(super) async fn elsewhere(tools: Arc<Tools>, stop: CancellationToken) {
    let swept = stop.run_until_cancelled(Box::pin(crate::proof::sweep_named(&tools))).await;
    if let Some(Err(error)) = swept {
        tracing::error!(error = %Chain(&error), "cannot look for what an earlier process left on other servers");
    }
}

fn told(folder: &Path, error: &(dyn std::error::Error + 'static)) {
    tracing::error!(
        folder = %folder.display(),
        error = %Chain(error),
        "what an earlier process left cannot be deleted, and may be personal data: look there, and delete it by hand"
    );
}

/// Of requests that have ended.
async fn downloads(tools: &Tools) -> Result<(), StoreError> {
    let open = tools.store.open_requests().await?;
    for_each(&tools.work_dir, |path| {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| open.iter().any(|open| open == name)) {
            return Ok(());
        }
        std::fs::remove_dir_all(path)
    });
    Ok(())
}

/// Does it for all entries of a folder, whatever becomes of one.
fn for_each(folder: &Path, mut each: impl FnMut(&Path) -> io::Result<()>) {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return told(folder, &error),
        Ok(entries) => entries,
    };
    for entry in entries {
        let path = entry.map(|entry| entry.path());
        match path.and_then(|path| each(&path).map_err(|error| named(&path, &error))) {
            Ok(()) => {}
            Err(error) => told(folder, &error),
        }
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_deleted_keeps_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        // No folder: somebody's, or the file system's own.
        std::fs::write(folder.path().join("0"), "").unwrap();
        for_each(folder.path(), |path| std::fs::remove_dir_all(path));
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().flatten().map(|one| one.file_name()).collect();
        assert_eq!(left, ["0"]);
        for_each(&folder.path().join("absent"), |_| unreachable!());
    }
}
