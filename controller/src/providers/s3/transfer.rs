//! Objects that pass through: read in ranges, written in parts whose bytes are never held.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use aws_sdk_s3::{
    primitives::{ByteStream, DateTime as SmithyTime, SdkBody},
    types::{
        ChecksumMode, CompletedMultipartUpload, CompletedPart, MetadataDirective, ObjectLockMode,
        ObjectLockRetention, StorageClass,
    },
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream::BoxStream};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{
    S3, S3Error,
    objects::{LARGEST_COPY, copy_source, quoted, source_of, unquoted, utc},
    payload::Payload,
    settings::{for_bytes, limits},
};
use crate::providers::http::Effect;

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
    fn mode(self) -> &'static str {
        if self.compliance { "COMPLIANCE" } else { "GOVERNANCE" }
    }

    fn until(self) -> SmithyTime {
        SmithyTime::from_secs(self.until.timestamp())
    }
}

impl S3 {
    /// Starts to read an object, or some of it. A whole one ends with an error if its bytes are not those of the checksum that the store
    /// names. 412 if it is another one by now: [`S3Error::is_changed`].
    ///
    /// Source: S3 API "`GetObject`". Safe to repeat.
    pub async fn read(&self, bucket: &str, key: &str, want: Want<'_>) -> Result<Found, S3Error> {
        let call = "objects.get";
        let get = self.client.get_object().bucket(bucket).key(key);
        let get = get.set_version_id(want.version.map(str::to_owned));
        let get = get.set_if_match(want.etag.map(quoted));
        let get = get.set_range(want.range.map(|(from, len)| format!("bytes={from}-{}", from + len - 1)));
        // What the store knows of the whole is compared by the SDK while it is read; of a range it knows nothing.
        let mode = want.range.is_none().then_some(ChecksumMode::Enabled);
        let get = get.set_checksum_mode(mode);
        let found = self.run(call, Effect::Repeatable, get.send()).await?;
        let size = found.content_length().and_then(|size| u64::try_from(size).ok());
        Ok(Found {
            size: size.ok_or(S3Error::Incomplete { call, what: "its length" })?,
            etag: unquoted(found.e_tag()),
            version: found.version_id.filter(|id| id != "null"),
            modified: found.last_modified.as_ref().and_then(utc),
            headers: Headers {
                content_type: found.content_type,
                cache_control: found.cache_control,
                content_disposition: found.content_disposition,
                content_encoding: found.content_encoding,
                content_language: found.content_language,
                user: found.metadata.unwrap_or_default().into_iter().collect(),
            },
            tags: found.tag_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
            body: self.content(call, found.body),
        })
    }

    /// A body that ends when we are told to stop.
    pub(super) fn content(&self, call: &'static str, body: ByteStream) -> Content {
        let cancel = self.shared.cancel.clone();
        futures::stream::unfold(Some(body), move |body| {
            let cancel = cancel.clone();
            async move {
                let mut body = body?;
                let next = tokio::select! {
                    biased;
                    () = cancel.cancelled() => Err(S3Error::Cancelled { call, in_doubt: false }),
                    next = body.try_next() => next.map_err(|error| {
                        S3Error::Transport { call, effect: Effect::Repeatable, source: Box::new(error) }
                    }),
                };
                match next {
                    Ok(bytes) => bytes.map(|bytes| (Ok(bytes), Some(body))),
                    Err(error) => Some((Err(error), None)),
                }
            }
        })
        .boxed()
    }

