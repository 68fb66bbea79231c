//! Uploads at the target that a restore which was killed left behind: they are billed, and nobody sees them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::RestoreOrder;

/// So many are known at most: a restore leaves as many as it has at once.
const KNOWN: usize = 10_000;

/// Unfinished uploads that were there when the restore began, by their keys.
#[derive(Debug, Default)]
pub(super) struct Dead(Mutex<HashMap<String, Vec<String>>>);

impl Dead {
    /// Looks for them. What the key pair may not list stays, as it did before.
    pub(super) async fn find(&self, order: &RestoreOrder) {
        let listed = order.to.s3.uploads(&order.to.bucket, &order.start()).await;
        let listed = listed.inspect_err(|error| tracing::debug!(%error, "unfinished uploads are not listed"));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for upload in listed.unwrap_or_default().into_iter().take(KNOWN) {
            known.entry(upload.key).or_default().push(upload.id);
        }
    }

    /// Ends those of an object that is about to be written in parts. Of other keys they may be somebody's.
    pub(super) async fn end(&self, key: &str, order: &RestoreOrder) {
        let ids = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default();
        for id in ids {
            if let Err(error) = order.to.s3.abort_parts(&order.to.bucket, key, &id).await {
                tracing::warn!(key, %error, "an unfinished upload stays");
            }
        }
    }
}
