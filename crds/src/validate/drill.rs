//! Rules about rehearsals.

use super::{archive, names};
use crate::plan::RecoveryPlanSpec;
use crate::problem::{At, Report};
use crate::text::Period;

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let (drill, at) = (&plan.drill, at.member("drill"));
    archive::due(&drill.schedule, &at.member("schedule"), report);
    if let Some(problem) = names::host(&format!("host.{}", drill.subdomain)) {
        report.add(&at.member("subdomain"), problem);
    }
    for (name, period) in [("timeToLive", drill.time_to_live), ("maxAge", drill.max_age)] {
        if period == Period::seconds(0) {
            report.add(&at.member(name), "must be more than nothing");
        }
    }
}
