//! Objects: put, read, listed, compared, thawed.

use aws_sdk_s3::types::RestoreRequest;
use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt as _};
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::{Headers, S3, S3Error, direct::Ask, listing, proof::Proof, transfer::said};
use crate::providers::http::Effect;

/// What a copy's source must not hold as it is. Slashes separate bucket and key.
const SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// Bytes that a server-side copy is allowed to take its time for: the largest single copy.
pub(super) const LARGEST_COPY: u64 = 5_000_000_000;

/// An object as a list tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSummary {
    /// Its key.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Without quotes. The MD5 of the content unless it was put in parts (then it has a `-`); empty where a store's lists have none.
    pub etag: String,
    /// When it was put.
    pub modified: Option<DateTime<Utc>>,
    /// `STANDARD`, `GLACIER`…
    pub storage_class: Option<String>,
}

impl ObjectSummary {
    /// Whether an object with this entity tag may be the one that was listed. Pure.
    pub fn may_be(&self, etag: &str) -> bool {
        self.etag.is_empty() || self.etag == etag
    }
}

/// Whether an object can be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thaw {
    /// Not in cold storage.
    Readable,
    /// In cold storage, nobody has asked for it.
    Frozen,
    /// Asked for, not there yet.
    Thawing,
    /// In cold storage, with a copy that can be read for a while.
    Thawed,
}

/// An object without its content.
#[derive(Debug, Clone)]
pub struct ObjectHead {
    /// In bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// What travels with it.
    pub metadata: Headers,
    /// Its version, in a versioned bucket.
    pub version: Option<String>,
    /// Whether it can be read now.
    pub thaw: Thaw,
    /// Nobody deletes it before.
    pub locked_until: Option<DateTime<Utc>>,
    /// What the store says of its bytes.
    pub proof: Proof,
}

impl S3 {
    /// What is known of an object without reading it.
    ///
    /// Source: S3 API "`HeadObject`". Safe to repeat.
    pub async fn head(&self, bucket: &str, key: &str) -> Result<Option<ObjectHead>, S3Error> {
        self.head_version(bucket, key, None).await
    }

