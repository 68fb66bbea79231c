//! The check between a good signature and the operation: faults, the rate, the region of the signature, the key's rights, the
//! bucket's policy, and what is open to anybody.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, REFERER, USER_AGENT};
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::PostObjectInput;
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use super::errors;
use super::inventory;
use super::keys::{Key, Keys, Policy, is_read};
use super::play;
use super::policy::{self, BucketPolicy, Facts, Question};
use super::presigned::Unsigned;
use super::state::Contents;
use super::store::Store;
use super::trace::{Peer, Trace};

/// Seconds that a presigned URL may live.
const LONGEST_LIFE: u64 = 604_800;

/// See the module. Faults are played here, where the operation's name is known and nothing has been done.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The endpoint's name in journal and faults.
    pub(crate) service: &'static str,
    /// The endpoint's store.
    pub(crate) store: Arc<Store>,
    /// Its keys.
    pub(crate) keys: Keys,
}

/// Who asks, carried to the operations that touch more than the path says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// As policies name it; `None` without a key.
    principal: Option<String>,
    /// Whether the key may only add.
    pub(crate) new_only: bool,
    facts: Facts,
}

impl Caller {
    /// Whether the bucket's policy lets the caller do `action` with `key`; without a policy, whether the caller has a key or
    /// the ACL opens it.
    pub(crate) fn check(&self, contents: &Contents, key: &str, action: &str) -> S3Result<()> {
        let bucket = &contents.bucket;
        let Some(text) = bucket.documents.get("policy") else {
            let object = || contents.current(key).and_then(|version| version.object.as_ref());
            let open = || {
                action == "s3:GetObject"
                    && object().is_some_and(|object| object.attributes.acl.allows_anybody("READ"))
            };
            return if self.principal.is_some() || open() { Ok(()) } else { Err(errors::access_denied()) };
        };
        let resource = if key.is_empty() { bucket.name.clone() } else { format!("{}/{key}", bucket.name) };
        let question = Question {
            principal: self.principal.as_deref(),
            action,
            resource: &resource,
            facts: &self.facts,
        };
        let allowed = BucketPolicy::read(text).is_some_and(|policy| policy.allows(question));
        if allowed { Ok(()) } else { Err(errors::access_denied()) }
    }
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = &*context.s3_op().name().to_owned();
        let peer = context.extensions_mut().get::<Peer>().copied();
        let trace = context.extensions_mut().get::<Trace>().cloned();
        let key = context.credentials().and_then(|credentials| self.keys.find(&credentials.access_key));
        if let Some(trace) = trace {
            let caller = key.map_or("anonymous", |key| &key.access_key_id);
            let resource = resource(context.s3_path());
            trace.identify(operation, caller, &resource);
            if !is_read(operation) {
                trace.found(inventory::at(&self.store, &resource));
            }
            play::before(&self.store.world, self.service, &trace, operation, &resource).await?;
        }
        if !self.store.throttle.admits(is_read(operation), || self.store.world.clock.elapsed()) {
            return Err(errors::slow_down());
        }
        if let Some(key) = key {
            self.check_region(context)?;
            check_life(context.uri().query())?;
            if context.extensions_mut().get::<Unsigned>().is_some() {
                return Err(errors::denied(
                    "There were headers present in the request which were not signed",
                ));
            }
            if !key.policy.allows(operation) {
                return Err(errors::access_denied());
            }
        }
        let caller = self.check_bucket(context, peer, operation, key)?;
        context.extensions_mut().insert(caller);
        Ok(())
    }

    /// The key of a form is known only now.
    async fn post_object(&self, request: &mut S3Request<PostObjectInput>) -> S3Result<()> {
        let (bucket, key) = (&request.input.bucket, &request.input.key);
        if let Some(trace) = request.extensions.get::<Trace>() {
            let resource = format!("/{bucket}/{key}");
            trace.found(inventory::at(&self.store, &resource));
            trace.concerns(resource);
        }
        let Some(caller) = request.extensions.get::<Caller>() else { return Err(errors::access_denied()) };
        self.store.read_bucket(bucket, |contents| {
            let has_policy = contents.bucket.documents.contains_key("policy");
            if has_policy { caller.check(contents, key, "s3:PutObject") } else { Ok(()) }
        })
    }
}

