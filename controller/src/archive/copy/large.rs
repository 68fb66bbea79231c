//! A large object: passed through in parts under a pending name, then copied to its digest by the archive's own store.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::{
    ATTEMPTS, Copier, Done, Kept, PAUSE, READING_PART, again, claimed, condition, error_is_change, replaced,
    short,
};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{is_md5, object_key};
use crate::archive::suspicion::Noise;
use crate::archive::vault::part_size;
use crate::providers::s3::{Found, Headers, Keeping, ObjectSummary, PartError, S3Error, Sent, Want};
use crate::store::Stored;

/// How often a part is sent that the store gives another tag than its MD5; then all of it is read back.
const TRIES_IN_DOUBT: u32 = 3;

impl Copier {
    pub(super) async fn large(&self, listed: &ObjectSummary) -> Result<Option<Done>> {
        let vault = &self.archiver.vault;
        // Drawn, so that a run that goes on never meets what it left: with some key pairs it could not be replaced.
        let (number, drawn) = (self.pending.fetch_add(1, Ordering::Relaxed), rand::random::<u32>());
        let name = format!("{}uploads/{}/{number}-{drawn:08x}", vault.prefix, self.run);
        let upload =
            vault.s3.begin_parts(&vault.bucket, &name, &Headers::default(), &Keeping::default()).await;
        let upload = upload.map_err(ArchiveError::inside("beginning a large content"))?;
        match self.parts(listed, &name, &upload).await {
            Ok(Some(whole)) => self.settle(listed, &name, &upload, whole).await.map(Some),
            other => {
                // It is billed until it is gone; what cannot be aborted now is swept by `prune`.
                if let Err(error) = vault.s3.abort_parts(&vault.bucket, &name, &upload).await {
                    tracing::warn!(key = name, %error, "an unfinished upload stays");
                }
                other.map(|_| None)
            }
        }
    }

    /// Passes the parts through. `None`: the object is gone.
    async fn parts(&self, listed: &ObjectSummary, name: &str, upload: &str) -> Result<Option<Whole>> {
        let part = part_size(listed.size);
        let mut whole = Whole::of(listed);
        let (mut etag, mut version) = (listed.etag.clone(), None);
        let starts = (0..listed.size).step_by(usize::try_from(part).unwrap_or(usize::MAX));
        for (number, from) in (1..).zip(starts) {
            let want = Want {
                version: version.as_deref(),
                range: Some((from, part.min(listed.size - from))),
                etag: condition(&etag),
            };
            let Some((found, hashed)) = self.part(listed, want, name, upload, number, &whole.hashes).await?
            else {
                return Ok(None);
            };
            whole.hashes = hashed.hashes;
            whole.etags.push(hashed.etag);
            whole.is_doubtful |= hashed.is_doubtful;
            if number == 1 {
                whole.noise = hashed.noise;
                etag.clone_from(&found.etag);
                version.clone_from(&found.version);
                whole.first = Some(found);
            }
        }
        if whole.first.as_ref().is_some_and(|first| claimed(first).is_some()) {
            whole.is_odd = !self.as_claimed(listed, version.as_deref(), &etag, whole.hashes.clone()).await?;
        }
        Ok(Some(whole))
    }

    /// Whether the source sent what its entity tag says, where that is the MD5 of all of it. If not, it sent the same twice.
    async fn as_claimed(
        &self,
        listed: &ObjectSummary,
        version: Option<&str>,
        etag: &str,
        hashes: Hashes,
    ) -> Result<bool> {
        let Some(md5) = hashes.md5 else { return Ok(true) };
        if !is_md5(etag) || etag == hex::encode(md5.finalize()) {
            return Ok(true);
        }
        let want = Want { version, etag: Some(etag), range: None };
        self.twice(listed, want, (listed.size, hashes.sha256.finalize().into())).await?;
        Ok(false)
    }

    /// One part: read by its range, hashed and sent on as it comes; read again if either side breaks.
    async fn part(
        &self,
        listed: &ObjectSummary,
        want: Want<'_>,
        name: &str,
        upload: &str,
        number: i32,
        before: &Hashes,
    ) -> Result<Option<(Found, Hashed)>> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.part_once(listed, want, name, upload, number, before).await {
                Err(error) if attempt < ATTEMPTS && again(&error) && !error_is_change(&error) => {}
                // The line may have changed it, or the store may encrypt, so that its tags are no digests.
                Ok(Some((_, hashed))) if attempt < TRIES_IN_DOUBT && hashed.is_doubtful => {}
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(None)
    }