    /// Puts bytes. Returns the `ETag`, without quotes. Repeating puts the same again, as one more version in a versioned bucket.
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
        let size = payload.bytes.len() as u64;
        let put = self.client.put_object().bucket(bucket).key(key);
        let put = put
            .set_content_type(headers.content_type.clone())
            .set_cache_control(headers.cache_control.clone())
            .set_content_disposition(headers.content_disposition.clone())
            .set_content_encoding(headers.content_encoding.clone())
            .set_content_language(headers.content_language.clone())
            .set_metadata(Some(headers.user.clone().into_iter().collect()))
            .set_storage_class(keeping.storage_class.as_deref().map(StorageClass::from));
        let put = match keeping.lock {
            Some(lock) => put
                .object_lock_mode(ObjectLockMode::from(lock.mode()))
                .object_lock_retain_until_date(lock.until())
                .content_md5(payload.content_md5()),
            None => put,
        };
        let signed = payload.signed();
        let mut put = put.body(ByteStream::from(payload.bytes)).customize();
        if let Some(limits) = for_bytes(&self.shared, size) {
            put = put.config_override(limits);
        }
        if let Some(signed) = signed {
            put = put.interceptor(signed);
        }
        let done = self.run("objects.put", Effect::Mutating, put.send()).await?;
        Ok(unquoted(done.e_tag()))
    }

    /// Begins an object that is sent in parts. Returns the upload's id. Unfinished uploads are billed: abort them.
    ///
    /// Source: S3 API "`CreateMultipartUpload`". Repeating begins another one.
    pub async fn begin_parts(
        &self,
        bucket: &str,
        key: &str,
        headers: &Headers,
        keeping: &Keeping,
    ) -> Result<String, S3Error> {
        let call = "parts.begin";
        let begin = self.client.create_multipart_upload().bucket(bucket).key(key);
        let begin = begin
            .set_content_type(headers.content_type.clone())
            .set_cache_control(headers.cache_control.clone())
            .set_content_disposition(headers.content_disposition.clone())
            .set_content_encoding(headers.content_encoding.clone())
            .set_content_language(headers.content_language.clone())
            .set_metadata(Some(headers.user.clone().into_iter().collect()))
            .set_storage_class(keeping.storage_class.as_deref().map(StorageClass::from))
            .set_object_lock_mode(keeping.lock.map(|lock| ObjectLockMode::from(lock.mode())))
            .set_object_lock_retain_until_date(keeping.lock.map(Lock::until));
        let begun = self.run(call, Effect::Mutating, begin.send()).await?;
        begun.upload_id.ok_or(S3Error::Incomplete { call, what: "the upload's id" })
    }

    /// Sends a part of `size` bytes as they come. Returns its `ETag`. The SDK cannot repeat it; the caller can, with the same bytes.
    ///
    /// Source: S3 API "`UploadPart`": parts of 5 MiB at least, but the last; Scaleway takes 1,000.
    pub async fn put_part(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        number: i32,
        size: u64,
        content: Content,
    ) -> Result<String, S3Error> {
        let body = SdkBody::from_body_1_x(Measured { left: size, content: Mutex::new(content) });
        let put = self.client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(number);
        let put = put.content_length(i64::try_from(size).unwrap_or(i64::MAX)).body(ByteStream::new(body));
        let put = put.customize().config_override(limits(&self.shared, size)).send();
        let done = self.run("parts.put", Effect::Repeatable, put).await?;
        Ok(unquoted(done.e_tag()))
    }

    /// Copies inside the store, in parts above the limit of a single copy. Returns nothing: the `ETag` says little of it.
    ///
    /// Source: S3 API "`CopyObject`" (at most 5 GB) and "`UploadPartCopy`". Repeating copies again.
    pub async fn keep_copy(
        &self,
        from: (&str, &str),
        to: (&str, &str),
        size: u64,
        keeping: &Keeping,
    ) -> Result<(), S3Error> {
        self.copy_exactly(from, Want::default(), to, size, keeping).await.map(drop)
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
        let copy = self.client.copy_object().copy_source(source).bucket(to.0).key(to.1);
        let copy = copy
            .set_copy_source_if_match(want.etag.map(quoted))
            .set_storage_class(keeping.storage_class.as_deref().map(StorageClass::from))
            .set_object_lock_mode(keeping.lock.map(|lock| ObjectLockMode::from(lock.mode())))
            .set_object_lock_retain_until_date(keeping.lock.map(Lock::until));
        let mut copy = copy.customize();
        if let Some(limits) = for_bytes(&self.shared, size) {
            copy = copy.config_override(limits);
        }
        let done = self.run("objects.copy", Effect::Mutating, copy.send()).await?;
        Ok(unquoted(done.copy_object_result().and_then(|result| result.e_tag())))
    }

    async fn copy_parts(
        &self,
        source: &str,
        etag: Option<&str>,
        to: (&str, &str),
        size: u64,
        keeping: &Keeping,
    ) -> Result<String, S3Error> {
        let upload = self.begin_parts(to.0, to.1, &Headers::default(), keeping).await?;
        match self.copy_each(source, etag, (to, &upload), size).await {
            Ok(etags) => self.complete_parts(to.0, to.1, &upload, &etags).await,
            Err(error) => {
                // It is billed until it is gone; what cannot be aborted now is swept by `prune`.
                if let Err(error) = self.abort_parts(to.0, to.1, &upload).await {
                    tracing::warn!(key = to.1, %error, "an unfinished upload stays");
                }
                Err(error)
            }
        }
    }

    async fn copy_each(
        &self,
        source: &str,
        etag: Option<&str>,
        (to, upload): ((&str, &str), &str),
        size: u64,
    ) -> Result<Vec<String>, S3Error> {
        let mut etags = Vec::new();
        // A thousand parts at most.
        let part = (1 << 30).max(size.div_ceil(1_000));
        for (number, from) in (1..).zip((0..size).step_by(usize::try_from(part).unwrap_or(usize::MAX))) {
            let range = format!("bytes={from}-{}", (from + part).min(size) - 1);
            let copy = self.client.upload_part_copy().bucket(to.0).key(to.1).upload_id(upload);
            let copy = copy.part_number(number).copy_source(source).copy_source_range(range);
            let copy = copy.set_copy_source_if_match(etag.map(quoted));
            let copy = copy.customize().config_override(limits(&self.shared, part)).send();
            let done = self.run("parts.copy", Effect::Repeatable, copy).await?;
            etags.push(unquoted(done.copy_part_result().and_then(|result| result.e_tag())));
        }
        Ok(etags)
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
        let copy = self.client.copy_object().copy_source(copy_source(from.0, from.1)).bucket(to.0).key(to.1);
        let copy = copy
            .metadata_directive(MetadataDirective::Replace)
            .set_content_type(headers.content_type.clone())
            .set_cache_control(headers.cache_control.clone())
            .set_content_disposition(headers.content_disposition.clone())
            .set_content_encoding(headers.content_encoding.clone())
            .set_content_language(headers.content_language.clone())
            .set_metadata(Some(headers.user.clone().into_iter().collect()))
            .storage_class(StorageClass::Standard);
        let copy = copy.customize().config_override(limits(&self.shared, size)).send();
        self.run("objects.copy", Effect::Mutating, copy).await.map(drop)
    }

    /// Makes one object of the parts, numbered from 1. Returns its `ETag`.
    ///
    /// Source: S3 API "`CompleteMultipartUpload`". Repeating gives `NoSuchUpload`.
    pub async fn complete_parts(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        etags: &[String],
    ) -> Result<String, S3Error> {
        let parts = (1..).zip(etags).map(|(number, etag)| {
            CompletedPart::builder().part_number(number).e_tag(format!("\"{etag}\"")).build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let complete = self.client.complete_multipart_upload().bucket(bucket).key(key).upload_id(upload);
        let complete = complete.multipart_upload(parts);
        // The store may take its time to put the parts together.
        let complete = complete.customize().config_override(limits(&self.shared, 1 << 30)).send();
        let done = self.run("parts.complete", Effect::Mutating, complete).await?;
        Ok(unquoted(done.e_tag()))
    }

    /// Gives an upload up. Success if it is gone.
    ///
    /// Source: S3 API "`AbortMultipartUpload`". Safe to repeat.
    pub async fn abort_parts(&self, bucket: &str, key: &str, upload: &str) -> Result<(), S3Error> {
        let abort = self.client.abort_multipart_upload().bucket(bucket).key(key).upload_id(upload).send();
        match self.run("parts.abort", Effect::Repeatable, abort).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Locks an object until a later date.
    ///
    /// Source: S3 API "`PutObjectRetention`". Safe to repeat.
    pub async fn lock(&self, bucket: &str, key: &str, lock: Lock) -> Result<(), S3Error> {
        let retention =
            ObjectLockRetention::builder().mode(lock.mode().into()).retain_until_date(lock.until()).build();
        let put = self.client.put_object_retention().bucket(bucket).key(key).retention(retention);
        self.run("objects.lock", Effect::Repeatable, put.send()).await.map(drop)
    }

    /// An object's tags.
    ///
    /// Source: S3 API "`GetObjectTagging`". Safe to repeat.
    pub async fn tags(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<BTreeMap<String, String>, S3Error> {
        let get = self.client.get_object_tagging().bucket(bucket).key(key);
        let get = get.set_version_id(version.map(str::to_owned)).send();
        let found = self.run("objects.tags", Effect::Repeatable, get).await?;
        Ok(found.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    /// Replaces an object's tags.
    ///
    /// Source: S3 API "`PutObjectTagging`". Safe to repeat.
    pub async fn set_tags(
        &self,
        bucket: &str,
        key: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), S3Error> {
        use aws_sdk_s3::types::{Tag, Tagging};
        let call = "objects.tag";
        let wrong = |error| S3Error::Request { call, source: Box::new(error) };
        let tags =
            tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().map_err(wrong));
        let tagging = Tagging::builder().set_tag_set(Some(tags.collect::<Result<_, _>>()?));
        let tagging = tagging.build().map_err(wrong)?;
        let put = self.client.put_object_tagging().bucket(bucket).key(key).tagging(tagging).send();
        self.run(call, Effect::Repeatable, put).await.map(drop)
    }
}

/// A body of a known length. The lock is never contended: it makes a stream that one task polls shareable in the compiler's eyes.
struct Measured {
    left: u64,
    content: Mutex<Content>,
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = S3Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, S3Error>>> {
        let polled = self.content.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context);
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        polled.map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Nothing of a stream is printed.
impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").field("left", &self.left).finish_non_exhaustive()
    }
}