impl Gate {
    /// What the bucket itself allows: its policy, or without one what its ACL opens.
    fn check_bucket(
        &self,
        context: &S3AccessContext<'_>,
        peer: Option<Peer>,
        operation: &str,
        key: Option<&Key>,
    ) -> S3Result<Caller> {
        let new_only = key.is_some_and(|key| key.policy == Policy::AppendOnly);
        let mut caller = Caller { principal: None, new_only, facts: Facts::default() };
        let (bucket, name) = match context.s3_path() {
            S3Path::Root if key.is_some() => {
                return Ok(Caller { principal: key.map(Key::principal), ..caller });
            }
            S3Path::Root => return Err(errors::access_denied()),
            S3Path::Bucket { bucket } => (bucket.to_string(), String::new()),
            S3Path::Object { bucket, key } => (bucket.to_string(), key.to_string()),
        };
        let looked_at = self.store.read(|state| {
            let contents = state.buckets.get(&bucket);
            let has_policy =
                contents.is_some_and(|contents| contents.bucket.documents.contains_key("policy"));
            (contents.is_some(), has_policy)
        });
        let creates = operation == "CreateBucket";
        match (looked_at, key) {
            ((false, _), None) if creates => return Err(errors::access_denied()),
            ((false, _), None) => return Err(errors::no_such_bucket()),
            // A missing bucket is the operation's to refuse, but only to who has a key.
            ((false, _) | (true, false), Some(_)) => {}
            ((true, false), None) => self.check_anybody(operation, &bucket, &name)?,
            ((true, true), key) => {
                caller.principal = key.map(Key::principal);
                caller.facts = facts(context, peer);
                let owner = key.is_some_and(|key| key.policy == Policy::Full);
                // Each key of a mass deletion is asked about by itself, and a form's when it is read; making a bucket anew is
                // refused by its name.
                let later = ["DeleteObjects", "PostObject"].contains(&operation) || creates;
                if !(owner && policy::is_about_policy(operation) || later) {
                    let versioned = query(context.uri().query(), "versionId").is_some();
                    let action = policy::action(operation, versioned);
                    self.store.read_bucket(&bucket, |contents| {
                        caller.check(contents, &name, &action)?;
                        let reads = ["GetObject", "HeadObject"].contains(&operation) && !versioned;
                        // Whether a key is there is for those to know who may list.
                        let is_missing =
                            || contents.current(&name).is_none_or(|found| found.object.is_none());
                        if reads && is_missing() {
                            caller.check(contents, "", "s3:ListBucket")
                        } else {
                            Ok(())
                        }
                    })?;
                    self.check_bypass(context.headers(), &caller, &bucket, &name)?;
                }
            }
        }
        if caller.principal.is_none() {
            caller.principal = key.map(Key::principal);
        }
        Ok(caller)
    }

