//! What is dear to make and the same each time, kept between the lives of worlds.
//!
//! An entry is a folder named by a digest over all that decides its content; it appears whole or not at all. Nothing depends
//! on it: what is missing, broken or cannot be written is made anew.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::files;

/// Proof that an entry is whole; its date is that of the last use.
const WHOLE: &str = "whole";
/// What a folder is called until it is an entry.
const DRAFT: &str = "draft-";
/// All entries together, in bytes.
const CAP: u64 = 2 << 30;
/// A draft of this age has no writer any more.
const ABANDONED: std::time::Duration = std::time::Duration::from_hours(1);

/// The folder of all entries; or none, and then nothing is ever there and nothing is kept.
#[derive(Debug, Clone)]
pub struct Cache(Option<PathBuf>);

/// A place in the cache.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    root: Option<PathBuf>,
    path: PathBuf,
}

/// An entry that is being written. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    entry: Entry,
}

impl Cache {
    /// Keeps nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Keeps entries in `folder`.
    pub fn at(folder: PathBuf) -> Self {
        Self(Some(folder))
    }

    /// The user's own: `$XDG_CACHE_HOME/reprise-sandbox`, else `~/.cache/reprise-sandbox`.
    pub fn of_user() -> Self {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        Self(base.map(|base| base.join("reprise-sandbox")))
    }

    pub(crate) fn entry(&self, identity: &str) -> Entry {
        let name = hex::encode(&Sha256::digest(identity.as_bytes())[..16]);
        let path = self.0.as_deref().unwrap_or_else(|| Path::new("")).join(name);
        Entry { root: self.0.clone(), path }
    }
}

impl Entry {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there and whole. Being asked counts as a use.
    pub(crate) fn is_there(&self) -> bool {
        let Some(mark) = self.root.as_ref().and_then(|_| File::open(self.path.join(WHOLE)).ok()) else {
            return false;
        };
        if let Err(error) = mark.set_modified(SystemTime::now()) {
            tracing::debug!(%error, "the use of an entry is not noted");
        }
        true
    }

    /// Removes it.
    pub(crate) fn forget(&self) {
        if self.root.is_some()
            && let Err(error) = files::remove_tree(&self.path)
        {
            tracing::warn!(%error, "an entry of the cache stays behind");
        }
    }

    /// An empty folder to fill. Private: it will hold a database.
    pub(crate) fn draft(&self) -> io::Result<Draft> {
        let root = self.root.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let private = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        private(root)?;
        sweep(root);
        let path = root.join(format!("{DRAFT}{}", uuid::Uuid::new_v4().simple()));
        private(&path)?;
        Ok(Draft { path, entry: self.clone() })
    }
}

impl Draft {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it the entry, and room for it.
    pub(crate) fn keep(self) -> io::Result<()> {
        File::create(self.path.join(WHOLE))?;
        // Somebody else may have been faster: theirs is as good.
        if !self.entry.is_there() {
            self.entry.forget();
            fs::rename(&self.path, &self.entry.path)?;
        }
        if let Some(root) = &self.entry.root {
            make_room(root, &self.entry.path, CAP);
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = files::remove_tree(&self.path) {
            tracing::warn!(%error, "a draft of the cache stays behind");
        }
    }
}

/// Removes drafts that nobody writes any more.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let old = entry.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
        if entry.file_name().to_string_lossy().starts_with(DRAFT) && old.is_some_and(|age| age > ABANDONED) {
            files::remove_tree(&entry.path()).ok();
        }
    }
}

/// Removes the entries that were not used for longest, until all fit; never `newest`.
fn make_room(root: &Path, newest: &Path, cap: u64) {
    let mut entries: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let used = fs::metadata(entry.path().join(WHOLE)).and_then(|mark| mark.modified()).ok()?;
            Some((used, files::size_of(&entry.path()), entry.path()))
        })
        .collect();
    entries.sort();
    let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in entries.iter().filter(|(_, _, path)| path != newest) {
        if total <= cap {
            return;
        }
        if files::remove_tree(path).is_ok() {
            total -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &Cache, identity: &str, bytes: usize) {
        let draft = cache.entry(identity).draft().unwrap();
        fs::write(draft.path().join("x"), vec![0; bytes]).unwrap();
        draft.keep().unwrap();
    }

    #[test]
    fn an_entry_is_there_only_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache"));
        drop(cache.entry("a").draft().unwrap());
        assert!(!cache.entry("a").is_there());
        put(&cache, "a", 1);
        assert!(cache.entry("a").is_there() && !cache.entry("b").is_there());
        assert_eq!(fs::read_dir(dir.path().join("cache")).unwrap().count(), 1, "a draft was left");
        assert!(!Cache::none().entry("a").is_there() && Cache::none().entry("a").draft().is_err());
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().to_owned());
        let old = SystemTime::now() - std::time::Duration::from_mins(1);
        for identity in ["a", "b", "c"] {
            put(&cache, identity, 100);
            File::open(cache.entry(identity).path().join(WHOLE)).unwrap().set_modified(old).unwrap();
        }
        assert!(cache.entry("a").is_there(), "used just now");
        make_room(dir.path(), cache.entry("c").path(), 200);
        let left = ["a", "b", "c"].map(|identity| cache.entry(identity).is_there());
        assert_eq!(left, [true, false, true]);
    }
}
