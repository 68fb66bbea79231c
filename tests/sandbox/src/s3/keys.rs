//! Who asks and what they may do: access keys, their policies, the region of the signature, and what is open to anybody.

use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::errors;
use super::play;
use super::store::Store;
use super::trace::Trace;

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
    fn allows(self, operation: &str) -> bool {
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
    ["Get", "Head", "List"].iter().any(|verb| operation.starts_with(verb))
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

/// All keys of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Keys(pub(crate) Arc<Vec<Key>>);

impl Keys {
    fn find(&self, id: &str) -> Option<&Key> {
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

/// The check between a good signature and the operation; faults are played here, where the operation's name is known and
/// nothing has been done.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The endpoint's name in journal and faults.
    pub(crate) service: &'static str,
    /// The endpoint's store.
    pub(crate) store: Arc<Store>,
    /// Its keys.
    pub(crate) keys: Keys,
}

/// Marks a request whose caller may only add.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewOnly;

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name().to_owned();
        let resource = resource(context.s3_path());
        let key =
            context.credentials().and_then(|credentials| self.keys.find(&credentials.access_key)).cloned();
        if let Some(trace) = context.extensions_mut().get::<Trace>().cloned() {
            let caller = key.as_ref().map_or("anonymous", |key| &key.access_key_id);
            trace.identify(&operation, caller, &resource);
            play::before(&self.store.world, self.service, &trace, &operation, &resource).await?;
        }
        let Some(key) = key else { return self.check_anybody(&operation, context.s3_path()) };
        self.check_region(context)?;
        if !key.policy.allows(&operation) {
            return Err(errors::access_denied());
        }
        if key.policy == Policy::AppendOnly {
            context.extensions_mut().insert(NewOnly);
        }
        Ok(())
    }
}

impl Gate {
    /// Without a key only what an ACL opens to all users.
    fn check_anybody(&self, operation: &str, path: &S3Path) -> S3Result<()> {
        let open = match path {
            S3Path::Root => false,
            S3Path::Bucket { bucket } => {
                let lists = ["ListObjects", "ListObjectsV2", "HeadBucket"].contains(&operation);
                lists
                    && self.store.read_bucket(bucket, |found| Ok(found.bucket.acl.allows_anybody("READ")))?
            }
            S3Path::Object { bucket, key } => {
                let reads = ["GetObject", "HeadObject"].contains(&operation);
                let version = self.store.read_bucket(bucket, |found| Ok(found.current(key).cloned()))?;
                let object = version.as_ref().and_then(|version| version.object.as_ref());
                reads && object.is_some_and(|object| object.attributes.acl.allows_anybody("READ"))
            }
        };
        if open { Ok(()) } else { Err(errors::access_denied()) }
    }

    /// A signature for another region is refused, as at home.
    fn check_region(&self, context: &S3AccessContext<'_>) -> S3Result<()> {
        let header =
            context.headers().get(hyper::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let scope = header.and_then(|header| header.split_once("Credential=")).map(|(_, scope)| scope);
        let region = scope.and_then(|scope| scope.split('/').nth(2).map(str::to_owned));
        match region.or_else(|| presigned_region(context.uri().query())) {
            Some(region) if region != self.store.region => {
                let message = format!(
                    "The authorization header is malformed; the region '{region}' is wrong; expecting '{}'",
                    self.store.region
                );
                Err(S3Error::with_message(S3ErrorCode::AuthorizationHeaderMalformed, message))
            }
            _ => Ok(()),
        }
    }
}

/// The region in the scope of a presigned URL.
fn presigned_region(query: Option<&str>) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    let (_, scope) = pairs.find(|(name, _)| name == "X-Amz-Credential")?;
    scope.split('/').nth(2).map(str::to_owned)
}

fn resource(path: &S3Path) -> String {
    match path {
        S3Path::Root => "/".to_owned(),
        S3Path::Bucket { bucket } => format!("/{bucket}"),
        S3Path::Object { bucket, key } => format!("/{bucket}/{key}"),
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
    fn a_presigned_url_names_its_region() {
        let query = "x=1&X-Amz-Credential=AK%2F20260101%2Ffr-par%2Fs3%2Faws4_request";
        assert_eq!(presigned_region(Some(query)).as_deref(), Some("fr-par"));
        assert_eq!(presigned_region(Some("x=1")), None);
    }

    #[test]
    fn the_secret_is_not_shown() {
        let key =
            Key { access_key_id: "SCW1".into(), secret_access_key: "hidden".into(), policy: Policy::Full };
        assert!(!format!("{key:?}").contains("hidden"));
    }
}
