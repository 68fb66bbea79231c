//! Objects as they are read, put and copied: one request each.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderValue, header};

use super::{
    Payload, S3, S3Error,
    direct::{Ask, checked, serde},
    objects::{LARGEST_COPY, copy_source, quoted, source_of, unquoted},
    proof::Proof,
};

/// The media type of what nobody has named.
const BINARY: &str = "application/octet-stream";
/// Where a website sends its readers.
const REDIRECT: &str = "x-amz-website-redirect-location";
/// Before the names of what users attach to an object.
pub(super) const USER: &str = "x-amz-meta-";

/// A content on its way. It ends with an error if it is cut short or stalls.
pub type Content = BoxStream<'static, Result<Bytes, S3Error>>;

/// Everything that travels with an object. `None` is what was not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// The media type.
    pub content_type: Option<String>,
    /// How long it may be kept by caches.
    pub cache_control: Option<String>,
    /// How a browser presents it.
    pub content_disposition: Option<String>,
    /// How its bytes are coded.
    pub content_encoding: Option<String>,
    /// Its natural language.
    pub content_language: Option<String>,
    /// When caches throw it away: a date, or whatever somebody sent.
    pub expires: Option<String>,
    /// Where a bucket that is a website sends its readers in place of the object.
    pub website_redirect: Option<String>,
    /// `x-amz-meta-…`, names in lower case.
    pub user: BTreeMap<String, String>,
}

/// What is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Want<'a> {
    /// This version of it.
    pub version: Option<&'a str>,
    /// From this byte, so many.
    pub range: Option<(u64, u64)>,
    /// Only if it is still this one.
    pub etag: Option<&'a str>,
}

/// What was found.
pub struct Found {
    /// In bytes, of what is sent.
    pub size: u64,
    /// Of a part: where it begins, and how many bytes the whole has, as far as the store says so.
    pub part_of: Option<(u64, u64)>,
    /// Without quotes.
    pub etag: String,
    /// Its version, in a versioned bucket.
    pub version: Option<String>,
    /// When it was put.
    pub modified: Option<DateTime<Utc>>,
    /// What travels with it.
    pub headers: Headers,
    /// How many tags it has.
    pub tags: u32,
    /// What the store says of its bytes.
    pub proof: Proof,
    /// The content.
    pub body: Content,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("size", &self.size).field("etag", &self.etag).finish_non_exhaustive()
    }
}

/// How an object is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeping {
    /// `GLACIER`…; the store's own default if nothing is said.
    pub storage_class: Option<String>,
    /// Nobody deletes it before.
    pub lock: Option<Lock>,
}

/// A lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// Nobody at all can shorten it.
    pub compliance: bool,
    /// Until when.
    pub until: DateTime<Utc>,
}

impl Lock {
    pub(super) fn mode(self) -> &'static str {
        if self.compliance { "COMPLIANCE" } else { "GOVERNANCE" }
    }
}

impl S3 {
    /// Starts to read an object, or some of it. A whole one ends with an error if its bytes are not those of the checksum that the store
    /// names. 412 if it is another one by now: [`S3Error::is_changed`].
    ///
    /// Source: S3 API "`GetObject`". Safe to repeat.
    pub async fn read(&self, bucket: &str, key: &str, want: Want<'_>) -> Result<Found, S3Error> {
        let call = "objects.get";
        let range = want.range.map(|(from, len)| format!("bytes={from}-{}", from + len - 1));
        // What the store knows of the whole is compared while it is read; of a range it knows nothing.
        let mode = want.range.is_none().then_some("ENABLED");
        let get = Ask::get(call, bucket, key).query("versionId", want.version);
        let get = get.header("if-match", want.etag.map(quoted)).header("range", range);
        let (head, content) = self.ask(get.header("x-amz-checksum-mode", mode)).await?;
        let content = if mode.is_some() { checked(call, &head, content) } else { content };
        Found::of(call, &head, content)
    }

    /// Puts bytes. Returns the `ETag`, without quotes; nothing where the store encrypts, so that it is no digest. Repeating puts the same again, as one more version in a versioned bucket.
    ///
    /// Source: S3 API "`PutObject`"; at most 5 GB. A lock needs the MD5 of the body, which is sent.
    pub async fn write(
        &self,
        bucket: &str,
        key: &str,
        payload: impl Into<Payload> + Send,
        headers: &Headers,
        keeping: &Keeping,
    ) -> Result<String, S3Error> {
        let payload = payload.into();
        // A lock needs it.
        let md5 = keeping.lock.map(|_| payload.content_md5());
        let put = Ask::put("objects.put", bucket, key, payload).header("content-md5", md5);
        let content_type = headers.content_type.as_deref().unwrap_or(BINARY);
        let put = kept(travelling(put, headers), keeping).header("content-type", Some(content_type));
        let told = self.told(put).await?;
        Ok(if Proof::of(&told).is_encrypted { String::new() } else { etag(&told) })
    }

