//! What lies at the target beside what the manifest says.

use std::sync::{Mutex, PoisonError};

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::RestoreOrder;
use super::lost::Lost;
use crate::archive::acl::{Acls, Told};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{Entry, is_md5};
use crate::archive::tags::Tags;
use crate::archive::{Archiver, Place};
use crate::providers::s3::{Acl, Headers, Want};

/// Differences that a report names.
const NAMED: usize = 100;

impl Archiver {
    /// The entries that were asked for, in order, and whether something lies under their keys at the target. One listing tells, where
    /// asking for each would cost as many requests as there are objects.
    pub(super) fn beside<'a>(
        manifest: &std::path::Path,
        order: &'a RestoreOrder,
        start: &'a str,
    ) -> impl futures::Stream<Item = Result<(Entry, bool)>> + Send + use<'a> {
        let state = (Box::pin(Self::wanted(manifest, order)), Listing::of(&order.to, start));
        futures::stream::try_unfold(state, move |(mut wanted, mut listing)| async move {
            let Some(entry) = wanted.try_next().await? else { return Ok(None) };
            let there = listing.has(&format!("{}{}", order.to_prefix, entry.key)).await?;
            Ok(Some(((entry, there), (wanted, listing))))
        })
    }

    /// Whether the object is there already, content and all that travels with it.
    pub(super) async fn is_right(
        &self,
        entry: &Entry,
        key: &str,
        order: &RestoreOrder,
        tags: &Tags,
    ) -> Result<bool> {
        let written = self.is_written(entry, key, order).await?;
        Ok(written && (entry.tags.is_empty() || tags.are(&order.to, key, &entry.tags).await?))
    }

    /// Whether the object's content is there, and what is written with it.
    pub(super) async fn is_written(&self, entry: &Entry, key: &str, order: &RestoreOrder) -> Result<bool> {
        let outside = ArchiveError::outside("looking at an object");
        let Some(head) = order.to.s3.head(&order.to.bucket, key).await.map_err(&outside)? else {
            return Ok(false);
        };
        // A store names a type where none was sent. What it does not keep, and what the lines of older releases do not tell, is no difference.
        let wanted = entry.headers();
        let told = |seen: Option<String>, wanted: &Option<String>| match (seen, wanted) {
            (Some(seen), Some(_)) => Some(seen),
            (_, wanted) => wanted.clone(),
        };
        let seen = Headers {
            content_type: head.metadata.content_type.filter(|_| entry.content_type.is_some()),
            expires: told(head.metadata.expires, &wanted.expires),
            website_redirect: told(head.metadata.website_redirect, &wanted.website_redirect),
            ..head.metadata
        };
        if head.size != entry.size || seen != wanted {
            return Ok(false);
        }
        if entry.md5().is_some_and(|md5| md5 == head.etag) {
            return Ok(true);
        }
        self.has_content(entry, key, order).await
    }

    /// Whether the object's bytes are those that the manifest names. Stores that encrypt give tags that look like an MD5 and are none: where
    /// they differ, only reading tells.
    pub(super) async fn has_content(&self, entry: &Entry, key: &str, order: &RestoreOrder) -> Result<bool> {
        let outside = ArchiveError::outside("reading an object again");
        let mut body = match order.to.s3.read(&order.to.bucket, key, Want::default()).await {
            Err(error) if error.is_not_found() => return Ok(false),
            found => found.map_err(&outside)?.body,
        };
        let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
        while let Some(chunk) = body.try_next().await.map_err(&outside)? {
            order.passes();
            sha256.update(&chunk);
            md5.update(&chunk);
        }
        // Of what nobody has hashed yet the source's own tag is all that is known.
        Ok(match (entry.sha256.as_str(), entry.md5()) {
            ("", Some(claimed)) => hex::encode(md5.finalize()) == claimed,
            ("", None) => false,
            (known, _) => hex::encode(sha256.finalize()) == known,
        })
    }

    /// The manifest beside what lies there now. What is `lost` did not come back, whatever lies in its place.
    pub(super) async fn compared(
        &self,
        manifest: &std::path::Path,
        order: &RestoreOrder,
        lost: &Lost,
    ) -> Result<Compared> {
        let start = order.start();
        let listing = order.to.s3.list_in_order(&order.to.bucket, &start);
        let mut listing = std::pin::pin!(listing.map_err(ArchiveError::outside("comparing")));
        let mut wanted = std::pin::pin!(Self::wanted(manifest, order));
        let (mut told, mut others) = (Vec::new(), Others::default());
        let mut there = listing.try_next().await?;
        while let Some(entry) = wanted.try_next().await? {
            order.passes();
            let key = format!("{}{}", order.to_prefix, entry.key);
            while let Some(other) = there.take_if(|object| object.key < key) {
                others.see(other.key);
                there = listing.try_next().await?;
            }
            let found = there.take_if(|object| object.key == key);
            if found.is_some() {
                there = listing.try_next().await?;
            }
            let wrong = match found {
                _ if lost.all() > 0 && lost.of(&key).is_some() => lost.of(&key),
                // A list may be late, and some show no key that ends in a slash.
                None if told.len() < NAMED && self.is_written(&entry, &key, order).await? => {
                    others.unlisted(&key);
                    None
                }
                None => Some(format!("{key} is missing")),
                Some(object) if object.size != entry.size => {
                    Some(format!("{key} has {} bytes, and should have {}", object.size, entry.size))
                }
                Some(object) => {
                    let differs = entry.md5().is_some_and(|md5| is_md5(&object.etag) && object.etag != md5);
                    let differs = differs && !self.has_content(&entry, &key, order).await?;
                    differs.then(|| format!("{key} has another content"))
                }
            };
            told.extend(wrong.filter(|_| told.len() < NAMED));
        }
        while let Some(other) = there {
            others.see(other.key);
            there = listing.try_next().await?;
        }
        // What begins like the one key that was asked for is nobody's business.
        let others = others.told(order.key.is_none());
        Ok(Compared { differences: told, others })
    }

    /// Puts the access control list of an object that has its content. A `new` one is its owner's alone already.
    pub(super) async fn open_up(
        &self,
        entry: &Entry,
        key: &str,
        (order, acls): (&RestoreOrder, &Acls),
        new: bool,
    ) -> Result<()> {
        let Some(wanted) = &entry.acl else { return Ok(()) };
        let is_right = if new {
            wanted.is_private()
        } else {
            match acls.read(&order.to, key, None).await? {
                Told::List(seen) => seen == *wanted,
                Told::Nothing | Told::Failed => true,
            }
        };
        if is_right { Ok(()) } else { acls.put(&order.to, key, wanted).await }
    }

    /// Objects that others may read, by the manifest, and whose access control list is another one now.
    pub(super) async fn closed(
        &self,
        manifest: &std::path::Path,
        order: &RestoreOrder,
        acls: &Acls,
    ) -> Result<Vec<String>> {
        let told = Mutex::new(Vec::new());
        let open = Self::wanted(manifest, order)
            .try_filter(|entry| std::future::ready(entry.acl.as_ref().is_some_and(|acl| !acl.is_private())));
        let compare = async |entry: Entry| -> Result<()> {
            let key = format!("{}{}", order.to_prefix, entry.key);
            let seen = acls.read(&order.to, &key, None).await?;
            order.passes();
            if let (Told::List(seen), Some(wanted)) = (seen, entry.acl)
                && seen != wanted
            {
                let how = format!(
                    "{key} has the access control list {}, and should have {}",
                    word(&seen),
                    word(&wanted)
                );
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                if told.len() < NAMED {
                    told.push(how);
                }
            }
            Ok(())
        };
        open.try_for_each_concurrent(self.concurrency, compare).await?;
        Ok(told.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a comparison found.
#[derive(Debug)]
pub(super) struct Compared {
    /// Objects that are not as the manifest has them; the first hundred.
    pub differences: Vec<String>,
    /// Objects that it does not name, and objects that the list does not, in a sentence each, if there are any.
    pub others: Vec<String>,
}

/// Objects at the target that the manifest does not name. They may be somebody's: they are told, and left alone.
#[derive(Debug, Default)]
struct Others {
    count: u64,
    first: Vec<String>,
    /// Objects that are right, and are in no list.
    unlisted: u64,
    first_unlisted: Option<String>,
}

impl Others {
    fn see(&mut self, key: String) {
        self.count += 1;
        if self.first.len() < 3 {
            self.first.push(key);
        }
    }

    fn unlisted(&mut self, key: &str) {
        self.unlisted += 1;
        self.first_unlisted.get_or_insert_with(|| key.to_owned());
    }

    fn told(self, strangers: bool) -> Vec<String> {
        let more = if self.count > 3 { " and others" } else { "" };
        let others = (strangers && self.count > 0).then(|| {
            format!(
                "{} objects lie there that the run does not have: {}{more}",
                self.count,
                self.first.join(", ")
            )
        });
        let unlisted = self.first_unlisted.map(|first| {
            let count = self.unlisted;
            format!("{count} objects are given when they are asked for, and are in no list of the target (first: {first})")
        });
        others.into_iter().chain(unlisted).collect()
    }
}

impl RestoreOrder {
    /// What every key at the target begins with.
    pub(super) fn start(&self) -> String {
        format!("{}{}", self.to_prefix, self.key.as_deref().or(self.prefix.as_deref()).unwrap_or_default())
    }
}

/// The target's keys, in order.
struct Listing<'a> {
    keys: BoxStream<'a, Result<String>>,
    /// The next one, once it was asked for.
    front: Option<String>,
}

impl<'a> Listing<'a> {
    fn of(to: &'a Place, start: &'a str) -> Self {
        let keys = to.s3.list_in_order(&to.bucket, start).map_ok(|object| object.key);
        Self { keys: keys.map_err(ArchiveError::outside("listing the target")).boxed(), front: None }
    }

    /// Whether it names `key`. Keys must be asked for in order.
    async fn has(&mut self, key: &str) -> Result<bool> {
        while self.front.as_deref().is_none_or(|there| there < key) {
            self.front = self.keys.try_next().await?;
            if self.front.is_none() {
                return Ok(false);
            }
        }
        Ok(self.front.as_deref() == Some(key))
    }
}

fn word(acl: &Acl) -> String {
    serde_json::to_string(acl).unwrap_or_default()
}
