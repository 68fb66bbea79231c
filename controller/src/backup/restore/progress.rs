//! How far a restore is: entries finished, and the rows and bytes of the tables among them.

use std::collections::{HashMap, HashSet};

use super::Selection;
use crate::backup::contents::Counts;
use crate::backup::toc::Toc;

/// How far a restore is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries finished.
    pub entries_done: u64,
    /// Entries in all.
    pub entries_total: u64,
    /// Rows in tables that were finished.
    pub rows_done: u64,
    /// Rows in all.
    pub rows_total: u64,
    /// Bytes of these rows as text.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

/// Adds up what `pg_restore` tells.
#[derive(Debug)]
pub(super) struct Tracker {
    progress: Progress,
    open: HashSet<u32>,
    data: HashMap<u32, (u64, u64)>,
}

impl Tracker {
    pub(super) fn new(toc: &Toc, counts: &Counts, selection: &Selection) -> Self {
        let open: HashSet<u32> = selection.restored().iter().copied().collect();
        let data: HashMap<u32, (u64, u64)> = (toc.of_kind("TABLE DATA"))
            .filter(|entry| open.contains(&entry.id))
            .filter_map(|entry| {
                let count = counts.table(entry.schema.as_deref()?, &entry.name)?;
                Some((entry.id, (count.rows, count.bytes)))
            })
            .collect();
        let progress = Progress {
            entries_total: open.len() as u64,
            rows_total: data.values().map(|(rows, _)| rows).sum(),
            bytes_total: data.values().map(|(_, bytes)| bytes).sum(),
            ..Progress::default()
        };
        Self { progress, open, data }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// Notes that an entry is finished; told twice, it counts once.
    pub(super) fn finish(&mut self, id: u32) {
        if self.open.remove(&id) {
            self.progress.entries_done += 1;
            if let Some((rows, bytes)) = self.data.get(&id) {
                self.progress.rows_done += rows;
                self.progress.bytes_done += bytes;
            }
        }
    }
}
