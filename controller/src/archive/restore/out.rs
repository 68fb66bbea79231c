//! One object out of the archive: copied by the store, read whole, or passed through in parts; hashed on the way, but by the store.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use futures::{StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::RestoreOrder;
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{Entry, is_md5};
use crate::archive::hashes::Hashes;
use crate::archive::sending::{Sending, Unsent};
use crate::archive::vault::{PART, SENDS};
use crate::archive::verify::again;
use crate::providers::s3::{Keeping, PartError, Payload, S3Error, Sent, Want};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};

/// The largest object that one server-side copy takes.
const ONE_COPY: u64 = 5_000_000_000;
/// What is being done while a content's bytes come.
const READING: &str = "reading a content";

impl Archiver {
    pub(super) async fn copy_out(&self, entry: &Entry, key: &str, order: &RestoreOrder) -> Result<()> {
        let content = entry.content_key(&self.vault.prefix);
        if order.server_side && entry.size <= ONE_COPY {
            self.is_told_by_its_tag(entry, &content).await?;
            let (from, to) =
                ((self.vault.bucket.as_str(), content.as_str()), (order.to.bucket.as_str(), key));
            let copied = order.to.s3.copy_as(from, to, entry.size, &entry.headers()).await;
            return copied.map_err(ArchiveError::outside("copying inside the store"));
        }
        if entry.size <= PART {
            self.small_out(entry, &content, key, order).await
        } else {
            self.large_out(entry, &content, key, order).await
        }
    }

    /// The store copies what it holds, whatever that is by now, and a tag that is no MD5 tells nothing of it: then the content is read
    /// here first, and what is damaged is not handed on.
    async fn is_told_by_its_tag(&self, entry: &Entry, content: &str) -> Result<()> {
        if entry.md5().is_some() || entry.sha256.is_empty() {
            return Ok(());
        }
        proven(entry, content, &self.hash_inside(content).await?)
    }

    async fn small_out(&self, entry: &Entry, content: &str, key: &str, order: &RestoreOrder) -> Result<()> {
        let inside = ArchiveError::inside(READING);
        let found =
            self.vault.s3.read(&self.vault.bucket, content, Want::default()).await.map_err(&inside)?;
        let (mut bytes, mut body) = (BytesMut::new(), found.body);
        while let Some(chunk) = body.try_next().await.map_err(&inside)? {
            order.passes();
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > entry.size {
                break;
            }
        }
        let sha256 = Sha256::digest(&bytes);
        proven(entry, content, &hex::encode(sha256))?;
        unhashed(entry, content, bytes.len() as u64, || hex::encode(Md5::digest(&bytes)))?;
        let (to, payload) = (&order.to, Payload::hashed(bytes.freeze(), sha256.into()));
        let put =
            to.s3.careful().write(&to.bucket, key, payload, &entry.headers(), &Keeping::default()).await;
        put.map_err(ArchiveError::outside("writing an object")).map(drop)
    }

    async fn large_out(&self, entry: &Entry, content: &str, key: &str, order: &RestoreOrder) -> Result<()> {
        let (to, outside) = (&order.to, ArchiveError::outside("writing a large object"));
        let begun = if order.is_alone { self.begun_out(entry, content, key, order).await? } else { None };
        if let Some(sending) = begun {
            tracing::debug!(key, parts = sending.tags().len(), "a large object goes on");
            match self.through(entry, content, sending, order).await {
                // What was kept of it does not help: it is begun anew.
                Err(error) if !may_go_on(&error) => {
                    tracing::debug!(key, error = %Chain(&error), "a large object is begun anew");
                }
                done => return done,
            }
        }
        let what = (key, &*told(entry, content));
        let begun = self.begin_sending(to, what, &entry.headers(), entry.pending.is_some()).await;
        let sending = begun.map_err(|error| match error {
            Unsent::Store(error) => outside(error),
            Unsent::Ours(error) => error,
        })?;
        self.through(entry, content, sending, order).await
    }

    /// Ends the uploads of what was asked for that nobody went on with: what came back is whole without them. Only where nobody else
    /// restores.
    pub(super) async fn end_uploads_out(&self, order: &RestoreOrder) -> Result<()> {
        for noted in self.store.uploads_below(&order.to.name(), &order.to_prefix).await? {
            if noted.key.strip_prefix(&order.to_prefix).is_some_and(|key| order.wants(key)) {
                self.end_upload(&order.to, &noted).await?;
            }
        }
        Ok(())
    }

    /// What a restore that was cut off has sent of it. Of what is another content by now the upload is ended: it is billed, and nobody sees
    /// it.
    async fn begun_out(
        &self,
        entry: &Entry,
        content: &str,
        key: &str,
        order: &RestoreOrder,
    ) -> Result<Option<Sending>> {
        let (to, what) = (&order.to, told(entry, content));
        let mut goes_on = None;
        for noted in self.store.uploads_to(&to.name(), key).await? {
            let sending = if noted.content == what && goes_on.is_none() {
                self.take_up(&noted, entry.pending.is_some()).await?
            } else {
                None
            };
            match sending {
                Some(sending) => goes_on = Some(sending),
                None => self.end_upload(to, &noted).await?,
            }
        }
        Ok(goes_on)
    }