    /// Copies exactly what `want` names from a bucket that the key pair may read, in parts above the limit of a single copy. Returns the
    /// copy's `ETag`, without quotes. 412 if the source is another one by now: [`S3Error::is_changed`].
    ///
    /// Source: S3 API "`CopyObject`" and "`UploadPartCopy`", `x-amz-copy-source-if-match`. Repeating copies again.
    pub async fn copy_exactly(
        &self,
        from: (&str, &str),
        want: Want<'_>,
        to: (&str, &str),
        size: u64,
        keeping: &Keeping,
    ) -> Result<String, S3Error> {
        let source = source_of(from, want.version);
        if size > LARGEST_COPY {
            return self.copy_parts(&source, want.etag, to, size, keeping).await;
        }
        let copy = copy(&source, to, size).header("x-amz-copy-source-if-match", want.etag.map(quoted));
        // A lock needs the MD5 of what is sent, and some stores ask for it although nothing is.
        let md5 = keeping.lock.map(|_| Payload::default().content_md5());
        let copy = kept(copy, keeping).header("content-md5", md5);
        let copied: Copied = self.document(copy, serde).await?;
        Ok(unquoted(copied.etag.as_deref()))
    }

    /// Copies inside the store, with what travels with the object replaced. At most 5 GB.
    ///
    /// Source: S3 API "`CopyObject`", `MetadataDirective: REPLACE`. Repeating copies again.
    pub async fn copy_as(
        &self,
        from: (&str, &str),
        to: (&str, &str),
        size: u64,
        headers: &Headers,
    ) -> Result<(), S3Error> {
        let source = copy_source(from.0, from.1);
        let copy = copy(&source, to, size)
            .header("x-amz-metadata-directive", Some("REPLACE"))
            .header("x-amz-storage-class", Some("STANDARD"))
            .header("content-type", headers.content_type.clone());
        self.document(travelling(copy, headers), serde::<Copied>).await.map(drop)
    }
}

impl Found {
    /// What the head of an answer tells.
    fn of(call: &'static str, head: &HeaderMap, body: Content) -> Result<Self, S3Error> {
        let text = |name: &str| head.get(name).map(said);
        let size = text("content-length").and_then(|size| size.parse().ok());
        let modified = text("last-modified").and_then(|date| DateTime::parse_from_rfc2822(&date).ok());
        Ok(Self {
            size: size.ok_or(S3Error::Incomplete { call, what: "its length" })?,
            part_of: text("content-range").as_deref().and_then(part_of),
            etag: etag(head),
            version: text("x-amz-version-id").filter(|id| id != "null"),
            modified: modified.map(|date| date.to_utc()),
            headers: Headers::of(head),
            tags: text("x-amz-tagging-count").and_then(|count| count.parse().ok()).unwrap_or_default(),
            proof: Proof::of(head),
            body,
        })
    }
}

impl Headers {
    /// Those in the head of an answer.
    pub(super) fn of(head: &HeaderMap) -> Self {
        let text = |name: &str| head.get(name).map(said);
        let user = head
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().strip_prefix(USER)?.to_owned(), said(value))));
        Self {
            content_type: text("content-type"),
            cache_control: text("cache-control"),
            content_disposition: text("content-disposition"),
            content_encoding: text("content-encoding").and_then(|coding| lasting(&coding)),
            content_language: text("content-language"),
            expires: text("expires"),
            website_redirect: text(REDIRECT),
            user: user.collect(),
        }
    }
}

/// What a header says. One that is no UTF-8 is Latin-1, as it was before: some stores give back what an old client sent, and one such
/// letter is no reason to archive nothing.
pub(super) fn said(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect())
}

/// A coding without `aws-chunked`, which is how an object was once sent and not what it is: some stores keep the word, and whoever sends
/// it back is taken to send that again.
fn lasting(coding: &str) -> Option<String> {
    let kept: Vec<_> = coding.split(',').map(str::trim).filter(|one| *one != "aws-chunked").collect();
    Some(kept.join(", ")).filter(|kept| !kept.is_empty())
}

/// The answer to a copy.
#[derive(Debug, serde::Deserialize)]
struct Copied {
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

/// A copy of `size` bytes inside the store.
fn copy<'a>(source: &str, to: (&'a str, &'a str), size: u64) -> Ask<'a> {
    let put = Ask::put("objects.copy", to.0, to.1, Payload::default()).moves(size);
    put.header("x-amz-copy-source", Some(source))
}

/// With everything that travels with an object but its media type.
pub(super) fn travelling<'a>(put: Ask<'a>, headers: &Headers) -> Ask<'a> {
    let put = put
        .header("cache-control", headers.cache_control.clone())
        .header("content-disposition", headers.content_disposition.clone())
        .header("content-encoding", headers.content_encoding.as_deref().and_then(lasting))
        .header("content-language", headers.content_language.clone())
        .header("expires", headers.expires.clone())
        .header(REDIRECT, headers.website_redirect.clone());
    headers.user.iter().fold(put, |put, (name, value)| put.header(format!("{USER}{name}"), Some(value)))
}

/// With how it is kept.
pub(super) fn kept<'a>(put: Ask<'a>, keeping: &Keeping) -> Ask<'a> {
    let until = |lock: Lock| lock.until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    put.header("x-amz-storage-class", keeping.storage_class.clone())
        .header("x-amz-object-lock-mode", keeping.lock.map(Lock::mode))
        .header("x-amz-object-lock-retain-until-date", keeping.lock.map(until))
}

/// The start and the total of `bytes 0-1023/146515`. Source: RFC 9110, section 14.4.
fn part_of(range: &str) -> Option<(u64, u64)> {
    let (span, total) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((span.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()?))
}

fn etag(head: &HeaderMap) -> String {
    unquoted(head.get(header::ETAG).and_then(|etag| etag.to_str().ok()))
}
