//! Where the data comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Period, SecretRef, Setting};

/// The production estate: its database and every copy of its documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceSpec {
    /// The platform's region of the production app, for example `osc-fr1`.
    pub region: String,
    /// The production app that owns the database addon, and with it the backups.
    pub app: String,
    /// The provider of that addon, as the platform names it. Default: `postgresql`.
    #[serde(default = "postgresql")]
    pub addon: String,
    /// The production bucket, where there is one. It is read, never written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<SourceBucket>,
    /// Copies of the documents, tried in this order until one is whole. Empty: the estate has no documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectSource>,
}

fn postgresql() -> String {
    "postgresql".to_owned()
}

/// The bucket that production uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceBucket {
    /// The bucket's name.
    pub name: Setting,
    /// The base URL of the object store, without the bucket.
    pub endpoint: Setting,
    /// The store's region, as it is signed.
    pub region: Setting,
    /// The key pair that may read it.
    pub credentials: S3Credentials,
}

/// One copy of the documents. Exactly one of the members is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectSource {
    /// A zip file that a scheduled workflow left on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactSource>,
    /// Another bucket that production is copied into; objects of class GLACIER are thawed first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorSource>,
    /// The plan's own archive: its newest run that is whole and not suspicious. `archive: {}` is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveSource>,
}

/// A run of the plan's own archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveSource {
    /// This run, even if it is suspicious. Default: the newest that is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// An artifact of a workflow: of its successful runs, the newest whose artifact is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArtifactSource {
    /// `owner/name`.
    pub repository: Setting,
    /// The workflow's file name, for example `archive.yml`.
    pub workflow: Setting,
    /// Only runs of this branch count: anybody's pull request can start a run. Default: `main`.
    #[serde(default = "main")]
    pub branch: String,
    /// The artifact's name, for example `s3_production`.
    pub name: Setting,
    /// The age at which the newest one that can be had is stale. Default: `8d`.
    #[serde(default = "stale", skip_serializing_if = "is_stale_default")]
    pub max_age: Period,
}

/// The age at which an artifact is stale whose plan does not say: the job runs once a week.
pub const ARTIFACT_STALE: Period = Period::seconds(8 * 24 * 3_600);

fn stale() -> Period {
    ARTIFACT_STALE
}

/// What a plan of before the field said nothing of is no change of the plan, however often it is applied.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_stale_default(age: &Period) -> bool {
    *age == ARTIFACT_STALE
}

fn main() -> String {
    "main".to_owned()
}

/// A bucket that holds a copy of the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MirrorSource {
    /// The base URL of the object store, without the bucket.
    pub endpoint: Setting,
    /// The bucket's name.
    pub bucket: Setting,
    /// The store's region, as it is signed.
    pub region: Setting,
    /// Only keys that start with this count; it is cut off in the new bucket. Default: all keys, as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The key pair that may read and thaw it.
    pub credentials: S3Credentials,
}

/// A key pair of an object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Credentials {
    /// The access key's id: `env:NAME` or `file:/path`.
    pub access_key_id: SecretRef,
    /// The secret half: `env:NAME` or `file:/path`.
    pub secret_access_key: SecretRef,
}
