//! Our own records: plans, archives, verdicts, the ledger. With them an empty machine knows what this one knew.

use std::collections::BTreeMap;

use super::{Capture, CaptureError};
use crate::archive::Archiver;
use crate::archive::crypt::Recipients;
use crate::archive::format::Extra;

/// What it is called in records.
pub const KIND: &str = "records";

impl Capture<'_> {
    /// One document: JSON Lines, a row each, encrypted.
    pub(super) async fn records(
        &self,
        archiver: &Archiver,
        recipients: &Recipients,
    ) -> Result<Vec<Extra>, CaptureError> {
        let rows = self.tools.store.snapshot().await?;
        let folder = self.folder()?;
        let count = rows.len();
        let text: String = rows.into_iter().map(|row| row + "\n").collect();
        let sealed = recipients.seal_bytes(text.into(), &folder.path().join("sealed")).await?;
        Ok(vec![Extra {
            kind: KIND.to_owned(),
            name: "reprise".to_owned(),
            key: archiver.keep(&sealed).await?,
            sha256: hex::encode(sealed.sha256),
            size: sealed.size,
            encrypted: true,
            about: BTreeMap::from([("rows".to_owned(), count.to_string())]),
        }])
    }
}
