//! What a recovery is held against, and what it may use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Period;

/// The objectives; without one, nothing is held against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectivesSpec {
    /// Recovery time objective: from filing the request to `dns-ok`, for example `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Period>,
    /// Recovery point objective: how old the restored data may be at the time of filing, for example `25h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Period>,
}

/// How hard the machine and the vendors may be worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsSpec {
    /// Parallel connections of a restore, 1 to 16. Default: 2.
    #[schemars(range(min = 1, max = 16))]
    pub restore_jobs: u32,
    /// Objects copied at once, 1 to 256. Default: 16.
    #[schemars(range(min = 1, max = 256))]
    pub copy_concurrency: u32,
    /// How long a step may show no progress before it counts as stalled. Silence is limited, not duration.
    /// Default: `5m`.
    pub stall: Period,
    /// How much data may be lost without anybody being asked. A recovery whose newest good backup is older at the time of filing
    /// waits for `reprise approve` before it makes anything. Default: it never asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_without_approval: Option<Period>,
    /// Rows of the newest backup that may name a document which no run of the archive has, before an alert says so: about as many as
    /// are uploaded between two runs. Default: no alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dangling_rows: Option<u32>,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            restore_jobs: 2,
            copy_concurrency: 16,
            stall: Period::seconds(300),
            loss_without_approval: None,
            dangling_rows: None,
        }
    }
}
