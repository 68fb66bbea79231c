//! The whole store, put aside and brought back while it serves.
//!
//! What is put aside is the index, and further names (hard links) for the files of bytes: a body never changes once it is
//! written, a pack only grows.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use super::super::log;
use super::super::model::Blob;
use super::super::state::Record;
use super::Store;
use crate::files::{self, Take};

const INDEX: &str = "index";
const BYTES: [&str; 2] = ["blobs", "packs"];

impl Store {
    /// Puts everything aside in `folder`. Blocking.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut index = BufWriter::new(std::fs::File::create(folder.join(INDEX))?);
        let mut line = Vec::new();
        // Under the lock, so that no file that the index names goes before it has its second name.
        self.read(|state| {
            for record in state.snapshot() {
                line.clear();
                log::encode(&record, &mut line)?;
                index.write_all(&line)?;
            }
            BYTES.iter().try_for_each(|name| {
                files::take_tree(&self.disk.dir().join(name), &folder.join(name), Take::Link)
            })
        })?;
        index.flush()
    }

    /// In place of everything, what was put aside in `folder`.
    pub(crate) async fn bring_back(&self, folder: &Path) -> io::Result<()> {
        let (from, disk) = (folder.to_owned(), std::sync::Arc::clone(&self.disk));
        let orphans = self.holds.disown();
        let records = files::aside(move || {
            let records = read(&from.join(INDEX))?;
            // What is there for its readers only would go after it was found there.
            disk.free_all(&orphans);
            disk.give_back(&from)?;
            Ok(records)
        })
        .await?;
        let changed = self.change(|draft| {
            let before: BTreeSet<Blob> = draft.state.blobs().collect();
            let names: Vec<String> = draft.state.buckets.keys().cloned().collect();
            names.into_iter().try_for_each(|name| draft.apply(Record::BucketGone(name)))?;
            records.into_iter().try_for_each(|record| draft.apply(record))?;
            let after: BTreeSet<Blob> = draft.state.blobs().collect();
            // Only what neither needs any more goes; what only the new one needs is counted again.
            let holds = std::sync::Arc::clone(&self.holds);
            draft.freed =
                before.difference(&after).filter(|blob| !holds.is_orphan(**blob)).copied().collect();
            after.difference(&before).for_each(|blob| draft.disk.count(*blob));
            Ok(())
        });
        changed.await.map_err(|error| io::Error::other(error.to_string()))
    }
}

fn read(index: &Path) -> io::Result<Vec<Record>> {
    let mut reader = BufReader::new(std::fs::File::open(index)?);
    let (mut records, mut line) = (Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the saved index is damaged");
        records.push(log::decode(&line).ok_or_else(damaged)?);
        line.clear();
    }
    Ok(records)
}
