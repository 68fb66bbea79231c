//! One object out of the archive: copied by the store, read whole, or passed through in parts; hashed on the way, but by the store.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use futures::{StreamExt as _, TryStreamExt as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::RestoreOrder;
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{Entry, is_md5};
use crate::archive::vault::{PART, SENDS, part_size};
use crate::archive::verify::again;
use crate::providers::s3::{Keeping, PartError, Payload, S3Error, Sent, Want};

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
        self.end_dead(key, order).await?;
        let upload = to
            .s3
            .begin_parts(&to.bucket, key, &entry.headers(), &Keeping::default())
            .await
            .map_err(&outside)?;
        self.store.upload_began(&to.name(), key, &upload).await?;
        let sent = self.parts_out(entry, content, key, &upload, order).await;
        let done = match sent {
            Ok((etags, is_doubtful)) => {
                let put = to.s3.complete_parts(&to.bucket, key, &upload, &etags).await;
                put.map_err(&outside).map(|_| is_doubtful)
            }
            Err(error) => Err(error),
        };
        if done.is_err()
            && let Err(error) = to.s3.abort_parts(&to.bucket, key, &upload).await
        {
            tracing::warn!(key, %error, "an unfinished upload stays");
        } else {
            self.store.upload_ended(&to.name(), key, &upload).await?;
        }
        // A store that encrypts has tags that are no digests: what it holds tells.
        if done? && !self.has_content(entry, key, order).await? {
            let sums = "other checksums at the target than when they were sent".to_owned();
            return Err(outside(S3Error::Mismatch { call: "parts.put", sums }));
        }
        Ok(())
    }

    /// Ends what a restore that was killed had begun to send of an object: it is billed, and nobody sees it.
    async fn end_dead(&self, key: &str, order: &RestoreOrder) -> Result<()> {
        let to = &order.to;
        for upload in self.store.uploads_begun(&to.name(), key).await? {
            match to.s3.abort_parts(&to.bucket, key, &upload).await {
                Err(error) if !error.is_not_found() => {
                    tracing::warn!(key, %error, "an unfinished upload stays");
                }
                _ => self.store.upload_ended(&to.name(), key, &upload).await?,
            }
        }
        Ok(())
    }

    /// The tags of all parts, and whether one of them is not the MD5 of what was sent.
    async fn parts_out(
        &self,
        entry: &Entry,
        content: &str,
        key: &str,
        upload: &str,
        order: &RestoreOrder,
    ) -> Result<(Vec<String>, bool)> {
        let part = part_size(entry.size);
        let (mut hashes, mut etags, mut is_doubtful) = (Hashes::of(entry), Vec::new(), false);
        for (number, from) in (1..).zip((0..entry.size).step_by(usize::try_from(part).unwrap_or(usize::MAX)))
        {
            let range = (from, part.min(entry.size - from));
            // A large object is not begun anew because the line broke in one of its parts.
            let send =
                || again(SENDS, || self.part_out((content, range), (key, upload, number), order, &hashes));
            let mut sent = send().await?;
            if sent.is_doubtful {
                // The line may have changed it.
                sent = send().await?;
            }
            is_doubtful |= sent.is_doubtful;
            etags.push(sent.etag);
            hashes = sent.hashes;
        }
        proven(entry, content, &hex::encode(hashes.sha256.finalize()))?;
        unhashed(entry, content, hashes.bytes, || {
            hashes.md5.map(|md5| hex::encode(md5.finalize())).unwrap_or_default()
        })?;
        Ok((etags, is_doubtful))
    }
}

impl Archiver {
    /// One part: read by its range and sent on as it comes.
    async fn part_out(
        &self,
        (content, range): (&str, (u64, u64)),
        (key, upload, number): (&str, &str, i32),
        order: &RestoreOrder,
        before: &Hashes,
    ) -> Result<PartSent> {
        let want = Want { range: Some(range), ..Want::default() };
        let found = self.vault.s3.read(&self.vault.bucket, content, want).await;
        let found = found.map_err(ArchiveError::inside(READING))?;
        let state = Arc::new(Mutex::new((before.clone(), Md5::new())));
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

/// What is computed of a content on its way.
#[derive(Clone)]
struct Hashes {
    sha256: Sha256,
    /// Only where nothing better is known of it.
    md5: Option<Md5>,
    bytes: u64,
}

impl Hashes {
    fn of(entry: &Entry) -> Self {
        Self { sha256: Sha256::new(), md5: entry.pending.is_some().then(Md5::new), bytes: 0 }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.bytes += bytes.len() as u64;
    }
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
