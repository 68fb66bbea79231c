//! How much of the disk a proof may take: looked at before, and again and again while it runs. A daemon that fills the disk
//! takes its own store down with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// What must stay free in any case.
const RESERVE: u64 = 256 << 20;

/// What a proof may take.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// The folder that grows.
    pub folder: PathBuf,
    /// Bytes that it may have.
    pub most: u64,
}

impl Budget {
    /// Of the bytes that `free` says may be written, no more than the plan's limit.
    pub(super) fn new(folder: &Path, free: u64, limit: Option<u64>) -> Self {
        Self { folder: folder.to_owned(), most: limit.map_or(free, |limit| limit.min(free)) }
    }

    /// Resolves when the folder has outgrown the budget, or the disk is nearly full, with the reason.
    pub(super) async fn outgrown(&self) -> String {
        loop {
            tokio::time::sleep(LOOK).await;
            let folder = self.folder.clone();
            let looked = tokio::task::spawn_blocking(move || (size(&folder), free(&folder))).await;
            let (size, free) = looked.unwrap_or((0, None));
            if size > self.most {
                return format!("it needs more than the {} bytes of disk that there are for it", self.most);
            }
            if free.is_some_and(|free| free < RESERVE) {
                return "the disk is nearly full".to_owned();
            }
        }
    }
}

/// Bytes that the files below `folder` take. What vanishes meanwhile counts for nothing.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

fn free(folder: &Path) -> Option<u64> {
    let space = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(space.blocks_available() * space.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_grows_beyond_its_budget_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("below/file"), vec![1; 2000]).unwrap();
        let budget = Budget::new(folder.path(), 1 << 40, Some(1999));
        assert!(budget.outgrown().await.contains("1999 bytes"));
        let budget = Budget::new(folder.path(), 1 << 40, None);
        let waited = tokio::time::timeout(LOOK + Duration::from_secs(1), budget.outgrown()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
}
