//! How the recovery is rehearsed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ScheduleSpec;
use crate::text::Period;

/// Rehearsals of the whole recovery: the same steps under throwaway names, torn down afterwards. What a drill makes is billed
/// while it stands, as everything at the platform is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DrillSpec {
    /// Whether drills are filed without being asked. Default: `true`. By hand they can be filed all the same.
    pub enabled: bool,
    /// When a drill is filed. Default: Saturdays at 02:41 UTC.
    pub schedule: ScheduleSpec,
    /// The name below `dns.zone` under which a drill's host names lie: one label or several. Default: `drill`, which gives
    /// hosts such as `www-0a1b2c.drill.example.org`.
    pub subdomain: String,
    /// A drill that takes longer is torn down and has failed. Default: `6h`.
    pub time_to_live: Period,
    /// The age at which the last drill that succeeded proves nothing any more. Default: `9d`.
    pub max_age: Period,
}

impl Default for DrillSpec {
    fn default() -> Self {
        let schedule = ScheduleSpec {
            cron: "41 2 * * 6".to_owned(),
            time_zone: "UTC".to_owned(),
            jitter: Period::seconds(1_800),
        };
        Self {
            enabled: true,
            schedule,
            subdomain: "drill".to_owned(),
            time_to_live: Period::seconds(6 * 3_600),
            max_age: Period::seconds(9 * 86_400),
        }
    }
}