    /// Sends what is left of it, and makes an object of it.
    async fn through(
        &self,
        entry: &Entry,
        content: &str,
        mut sending: Sending,
        order: &RestoreOrder,
    ) -> Result<()> {
        let (to, outside) = (&order.to, ArchiveError::outside("writing a large object"));
        let key = sending.target().0.to_owned();
        let done = match self.parts_out(entry, content, &mut sending, order).await {
            Ok(()) => {
                let (key, upload) = sending.target();
                let put = to.s3.complete_parts(&to.bucket, key, upload, sending.tags()).await;
                put.map(drop).map_err(&outside)
            }
            Err(error) => Err(error),
        };
        match &done {
            Ok(()) => self.is_sent(&sending).await?,
            Err(error) if may_go_on(error) => {}
            Err(_) => self.give_up(to, &sending).await?,
        }
        done?;
        // A store that encrypts has tags that are no digests: what it holds tells.
        if sending.is_doubtful && !self.has_content(entry, &key, order).await? {
            let sums = "other checksums at the target than when they were sent".to_owned();
            return Err(outside(S3Error::Mismatch { call: "parts.put", sums }));
        }
        Ok(())
    }

    /// Sends the parts that the target does not have yet.
    async fn parts_out(
        &self,
        entry: &Entry,
        content: &str,
        sending: &mut Sending,
        order: &RestoreOrder,
    ) -> Result<()> {
        while let Some((number, range)) = sending.next(entry.size) {
            // A large object is not begun anew because the line broke in one of its parts.
            let send = || again(SENDS, || self.part_out((content, range), (&*sending, number), order));
            let mut sent = send().await?;
            if sent.is_doubtful {
                // The line may have changed it.
                sent = send().await?;
            }
            sending.is_doubtful |= sent.is_doubtful;
            self.note_part(sending, entry.size, (sent.etag, sent.hashes)).await?;
        }
        let hashes = &sending.hashes;
        proven(entry, content, &hex::encode(hashes.sha256()))?;
        unhashed(entry, content, hashes.bytes, || hashes.md5().unwrap_or_default())
    }
}

impl Archiver {
    /// One part: read by its range and sent on as it comes.
    async fn part_out(
        &self,
        (content, range): (&str, (u64, u64)),
        (sending, number): (&Sending, i32),
        order: &RestoreOrder,
    ) -> Result<PartSent> {
        let (key, upload) = sending.target();
        let want = Want { range: Some(range), ..Want::default() };
        let found = self.vault.s3.read(&self.vault.bucket, content, want).await;
        let found = found.map_err(ArchiveError::inside(READING))?;
        let state = Arc::new(Mutex::new((sending.hashes.clone(), Md5::new())));
        let (passing, told) = (Arc::clone(&state), order.clone());
        let body = found.body.inspect_ok(move |bytes| {
            told.passes();
            let mut passing = passing.lock().unwrap_or_else(PoisonError::into_inner);
            passing.0.update(bytes);
            passing.1.update(bytes);
        });
        let put =
            order.to.s3.put_part(&order.to.bucket, key, upload, number, (range.1, None), body.boxed()).await;
        let sent = put.map_err(|error| match error {
            PartError::Content(error) => ArchiveError::inside(READING)(error),
            PartError::Store(error) => ArchiveError::outside("sending a part")(error),
        });
        let Sent { etag, is_encrypted } = sent?;
        let (hashes, md5) = state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_doubtful = !is_encrypted && is_md5(&etag) && etag != hex::encode(md5.finalize());
        Ok(PartSent { etag, hashes, is_doubtful })
    }
}

/// A part that was sent.
struct PartSent {
    etag: String,
    /// Of all up to its end.
    hashes: Hashes,
    /// The target gives it a tag that looks like an MD5, and is not that of what was sent.
    is_doubtful: bool,
}

/// All that tells what is sent from other contents, with what travels with it: an upload takes that when it is begun.
fn told(entry: &Entry, content: &str) -> String {
    serde_json::json!([content, entry]).to_string()
}

/// Whether what was sent so far is of use to the next attempt: not after bytes that are wrong.
fn may_go_on(error: &ArchiveError) -> bool {
    matches!(error.class(), Class::Transient | Class::Throttled(_) | Class::Cancelled)
}

/// A content that nobody has hashed is held against its size, and its MD5 where the entity tag is one.
fn unhashed(entry: &Entry, content: &str, bytes: u64, md5: impl FnOnce() -> String) -> Result<()> {
    if entry.pending.is_none() {
        return Ok(());
    }
    let how = match entry.md5() {
        _ if bytes != entry.size => format!("it has {bytes} bytes, and should have {}", entry.size),
        Some(claimed) => {
            let md5 = md5();
            if md5 == claimed {
                return Ok(());
            }
            format!("its MD5 is {md5}, and should be {claimed}")
        }
        None => return Ok(()),
    };
    let how = format!("{how}; `{}` is not restored from it", entry.key);
    Err(ArchiveError::Damaged { what: content.to_owned(), how })
}

fn proven(entry: &Entry, content: &str, found: &str) -> Result<()> {
    if entry.sha256.is_empty() || found == entry.sha256 {
        return Ok(());
    }
    let how = format!("its SHA-256 is {found}; `{}` is not restored from it", entry.key);
    Err(ArchiveError::Damaged { what: content.to_owned(), how })
}
