//! The refusals of the store, with the messages that the protocol's users know.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use s3s::{S3Error, S3ErrorCode};

macro_rules! refusals {
    ($($name:ident: $code:ident, $message:literal;)*) => {
        $(pub(crate) fn $name() -> S3Error {
            S3Error::with_message(S3ErrorCode::$code, $message)
        })*
    };
}

refusals! {
    access_denied: AccessDenied, "Access Denied.";
    bad_part: InvalidArgument, "Part number must be an integer between 1 and 1000, inclusive";
    bucket_not_empty: BucketNotEmpty, "The bucket you tried to delete is not empty.";
    bucket_owned: BucketAlreadyOwnedByYou, "Your previous request to create the named bucket succeeded and you already own it.";
    bucket_taken: BucketAlreadyExists, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
    cold: InvalidObjectState, "The operation is not valid for the object's storage class";
    incomplete: IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header";
    locked: AccessDenied, "Access Denied because object protected by object lock.";
    no_such_bucket: NoSuchBucket, "The specified bucket does not exist";
    no_such_key: NoSuchKey, "The specified key does not exist.";
    no_such_upload: NoSuchUpload, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    no_such_version: NoSuchVersion, "The specified version does not exist.";
    not_a_version: InvalidArgument, "Invalid version id specified";
    precondition: PreconditionFailed, "At least one of the pre-conditions you specified did not hold";
    range: InvalidRange, "The requested range is not satisfiable";
    slow_down: SlowDown, "Please reduce your request rate.";
    storage: InternalError, "We encountered an internal error. Please try again.";
    too_many_buckets: TooManyBuckets, "You have attempted to create more buckets than allowed";
    too_large: EntityTooLarge, "Your proposed upload exceeds the maximum allowed object size.";
    too_small: EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size";
}

/// 400 with the reason in words.
pub(crate) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, message)
}

/// A refusal under a code that the protocol library has no name for.
pub(crate) fn other(
    code: &'static str,
    status: hyper::StatusCode,
    message: impl Into<std::borrow::Cow<'static, str>>,
) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InvalidRequest);
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error
}

/// 403 with the reason in words.
pub(crate) fn denied(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, message)
}

/// 400: the request as a whole makes no sense.
pub(crate) fn bad_request(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidRequest, message)
}

/// An I/O failure; the client learns no more than that.
pub(crate) fn io(error: &std::io::Error) -> S3Error {
    tracing::error!(%error, "store cannot read or write");
    storage()
}

/// `error` with headers of its own.
pub(crate) fn with_headers(mut error: S3Error, headers: &[(&'static str, &str)]) -> S3Error {
    let pairs = headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
    });
    error.set_headers(pairs.collect::<HeaderMap>());
    error
}
