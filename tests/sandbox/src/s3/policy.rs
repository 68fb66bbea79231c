//! Bucket policies: parsed, checked, and decided. Pure.
//!
//! As at the provider, a policy closes the bucket: what no statement allows is denied, to the owner too, who can still read
//! and replace the policy itself. Both the key's own rights and the policy must allow a request.

use serde::Deserialize;
use serde_json::Value;

pub(crate) use conditions::Facts;
use conditions::hold;

mod conditions;

/// The largest policy the protocol takes.
const LARGEST: usize = 20 << 10;

/// One value or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Many {
    One(String),
    Several(Vec<String>),
}

impl Many {
    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
        .iter()
        .map(String::as_str)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    principal: Option<Value>,
    not_principal: Option<Value>,
    action: Option<Many>,
    not_action: Option<Many>,
    resource: Option<Many>,
    not_resource: Option<Many>,
    #[serde(default)]
    condition: serde_json::Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Statements {
    Several(Vec<Statement>),
    One(Box<Statement>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    version: String,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: Statements,
}

/// A policy that was found well formed.
#[derive(Debug, Clone)]
pub(crate) struct BucketPolicy(Vec<Statement>);

/// What is asked of a policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// `user_id:…` or `application_id:…`; `None` for a request without a key.
    pub(crate) principal: Option<&'a str>,
    /// `s3:GetObject`.
    pub(crate) action: &'a str,
    /// `bucket` or `bucket/key`.
    pub(crate) resource: &'a str,
    /// What conditions compare with.
    pub(crate) facts: &'a Facts,
}

impl BucketPolicy {
    /// Parses what was stored; `None` for what no longer parses, which then allows nothing.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let document: Document = serde_json::from_str(text).ok()?;
        Some(Self(match document.statement {
            Statements::Several(several) => several,
            Statements::One(one) => vec![*one],
        }))
    }

    /// Parses what a client sends for `bucket`; the error is for its eyes.
    pub(crate) fn parse(text: &str, bucket: &str) -> Result<Self, String> {
        if text.len() > LARGEST {
            return Err("Policies must not be larger than 20 KB".into());
        }
        if !text.trim_start().starts_with('{') {
            return Err("Policies must be valid JSON and the first byte must be '{'".into());
        }
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if !["2023-04-17", "2012-10-17", "2008-10-17"].contains(&document.version.as_str()) {
            return Err("The policy must contain a valid version string".into());
        }
        let policy = Self::read(text).ok_or("Could not parse the policy")?;
        policy.0.iter().try_for_each(|statement| statement.check(bucket))?;
        Ok(policy)
    }

    /// Whether the policy allows it: some statement does and none denies it.
    pub(crate) fn allows(&self, question: Question<'_>) -> bool {
        let matching = || self.0.iter().filter(|statement| statement.concerns(question));
        matching().any(|statement| statement.effect == Effect::Allow)
            && !matching().any(|statement| statement.effect == Effect::Deny)
    }

    /// Whether anybody may do something, without any condition.
    pub(crate) fn is_public(&self) -> bool {
        let open = |statement: &Statement| {
            let all = statement.principal.as_ref().is_some_and(|principal| names(principal, None));
            statement.effect == Effect::Allow && all && statement.condition.is_empty()
        };
        self.0.iter().any(open)
    }
}

/// Parses a policy and, if it is one, asks it something; whether it is one.
pub(crate) fn try_out(text: &str) -> bool {
    let Ok(policy) = BucketPolicy::parse(text, "bucket") else { return false };
    let mut facts = Facts::default();
    for (name, value) in [
        ("aws:SourceIp", "127.0.0.1"),
        ("aws:CurrentTime", "2026-11-30T00:00:00Z"),
        ("aws:SecureTransport", "false"),
        ("s3:prefix", "a/"),
        ("s3:max-keys", "10"),
    ] {
        facts.set(name, value);
    }
    for (principal, action, resource) in
        [(Some("user_id:me"), "s3:GetObject", "bucket/a key"), (None, "s3:ListBucket", "bucket")]
    {
        let _decided = policy.allows(Question { principal, action, resource, facts: &facts });
    }
    let _open = policy.is_public();
    true
}

