//! A large object: passed through in parts under a pending name, then copied to its digest by the archive's own store.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};

use super::{
    ATTEMPTS, Copier, Done, Kept, PAUSE, READING_PART, again, claimed, condition, error_is_change, is_short,
    replaced, short,
};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{is_md5, object_key};
use crate::archive::hashes::Hashes;
use crate::archive::sending::{Sending, Unsent};
use crate::archive::suspicion::Noise;
use crate::providers::s3::{Found, Headers, ObjectSummary, PartError, S3Error, Sent, Want};
use crate::runtime::chain::Chain;
use crate::store::Stored;

/// How often a part is sent that the store gives another tag than its MD5; then all of it is read back.
const TRIES_IN_DOUBT: u32 = 3;

impl Copier {
    /// `None`: the object is gone.
    pub(super) async fn large(&self, listed: &ObjectSummary) -> Result<Option<Done>> {
        if let Some((sending, first)) = self.begun(listed).await? {
            tracing::debug!(key = listed.key, parts = sending.tags().len(), "a large object goes on");
            match self.through(listed, sending, Some(first)).await {
                // What was kept of it does not help: it is begun anew.
                Err(error) if !again(&error) && !matches!(error, ArchiveError::Cancelled) => {
                    tracing::debug!(key = listed.key, error = %Chain(&error), "a large object is begun anew");
                }
                other => return other,
            }
        }
        let vault = &self.archiver.vault;
        // Drawn, so that a run that goes on never meets what it left: with some key pairs it could not be replaced.
        let (number, drawn) = (self.pending.fetch_add(1, Ordering::Relaxed), rand::random::<u32>());
        let name = format!("{}uploads/{}/{number}-{drawn:08x}", vault.prefix, self.run);
        let what = (name.as_str(), &*self.content(listed));
        // Computed only where the source claims one.
        let with_md5 = is_md5(&listed.etag);
        let begun = self.archiver.begin_sending(&vault.as_place(), what, &Headers::default(), with_md5).await;
        let sending = begun.map_err(|error| match error {
            Unsent::Store(error) => ArchiveError::inside("beginning a large content")(error),
            Unsent::Ours(error) => error,
        })?;
        self.through(listed, sending, None).await
    }

    /// All that tells this object from others, and from what it was or will be.
    fn content(&self, listed: &ObjectSummary) -> String {
        let source = self.archiver.source.name();
        serde_json::json!([source, listed.key, listed.etag, listed.size]).to_string()
    }

    /// What an attempt before this one, or a run that was cut off, has sent of it, and what travels with it, if it is the same object still.
    /// What is of no use is ended.
    async fn begun(&self, listed: &ObjectSummary) -> Result<Option<(Sending, Found)>> {
        let (archiver, to) = (&self.archiver, self.archiver.vault.as_place());
        let mut goes_on = None;
        let below = archiver.sent_below();
        for noted in archiver.store.uploads_of(&to.name(), &self.content(listed)).await? {
            // Another plan's archive may lie in the same bucket.
            if !noted.key.starts_with(&below) {
                continue;
            }
            let sending = match goes_on {
                None => archiver.take_up(&noted, is_md5(&listed.etag)).await?,
                Some(_) => None,
            };
            let found = if sending.is_some() { self.glance(listed).await? } else { None };
            match (sending, found) {
                (Some(sending), Some(found)) if is_the_one(&sending, &found, listed.size) => {
                    goes_on = Some((sending, found));
                }
                _ => archiver.end_upload(&to, &noted).await?,
            }
        }
        Ok(goes_on)
    }

    /// Sends what is left of it, and puts it in its place.
    async fn through(
        &self,
        listed: &ObjectSummary,
        mut sending: Sending,
        first: Option<Found>,
    ) -> Result<Option<Done>> {
        let (archiver, to) = (&self.archiver, self.archiver.vault.as_place());
        let sent = self.parts(listed, &mut sending, first).await;
        // After a break it goes on; bytes that are not what they should be are sent anew.
        let goes_on = match &sent {
            Err(error) => again(error) && !error_is_change(error) || matches!(error, ArchiveError::Cancelled),
            Ok(_) => false,
        };
        if goes_on {
            return sent.map(|_| None);
        }
        let Ok(Some(first)) = sent else {
            archiver.give_up(&to, &sending).await?;
            return sent.map(|_| None);
        };
        let done = self.settle(listed, &sending, first).await;
        match &done {
            Ok(_) => archiver.is_sent(&sending).await?,
            Err(ArchiveError::Cancelled) => {}
            // What came of it is another content, or none.
            Err(error) if again(error) && !is_short(error) && !error_is_change(error) => {}
            Err(_) => archiver.give_up(&to, &sending).await?,
        }
        done.map(Some)
    }

