//! Where the disk is asked to keep bytes and names: an answered write is there after a loss of power. A file's bytes are kept by the
//! file, its name by its folder, and a folder's name by the folder above.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Asks the disk, unless nobody waits for it.
#[derive(Debug)]
pub(crate) struct Syncs {
    durable: AtomicBool,
    /// Folders whose names are kept.
    named: Mutex<HashSet<PathBuf>>,
    /// What was asked for, in order: no test can cut the power.
    #[cfg(test)]
    asked: Mutex<Vec<String>>,
}

impl Syncs {
    pub(crate) fn new(durable: bool) -> Self {
        Self {
            durable: AtomicBool::new(durable),
            named: Mutex::default(),
            #[cfg(test)]
            asked: Mutex::default(),
        }
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Relaxed)
    }

    pub(crate) fn set_durable(&self, durable: bool) {
        self.durable.store(durable, Ordering::Relaxed);
    }

    /// Keeps the bytes of `file`, which is a `what`.
    pub(crate) fn bytes(&self, file: &File, what: &str) -> io::Result<()> {
        if !self.is_durable() {
            return Ok(());
        }
        file.sync_data()?;
        self.note(what);
        Ok(())
    }

    /// Keeps the names in `folder`.
    pub(crate) fn names(&self, folder: &Path) -> io::Result<()> {
        if !self.is_durable() {
            return Ok(());
        }
        File::open(folder)?.sync_all()?;
        self.note(&folder.file_name().unwrap_or_default().to_string_lossy());
        Ok(())
    }

    /// Makes `folder` where it is not there, and keeps its name in the one above.
    pub(crate) fn folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let named = || self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_durable() || named().contains(folder) {
            return Ok(());
        }
        // Only then: who comes meanwhile must not believe that it is kept.
        folder.parent().map_or(Ok(()), |above| self.names(above))?;
        named().insert(folder.to_owned());
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests look at it")]
    fn note(&self, _: &str) {}

    #[cfg(test)]
    fn note(&self, what: &str) {
        self.asked.lock().unwrap().push(what.to_owned());
    }

    /// What was asked for since the last look.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}
