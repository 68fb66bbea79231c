//! What a run has done so far, and what of it is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::pace::{Share, pace};
use crate::archive::acl::Acls;
use crate::archive::tags::Tags;
use crate::archive::walk::Changed;
use crate::store::Progress;

/// What a run has done so far.
#[derive(Debug, Default)]
pub struct Meter {
    /// Objects that the listing showed.
    pub listed: AtomicU64,
    /// Fires when all is listed, and decided of each object whether it is to be copied.
    pub decided: CancellationToken,
    /// Fires when everything is listed and copied.
    pub complete: CancellationToken,
    /// Objects that were copied, or found to be gone.
    pub copied: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Objects that have to be copied, as far as is known.
    pub due: AtomicU64,
    /// Their bytes.
    pub due_bytes: AtomicU64,
    /// Objects that were another one than the listing showed.
    pub replaced: AtomicU64,
    /// Objects that the listing showed as another one and whose content is the same.
    pub same: AtomicU64,
    /// Objects whose entity tag looks like an MD5, and is not that of the bytes that the source sends.
    pub odd: AtomicU64,
    /// The first of them.
    pub first_odd: OnceLock<String>,
    /// Nothing of what was to be copied was given, and why not.
    pub withheld: OnceLock<Withheld>,
    /// Objects that turned into noise.
    pub scrambled: AtomicU64,
    /// Objects whose tags or access control list alone are others.
    pub redressed: AtomicU64,
    /// The source's access control lists.
    pub acls: Arc<Acls>,
    /// The source's tags, as far as they are read again.
    pub tags: Arc<Tags>,
}

/// Why a source does not give an object.
#[derive(Debug, Clone)]
pub struct Withheld {
    /// In words.
    pub why: String,
    /// It denies it; else it breaks off.
    pub is_denied: bool,
}

impl Meter {
    /// What was due of an object, and does not come.
    pub(super) fn is_not_copied(&self, changed: &Changed) {
        self.due_bytes.fetch_sub(changed.listed.size, Ordering::Relaxed);
    }

    /// How far the run is after `elapsed`.
    pub(super) fn progress(&self, elapsed: Duration) -> Progress {
        let signed = |count: &AtomicU64| i64::try_from(count.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        let (listed, due, copied) = (signed(&self.listed), signed(&self.due), signed(&self.copied));
        let (bytes, due_bytes) = (signed(&self.bytes), signed(&self.due_bytes));
        let (objects, size) = (Share { done: copied, of: due }, Share { done: bytes, of: due_bytes });
        Progress {
            objects: (listed - due).max(0) + copied,
            of: listed,
            bytes,
            due_bytes,
            pace: pace(elapsed, objects, size, self.decided.is_cancelled()),
        }
    }
}

/// What the run's record says of lists and tags that the source did not show.
pub(super) fn unread(meter: &Meter) -> Vec<String> {
    let lists = meter.acls.why().map(|why| format!("access control lists: {why}"));
    let tags = meter.tags.why().map(|why| format!("tags: {why}"));
    let odd = meter.odd.load(Ordering::Relaxed);
    // The same twice is archived: it is all that the source has. Whether it is what once was put there, nobody can tell.
    let odd = meter.first_odd.get().map(|first| {
        format!(
            "entity tags: {odd} objects bear an MD5 that is not that of their bytes, `{first}` first: the source encrypts without saying so, or has changed them"
        )
    });
    lists.into_iter().chain(tags).chain(odd).collect()
}
