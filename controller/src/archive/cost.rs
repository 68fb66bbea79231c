//! What a run or a restore costs: requests by side and class, as stores bill them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Archiver, Place};
use crate::providers::s3::S3;

/// Requests so far.
#[derive(Debug, Clone, Default)]
pub struct Cost(Arc<Mutex<BTreeMap<String, u64>>>);

impl Cost {
    /// The same archiver, whose requests are counted here.
    pub fn of(&self, archiver: &Archiver) -> Archiver {
        let mut counted = archiver.clone();
        counted.source.s3 = self.on(&archiver.source.s3, "source");
        counted.vault.s3 = self.on(&archiver.vault.s3, "archive");
        counted
    }

    fn on(&self, s3: &S3, side: &'static str) -> S3 {
        let counts = Arc::clone(&self.0);
        s3.also_told(move |call| {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(format!("{side}.{}", class(call))).or_default() += 1;
        })
    }

    /// Requests so far, and one more of `which`: whoever tells of them is put by it.
    pub fn counts_with_one_more(&self, which: &str) -> BTreeMap<String, u64> {
        let mut counts = self.counts();
        *counts.entry(which.to_owned()).or_default() += 1;
        counts
    }

    /// The same place, whose requests are counted here as those of the `target`.
    pub fn of_target(&self, place: &Place) -> Place {
        Place { s3: self.on(&place.s3, "target"), ..place.clone() }
    }

    /// Requests so far, by `side.class`.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a call is billed.
fn class(call: &str) -> &'static str {
    match call {
        "objects.list" | "versions.list" | "parts.uploads" => "list",
        "objects.copy" | "parts.copy" => "copy",
        "objects.put" | "objects.lock" | "objects.tag" | "objects.grant" | "parts.begin" | "parts.put"
        | "parts.complete" => "put",
        "objects.delete" | "parts.abort" => "delete",
        _ => "get",
    }
}
