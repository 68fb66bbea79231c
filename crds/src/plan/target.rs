//! Where the estate comes back.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::S3Credentials;
use crate::text::Setting;

/// Containers by process type of the `Procfile`. What is not named is left as the platform starts it: one `web` of
/// size `M` and none of any other type.
pub type Formation = BTreeMap<String, Containers>;

/// The recovered estate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetSpec {
    /// The platform's region, for example `osc-fr1`.
    pub region: String,
    /// The project that holds the recovered apps, 1 to 51 of `a-z 0-9 - _`. Created if absent. A project can be handed
    /// over to another owner as a whole; a single app cannot.
    pub project: String,
    /// The stack, for example `scalingo-24`. Default: the platform's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// The database.
    pub postgresql: PostgresqlSpec,
    /// A Redis for each app. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisSpec>,
    /// A database user that may read every table and write none; 6 to 32 lower-case letters and digits. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_user: Option<String>,
    /// The bucket for the documents. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<TargetBucket>,
    /// E-mail addresses that are invited to every app as full (not limited) collaborators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collaborators: Vec<String>,
    /// Containers of every app, unless the app says otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub formation: Formation,
}

/// The PostgreSQL addon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostgresqlSpec {
    /// The plan, for example `postgresql-starter-512`. Free plans are refused.
    pub plan: String,
    /// The server's version, for example `15`. Default: the platform's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The Redis addons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisSpec {
    /// The plan, for example `redis-starter-256`. Free plans are refused.
    pub plan: String,
}

/// The bucket that the documents come back into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetBucket {
    /// The bucket's name: 3 to 50 lower-case letters, digits and hyphens. Unique in the world, so choose a telling one.
    pub name: String,
    /// The base URL of the object store, without the bucket.
    pub endpoint: Setting,
    /// The store's region, as it is signed and as apps are told.
    pub region: Setting,
    /// Who may read objects without a key. Default: `private`.
    #[serde(default)]
    pub visibility: Visibility,
    /// Whether replaced and deleted objects are kept as versions. Default: true.
    #[serde(default = "versioned")]
    pub versioning: bool,
    /// The key pair that creates and fills the bucket, and that the apps are given.
    pub credentials: S3Credentials,
}

fn versioned() -> bool {
    true
}

/// Who may read the objects of a bucket without a key.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Nobody.
    #[default]
    Private,
    /// Anybody.
    PublicRead,
}

/// How many containers of which size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Containers {
    /// How many, 0 to 10 (the platform's limit of each type).
    #[schemars(range(min = 0, max = 10))]
    pub amount: u32,
    /// Their size. Default: `M`.
    #[serde(default)]
    pub size: ContainerSize,
}

/// The size of a container, which is its memory.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum ContainerSize {
    /// 256 MB.
    S,
    /// 512 MB.
    #[default]
    M,
    /// 1 GB.
    L,
    /// 2 GB.
    #[serde(rename = "XL")]
    Xl,
    /// 4 GB.
    #[serde(rename = "2XL")]
    Xxl,
    /// 8 GB.
    #[serde(rename = "3XL")]
    Xxxl,
}

impl ContainerSize {
    /// All of them, the smallest first.
    pub const ALL: [Self; 6] = [Self::S, Self::M, Self::L, Self::Xl, Self::Xxl, Self::Xxxl];

    /// As the platform spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::M => "M",
            Self::L => "L",
            Self::Xl => "XL",
            Self::Xxl => "2XL",
            Self::Xxxl => "3XL",
        }
    }
}
