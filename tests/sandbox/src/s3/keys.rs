//! Access keys and what each of them may do.

use std::sync::Arc;

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result};
use sha2::{Digest as _, Sha256};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Everything.
    Full,
    /// Look and read.
    ReadOnly,
    /// Look, read and add new objects; never replace or delete one, nor change a setting.
    AppendOnly,
}

impl Policy {
    /// Whether an operation is allowed at all; whether it would replace something is decided where that is known.
    pub(crate) fn allows(self, operation: &str) -> bool {
        let adds = [
            "PutObject",
            "CopyObject",
            "CreateMultipartUpload",
            "UploadPart",
            "UploadPartCopy",
            "CompleteMultipartUpload",
            "AbortMultipartUpload",
            "PostObject",
            "RestoreObject",
        ];
        match self {
            Self::Full => true,
            Self::ReadOnly => is_read(operation),
            Self::AppendOnly => is_read(operation) || adds.contains(&operation),
        }
    }
}

/// Whether an operation changes nothing.
pub(crate) fn is_read(operation: &str) -> bool {
    ["Get", "Head", "List", "Preflight"].iter().any(|verb| operation.starts_with(verb))
}

/// One pair of keys.
#[derive(Clone)]
pub struct Key {
    /// Sent with every request.
    pub access_key_id: String,
    /// Signs every request; never shown.
    pub secret_access_key: String,
    /// What it may do.
    pub policy: Policy,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("Key");
        debug
            .field("access_key_id", &self.access_key_id)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// The three keys of an endpoint, from the pair that may do everything: that one, one that only reads, one that only
    /// adds. The lesser pairs follow from the first by a hash, so that drawing them shifts nobody's identifiers.
    pub fn set((access_key_id, secret_access_key): (String, String)) -> [Self; 3] {
        let full = Self { access_key_id, secret_access_key, policy: Policy::Full };
        let (read, append) = (full.derive(Policy::ReadOnly), full.derive(Policy::AppendOnly));
        [full, read, append]
    }

    fn derive(&self, policy: Policy) -> Self {
        let sum = |use_: &str| -> [u8; 32] {
            Sha256::digest(format!("{policy:?} {use_} {}", self.secret_access_key)).into()
        };
        Self {
            access_key_id: format!("SCW{}", &hex::encode_upper(sum("id"))[..17]),
            secret_access_key: uuid_of(sum("secret")).to_string(),
            policy,
        }
    }

    /// Who the key belongs to, as bucket policies name principals: the owner's key is a user's, the others applications'.
    pub fn principal(&self) -> String {
        let kind = if self.policy == Policy::Full { "user_id" } else { "application_id" };
        format!("{kind}:{}", uuid_of(Sha256::digest(&self.access_key_id).into()))
    }
}

fn uuid_of(sum: [u8; 32]) -> uuid::Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sum[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// All keys of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Keys(pub(crate) Arc<Vec<Key>>);

impl Keys {
    /// The key of that identifier.
    pub(crate) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.access_key_id == id)
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        let unknown = || S3Error::with_message(S3ErrorCode::InvalidAccessKeyId, message);
        self.find(id).map(|key| SecretKey::from(&*key.secret_access_key)).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_key_changes_nothing() {
        assert!(Policy::ReadOnly.allows("ListObjectVersions"));
        assert!(!Policy::ReadOnly.allows("PutObject") && !Policy::ReadOnly.allows("RestoreObject"));
    }

    #[test]
    fn a_key_that_appends_deletes_nothing() {
        assert!(Policy::AppendOnly.allows("CompleteMultipartUpload"));
        for operation in
            ["DeleteObject", "DeleteObjects", "DeleteBucket", "PutBucketVersioning", "PutObjectAcl"]
        {
            assert!(!Policy::AppendOnly.allows(operation), "{operation}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let key =
            Key { access_key_id: "SCW1".into(), secret_access_key: "hidden".into(), policy: Policy::Full };
        assert!(!format!("{key:?}").contains("hidden"));
    }
}
