//! Who is reading which bytes: what an object in motion holds stays on disk when the object is replaced or deleted meanwhile.
//!
//! A blob that the index lets go of while it is held becomes an orphan, which goes with its last reader. The log knows nothing
//! of it: after a crash the index does not name the blob, and the sweep at the start removes it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::Disk;
use super::model::{Blob, Segment};

#[derive(Debug, Default)]
struct Hold {
    readers: u32,
    /// Whether the index has let go of the blob.
    orphan: bool,
}

/// What is held. Locked only for a moment, and after the lock on the index where both are needed.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<HashMap<Blob, Hold>>);

impl Holds {
    /// Whether the index may free the blob now; if not, its last reader does.
    pub(crate) fn lets_go(&self, blob: Blob) -> bool {
        self.lock().get_mut(&blob).map(|hold| hold.orphan = true).is_none()
    }

    /// The index names the blob (again).
    pub(crate) fn adopt(&self, blob: Blob) {
        if let Some(hold) = self.lock().get_mut(&blob) {
            hold.orphan = false;
        }
    }

    /// Whether the blob is only there for its readers.
    pub(crate) fn is_orphan(&self, blob: Blob) -> bool {
        self.lock().get(&blob).is_some_and(|hold| hold.orphan)
    }

    /// All orphans, which are no longer the readers' to free.
    pub(crate) fn disown(&self) -> Vec<Blob> {
        let mut holds = self.lock();
        let orphans = holds.iter_mut().filter(|(_, hold)| hold.orphan);
        orphans.map(|(blob, hold)| (*blob, hold.orphan = false).0).collect()
    }

    fn take(&self, blobs: impl Iterator<Item = Blob>) {
        let mut holds = self.lock();
        blobs.for_each(|blob| holds.entry(blob).or_default().readers += 1);
    }

    /// One reader less of each; gives the orphans that nobody reads any more.
    fn drop_all(&self, blobs: &[Blob]) -> Vec<Blob> {
        let mut holds = self.lock();
        let mut freed = Vec::new();
        for blob in blobs {
            let Some(hold) = holds.get_mut(blob) else { continue };
            hold.readers -= 1;
            if hold.readers == 0 {
                freed.extend(hold.orphan.then_some(*blob));
                holds.remove(blob);
            }
        }
        freed
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Blob, Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps bytes on disk until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    holds: Arc<Holds>,
    disk: Arc<Disk>,
    blobs: Vec<Blob>,
}

impl Held {
    /// Holds what `segments` name. Call under the lock on the index, which must name them.
    pub(crate) fn new(holds: &Arc<Holds>, disk: &Arc<Disk>, segments: &[Segment]) -> Self {
        let blobs: Vec<Blob> = segments.iter().map(|segment| segment.blob).collect();
        holds.take(blobs.iter().copied());
        Self { holds: Arc::clone(holds), disk: Arc::clone(disk), blobs }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let freed = self.holds.drop_all(&self.blobs);
        if !freed.is_empty() {
            // Nobody waits for it.
            drop(self.disk.commit(Vec::new(), Vec::new(), freed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: Blob = Blob::File(1);

    #[test]
    fn an_orphan_goes_with_its_last_reader() {
        let holds = Holds::default();
        assert!(holds.lets_go(BLOB), "nobody reads it");
        holds.take([BLOB, BLOB].into_iter());
        assert!(!holds.lets_go(BLOB) && holds.is_orphan(BLOB));
        assert_eq!(holds.drop_all(&[BLOB]), []);
        assert_eq!(holds.drop_all(&[BLOB]), [BLOB]);
        assert!(holds.lets_go(BLOB));
    }

    #[test]
    fn what_the_index_names_again_is_kept() {
        let holds = Holds::default();
        holds.take([BLOB].into_iter());
        assert!(!holds.lets_go(BLOB));
        holds.adopt(BLOB);
        assert_eq!(holds.drop_all(&[BLOB]), []);
    }

    #[test]
    fn what_was_disowned_is_freed_once() {
        let holds = Holds::default();
        holds.take([BLOB].into_iter());
        assert!(!holds.lets_go(BLOB));
        assert_eq!((holds.disown(), holds.drop_all(&[BLOB])), (vec![BLOB], vec![]));
    }
}
