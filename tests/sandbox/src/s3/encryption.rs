//! Server-side encryption as its users meet it: who must show which key, and what is answered.
//!
//! Bytes are not encrypted on disk here: nobody outside can tell. Keys of customers are never kept, only their digests. There
//! is no key manager in this world, so that a request for its keys is refused as one for a key that does not exist.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::ServerSideEncryptionConfiguration;
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};

use super::documents::{self, Kind};
use super::errors;
use super::store::Store;

/// The only algorithm there is.
pub(crate) const AES256: &str = "AES256";

/// How an object is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Encryption {
    /// By the provider's own key.
    #[serde(rename = "one")]
    Provider,
    /// By a key that the customer sends; this is its MD5, base64.
    #[serde(rename = "c")]
    Customer(String),
}

impl Encryption {
    /// `x-amz-server-side-encryption`.
    pub(crate) fn provider(&self) -> Option<&'static str> {
        (*self == Self::Provider).then_some(AES256)
    }

    /// `x-amz-server-side-encryption-customer-key-MD5`.
    pub(crate) fn customer(&self) -> Option<&str> {
        if let Self::Customer(sum) = self { Some(sum) } else { None }
    }
}

/// A customer's key as it is sent.
#[derive(Clone, Copy, Default)]
pub(crate) struct CustomerKey<'a> {
    pub(crate) algorithm: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) md5: Option<&'a str>,
}

impl CustomerKey<'_> {
    /// The digest of a key that is whole and right; `None` where none is sent.
    fn digest(self) -> S3Result<Option<String>> {
        let (algorithm, key, md5) = match (self.algorithm, self.key, self.md5) {
            (None, None, None) => return Ok(None),
            (Some(algorithm), Some(key), Some(md5)) => (algorithm, key, md5),
            _ => {
                let message = "Requests specifying Server Side Encryption with Customer provided keys must provide the customer algorithm, key and key MD5.";
                return Err(errors::invalid(message));
            }
        };
        if algorithm != AES256 {
            let message = "The Encryption request you specified is not valid. Supported value: AES256.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidEncryptionAlgorithmError, message));
        }
        let key = BASE64.decode(key).ok().filter(|key| key.len() == 32);
        let key =
            key.ok_or_else(|| errors::invalid("The secret key was invalid for the specified algorithm."))?;
        if BASE64.decode(md5).ok().as_deref() != Some(&Md5::checksum(&key)) {
            let message = "The calculated MD5 hash of the key did not match the hash that was provided.";
            return Err(errors::invalid(message));
        }
        Ok(Some(md5.to_owned()))
    }
}

/// Refuses who does not show the key that the object was stored with, or shows one that it was not.
pub(crate) fn unlock(encryption: Option<&Encryption>, shown: CustomerKey<'_>) -> S3Result<()> {
    match (encryption.and_then(Encryption::customer), shown.digest()?) {
        (None, None) => Ok(()),
        (Some(stored), Some(shown)) if stored == shown => Ok(()),
        (Some(_), Some(_)) => Err(errors::access_denied()),
        (Some(_), None) => Err(errors::bad_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )),
        (None, Some(_)) => {
            Err(errors::bad_request("The encryption parameters are not applicable to this object."))
        }
    }
}

/// How a new object of `bucket` is to be encrypted.
pub(crate) fn of_new(
    store: &Store,
    bucket: &str,
    provider: Option<&str>,
    customer: CustomerKey<'_>,
) -> S3Result<Option<Encryption>> {
    let customer = customer.digest()?;
    match (provider, customer) {
        (Some(_), Some(_)) => Err(errors::invalid(
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
        )),
        (Some(name), None) => {
            check_algorithm(name)?;
            Ok(Some(Encryption::Provider))
        }
        (None, Some(sum)) => Ok(Some(Encryption::Customer(sum))),
        (None, None) => Ok(by_default(store, bucket)),
    }
}

fn by_default(store: &Store, bucket: &str) -> Option<Encryption> {
    let has = store.read_bucket(bucket, |found| Ok(found.bucket.documents.contains_key("encryption")));
    // Only the provider's own key can be the default here.
    has.is_ok_and(|has| has).then_some(Encryption::Provider)
}

fn check_algorithm(name: &str) -> S3Result<()> {
    match name {
        AES256 => Ok(()),
        "aws:kms" | "aws:kms:dsse" => {
            let status = hyper::StatusCode::BAD_REQUEST;
            Err(errors::other(
                "KMS.NotFoundException",
                status,
                "The key does not exist: there is no key manager here",
            ))
        }
        _ => Err(errors::invalid("The encryption method specified is not supported")),
    }
}

/// `PutBucketEncryption`.
pub(crate) async fn put(
    store: &Store,
    bucket: &str,
    wanted: &ServerSideEncryptionConfiguration,
) -> S3Result<()> {
    let [rule] = wanted.rules.as_slice() else {
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, "There must be exactly one rule"));
    };
    if let Some(default) = &rule.apply_server_side_encryption_by_default {
        check_algorithm(default.sse_algorithm.as_str())?;
    }
    documents::put_xml(store, bucket, Kind::Encryption, wanted).await
}

/// The customer's key in a request.
macro_rules! customer_key {
    ($input:expr) => {
        $crate::s3::encryption::CustomerKey {
            algorithm: $input.sse_customer_algorithm.as_deref(),
            key: $input.sse_customer_key.as_deref(),
            md5: $input.sse_customer_key_md5.as_deref(),
        }
    };
}

/// The customer's key to the source of a copy.
macro_rules! source_key {
    ($input:expr) => {
        $crate::s3::encryption::CustomerKey {
            algorithm: $input.copy_source_sse_customer_algorithm.as_deref(),
            key: $input.copy_source_sse_customer_key.as_deref(),
            md5: $input.copy_source_sse_customer_key_md5.as_deref(),
        }
    };
}

/// Sets the fields of an answer.
macro_rules! say_encryption {
    ($output:expr, $encryption:expr) => {{
        let encryption: Option<&$crate::s3::encryption::Encryption> = $encryption;
        if let Some(encryption) = encryption {
            $output.server_side_encryption =
                encryption.provider().map(s3s::dto::ServerSideEncryption::from_static);
            $output.sse_customer_key_md5 = encryption.customer().map(str::to_owned);
            $output.sse_customer_algorithm =
                encryption.customer().map(|_| $crate::s3::encryption::AES256.to_owned());
        }
    }};
}

pub(crate) use {customer_key, say_encryption, source_key};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_must_be_shown() {
        let (key, other) = (BASE64.encode([1; 32]), BASE64.encode([2; 32]));
        let sums = [BASE64.encode(Md5::checksum(&[1; 32])), BASE64.encode(Md5::checksum(&[2; 32]))];
        let shown = |key, md5| CustomerKey { algorithm: Some(AES256), key: Some(key), md5: Some(md5) };
        let stored = Encryption::Customer(shown(&key, &sums[0]).digest().unwrap().unwrap());
        let code = |shown| unlock(Some(&stored), shown).map_err(|error| error.code().clone());
        assert_eq!(code(shown(&key, &sums[0])), Ok(()));
        assert_eq!(code(shown(&other, &sums[1])), Err(S3ErrorCode::AccessDenied));
        assert_eq!(code(CustomerKey::default()), Err(S3ErrorCode::InvalidRequest));
        assert_eq!(code(shown(&other, &sums[0])), Err(S3ErrorCode::InvalidArgument), "not its digest");
        assert!(unlock(None, shown(&key, &sums[0])).is_err());
    }
}