impl Statement {
    fn check(&self, bucket: &str) -> Result<(), String> {
        if self.principal.is_some() == self.not_principal.is_some() {
            return Err("Missing required field Principal".into());
        }
        if self.action.is_some() == self.not_action.is_some() {
            return Err("Missing required field Action".into());
        }
        let ((Some(resources), None) | (None, Some(resources))) = (&self.resource, &self.not_resource) else {
            return Err("Missing required field Resource".into());
        };
        let foreign = |resource: &str| {
            let name = plain(resource).split('/').next().unwrap_or_default().to_owned();
            !wildcard(&name, bucket, true)
        };
        if resources.iter().any(foreign) {
            return Err("Policy has invalid resource".into());
        }
        let actions = self.action.iter().chain(&self.not_action).flat_map(Many::iter);
        if actions.into_iter().any(|action| action != "*" && !action.to_ascii_lowercase().starts_with("s3:"))
        {
            return Err("Policy has invalid action".into());
        }
        Ok(())
    }

    fn concerns(&self, question: Question<'_>) -> bool {
        let by = match (&self.principal, &self.not_principal) {
            (Some(principal), _) => names(principal, question.principal),
            (None, Some(others)) => !names(others, question.principal),
            (None, None) => false,
        };
        let action = |list: &Many| list.iter().any(|pattern| wildcard(pattern, question.action, false));
        let resource = |list: &Many| list.iter().any(|one| wildcard(plain(one), question.resource, true));
        by && one_of(self.action.as_ref().map(action), self.not_action.as_ref().map(action))
            && one_of(self.resource.as_ref().map(resource), self.not_resource.as_ref().map(resource))
            && hold(&self.condition, question.facts)
    }
}

fn one_of(wanted: Option<bool>, unwanted: Option<bool>) -> bool {
    wanted.unwrap_or_else(|| unwanted.is_some_and(|unwanted| !unwanted))
}

/// The provider's form of a resource has no ARN before it; AWS's form is taken too.
fn plain(resource: &str) -> &str {
    resource
        .strip_prefix("arn:aws:s3:::")
        .or_else(|| resource.strip_prefix("arn:scw:s3:::"))
        .unwrap_or(resource)
}

/// Whether a `Principal` element means `who`; nobody's key is meant by `*` only.
fn names(principal: &Value, who: Option<&str>) -> bool {
    let one = |text: &str| text == "*" || who == Some(text);
    match principal {
        Value::String(text) => text == "*",
        Value::Object(kinds) => kinds.iter().any(|(kind, value)| {
            (kind == "SCW" || kind == "AWS")
                && match value {
                    Value::String(text) => one(text),
                    Value::Array(all) => all.iter().filter_map(Value::as_str).any(one),
                    _ => false,
                }
        }),
        _ => false,
    }
}

