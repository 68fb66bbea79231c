//! The archive: where point-in-time copies of the production bucket are kept, how long, and when they are taken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::S3Credentials;
use crate::text::{Period, SecretRef, Setting};

/// Copies of `source.bucket`, of the dumps, the code and the configuration, in a bucket off the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveSpec {
    /// The base URL of the archive's object store, without the bucket.
    pub endpoint: Setting,
    /// The archive's bucket. It must exist; it is best created with object lock and by other credentials than these.
    pub bucket: Setting,
    /// The store's region, as it is signed.
    pub region: Setting,
    /// What the archive's keys begin with, ending in `/`, so that one bucket can hold the archives of several plans.
    /// Default: the plan's name and `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The key pair that may append to the archive: read, list and put. Deleting is needed by `prune` alone.
    pub credentials: S3Credentials,
    /// How objects get there. Default: `stream`.
    #[serde(default)]
    pub mode: CopyMode,
    /// Read the tags and access control lists of unchanged objects again in every run, at two requests each. Otherwise a change of these
    /// alone, which no listing shows, is archived with the object's next change. Default: `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refresh_metadata: bool,
    /// Storage class of the objects, for example `GLACIER`; manifests are always `STANDARD`. Default: the store's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// How long nobody can delete what was written (object lock). Default: no lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockSpec>,
    /// When it is taken. Default: only by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
    /// Which runs are kept.
    #[serde(default)]
    pub retention: RetentionSpec,
    /// Which changes make a run suspicious.
    #[serde(default)]
    pub suspicious: SuspicionSpec,
    /// How much of it is read again each week, in percent of its objects, 1 to 100. Default: 5.
    #[serde(default = "sample")]
    #[schemars(range(min = 1, max = 100))]
    pub sample_percent: u32,
    /// `age` recipients (`age1…`) for whom dumps, variables and Reprise's own records are encrypted. Without one, these
    /// are not archived, and that is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Copies of the platform's database backups; made where there is a recipient.
    #[serde(default)]
    pub dumps: DumpsSpec,
    /// Reference to an `age` identity that opens what is encrypted. Only where a recovery may have to read it, and best given there
    /// on the bad day alone: a daemon that takes archives does not need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<SecretRef>,
    /// The age at which the newest archive is stale. Default: `8d`.
    #[serde(default = "stale")]
    pub max_age: Period,
}

/// Copies of the platform's database backups, away from the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DumpsSpec {
    /// When it is looked for new backups. Default: each hour.
    pub schedule: ScheduleSpec,
    /// Which copies are kept, by the time at which their backups were taken.
    pub retention: RetentionSpec,
    /// The age at which the newest copied backup is stale. Default: `26h`.
    pub max_age: Period,
}

impl Default for DumpsSpec {
    fn default() -> Self {
        let hourly = ScheduleSpec { cron: "23 * * * *".to_owned(), time_zone: utc(), jitter: nothing() };
        let retention = RetentionSpec { last: 14, ..RetentionSpec::default() };
        Self { schedule: hourly, retention, max_age: Period::seconds(26 * 3_600) }
    }
}

fn sample() -> u32 {
    5
}

fn stale() -> Period {
    Period::seconds(8 * 86_400)
}

/// How objects get into the archive.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CopyMode {
    /// Through this machine, hashed on the way: source and archive may be different providers.
    #[default]
    Stream,
    /// By the store itself, where both sides are at one endpoint and the archive's key pair may read the source. Hashed
    /// later, by the sampler; until then the manifest says so.
    ServerSide,
}

/// Object lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockSpec {
    /// Who may shorten it. Default: `governance`.
    #[serde(default)]
    pub mode: LockMode,
    /// For how long from the last run that refers to an object, for example `30d`.
    pub period: Period,
}

/// Who may shorten a lock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    /// Whoever has the right to bypass it.
    #[default]
    Governance,
    /// Nobody.
    Compliance,
}

/// Due times, as `cron` has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Minute, hour, day of the month, month, day of the week; for example `27 1 * * 1`.
    pub cron: String,
    /// The time zone that it is meant in, for example `Europe/Paris`. Default: `UTC`.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// A run starts up to so much later, by a delay that belongs to the plan. Default: none.
    #[serde(default = "nothing")]
    pub jitter: Period,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn nothing() -> Period {
    Period::seconds(0)
}

/// Which runs are kept: each rule by itself saves runs; what none saves is pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetentionSpec {
    /// So many newest runs, at least 1. Default: 4.
    #[schemars(range(min = 1))]
    pub last: u32,
    /// The newest run of each of so many weeks. Default: 8.
    pub weekly: u32,
    /// The newest run of each of so many months. Default: 12.
    pub monthly: u32,
    /// The newest run of each of so many years. Default: 3.
    pub yearly: u32,
    /// How long nothing that a run refers to no more is deleted. Default: `7d`.
    pub grace: Period,
    /// Whether each scheduled run prunes afterwards; then the archive's key pair must be allowed to delete. Default: `false`, only
    /// by hand, with a key pair of its own.
    pub automatic: bool,
}

impl Default for RetentionSpec {
    fn default() -> Self {
        Self {
            last: 4,
            weekly: 8,
            monthly: 12,
            yearly: 3,
            grace: Period::seconds(7 * 86_400),
            automatic: false,
        }
    }
}

/// Which changes since the last run make a run suspicious, in percent of the last run's objects, 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SuspicionSpec {
    /// Deleted. Default: 20.
    #[schemars(range(min = 1, max = 100))]
    pub deleted_percent: u32,
    /// Rewritten. Default: 30.
    #[schemars(range(min = 1, max = 100))]
    pub rewritten_percent: u32,
    /// Rewritten, from a content that could be compressed to one that looks like noise, as encryption leaves it. Default: 5.
    #[schemars(range(min = 1, max = 100))]
    pub scrambled_percent: u32,
}

impl Default for SuspicionSpec {
    fn default() -> Self {
        Self { deleted_percent: 20, rewritten_percent: 30, scrambled_percent: 5 }
    }
}
