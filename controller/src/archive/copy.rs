//! One object into the archive: read once, hashed on the way, compared with what both sides claim, stored by its content.
//!
//! What fits into memory is read whole and put under its digest. What does not is passed through in parts under a pending name,
//! whose content the archive's own store then copies to the digest: no byte is read twice from the source. In mode `server-side` the
//! store copies from the source by itself ([`inside`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use md5::Md5;
use reprise_crds::plan::CopyMode;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use self::lookups::Lookups;
use super::Archiver;
use super::acl::{Acls, Told};
use super::error::{ArchiveError, Result};
use super::format::{Entry, is_md5};
use super::known::Known;
use super::suspicion::Noise;
use super::tags::Tags;
use super::take::{Meter, Withheld};
use super::vault::PART;
use crate::providers::s3::{Found, Headers, Keeping, ObjectSummary, Want};
use crate::runtime::chain::Chain;
use crate::store::Stored;

mod claims;
mod inside;
mod large;
mod looks;
mod lookups;
mod outcome;
mod put;
mod trouble;

use claims::{claimed, condition};
pub use outcome::{Done, Kept, Outcome};
use trouble::{
    absent, again, error_is_change, is_cut, is_odd, is_of_part, is_short, replaced, short, without,
};

/// Bytes that are held at once by all copies together, in kibibytes.
const BUDGET_KIB: usize = 32 << 10;
/// Doubtful copies after which the store is not asked any more: each is made in vain.
const PATIENCE: u64 = 8;
/// How often one object is begun again.
const ATTEMPTS: u32 = 6;
/// What is being done while an object's bytes come.
const READING: &str = "reading an object";
/// The same, of a large one.
const READING_PART: &str = "reading a part";
/// The pause before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Copies objects of one run. It owns what it needs, so that each copy may go on aside.
#[derive(Debug)]
pub struct Copier {
    archiver: Archiver,
    run: String,
    acls: Arc<Acls>,
    tags: Arc<Tags>,
    lookups: Lookups,
    budget: Arc<Semaphore>,
    keeping: Keeping,
    pending: AtomicU64,
    /// Copies that the store made by itself and that cannot be told from others.
    doubts: AtomicU64,
    /// Objects that the source gave.
    given: AtomicU64,
    /// Objects that it denied, since it gave the last one.
    denied: AtomicU64,
    /// Why the first object does not come, where that may be about the bucket too.
    withheld: OnceLock<Withheld>,
}

impl Copier {
    /// For the run called `run`.
    pub(super) fn new(
        archiver: Archiver,
        run: String,
        (acls, tags): (Arc<Acls>, Arc<Tags>),
        known: Arc<Known>,
    ) -> Self {
        let keeping = archiver.vault.keeping(archiver.clock.now());
        let budget = Arc::new(Semaphore::new(BUDGET_KIB));
        let lookups = Lookups::new(archiver.store.clone(), archiver.plan.clone(), known);
        Self {
            archiver,
            run,
            acls,
            tags,
            lookups,
            budget,
            keeping,
            pending: AtomicU64::new(0),
            doubts: AtomicU64::new(0),
            given: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            withheld: OnceLock::new(),
        }
    }

