//! Whether a source gives anything, where it gave nothing of what is new.

use std::io::BufRead as _;
use std::path::Path;

use futures::TryStreamExt as _;

use super::{Brief, Withheld, parse};
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::vault::PART;
use crate::providers::s3::Want;

impl Archiver {
    /// Where nothing was given of what is new, one of the objects that were archived before is read: if that does not come either, a right was
    /// taken away, or the way there breaks whatever passes, and it is no matter of single objects.
    pub(super) async fn is_open(&self, spool: &Path, withheld: &Withheld) -> Result<()> {
        let read = ArchiveError::file("reading the spooled listing");
        let file = std::fs::File::open(spool).map_err(&read)?;
        let mut kept = std::io::BufReader::new(file).lines().map_while(std::result::Result::ok);
        if let Some(line) = kept.find(|line| line.starts_with('=')) {
            let Brief { key, size } = parse(line.trim_start_matches('='))?;
            if self.is_given(&key, size).await {
                return Ok(());
            }
        }
        Err(ArchiveError::Refused {
            why: format!("the bucket gives nothing of what is to be copied: {}", withheld.why),
            advice: if withheld.is_denied {
                "give the key pair of source.bucket the right to read its objects, and take the archive again"
            } else {
                "look at one of its objects with another client, and take the archive again"
            },
        })
    }

    /// Whether the source gives an object, as far as a look at its beginning tells. What is cold or gone by now was not denied.
    async fn is_given(&self, key: &str, size: u64) -> bool {
        let range = (size > PART).then_some((0, PART));
        match self.source.s3.read(&self.source.bucket, key, Want { range, ..Want::default() }).await {
            Ok(found) => found.body.try_for_each(|_| std::future::ready(Ok(()))).await.is_ok(),
            Err(error) => error.is_frozen() || error.is_not_found(),
        }
    }
}
