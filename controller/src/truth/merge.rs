//! Two sorted streams of keys, merged as they pass.

use std::cmp::Ordering;

use futures::{Stream, StreamExt as _};
use serde_json::json;
use tokio::sync::mpsc;

use super::TruthError;
use crate::archive::ArchiveError;
use crate::archive::manifest::Line;
use crate::store::TruthRow;

/// So many of each kind are named.
const NAMED: usize = 20;

/// What a comparison found: exact counts, and the first few of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Rows that name an object.
    pub keys: u64,
    /// Those whose object is missing.
    pub dangling: u64,
    /// Objects below the prefixes.
    pub objects: u64,
    /// Those that no row names.
    pub orphans: u64,
    /// The first missing keys.
    pub dangling_keys: Vec<String>,
    /// The first keys that no row names.
    pub orphan_keys: Vec<String>,
}

impl std::fmt::Display for Truth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { keys, dangling, objects, orphans, .. } = self;
        write!(
            f,
            "{dangling} of {keys} rows name an object that is missing, {orphans} of {objects} objects are named by no row"
        )
    }
}

/// A row or an object that has no counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd<'a> {
    /// So many rows name an object that is missing.
    Dangling {
        /// Its key.
        key: &'a str,
        /// The rows.
        rows: i64,
    },
    /// No row names this object.
    Orphan {
        /// Its key.
        key: &'a str,
    },
}

/// What hears of each as it passes: there may be more of them than fit into memory.
pub type Told<'a> = &'a mut (dyn FnMut(Odd<'_>) -> std::io::Result<()> + Send);

impl Truth {
    /// As it is stored.
    pub fn row(&self, backup: &str, run: &str) -> TruthRow {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        TruthRow {
            backup: backup.to_owned(),
            run: run.to_owned(),
            keys: whole(self.keys),
            dangling: whole(self.dangling),
            objects: whole(self.objects),
            orphans: whole(self.orphans),
            samples: json!({ "dangling": self.dangling_keys, "orphans": self.orphan_keys }),
        }
    }

    fn missing(&mut self, key: String, rows: i64) {
        self.dangling += rows.unsigned_abs();
        if self.dangling_keys.len() < NAMED {
            self.dangling_keys.push(key);
        }
    }

    fn unnamed(&mut self, key: String) {
        self.orphans += 1;
        if self.orphan_keys.len() < NAMED {
            self.orphan_keys.push(key);
        }
    }
}

/// Merges keys with the number of their rows, and the lines of a manifest; both sorted by bytes, each key once.
pub(super) async fn merge(
    mut rows: impl Stream<Item = Result<(String, i64), TruthError>> + Unpin,
    lines: mpsc::Receiver<Result<Vec<Line>, ArchiveError>>,
    prefixes: Vec<String>,
    told: Told<'_>,
) -> Result<Truth, TruthError> {
    let mut objects = Objects { lines, batch: Vec::new().into_iter(), prefixes };
    let mut truth = Truth::default();
    let (mut row, mut object) = (next(&mut rows, &mut truth).await?, objects.next(&mut truth).await?);
    loop {
        let order = match (&row, &object) {
            (None, None) => return Ok(truth),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((key, _)), Some(object)) => key.as_bytes().cmp(object.as_bytes()),
        };
        if order.is_lt()
            && let Some((key, rows)) = row.take()
        {
            told(Odd::Dangling { key: &key, rows }).map_err(TruthError::Told)?;
            truth.missing(key, rows);
        }
        if order.is_gt()
            && let Some(key) = object.take()
        {
            told(Odd::Orphan { key: &key }).map_err(TruthError::Told)?;
            truth.unnamed(key);
        }
        if order.is_le() {
            row = next(&mut rows, &mut truth).await?;
        }
        if order.is_ge() {
            object = objects.next(&mut truth).await?;
        }
    }
}

async fn next(
    rows: &mut (impl Stream<Item = Result<(String, i64), TruthError>> + Unpin),
    truth: &mut Truth,
) -> Result<Option<(String, i64)>, TruthError> {
    let row = rows.next().await.transpose()?;
    truth.keys += row.as_ref().map_or(0, |(_, rows)| rows.unsigned_abs());
    Ok(row)
}

/// The objects of a manifest below the prefixes, one by one.
struct Objects {
    lines: mpsc::Receiver<Result<Vec<Line>, ArchiveError>>,
    batch: std::vec::IntoIter<Line>,
    prefixes: Vec<String>,
}

impl Objects {
    async fn next(&mut self, truth: &mut Truth) -> Result<Option<String>, TruthError> {
        loop {
            for line in self.batch.by_ref() {
                let key = line.entry.key;
                if self.prefixes.iter().any(|prefix| key.starts_with(prefix)) {
                    truth.objects += 1;
                    return Ok(Some(key));
                }
            }
            match self.lines.recv().await {
                Some(batch) => self.batch = batch?.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests;
