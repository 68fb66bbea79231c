//! What a list does not show may be there all the same: a list may be late. Before it is called lost it is asked for by its name.

use futures::TryFutureExt as _;

use super::{READS, again};
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};

/// So many are asked for, and as long as half of those are there. They speak for all others: a bucket that was emptied is not looked at
/// content by content.
const LOOKS: u64 = 1_000;

impl Archiver {
    /// Of what a list did not show, by name and key, that which is not there.
    pub(in crate::archive) async fn not_there<N>(&self, unlisted: Vec<(N, String)>) -> Result<Vec<N>> {
        let (vault, inside) = (&self.vault, ArchiveError::inside("looking for what a list does not show"));
        let (mut gone, mut asked, mut late) = (Vec::new(), 0_u64, 0_u64);
        for (name, key) in unlisted {
            let is_asked = asked < LOOKS || late * 2 > asked;
            asked += u64::from(is_asked);
            let look = || vault.s3.head(&vault.bucket, &key).map_err(&inside);
            if is_asked && again(READS, look).await?.is_some() {
                late += 1;
            } else {
                gone.push(name);
            }
        }
        if late > 0 {
            tracing::warn!(plan = self.plan, late, "the archive's list does not show all that is there");
        }
        Ok(gone)
    }
}
