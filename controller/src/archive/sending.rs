//! A content that is sent in parts. How far it is is noted after each: what was cut off goes on from its last part, and reads nothing twice.

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::hashes::{Hashes, Midway};
use super::vault::part_size;
use super::{Archiver, Place};
use crate::providers::s3::{Headers, Keeping, S3Error};
use crate::store::Upload;

/// How often an upload is taken up that comes no further.
const TRIES: i32 = 3;

/// A content on its way.
#[derive(Debug)]
pub(super) struct Sending {
    noted: Upload,
    /// Of all parts that were sent.
    pub(super) hashes: Hashes,
    /// The store gave a part another tag than its MD5.
    pub(super) is_doubtful: bool,
    /// It looks random.
    pub(super) noise: bool,
    /// The entity tag and the version that it has where it comes from, once a part was read.
    pub(super) source: Option<(String, Option<String>)>,
}

/// What is kept of it.
#[derive(Serialize, Deserialize)]
struct SoFar {
    hashes: Midway,
    is_doubtful: bool,
    noise: bool,
    source: Option<(String, Option<String>)>,
}

impl Sending {
    fn begun(noted: Upload, with_md5: bool) -> Self {
        Self { noted, hashes: Hashes::new(with_md5), is_doubtful: false, noise: false, source: None }
    }

    /// What was noted of an upload. `None`: nothing that can be gone on with.
    fn taken_up(noted: Upload, with_md5: bool) -> Option<Self> {
        let so_far: SoFar = serde_json::from_value(noted.so_far.clone()?).ok()?;
        let hashes = Hashes::taken_up(&so_far.hashes, with_md5)?;
        let SoFar { is_doubtful, noise, source, .. } = so_far;
        (!noted.tags.is_empty()).then_some(Self { noted, hashes, is_doubtful, noise, source })
    }

    /// The key that it is sent to, and the store's name of the upload.
    pub(super) fn target(&self) -> (&str, &str) {
        (&self.noted.key, &self.noted.upload)
    }

    /// The tags of its parts.
    pub(super) fn tags(&self) -> &[String] {
        &self.noted.tags
    }

    /// The number of the next part, and where it lies in a content of `size` bytes. `None`: all are sent.
    pub(super) fn next(&self, size: u64) -> Option<(i32, (u64, u64))> {
        let from = self.hashes.bytes;
        let number = i32::try_from(self.noted.tags.len() + 1).unwrap_or(i32::MAX);
        (from < size).then(|| (number, (from, part_size(size).min(size - from))))
    }
}

impl Archiver {
    /// Begins to send `content` to `key`.
    pub(super) async fn begin_sending(
        &self,
        to: &Place,
        (key, content): (&str, &str),
        headers: &Headers,
        with_md5: bool,
    ) -> Result<Sending, Unsent> {
        let upload = to.s3.begin_parts(&to.bucket, key, headers, &Keeping::default()).await?;
        let (place, key, content) = (to.name(), key.to_owned(), content.to_owned());
        let noted = Upload { place, key, upload, content, tags: Vec::new(), so_far: None };
        self.store.upload_began(&noted).await.map_err(|error| Unsent::Ours(error.into()))?;
        Ok(Sending::begun(noted, with_md5))
    }

    /// Notes a part of a content of `size` bytes that the store has, and the digests up to its end.
    pub(super) async fn note_part(
        &self,
        sending: &mut Sending,
        size: u64,
        (tag, hashes): (String, Hashes),
    ) -> Result<()> {
        let hashes = if hashes.bytes == size { hashes.ended() } else { hashes };
        let Sending { is_doubtful, noise, source, .. } = &*sending;
        let (is_doubtful, noise, source) = (*is_doubtful, *noise, source.clone());
        let so_far = SoFar { hashes: hashes.midway(), is_doubtful, noise, source };
        sending.hashes = hashes;
        sending.noted.tags.push(tag);
        sending.noted.so_far = serde_json::to_value(so_far).ok();
        Ok(self.store.upload_goes_on(&sending.noted).await?)
    }

    /// It is whole, and an upload no more.
    pub(super) async fn is_sent(&self, sending: &Sending) -> Result<()> {
        let Upload { place, key, upload, .. } = &sending.noted;
        Ok(self.store.upload_ended(place, key, upload).await?)
    }

    /// Nobody goes on with it.
    pub(super) async fn give_up(&self, to: &Place, sending: &Sending) -> Result<()> {
        self.end_upload(to, &sending.noted).await
    }

    /// Ends an upload: it is billed until then. What our key pair may not end in the archive `prune` sweeps.
    pub(super) async fn end_upload(&self, to: &Place, noted: &Upload) -> Result<()> {
        let Upload { place, key, upload, .. } = noted;
        let is_swept = *place == self.vault.as_place().name();
        match to.s3.abort_parts(&to.bucket, key, upload).await {
            Err(error) if !(error.is_not_found() || is_swept && error.is_denied()) => {
                tracing::warn!(key, %error, "an unfinished upload stays");
                Ok(())
            }
            _ => Ok(self.store.upload_ended(place, key, upload).await?),
        }
    }

    /// Takes up what was noted of an upload, if it can be gone on with. One with which several attempts in a row came no further may be ill
    /// at the store.
    pub(super) async fn take_up(&self, noted: &Upload, with_md5: bool) -> Result<Option<Sending>> {
        let Some(sending) = Sending::taken_up(noted.clone(), with_md5) else { return Ok(None) };
        let tries = self.store.upload_taken_up(&noted.place, &noted.key, &noted.upload).await?;
        Ok(tries.filter(|tries| *tries <= TRIES).map(|_| sending))
    }
}

/// Why nothing was begun.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The store that it is sent to.
    Store(S3Error),
    /// Our own records.
    Ours(super::ArchiveError),
}

impl From<S3Error> for Unsent {
    fn from(error: S3Error) -> Self {
        Self::Store(error)
    }
}
