//! The variables of the applications.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Literal, SecretRef};
use crate::words::words;

/// The variables of all applications. How they come together with the repository's template is told at
/// [`crate::variables`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VariablesSpec {
    /// The template file, as a path inside each app's repository, for example `.env.template`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Names whose value is one and the same for every app: given in `values`, never by an app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<String>,
    /// Names without which an app does not start. An empty or commented entry of the template is needed only if it is
    /// listed here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// Names whose filled-in default of the template is right for production too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_defaults: Vec<String>,
    /// Names that the template fills in and that are left out on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
    /// Values by name. Names that the template does not have are added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Variable>,
}

/// The value of one variable: exactly one of `value`, `from`, `computed` and `policy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    /// The value itself: a text, a whole number or a truth value; not blank, at most 32,768 characters. The platform
    /// takes a whole value of the form `$OTHER` for an alias of another variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Literal>,
    /// Where the value is kept: `env:NAME` or `file:/path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SecretRef>,
    /// A value that only the recovery knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed: Option<Computed>,
    /// How a value comes about that nobody wrote down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Whether a drill may see it. Default: `drop`; computed and regenerated values always reach it, since in a drill they are its
    /// own.
    #[serde(default, skip_serializing_if = "is_drop")]
    pub drill: DrillPolicy,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn is_drop(policy: &DrillPolicy) -> bool {
    *policy == DrillPolicy::Drop
}

/// How a value comes about that nobody wrote down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// As the app had it that is replaced: asked of the platform or, where that app is gone, taken from the newest archive, which
    /// `archive.identity` opens.
    Keep,
    /// A new secret, made by the recovery and known to the app alone; the same for all apps if the name is `shared`. Whoever is
    /// signed in is signed out by it.
    Regenerate,
    /// A person gives it during the recovery, with `reprise answer REQUEST NAME`; the recovery waits for it.
    Ask,
}

/// Whether a value reaches a drill.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DrillPolicy {
    /// It does not: a rehearsal must not send mail, or write to somebody else's production.
    #[default]
    Drop,
    /// It does.
    Keep,
}

words! {
    /// A value that only the recovery knows.
    pub enum Computed {
        /// The whole DSN of the restored database.
        DatabaseUrl = "database.url",
        /// Its host name.
        DatabaseHost = "database.host",
        /// Its port.
        DatabasePort = "database.port",
        /// Its user.
        DatabaseUser = "database.user",
        /// That user's password.
        DatabasePassword = "database.password",
        /// The database's name.
        DatabaseName = "database.name",
        /// The whole DSN of the read-only user.
        ReadOnlyUrl = "readOnly.url",
        /// Its host name.
        ReadOnlyHost = "readOnly.host",
        /// Its port.
        ReadOnlyPort = "readOnly.port",
        /// The read-only user.
        ReadOnlyUser = "readOnly.user",
        /// That user's password.
        ReadOnlyPassword = "readOnly.password",
        /// The database's name.
        ReadOnlyName = "readOnly.name",
        /// The URL of the app's own Redis.
        RedisUrl = "redis.url",
        /// The new bucket's name.
        BucketName = "bucket.name",
        /// The base URL of its store.
        BucketEndpoint = "bucket.endpoint",
        /// The store's region.
        BucketRegion = "bucket.region",
        /// The id of the key that may use it.
        BucketAccessKeyId = "bucket.accessKeyId",
        /// The secret half of that key.
        BucketSecretAccessKey = "bucket.secretAccessKey",
        /// Every host name of the app, its default host last, separated by commas.
        Hosts = "hosts",
        /// The app's host name on the platform.
        DefaultHost = "defaultHost",
        /// The app's first domain.
        PrimaryHost = "primaryHost",
        /// `https://` and the app's first domain.
        PrimaryUrl = "primaryUrl",
    }
}

/// What of the plan's target a computed value needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The restored database.
    Database,
    /// Its read-only user.
    ReadOnlyUser,
    /// The app's own Redis.
    Redis,
    /// The new bucket.
    Bucket,
    /// The app alone.
    App,
}

impl Computed {
    /// What of the target the value needs.
    pub const fn needs(self) -> Needs {
        match self {
            Self::DatabaseUrl
            | Self::DatabaseHost
            | Self::DatabasePort
            | Self::DatabaseUser
            | Self::DatabasePassword
            | Self::DatabaseName => Needs::Database,
            Self::ReadOnlyUrl
            | Self::ReadOnlyHost
            | Self::ReadOnlyPort
            | Self::ReadOnlyUser
            | Self::ReadOnlyPassword
            | Self::ReadOnlyName => Needs::ReadOnlyUser,
            Self::RedisUrl => Needs::Redis,
            Self::BucketName
            | Self::BucketEndpoint
            | Self::BucketRegion
            | Self::BucketAccessKeyId
            | Self::BucketSecretAccessKey => Needs::Bucket,
            Self::Hosts | Self::DefaultHost | Self::PrimaryHost | Self::PrimaryUrl => Needs::App,
        }
    }

    /// Whether the value differs from app to app, so that it cannot be shared.
    pub const fn is_per_app(self) -> bool {
        matches!(self.needs(), Needs::Redis | Needs::App)
    }
}
