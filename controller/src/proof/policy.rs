//! What the plan says about proof, in the units that are decided with. Pure.

use chrono::TimeDelta;
use reprise_crds::Period;
use reprise_crds::plan::ProofSpec;

/// A refusal is looked at once more after this: it may have been the platform's bad hour and not the backup.
const DOUBT: TimeDelta = TimeDelta::hours(1);
/// A run that finds no good backup ends after so many in any case.
const MOST: usize = 20;
/// How long nothing is tried after the first attempt that taught nothing, and at most.
const REST: TimeDelta = TimeDelta::minutes(10);
pub(super) const LONGEST_REST: TimeDelta = TimeDelta::hours(12);

/// What is decided with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Policy {
    /// Backups of a run.
    pub per_run: usize,
    /// Backups of a run that has found no good one.
    pub most: usize,
    /// Between two looks at old ones.
    pub sample_every: TimeDelta,
    /// Until a refusal is looked at once more.
    pub doubt: TimeDelta,
    /// The share of rows that may be gone.
    pub tolerated: f64,
    /// Bytes of disk.
    pub max_disk: Option<u64>,
    /// Bytes in a second.
    pub max_rate: Option<u64>,
}

impl Policy {
    pub(super) fn of(spec: &ProofSpec) -> Self {
        let per_run = usize::try_from(spec.per_run).unwrap_or(1).max(1);
        Self {
            per_run,
            most: per_run.max(MOST),
            sample_every: delta(spec.sample_every),
            doubt: DOUBT,
            tolerated: f64::from(spec.fall_percent) / 100.0,
            max_disk: spec.max_disk_gib.map(|gib| u64::from(gib) << 30),
            max_rate: spec.max_mib_per_second.map(|mib| u64::from(mib) << 20),
        }
    }
}

fn delta(period: Period) -> TimeDelta {
    TimeDelta::from_std(period.duration()).unwrap_or(TimeDelta::MAX)
}

/// How long a backup rests of which nothing could be learnt so often in a row.
pub(super) fn rest(attempts: u32) -> TimeDelta {
    REST.checked_mul(1 << attempts.min(16)).unwrap_or(LONGEST_REST).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_cannot_be_looked_at_rests_longer_each_time_and_never_for_ever() {
        assert_eq!([rest(0), rest(1), rest(3)], [10, 20, 80].map(TimeDelta::minutes));
        assert_eq!(rest(u32::MAX), LONGEST_REST);
    }

    #[test]
    fn the_defaults_take_three_and_go_on_until_a_good_one_is_found() {
        let policy = Policy::of(&ProofSpec::default());
        assert_eq!((policy.per_run, policy.most), (3, MOST));
        assert!((policy.tolerated - 0.2).abs() < 1e-9);
    }
}