    /// Looks at one version of an object, or at its newest.
    ///
    /// Source: S3 API "`HeadObject`". Safe to repeat.
    pub async fn head_version(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<ObjectHead>, S3Error> {
        self.look(Ask::head("objects.head", bucket, key).query("versionId", version)).await
    }

    /// The same with the checksum that the store may know of the object.
    ///
    /// Source: S3 API "`HeadObject`", `x-amz-checksum-mode`. Safe to repeat.
    pub async fn head_proof(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<ObjectHead>, S3Error> {
        let head = Ask::head("objects.head", bucket, key).query("versionId", version);
        self.look(head.header("x-amz-checksum-mode", Some("ENABLED"))).await
    }

    async fn look(&self, head: Ask<'_>) -> Result<Option<ObjectHead>, S3Error> {
        match self.told(head).await {
            Ok(found) => Ok(Some(read_head(&found)?)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of objects whose keys begin with `prefix`, in the order of their bytes, after `token`; and the token of the next page.
    ///
    /// Source: S3 API "`ListObjectsV2`". Safe to repeat.
    async fn list_page(
        &self,
        bucket: &str,
        prefix: &str,
        token: Option<&str>,
    ) -> Result<(Vec<ObjectSummary>, Option<String>), S3Error> {
        let list = Ask::get("objects.list", bucket, "").query("list-type", Some("2"));
        let list = list.query("prefix", Some(prefix)).query("continuation-token", token);
        // XML cannot spell every key.
        let list = list.query("encoding-type", Some("url")).patient();
        let page = self.document(list, listing::parse).await?;
        let page = self.spelt_out(bucket, page).await?;
        let next = page.next.filter(|next| page.truncated && !next.is_empty());
        if page.truncated && (next.is_none() || next.as_deref() == token) {
            // Some servers say that there is more and not where: believing them would lose objects or never end.
            return Err(S3Error::Incomplete { call: "objects.list", what: "where its next page is" });
        }
        // Passing over an entry that cannot be read would lose an object that the store has.
        let objects = page.objects.into_iter().collect::<Option<Vec<_>>>();
        let mut objects =
            objects.ok_or(S3Error::Incomplete { call: "objects.list", what: "an object's key or size" })?;
        // Stores that keep keys as files list folder by folder: `a/b` before `a-b`. Keys in order are sorted at no cost.
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        // A store over something that knows names twice lists one of them twice, and gives one.
        objects.dedup_by(|a, b| a.key == b.key);
        Ok((objects, next))
    }

    /// Pages of all objects whose keys begin with `prefix`; each page is in the order of the keys' bytes.
    pub fn list_pages<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
    ) -> impl Stream<Item = Result<Vec<ObjectSummary>, S3Error>> + Send + 'a {
        futures::stream::try_unfold(Some(None::<String>), move |token| async move {
            let Some(token) = token else { return Ok(None) };
            let (objects, next) = self.list_page(bucket, prefix, token.as_deref()).await?;
            Ok(Some((objects, next.map(Some))))
        })
    }

    /// Whether no object's key begins with `prefix`.
    pub async fn is_empty(&self, bucket: &str, prefix: &str) -> Result<bool, S3Error> {
        Ok(self.list_page(bucket, prefix, None).await?.0.is_empty())
    }

    /// Whether a list names exactly this key.
    pub async fn is_listed(&self, bucket: &str, key: &str) -> Result<bool, S3Error> {
        let mut pages = std::pin::pin!(self.list_pages(bucket, key));
        while let Some(page) = pages.try_next().await? {
            if page.iter().any(|object| object.key == key) {
                return Ok(true);
            }
            // Keys that begin with it come after it, in the order that S3 has: the first page that has any is enough.
            if !page.is_empty() && !self.order.is_lost() {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// All objects whose keys begin with `prefix`, one by one, in whatever order the store has.
    pub fn list<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
    ) -> impl Stream<Item = Result<ObjectSummary, S3Error>> + Send + 'a {
        self.list_pages(bucket, prefix).map_ok(each).try_flatten()
    }

    /// Asks for a copy of a frozen object that can be read for `days`. Being asked already is success.
    ///
    /// Source: S3 API "`RestoreObject`"; Scaleway's page on GLACIER: 202, minutes to a day. Safe to repeat.
    pub async fn thaw(&self, bucket: &str, key: &str, days: i32) -> Result<(), S3Error> {
        let request = RestoreRequest::builder().days(days).build();
        let thaw = self.client.restore_object().bucket(bucket).key(key).restore_request(request).send();
        match self.run("objects.thaw", Effect::Repeatable, thaw).await {
            Err(error) if error.code() == Some("RestoreAlreadyInProgress") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Deletes an object, or exactly one version of it. In a versioned bucket without a version, only a marker is put, whose version is
    /// returned.
    ///
    /// Source: S3 API "`DeleteObject`". Repeating is success too, but puts one more marker.
    pub async fn delete(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<String>, S3Error> {
        let delete = self.client.delete_object().bucket(bucket).key(key);
        let delete = delete.set_version_id(version.map(str::to_owned)).send();
        let done = self.run("objects.delete", Effect::Mutating, delete).await?;
        Ok(done.version_id.filter(|_| done.delete_marker == Some(true) && version.is_none()))
    }
}

pub(super) fn each(page: Vec<ObjectSummary>) -> impl Stream<Item = Result<ObjectSummary, S3Error>> {
    futures::stream::iter(page.into_iter().map(Ok))
}

/// A copy's source, escaped as its header wants it.
pub(super) fn copy_source(bucket: &str, key: &str) -> String {
    utf8_percent_encode(&format!("{bucket}/{key}"), SOURCE).to_string()
}

/// The same of one version, or of the newest.
pub(super) fn source_of((bucket, key): (&str, &str), version: Option<&str>) -> String {
    let source = copy_source(bucket, key);
    match version {
        Some(version) => format!("{source}?versionId={}", utf8_percent_encode(version, SOURCE)),
        None => source,
    }
}

fn read_head(found: &HeaderMap) -> Result<ObjectHead, S3Error> {
    let text = |name: &str| found.get(name).map(said);
    let frozen = matches!(text("x-amz-storage-class").as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
        // What a store puts away by itself keeps its class.
        || text("x-amz-archive-status").is_some();
    let locked_until = text("x-amz-object-lock-retain-until-date");
    let locked_until = locked_until.and_then(|date| DateTime::parse_from_rfc3339(&date).ok());
    // Believed to be empty, an object would be taken for damaged.
    let lacks = S3Error::Incomplete { call: "objects.head", what: "its length" };
    Ok(ObjectHead {
        size: text("content-length").and_then(|size| size.parse().ok()).ok_or(lacks)?,
        etag: unquoted(text("etag").as_deref()),
        version: text("x-amz-version-id"),
        locked_until: locked_until.map(|date| date.to_utc()),
        metadata: Headers::of(found),
        thaw: thaw_state(frozen, text("x-amz-restore").as_deref()),
        proof: Proof::of(found),
    })
}

/// `x-amz-restore: ongoing-request="…"`; the storage class stays cold meanwhile. Pure.
fn thaw_state(frozen: bool, restore: Option<&str>) -> Thaw {
    match restore {
        Some(text) if text.contains("ongoing-request=\"true\"") => Thaw::Thawing,
        Some(text) if text.contains("ongoing-request=\"false\"") => Thaw::Thawed,
        _ if frozen => Thaw::Frozen,
        _ => Thaw::Readable,
    }
}

/// As conditions have them.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// Stores send entity tags with and without quotes.
pub(super) fn unquoted(etag: Option<&str>) -> String {
    let etag = etag.unwrap_or_default();
    // A proxy that may compress what passes calls tags weak, in answers to reads and not in lists.
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_thaw_is_read_from_both_headers() {
        let asked = Some("ongoing-request=\"true\"");
        let there = Some("ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2026 00:00:00 GMT\"");
        assert_eq!(thaw_state(true, None), Thaw::Frozen);
        assert_eq!(thaw_state(true, asked), Thaw::Thawing);
        assert_eq!(thaw_state(true, there), Thaw::Thawed);
        assert_eq!(thaw_state(false, None), Thaw::Readable);
    }

    #[test]
    fn an_object_without_a_length_is_not_an_empty_one() {
        // As proxies answer that send in chunks.
        assert!(read_head(&HeaderMap::new()).is_err_and(|error| error.is_incomplete()));
        let empty = HeaderMap::from_iter([(http::header::CONTENT_LENGTH, http::HeaderValue::from(0))]);
        assert_eq!(read_head(&empty).unwrap().size, 0);
    }

    #[test]
    fn a_copy_source_is_escaped_but_its_slashes() {
        assert_eq!(copy_source("b", "é + 1/2?.txt"), "b/%C3%A9%20%2B%201/2%3F.txt");
    }
}
