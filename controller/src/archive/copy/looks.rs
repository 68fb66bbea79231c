//! Looks at an object without its content.

use super::Copier;
use crate::archive::error::{ArchiveError, Result};
use crate::providers::s3::ObjectSummary;

impl Copier {
    /// Whether the source tells of an object, whatever becomes of its bytes.
    pub(super) async fn is_told(&self, listed: &ObjectSummary) -> bool {
        matches!(self.look(listed).await, Ok(Some(_)))
    }

    /// Whether the source still lists the key. A store that lists an object and says that there is none has not lost it for us: what is
    /// taken for vanished would be missing in the archive, and nobody would know.
    pub(super) async fn is_listed(&self, key: &str) -> Result<bool> {
        let source = &self.archiver.source;
        let listed = source.s3.is_listed(&source.bucket, key).await;
        listed.map_err(ArchiveError::outside("looking whether an object is still listed"))
    }

    /// What is under the key by now.
    pub(super) async fn look(&self, listed: &ObjectSummary) -> Result<Option<ObjectSummary>> {
        let source = &self.archiver.source;
        let head = source.s3.head(&source.bucket, &listed.key).await;
        let head = head.map_err(ArchiveError::outside("looking at a replaced object"))?;
        Ok(head.map(|head| ObjectSummary {
            size: head.size,
            etag: head.etag,
            modified: None,
            ..listed.clone()
        }))
    }
}
