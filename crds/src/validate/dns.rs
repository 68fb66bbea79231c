//! Rules about the zone, the objectives and the limits: the small rest of a plan.

use super::names;
use crate::plan::RecoveryPlanSpec;
use crate::problem::{At, Report};

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    if let Some(wrong) = names::host(&plan.dns.zone) {
        report.add(&at.member("dns").member("zone"), wrong);
    }
    let objectives = at.member("objectives");
    let periods = [
        (objectives.member("rto"), plan.objectives.rto),
        (objectives.member("rpo"), plan.objectives.rpo),
        (at.member("limits").member("stall"), Some(plan.limits.stall)),
        (at.member("limits").member("lossWithoutApproval"), plan.limits.loss_without_approval),
    ];
    for (at, period) in periods {
        if period.is_some_and(|period| period.duration().is_zero()) {
            report.add_with_hint(
                &at,
                "is no time at all",
                "give a length of time above zero, or leave it out",
            );
        }
    }
}
