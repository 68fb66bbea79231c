//! Objects whose bytes are never held: written from a file, or in parts as they come; and copied in parts, above the limit of a single
//! copy.

use std::{
    fmt, io,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use aws_sdk_s3::{
    primitives::{ByteStream, SdkBody},
    types::{CompletedMultipartUpload, CompletedPart},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::StreamExt as _;
use http::HeaderValue;
use http_body::{Body as HttpBody, Frame, SizeHint};
use md5::{Digest as _, Md5};
use serde::Deserialize;

use super::{
    Content, Headers, Keeping, S3, S3Error,
    direct::{Ask, serde},
    objects::{quoted, unquoted},
    settings::limits,
    transfer::{kept, travelling},
};
use crate::providers::http::Effect;

impl S3 {
    /// Puts a file as it is now; `moved` is called as its bytes go. Returns the `ETag`, without quotes. Repeating puts the same again.
    ///
    /// Source: S3 API "`PutObject`"; at most 5 GB.
    pub async fn write_file(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
        headers: &Headers,
        moved: impl Fn() + Clone + Send + Sync + Unpin + 'static,
    ) -> Result<String, S3Error> {
        let call = "objects.put";
        let file = |source: Box<dyn std::error::Error + Send + Sync>| S3Error::File { call, source };
        let size = tokio::fs::metadata(path).await.map_err(|error| file(error.into()))?.len();
        let body = ByteStream::from_path(path).await.map_err(|error| file(error.into()))?;
        let told = move |body| SdkBody::from_body_1_x(Telling { body, moved: moved.clone() });
        let body = ByteStream::new(body.into_inner().map(told));
        let put = self.client.put_object().bucket(bucket).key(key).body(body);
        let put = put
            .set_content_type(headers.content_type.clone())
            .set_cache_control(headers.cache_control.clone())
            .set_content_disposition(headers.content_disposition.clone())
            .set_content_encoding(headers.content_encoding.clone())
            .set_content_language(headers.content_language.clone())
            .set_website_redirect_location(headers.website_redirect.clone())
            .set_metadata(Some(headers.user.clone().into_iter().collect()));
        // The SDK takes dates alone, and a store what somebody sent.
        let expires = headers.expires.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
        let put = put.customize().config_override(limits(&self.shared, size));
        let put = put.mutate_request(move |request| {
            if let Some(expires) = &expires {
                request.headers_mut().insert("expires", expires.clone());
            }
        });
        let put = put.send();
        let done = self.run(call, Effect::Mutating, put).await?;
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
        // Not through the SDK, which insists on the name of the document's root; not every store has it right.
        let begin = Ask::post(call, bucket, key).query("uploads", Some(""));
        let begin = begin.header("content-type", headers.content_type.clone());
        let begun: Begun = self.document(kept(travelling(begin, headers), keeping), serde).await?;
        begun.upload.ok_or(S3Error::Incomplete { call, what: "the upload's id" })
    }

    /// Sends a part of `size` bytes as they come, with its MD5 where the caller knows it: a store may ask for that where the object is
    /// locked. Returns its tag. The SDK cannot repeat it; the caller can, with the same bytes. Which side failed is told: the store that is
    /// sent to has no share in it if the bytes break off on their way here.
    ///
    /// Source: S3 API "`UploadPart`": parts of 5 MiB at least, but the last; Scaleway takes 1,000. `Content-MD5`: "`InvalidRequest`:
    /// Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters".
    pub async fn put_part(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        number: i32,
        (size, md5): (u64, Option<[u8; 16]>),
        content: Content,
    ) -> Result<Sent, PartError> {
        let broke = Arc::new(Mutex::new(None));
        let body = Measured { left: size, content: Mutex::new(content), broke: Arc::clone(&broke) };
        let body = SdkBody::from_body_1_x(body);
        let put = self.client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(number);
        let put = put.content_length(i64::try_from(size).unwrap_or(i64::MAX)).body(ByteStream::new(body));
        let put = put.set_content_md5(md5.map(|md5| STANDARD.encode(md5)));
        let put = put.customize().config_override(limits(&self.shared, size)).send();
        let done = self.run("parts.put", Effect::Repeatable, put).await.map_err(|error| {
            let broke = broke.lock().unwrap_or_else(PoisonError::into_inner).take();
            broke.map_or(PartError::Store(error), PartError::Content)
        })?;
        let by_key = done.server_side_encryption().is_some_and(|kind| kind.as_str().starts_with("aws:kms"));
        let is_encrypted = by_key || done.sse_customer_algorithm().is_some();
        Ok(Sent { etag: unquoted(done.e_tag()), is_encrypted })
    }

    pub(super) async fn copy_parts(
        &self,
        source: &str,
        etag: Option<&str>,
        to: (&str, &str),
        size: u64,
        keeping: &Keeping,
    ) -> Result<String, S3Error> {
        let upload = self.begin_parts(to.0, to.1, &Headers::default(), keeping).await?;
        match self.copy_each(source, etag, (to, &upload), size).await {
            Ok(etags) => self.complete_parts(to.0, to.1, &upload, &etags).await.map(|done| done.etag),
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

    /// Makes one object of the parts, numbered from 1. Repeating is success, as long as nobody put another object under the key.
    ///
    /// Source: S3 API "`CompleteMultipartUpload`": an upload that is complete is none any more, so that a second call is answered
    /// `NoSuchUpload`; what lies under the key then tells whether the first one was carried out.
    pub async fn complete_parts(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        etags: &[String],
    ) -> Result<Completed, S3Error> {
        let parts = (1..).zip(etags).map(|(number, etag)| {
            CompletedPart::builder().part_number(number).e_tag(format!("\"{etag}\"")).build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let complete = self.client.complete_multipart_upload().bucket(bucket).key(key).upload_id(upload);
        let complete = complete.multipart_upload(parts);
        // The store may take its time to put the parts together.
        let complete = complete.customize().config_override(limits(&self.shared, 1 << 30)).send();
        match self.run("parts.complete", Effect::Mutating, complete).await {
            Ok(done) => {
                Ok(Completed { etag: unquoted(done.e_tag()), version: done.version_id().map(str::to_owned) })
            }
            Err(error) if error.code() == Some("NoSuchUpload") => {
                let there =
                    self.head(bucket, key).await?.filter(|there| Some(&there.etag) == tag_of(etags).as_ref());
                there.map(|there| Completed { etag: there.etag, version: there.version }).ok_or(error)
            }
            Err(error) => Err(error),
        }
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
}

/// Why a part was not sent, by the side that failed.
#[derive(Debug)]
pub enum PartError {
    /// The bytes did not come to their end.
    Content(S3Error),
    /// The store that they were sent to.
    Store(S3Error),
}

/// A part that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its tag, without quotes.
    pub etag: String,
    /// The store encrypts it with a key of its own, so that the tag is no digest.
    pub is_encrypted: bool,
}

/// An object that was put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// Without quotes.
    pub etag: String,
    /// Its version, in a versioned bucket.
    pub version: Option<String>,
}

/// The entity tag of an object of these parts: the MD5 of theirs. `None` where theirs are none. Pure.
fn tag_of(etags: &[String]) -> Option<String> {
    let digests: Option<Vec<_>> = etags.iter().map(|etag| hex::decode(etag).ok()).collect();
    Some(format!("{}-{}", hex::encode(Md5::digest(digests?.concat())), etags.len()))
}

/// The answer to a beginning.
#[derive(Debug, Deserialize)]
struct Begun {
    #[serde(rename = "UploadId")]
    upload: Option<String>,
}

/// A body of a known length. The lock is never contended: it makes a stream that one task polls shareable in the compiler's eyes.
struct Measured {
    left: u64,
    content: Mutex<Content>,
    /// Why the content broke off. The client tells of whatever it cannot send as of a connection that failed.
    broke: Arc<Mutex<Option<S3Error>>>,
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = self.content.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context);
        polled.map(|next| {
            next.map(|bytes| match bytes {
                Ok(bytes) => {
                    self.left = self.left.saturating_sub(bytes.len() as u64);
                    Ok(Frame::data(bytes))
                }
                Err(error) => {
                    *self.broke.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Err(io::Error::other("the content broke off"))
                }
            })
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body that tells when some of it goes.
struct Telling<F> {
    body: SdkBody,
    moved: F,
}

impl<F: Fn() + Unpin> HttpBody for Telling<F> {
    type Data = Bytes;
    type Error = aws_sdk_s3::error::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = HttpBody::poll_frame(Pin::new(&mut self.body), context);
        if let Poll::Ready(Some(Ok(_))) = &polled {
            (self.moved)();
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

/// Nothing of a stream is printed.
impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").field("left", &self.left).finish_non_exhaustive()
    }
}