    async fn part_once(
        &self,
        listed: &ObjectSummary,
        want: Want<'_>,
        name: &str,
        upload: &str,
        number: i32,
        before: &Hashes,
    ) -> Result<Option<(Found, Hashed)>> {
        let vault = &self.archiver.vault;
        let mut found =
            match self.archiver.source.s3.read(&self.archiver.source.bucket, &listed.key, want).await {
                Err(error) if error.is_not_found() => return Ok(None),
                found => found.map_err(ArchiveError::outside(READING_PART))?,
            };
        // Some stores pass over the condition: parts of two objects make a third.
        if want.range.is_some_and(|(from, _)| from > 0) && want.etag.is_some_and(|etag| etag != found.etag) {
            return Err(replaced(&listed.key));
        }
        let (from, size) = want.range.unwrap_or((0, listed.size));
        // Nor does each list have tags: a larger object would be taken for this one, cut off.
        if found.part_of.is_some_and(|part| part != (from, listed.size)) {
            return Err(replaced(&listed.key));
        }
        if found.size != size {
            let what = "the range that was asked for";
            let source = S3Error::Incomplete { call: "objects.get", what };
            return Err(ArchiveError::Outside { doing: READING_PART, source });
        }
        let hashes = before.clone();
        // One MD5 is as dear as all else together. With that of the whole the end is checked: see `settle`.
        let md5 = hashes.md5.is_none().then(Md5::new);
        let state = Arc::new(Mutex::new(Passing { hashes, md5, bytes: 0, noise: Noise::new() }));
        let passing = Arc::clone(&state);
        let body = std::mem::replace(&mut found.body, futures::stream::empty().boxed());
        let body = body
            .inspect_ok(move |bytes| passing.lock().unwrap_or_else(PoisonError::into_inner).pass(bytes))
            .boxed();
        let put = vault.s3.put_part(&vault.bucket, name, upload, number, (size, None), body).await;
        let Sent { etag, is_encrypted } = put.map_err(|error| match error {
            PartError::Content(error) => ArchiveError::outside(READING_PART)(error),
            PartError::Store(error) => ArchiveError::inside("sending a part")(error),
        })?;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.bytes != size {
            return Err(short(&listed.key, state.bytes, size));
        }
        let md5 = state.md5.clone().map(|md5| hex::encode(md5.finalize()));
        let is_doubtful = !is_encrypted && is_md5(&etag) && md5.is_some_and(|md5| md5 != etag);
        let noise = state.noise.is_noise();
        Ok(Some((found, Hashed { hashes: state.hashes.clone(), etag, noise, is_doubtful })))
    }

    /// Puts the parts together and lets the archive's store copy them to their digest.
    async fn settle(&self, listed: &ObjectSummary, name: &str, upload: &str, whole: Whole) -> Result<Done> {
        let vault = &self.archiver.vault;
        let inside = ArchiveError::inside("completing a large content");
        let put =
            vault.s3.complete_parts(&vault.bucket, name, upload, &whole.etags).await.map_err(&inside)?;
        let sha256: [u8; 32] = whole.hashes.sha256.finalize().into();
        let key = object_key(&vault.prefix, &hex::encode(sha256));
        let mut locked_until = self.locked_until();
        if let Some(held) = self.held(sha256, &key).await? {
            locked_until = held.locked;
        } else {
            let (from, to) = ((vault.bucket.as_str(), name), (vault.bucket.as_str(), key.as_str()));
            let copied = vault.s3.copy_exactly(from, Want::default(), to, listed.size, &self.keeping).await;
            let is_doubtful = match copied {
                Err(error) if error.is_denied() => {
                    self.is_there(&key, sha256, listed.size, error).await?;
                    false
                }
                // A copy of one piece bears the MD5 of all of it. One that bears another tag is read.
                copied => {
                    let etag = copied.map_err(&inside)?;
                    let md5 = whole.hashes.md5.map(|md5| hex::encode(md5.finalize()));
                    whole.is_doubtful || md5.is_some_and(|md5| md5 != etag)
                }
            };
            vault.see_lock(&key, &self.keeping).await?;
            let head = vault.s3.head(&vault.bucket, &key).await.map_err(&inside)?;
            let Some(head) = head.filter(|head| head.size == listed.size) else {
                return Err(short(&key, 0, listed.size));
            };
            // The tag of what is encrypted is no digest.
            if is_doubtful && !head.proof.is_encrypted {
                self.read_back(&key, sha256).await?;
            }
        }
        // Append-only key pairs may not: `prune`, which has more rights, sweeps what is pending. Without its version only a marker
        // would be put, and what it hides is billed.
        if let Err(error) = vault.s3.delete(&vault.bucket, name, put.version.as_deref()).await {
            tracing::debug!(key = name, %error, "a pending content stays until it is pruned");
        }
        let size = i64::try_from(listed.size).unwrap_or(i64::MAX);
        let stored = Stored { sha256, size, noise: whole.noise, locked_until };
        let found = whole.first.ok_or_else(|| short(&listed.key, 0, listed.size))?;
        let acl = self.acl(&listed.key, found.version.as_deref()).await?;
        let found = Found { size: listed.size, ..found };
        self.done(listed, found, (acl, whole.is_odd), Kept::Hashed(stored)).await
    }
}

/// A large object that was passed through.
struct Whole {
    hashes: Hashes,
    first: Option<Found>,
    etags: Vec<String>,
    noise: bool,
    /// The store named another tag for a part than its MD5.
    is_doubtful: bool,
    /// The source's tag looks like an MD5, and is not that of what it sends.
    is_odd: bool,
}

impl Whole {
    fn of(listed: &ObjectSummary) -> Self {
        // Computed only where the source claims one.
        let md5 = is_md5(&listed.etag).then(Md5::new);
        let hashes = Hashes { sha256: Sha256::new(), md5 };
        Self { hashes, first: None, etags: Vec::new(), noise: false, is_doubtful: false, is_odd: false }
    }
}

/// Digests of all parts so far.
#[derive(Clone)]
struct Hashes {
    sha256: Sha256,
    md5: Option<Md5>,
}

/// A part that was passed through.
struct Hashed {
    hashes: Hashes,
    etag: String,
    noise: bool,
    is_doubtful: bool,
}

/// A part on its way.
struct Passing {
    hashes: Hashes,
    /// Of the part alone, where that of the whole is not computed.
    md5: Option<Md5>,
    bytes: u64,
    noise: Noise,
}

impl Passing {
    fn pass(&mut self, bytes: &[u8]) {
        self.hashes.sha256.update(bytes);
        if let Some(md5) = &mut self.hashes.md5 {
            md5.update(bytes);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.bytes += bytes.len() as u64;
        self.noise.update(bytes);
    }
}