/// Whether `text` fits a pattern with `*` and `?`.
pub(crate) fn wildcard(pattern: &str, text: &str, case: bool) -> bool {
    let fold = |text: &str| -> Vec<char> {
        if case { text.chars().collect() } else { text.to_ascii_lowercase().chars().collect() }
    };
    let (pattern, text) = (fold(pattern), fold(text));
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(char) if *char == '?' || *char == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((back, from)) => {
                    (at, seen) = (back + 1, from + 1);
                    star = Some((back, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|char| *char == '*')
}

/// The action of a policy that an operation needs.
pub(crate) fn action(operation: &str, names_version: bool) -> String {
    let name = match operation {
        "ListObjects" | "ListObjectsV2" | "HeadBucket" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "ListParts" => "ListMultipartUploadParts",
        "GetObject" | "HeadObject" if names_version => "GetObjectVersion",
        "HeadObject" => "GetObject",
        "CopyObject"
        | "PostObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => "PutObject",
        "DeleteObject" if names_version => "DeleteObjectVersion",
        "GetObjectAcl" | "GetObjectTagging" | "PutObjectAcl" | "PutObjectTagging" | "DeleteObjectTagging"
            if names_version =>
        {
            return format!(
                "s3:{}Version{}",
                &operation[..operation.len() - tail(operation)],
                &operation[operation.len() - tail(operation)..]
            );
        }
        "GetBucketCors" => "GetBucketCORS",
        "PutBucketCors" | "DeleteBucketCors" => "PutBucketCORS",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => "PutLifecycleConfiguration",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetObjectLockConfiguration" => "GetBucketObjectLockConfiguration",
        "PutObjectLockConfiguration" => "PutBucketObjectLockConfiguration",
        "DeleteBucketTagging" => "PutBucketTagging",
        other => other,
    };
    format!("s3:{name}")
}

/// How long the word is that `Version` is put before.
fn tail(operation: &str) -> usize {
    if operation.ends_with("Acl") { 3 } else { "Tagging".len() }
}

/// Operations on the policy itself, which its owner is never locked out of.
pub(crate) fn is_about_policy(operation: &str) -> bool {
    ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"].contains(&operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> BucketPolicy {
        BucketPolicy::parse(text, "bucket").unwrap()
    }

    fn ask<'a>(
        facts: &'a Facts,
        principal: Option<&'a str>,
        action: &'a str,
        resource: &'a str,
    ) -> Question<'a> {
        Question { principal, action, resource, facts }
    }

    #[test]
    fn a_pattern_is_matched_whole() {
        assert!(wildcard("s3:Get*", "s3:getobject", false) && wildcard("b/*/c?", "b/x/y/cz", true));
        assert!(!wildcard("bucket", "bucket/key", true) && !wildcard("a*b", "a", true));
        assert!(wildcard("*", "", true) && wildcard("**a", "ba", true));
    }

    #[test]
    fn what_no_statement_allows_is_denied_and_a_denial_outweighs() {
        let facts = Facts::default();
        let policy = policy(
            r#"{"Version":"2023-04-17","Statement":[
                {"Effect":"Allow","Principal":{"SCW":"user_id:1"},"Action":"s3:*","Resource":["bucket","bucket/*"]},
                {"Effect":"Deny","Principal":"*","Action":["s3:DeleteObject"],"Resource":"bucket/keep/*"}]}"#,
        );
        assert!(policy.allows(ask(&facts, Some("user_id:1"), "s3:DeleteObject", "bucket/x")));
        assert!(!policy.allows(ask(&facts, Some("user_id:1"), "s3:DeleteObject", "bucket/keep/x")));
        assert!(!policy.allows(ask(&facts, Some("user_id:2"), "s3:GetObject", "bucket/x")));
        assert!(!policy.allows(ask(&facts, None, "s3:GetObject", "bucket/x")));
    }

    #[test]
    fn a_policy_for_everybody_is_public_unless_it_has_a_condition() {
        let open = r#"{"Version":"2023-04-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"bucket/*"}}"#;
        assert!(policy(open).is_public());
        let closed = open.replace(
            "\"Effect\"",
            "\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}},\"Effect\"",
        );
        assert!(!policy(&closed).is_public());
    }

    #[test]
    fn another_buckets_resource_and_unknown_fields_are_refused() {
        let of = |resource: &str| {
            format!(
                r#"{{"Version":"2023-04-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"{resource}"}}]}}"#
            )
        };
        assert!(BucketPolicy::parse(&of("bucket/*"), "bucket").is_ok());
        assert!(BucketPolicy::parse(&of("arn:aws:s3:::bucket"), "bucket").is_ok());
        assert!(BucketPolicy::parse(&of("other/*"), "bucket").is_err());
        assert!(BucketPolicy::parse(r#"{"Statement":[]}"#, "bucket").is_err());
        assert!(BucketPolicy::parse("[]", "bucket").is_err());
    }

    #[test]
    fn an_operation_needs_the_action_that_policies_name() {
        assert_eq!(action("HeadObject", false), "s3:GetObject");
        assert_eq!(action("GetObjectTagging", true), "s3:GetObjectVersionTagging");
        assert_eq!(action("UploadPart", false), "s3:PutObject");
    }
}
