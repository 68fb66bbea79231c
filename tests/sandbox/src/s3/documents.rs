//! Settings of a bucket that are kept as the documents they came in: policy, lifecycle, CORS, website, encryption.
//!
//! They are checked for form and given back; `policy`, `lifecycle`, `cors` and `encryption` act on them.

use s3s::xml::{Deserialize, Deserializer, Serialize, Serializer};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::errors;
use super::policy::BucketPolicy;
use super::store::Store;

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Policy,
    Lifecycle,
    Cors,
    Website,
    Encryption,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Lifecycle => "lifecycle",
            Self::Cors => "cors",
            Self::Website => "website",
            Self::Encryption => "encryption",
        }
    }

    fn absent(self) -> S3Error {
        let (code, message) = match self {
            Self::Policy => (S3ErrorCode::NoSuchBucketPolicy, "The bucket policy does not exist"),
            Self::Lifecycle => {
                (S3ErrorCode::NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist")
            }
            Self::Cors => (S3ErrorCode::NoSuchCORSConfiguration, "The CORS configuration does not exist"),
            Self::Website => (
                S3ErrorCode::NoSuchWebsiteConfiguration,
                "The specified bucket does not have a website configuration",
            ),
            Self::Encryption => (
                S3ErrorCode::ServerSideEncryptionConfigurationNotFoundError,
                "The server side encryption configuration was not found",
            ),
        };
        let mut error = S3Error::with_message(code, message);
        error.set_status_code(hyper::StatusCode::NOT_FOUND);
        error
    }
}

/// The stored text, or the protocol's word for "there is none".
pub(crate) fn get(store: &Store, bucket: &str, kind: Kind) -> S3Result<String> {
    store.read_bucket(bucket, |contents| {
        contents.bucket.documents.get(kind.name()).cloned().ok_or_else(|| kind.absent())
    })
}

/// Stores a text.
pub(crate) async fn put(store: &Store, bucket: &str, kind: Kind, text: String) -> S3Result<()> {
    let change = |bucket: &mut super::model::Bucket| {
        bucket.documents.insert(kind.name().to_owned(), text);
        Ok(())
    };
    store.change_bucket(bucket, change).await
}

/// Removes it; removing what is not there succeeds.
pub(crate) async fn delete(store: &Store, bucket: &str, kind: Kind) -> S3Result<()> {
    let change = |bucket: &mut super::model::Bucket| {
        bucket.documents.remove(kind.name());
        Ok(())
    };
    store.change_bucket(bucket, change).await
}

/// Stores a policy, which must be well formed and about this bucket.
pub(crate) async fn put_policy(store: &Store, bucket: &str, policy: String) -> S3Result<()> {
    store.read_bucket(bucket, |_| Ok(()))?;
    let malformed = |message| S3Error::with_message(S3ErrorCode::MalformedPolicy, message);
    BucketPolicy::parse(&policy, bucket).map_err(malformed)?;
    put(store, bucket, Kind::Policy, policy).await
}

/// Whether the stored policy lets everybody in.
pub(crate) fn is_public(policy: &str) -> bool {
    BucketPolicy::read(policy).is_some_and(|policy| policy.is_public())
}

/// Stores a structure as XML.
pub(crate) async fn put_xml<T: Serialize>(
    store: &Store,
    bucket: &str,
    kind: Kind,
    value: &T,
) -> S3Result<()> {
    let mut text = Vec::new();
    value
        .serialize(&mut Serializer::new(&mut text))
        .map_err(|error| errors::io(&std::io::Error::other(error)))?;
    let text = String::from_utf8(text).map_err(|error| errors::io(&std::io::Error::other(error)))?;
    put(store, bucket, kind, text).await
}

/// Reads a structure back.
pub(crate) fn get_xml<T: for<'xml> Deserialize<'xml>>(
    store: &Store,
    bucket: &str,
    kind: Kind,
) -> S3Result<T> {
    let text = get(store, bucket, kind)?;
    T::deserialize(&mut Deserializer::new(text.as_bytes()))
        .map_err(|error| errors::io(&std::io::Error::other(error)))
}
