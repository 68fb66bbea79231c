//! How the recovery is rehearsed.

use std::collections::BTreeMap;

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
    /// The most that one drill may cost, in euro cents: what it makes, for all of `timeToLive`. A drill that could cost more is
    /// refused before anything is made, and so is one whose price is not known. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cost_ceiling_cents: Option<u32>,
    /// Prices of 30 days, in euro cents, by container size (`M`) or addon plan (`postgresql-starter-512`). The platform tells
    /// those of addon plans; what is named here wins. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub monthly_cents: BTreeMap<String, u32>,
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
            cost_ceiling_cents: None,
            monthly_cents: BTreeMap::new(),
        }
    }
}