    /// Passes through what is not sent yet, and tells what travels with it. `None`: the object is gone.
    async fn parts(
        &self,
        listed: &ObjectSummary,
        sending: &mut Sending,
        mut first: Option<Found>,
    ) -> Result<Option<Found>> {
        while let Some((number, range)) = sending.next(listed.size) {
            let (etag, version) = match &sending.source {
                Some((etag, version)) => (etag.as_str(), version.as_deref()),
                None => (listed.etag.as_str(), None),
            };
            let want = Want { version, range: Some(range), etag: condition(etag) };
            let Some((found, hashed)) = self.part(listed, want, sending, number).await? else {
                return Ok(None);
            };
            sending.is_doubtful |= hashed.is_doubtful;
            if number == 1 {
                sending.noise = hashed.noise;
                sending.source = Some((found.etag.clone(), found.version.clone()));
                first = Some(found);
            }
            self.archiver.note_part(sending, listed.size, (hashed.etag, hashed.hashes)).await?;
        }
        Ok(first)
    }

    /// Whether the source sent what its entity tag says, where that is the MD5 of all of it. If not, it sent the same twice.
    async fn as_claimed(
        &self,
        listed: &ObjectSummary,
        (claimed, version): (Option<&str>, Option<&str>),
        hashes: &Hashes,
    ) -> Result<bool> {
        let (Some(claimed), Some(md5)) = (claimed, hashes.md5()) else { return Ok(true) };
        if claimed == md5 {
            return Ok(true);
        }
        let want = Want { version, etag: Some(claimed), range: None };
        self.twice(listed, want, (listed.size, hashes.sha256())).await?;
        Ok(false)
    }

    /// One part: read by its range, hashed and sent on as it comes; read again if either side breaks.
    async fn part(
        &self,
        listed: &ObjectSummary,
        want: Want<'_>,
        sending: &Sending,
        number: i32,
    ) -> Result<Option<(Found, Hashed)>> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.part_once(listed, want, sending, number).await {
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
        sending: &Sending,
        number: i32,
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
        let hashes = sending.hashes.clone();
        // One MD5 is as dear as all else together. With that of the whole the end is checked: see `settle`.
        let md5 = (!hashes.has_md5()).then(Md5::new);
        let state = Arc::new(Mutex::new(Passing { hashes, md5, bytes: 0, noise: Noise::new() }));
        let passing = Arc::clone(&state);
        let body = std::mem::replace(&mut found.body, futures::stream::empty().boxed());
        let body = body
            .inspect_ok(move |bytes| passing.lock().unwrap_or_else(PoisonError::into_inner).pass(bytes))
            .boxed();
        let (name, upload) = sending.target();
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
    async fn settle(&self, listed: &ObjectSummary, sending: &Sending, first: Found) -> Result<Done> {
        let (said, version) = (claimed(&first).map(str::to_owned), first.version.clone());
        let said = (said.as_deref(), version.as_deref());
        let is_odd = !self.as_claimed(listed, said, &sending.hashes).await?;
        let acl = self.acl(&listed.key, version.as_deref()).await?;
        let (vault, inside) = (&self.archiver.vault, ArchiveError::inside("completing a large content"));
        let (name, upload) = sending.target();
        let put =
            vault.s3.complete_parts(&vault.bucket, name, upload, sending.tags()).await.map_err(&inside)?;
        let sha256 = sending.hashes.sha256();
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
                // A copy of one piece bears the MD5 of all of it. One that bears another is read.
                copied => {
                    let etag = copied.map_err(&inside)?;
                    let differs = |md5: String| is_md5(&etag) && md5 != etag;
                    sending.is_doubtful || sending.hashes.md5().is_some_and(differs)
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
        let stored = Stored { sha256, size, noise: sending.noise, locked_until };
        let found = Found { size: listed.size, ..first };
        self.done(listed, found, (acl, is_odd), Kept::Hashed(stored)).await
    }
}

/// Whether what was sent is of this object. Without an entity tag nothing tells. Pure.
fn is_the_one(sending: &Sending, found: &Found, size: u64) -> bool {
    let noted = sending.source.as_ref();
    noted.is_some_and(|(etag, version)| !etag.is_empty() && *etag == found.etag && *version == found.version)
        && found.part_of.is_none_or(|(_, whole)| whole == size)
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
        self.hashes.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.bytes += bytes.len() as u64;
        self.noise.update(bytes);
    }
}