    fn check_bypass(&self, headers: &HeaderMap, caller: &Caller, bucket: &str, key: &str) -> S3Result<()> {
        let asked = headers.get("x-amz-bypass-governance-retention");
        if !asked.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
            return Ok(());
        }
        self.store.read_bucket(bucket, |contents| caller.check(contents, key, "s3:BypassGovernanceRetention"))
    }

    /// Without a key and without a policy only what an ACL opens to all users.
    fn check_anybody(&self, operation: &str, bucket: &str, key: &str) -> S3Result<()> {
        let open = self.store.read_bucket(bucket, |contents| {
            if key.is_empty() {
                let lists = ["ListObjects", "ListObjectsV2", "HeadBucket"].contains(&operation);
                return Ok(lists && contents.bucket.acl.allows_anybody("READ")
                    || operation == "PostObject" && contents.bucket.acl.allows_anybody("WRITE"));
            }
            let object = contents.current(key).and_then(|version| version.object.as_ref());
            let reads = ["GetObject", "HeadObject"].contains(&operation);
            let writes = ["PutObject", "DeleteObject"].contains(&operation);
            // That a key is not there is told to who may list.
            let readable = || {
                object.map_or(&contents.bucket.acl, |object| &object.attributes.acl).allows_anybody("READ")
            };
            Ok(reads && readable() || writes && contents.bucket.acl.allows_anybody("WRITE"))
        })?;
        if open { Ok(()) } else { Err(errors::access_denied()) }
    }

    /// A signature for another region is refused, as at home.
    fn check_region(&self, context: &S3AccessContext<'_>) -> S3Result<()> {
        let header = context.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let scope = header.and_then(|header| header.split_once("Credential=")).map(|(_, scope)| scope);
        let signed = scope.and_then(|scope| scope.split('/').nth(2).map(str::to_owned));
        match signed.or_else(|| presigned_region(context.uri().query())) {
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

/// What the conditions of a policy may ask about.
fn facts(context: &S3AccessContext<'_>, peer: Option<Peer>) -> Facts {
    let mut facts = Facts::default();
    if let Some(Peer(address)) = peer {
        facts.set("aws:SourceIp", address.to_string());
    }
    let now = chrono::Utc::now();
    facts.set("aws:CurrentTime", now.to_rfc3339());
    facts.set("aws:EpochTime", now.timestamp().to_string());
    facts.set("aws:SecureTransport", "false");
    for (name, header) in [("aws:UserAgent", USER_AGENT), ("aws:Referer", REFERER)] {
        if let Some(value) = context.headers().get(header).and_then(|value| value.to_str().ok()) {
            facts.set(name, value);
        }
    }
    for (name, value) in context.headers() {
        if let (true, Ok(value)) = (name.as_str().starts_with("x-amz-"), value.to_str()) {
            facts.set(&format!("s3:{name}"), value);
        }
    }
    for (name, value) in url::form_urlencoded::parse(context.uri().query().unwrap_or_default().as_bytes()) {
        if ["prefix", "delimiter", "max-keys", "versionId"].contains(&&*name) {
            facts.set(&format!("s3:{name}"), &*value);
        }
    }
    facts
}

/// The value of one pair of a query.
fn query(query: Option<&str>, wanted: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

/// The region in the scope of a presigned URL.
fn presigned_region(text: Option<&str>) -> Option<String> {
    query(text, "X-Amz-Credential")?.split('/').nth(2).map(str::to_owned)
}

/// A presigned URL that would live for more than a week is refused from the beginning.
fn check_life(text: Option<&str>) -> S3Result<()> {
    match query(text, "X-Amz-Expires").and_then(|text| text.parse::<u64>().ok()) {
        Some(seconds) if seconds > LONGEST_LIFE => Err(errors::other(
            "AuthorizationQueryParametersError",
            hyper::StatusCode::BAD_REQUEST,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        )),
        _ => Ok(()),
    }
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
    fn a_presigned_url_names_its_region() {
        let query = "x=1&X-Amz-Credential=AK%2F20260101%2Ffr-par%2Fs3%2Faws4_request";
        assert_eq!(presigned_region(Some(query)).as_deref(), Some("fr-par"));
        assert_eq!(presigned_region(Some("x=1")), None);
    }

    #[test]
    fn a_presigned_url_lives_for_a_week_at_most() {
        assert!(check_life(None).is_ok() && check_life(Some("X-Amz-Expires=604800")).is_ok());
        let refused = check_life(Some("X-Amz-Expires=604801")).unwrap_err();
        assert_eq!(refused.code().as_str(), "AuthorizationQueryParametersError");
    }
}
