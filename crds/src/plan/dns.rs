//! The public names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the public names are switched over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsSpec {
    /// Who hosts the zone.
    pub provider: DnsProvider,
    /// The zone, for example `example.org`. Every domain of every app lies below it.
    pub zone: String,
    /// The time to live of the records that are written, in seconds, 10 to 86,400. Default: 300.
    #[serde(default = "ttl")]
    #[schemars(range(min = 10, max = 86_400))]
    pub ttl: u32,
    /// What to do with a CNAME that points neither here nor to the production app. Default: `replace`.
    #[serde(default)]
    pub existing: ExistingRecord,
}

fn ttl() -> u32 {
    300
}

/// A hoster of zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsProvider {
    /// alwaysdata.com
    Alwaysdata,
}

/// What to do with a CNAME that points elsewhere.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ExistingRecord {
    /// Change it and keep the old value, so that it can be put back.
    #[default]
    Replace,
    /// Stop, and say where it points.
    Refuse,
}
