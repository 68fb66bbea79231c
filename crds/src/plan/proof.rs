//! How it is proven, day by day, that the database's backups can be restored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ObjectivesSpec, ScheduleSpec};
use crate::text::{Period, SecretRef};

/// The age at which backups are stale where a plan names neither a limit nor an objective: a nightly one, with two hours
/// for the platform to make it and for us to prove it.
const STALE: Period = Period::seconds(26 * 3600);

/// Proof of the database's backups: each new one is restored for real into a throwaway database and questioned there, and
/// old ones are looked at again now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProofSpec {
    /// Whether backups are proven without being asked. Default: `true`.
    pub enabled: bool,
    /// Reference to the `postgres://` address of a server on which backups are proven, in a database of their own that is dropped
    /// afterwards. Its user needs `CREATEDB`, and may not be a superuser. Default: a server of Reprise's own, on its machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<SecretRef>,
    /// When the platform is asked for new backups. Default: every quarter of an hour.
    pub schedule: ScheduleSpec,
    /// So many backups are restored in one run, one after the other, 1 to 100; more only until a good one is found.
    /// Default: 3.
    #[schemars(range(min = 1, max = 100))]
    pub per_run: u32,
    /// How often an old backup, drawn by lot, is proven again. Default: `1d`.
    pub sample_every: Period,
    /// The age at which the newest proven backup is stale. Default: `objectives.rpo`, else `26h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Period>,
    /// The share of rows, in percent, that a table may lose from one backup to the next before the newer one is
    /// suspicious, 1 to 100. Default: 20.
    #[schemars(range(min = 1, max = 100))]
    pub fall_percent: u32,
    /// The most that a dump and its throwaway database may take of the disk, in GiB. Default: nine tenths of what is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_disk_gib: Option<u32>,
    /// The most that is downloaded in a second, in MiB. Default: as fast as it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_mib_per_second: Option<u32>,
}

impl Default for ProofSpec {
    fn default() -> Self {
        let schedule = ScheduleSpec {
            cron: "*/15 * * * *".to_owned(),
            time_zone: "UTC".to_owned(),
            jitter: Period::seconds(300),
        };
        Self {
            enabled: true,
            server: None,
            schedule,
            per_run: 3,
            sample_every: Period::seconds(86_400),
            max_age: None,
            fall_percent: 20,
            max_disk_gib: None,
            max_mib_per_second: None,
        }
    }
}

impl ProofSpec {
    /// The age at which the newest proven backup is stale.
    pub fn stale_after(&self, objectives: &ObjectivesSpec) -> Period {
        self.max_age.or(objectives.rpo).unwrap_or(STALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plans_own_limit_wins_over_its_objective_and_that_over_the_default() {
        let hours = |hours: u32| Period::seconds(hours * 3600);
        let objectives = ObjectivesSpec { rpo: Some(hours(25)), ..ObjectivesSpec::default() };
        let proof = ProofSpec::default();
        assert_eq!(proof.stale_after(&ObjectivesSpec::default()), hours(26));
        assert_eq!(proof.stale_after(&objectives), hours(25));
        let proof = ProofSpec { max_age: Some(hours(2)), ..proof };
        assert_eq!(proof.stale_after(&objectives), hours(2));
    }
}
