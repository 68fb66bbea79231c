//! Rules about rehearsals.

use std::collections::BTreeSet;

use super::{archive, names};
use crate::plan::{ContainerSize, RecoveryPlanSpec};
use crate::problem::{At, Report};
use crate::text::Period;

/// What a drill can be billed for.
fn known(plan: &RecoveryPlanSpec) -> BTreeSet<&str> {
    let addons = [
        Some(plan.target.postgresql.plan.as_str()),
        plan.target.redis.as_ref().map(|redis| redis.plan.as_str()),
    ];
    ContainerSize::ALL.iter().map(|size| size.as_str()).chain(addons.into_iter().flatten()).collect()
}

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let (drill, at) = (&plan.drill, at.member("drill"));
    archive::due(&drill.schedule, &at.member("schedule"), report);
    if let Some(problem) = names::host(&format!("host.{}", drill.subdomain)) {
        report.add(&at.member("subdomain"), problem);
    }
    let known = known(plan);
    for name in drill.monthly_cents.keys().filter(|name| !known.contains(name.as_str())) {
        let hint = format!("known here: {}", known.iter().copied().collect::<Vec<_>>().join(", "));
        let problem = "is neither a container size nor an addon plan of this plan";
        report.add_with_hint(&at.member("monthlyCents").member(name), problem, hint);
    }
    for (name, period) in [("timeToLive", drill.time_to_live), ("maxAge", drill.max_age)] {
        if period == Period::seconds(0) {
            report.add(&at.member(name), "must be more than nothing");
        }
    }
}
