//! Bucket names are unique in the whole world, across endpoints: each is a small file that says whose it is.

use std::io::{self, Write};
use std::path::PathBuf;

use super::store::Store;

fn folder(store: &Store) -> io::Result<PathBuf> {
    store.world.folder("bucket-names")
}

/// Takes `bucket` for this endpoint; `false` if another one has it.
pub(crate) fn take(store: &Store, bucket: &str) -> io::Result<bool> {
    let path = folder(store)?.join(bucket);
    match std::fs::File::create_new(&path) {
        Ok(mut file) => file.write_all(store.name.as_bytes()).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(std::fs::read(&path)? == store.name.as_bytes())
        }
        Err(error) => Err(error),
    }
}

/// Gives a name back.
pub(crate) fn release(store: &Store, bucket: &str) -> io::Result<()> {
    match std::fs::remove_file(folder(store)?.join(bucket)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// At start: takes the names of the buckets that are there, and gives back those of buckets that were never made.
pub(crate) fn reclaim(store: &Store) -> io::Result<()> {
    let names: Vec<String> = store.read(|state| state.buckets.keys().cloned().collect());
    for entry in std::fs::read_dir(folder(store)?)? {
        let path = entry?.path();
        let is_known = path.file_name().is_some_and(|name| names.iter().any(|known| name == known.as_str()));
        if !is_known && std::fs::read(&path)? == store.name.as_bytes() {
            std::fs::remove_file(&path)?;
        }
    }
    names.iter().try_for_each(|name| take(store, name).map(drop))
}
