//! Rules about the proof of backups.

use super::archive;
use crate::plan::RecoveryPlanSpec;
use crate::problem::{At, Report};
use crate::text::Period;

/// Most backups of one run.
const MOST: u32 = 100;

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let (proof, at) = (&plan.proof, at.member("proof"));
    archive::due(&proof.schedule, &at.member("schedule"), report);
    if !(1..=MOST).contains(&proof.per_run) {
        report.add(&at.member("perRun"), format!("must be 1 to {MOST}"));
    }
    if !(1..=100).contains(&proof.fall_percent) {
        report.add(&at.member("fallPercent"), "must be 1 to 100");
    }
    let nothing = Some(Period::seconds(0));
    for (name, wrong) in [
        ("sampleEvery", Some(proof.sample_every) == nothing),
        ("maxAge", proof.max_age == nothing),
        ("maxDiskGib", proof.max_disk_gib == Some(0)),
        ("maxMibPerSecond", proof.max_mib_per_second == Some(0)),
    ] {
        if wrong {
            report.add(&at.member(name), "must be more than nothing");
        }
    }
}