    /// Copies what the listing showed.
    pub async fn copy(&self, listed: &ObjectSummary) -> Result<Outcome> {
        let mut pause = PAUSE;
        let (mut changed, mut is_doubted) = (false, false);
        let mut listed = listed.clone();
        for attempt in 1.. {
            let error = match self.attempt(&listed).await {
                Ok(Some(done)) => {
                    self.given.fetch_add(1, Ordering::Relaxed);
                    self.denied.store(0, Ordering::Relaxed);
                    let replaced = done.replaced || changed;
                    return Ok(Outcome::Copied(Box::new(Done { replaced, ..done })));
                }
                // Its list may have spelt it in another way than it is.
                Ok(None) if listed.key.contains(char::REPLACEMENT_CHARACTER) => {
                    return Ok(Outcome::Unreadable(
                        "the bucket's list does not tell its key as it is".to_owned(),
                    ));
                }
                Ok(None) => match self.is_listed(&listed.key).await {
                    Ok(false) => return Ok(Outcome::Vanished),
                    // Perhaps its list is late.
                    Ok(true) if attempt >= ATTEMPTS => return Ok(absent()),
                    Ok(true) => None,
                    Err(error) => Some(error),
                },
                // A rule of the bucket may have moved it: that is no reason to leave the others.
                Err(ArchiveError::Outside { source, .. }) if source.is_frozen() => {
                    return Ok(Outcome::Unreadable(
                        "it is in cold storage; thaw it, and take the archive again".to_owned(),
                    ));
                }
                Err(error) => Some(error),
            };
            if error.as_ref().is_some_and(error_is_change) {
                changed = true;
                // If it is gone by now, the next attempt tells.
                listed = self.look(&listed).await?.unwrap_or(listed);
            }
            if let Some(error) = error {
                let is_cut = is_cut(&error);
                let is_last = attempt >= ATTEMPTS || !again(&error);
                let once_more = if is_cut && (is_last || is_of_part(&error)) && self.is_told(&listed).await {
                    if is_doubted {
                        let why = format!("it breaks off each time: {}", Chain(&error));
                        self.withheld.get_or_init(|| Withheld { why: why.clone(), is_denied: false });
                        return Ok(Outcome::Unreadable(why));
                    }
                    // The store answers, and may have been away for a moment: then it is asked once more.
                    is_doubted = true;
                    true
                } else {
                    false
                };
                if is_last && !once_more {
                    if is_odd(&error) {
                        // A proxy may send all of them so.
                        let why = Chain(&error).to_string();
                        self.withheld.get_or_init(|| Withheld { why, is_denied: false });
                    }
                    let given = self.given.load(Ordering::Relaxed) > 0;
                    return if self.is_shut(&error) {
                        Err(error)
                    } else {
                        without(error, &listed.key, given)
                    };
                }
                tracing::debug!(key = listed.key, attempt, error = %Chain(&error), "copying an object again");
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(absent())
    }

    /// Whether the source denies so many in a row that it is no matter of single objects: a right was taken away.
    fn is_shut(&self, error: &ArchiveError) -> bool {
        if !matches!(error, ArchiveError::Outside { source, .. } if source.is_denied()) {
            return false;
        }
        self.withheld.get_or_init(|| Withheld { why: Chain(error).to_string(), is_denied: true });
        self.denied.fetch_add(1, Ordering::Relaxed) >= PATIENCE
    }

    /// Notes that nothing was given of what was to be copied, however little it was, and why not.
    pub fn tells(&self, meter: &Meter) {
        if let Some(why) = self.withheld.get().filter(|_| self.given.load(Ordering::Relaxed) == 0) {
            meter.withheld.get_or_init(|| why.clone());
        }
    }

    /// Reads again what may change of an object without a trace in a listing. What the source does not show stays as it was.
    pub async fn refresh(&self, known: Entry) -> Result<Outcome> {
        let version = known.version_id.as_deref();
        let (acl, tags) = futures::try_join!(
            self.acl(&known.key, version),
            self.tags.read(&self.archiver.source, &known.key, version)
        )?;
        let acl_unread = acl == Told::Failed;
        let acl = if let Told::List(acl) = acl { Some(acl) } else { known.acl.clone() };
        let tags = tags.unwrap_or_else(|| known.tags.clone());
        Ok(Outcome::Refreshed(Box::new(Entry { tags, acl, acl_unread, ..known })))
    }

    /// Whether the archive holds this content and it does not look random.
    pub async fn is_clear(&self, sha256: &str) -> Result<bool> {
        let mut digest = [0; 32];
        if hex::decode_to_slice(sha256, &mut digest).is_err() {
            return Ok(false);
        }
        Ok(self.lookups.look(digest).await?.is_some_and(|held| !held.noise))
    }

    async fn attempt(&self, listed: &ObjectSummary) -> Result<Option<Done>> {
        if self.archiver.spec.mode == CopyMode::ServerSide
            && self.doubts.load(Ordering::Relaxed) < PATIENCE
            && let Some(done) = self.inside(listed).await?
        {
            return Ok(Some(done));
        }
        // Reading it tells whether it is gone, or whether only the store cannot find what it is asked to copy.
        if listed.size > PART {
            return self.large(listed).await;
        }
        let kib = u32::try_from(listed.size >> 10).unwrap_or(u32::MAX) + 1;
        let _room = Arc::clone(&self.budget).acquire_many_owned(kib).await;
        let outside = ArchiveError::outside(READING);
        let found = match self
            .archiver
            .source
            .s3
            .read(&self.archiver.source.bucket, &listed.key, Want::default())
            .await
        {
            Err(error) if error.is_not_found() => return Ok(None),
            found => found.map_err(&outside)?,
        };
        if found.size > PART {
            let grown = ObjectSummary {
                size: found.size,
                etag: found.etag,
                modified: found.modified,
                ..listed.clone()
            };
            return Box::pin(self.large(&grown))
                .await
                .map(|done| done.map(|done| Done { replaced: true, ..done }));
        }
        self.small(listed, found).await.map(Some)
    }

    async fn small(&self, listed: &ObjectSummary, found: Found) -> Result<Done> {
        let mut bytes = BytesMut::with_capacity(usize::try_from(found.size).unwrap_or_default());
        let (mut sha256, mut md5, mut body) = (Sha256::new(), Md5::new(), found.body);
        while let Some(chunk) = body.try_next().await.map_err(ArchiveError::outside(READING))? {
            sha256.update(&chunk);
            md5.update(&chunk);
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() as u64 != found.size {
            return Err(short(&listed.key, bytes.len() as u64, found.size));
        }
        let (sha256, md5): ([u8; 32], [u8; 16]) = (sha256.finalize().into(), md5.finalize().into());
        let found = Found { body: futures::stream::empty().boxed(), ..found };
        let is_odd = claimed(&found).is_some_and(|claimed| claimed != hex::encode(md5));
        if is_odd {
            let want = Want { version: found.version.as_deref(), etag: Some(&found.etag), range: None };
            self.twice(listed, want, (found.size, sha256)).await?;
        }
        let mut noise = Noise::new();
        noise.update(&bytes);
        let noise = noise.is_noise();
        let (acl, locked_until) = futures::try_join!(
            self.acl(&listed.key, found.version.as_deref()),
            self.put(sha256, md5, bytes.freeze())
        )?;
        let stored =
            Stored { sha256, size: i64::try_from(found.size).unwrap_or(i64::MAX), noise, locked_until };
        self.done(listed, found, (acl, is_odd), Kept::Hashed(stored)).await
    }

    async fn acl(&self, key: &str, version: Option<&str>) -> Result<Told> {
        self.acls.read(&self.archiver.source, key, version).await
    }

    /// The source claims another MD5 than that of what it sent. Stores that encrypt may send tags that are none, and bytes may have rotted
    /// there: then a second read gives the same again, which is archived, and told. If the second is what the tag says, the line changed the first: then it is begun again. Otherwise the bytes
    /// cannot be trusted.
    async fn twice(&self, listed: &ObjectSummary, want: Want<'_>, first: (u64, [u8; 32])) -> Result<()> {
        let outside = ArchiveError::outside("reading an object again");
        let claimed = want.etag.unwrap_or_default();
        let mut body = self
            .archiver
            .source
            .s3
            .read(&self.archiver.source.bucket, &listed.key, want)
            .await
            .map_err(&outside)?
            .body;
        let (mut again, mut md5) = (Sha256::new(), Md5::new());
        while let Some(chunk) = body.try_next().await.map_err(&outside)? {
            again.update(&chunk);
            md5.update(&chunk);
        }
        let (size, sha256) = first;
        if <[u8; 32]>::from(again.finalize()) == sha256 {
            return Ok(());
        }
        if hex::encode(md5.finalize()) == claimed {
            return Err(short(&listed.key, 0, size));
        }
        let how = format!("the source sends other bytes than its entity tag {claimed} says");
        Err(ArchiveError::Damaged { what: listed.key.clone(), how })
    }

    fn locked_until(&self) -> Option<DateTime<Utc>> {
        self.keeping.lock.map(|lock| lock.until)
    }

    /// An object that is in the archive. It is odd if its tag looks like an MD5 and is not that of its bytes.
    async fn done(
        &self,
        listed: &ObjectSummary,
        found: Found,
        (acl, is_odd): (Told, bool),
        kept: Kept,
    ) -> Result<Done> {
        let source = &self.archiver.source;
        let tags = if found.tags == 0 {
            std::collections::BTreeMap::new()
        } else {
            let tags = self.tags.read(source, &listed.key, found.version.as_deref()).await?;
            tags.unwrap_or_default()
        };
        let replaced = !listed.may_be(&found.etag);
        let opaque = is_md5(&found.etag) && (found.proof.is_encrypted || is_odd);
        let (sha256, pending) = match &kept {
            Kept::Hashed(stored) => (hex::encode(stored.sha256), None),
            Kept::Pending(pending) => (String::new(), Some(pending.name.clone())),
        };
        let Headers {
            content_type,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            expires,
            website_redirect,
            user,
        } = found.headers;
        let entry = Entry {
            key: listed.key.clone(),
            size: found.size,
            sha256,
            // What the next listing shows is compared with what this one showed, whose dates are finer.
            last_modified: if replaced { found.modified } else { listed.modified },
            etag: found.etag,
            version_id: found.version,
            content_type,
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            expires,
            website_redirect_location: website_redirect,
            metadata: user,
            tags,
            acl_unread: acl == Told::Failed,
            acl: if let Told::List(acl) = acl { Some(acl) } else { None },
            pending,
            opaque,
        };
        Ok(Done { entry, kept, replaced, is_odd })
    }
}
