//! Rules about the hand-over.

use super::names;
use crate::plan::RecoveryPlanSpec;
use crate::problem::{At, Report};
use crate::text::Period;

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let Some(spec) = &plan.hand_over else { return };
    let at = at.member("handOver");
    let to = at.member("to");
    if spec.to.contains('@') {
        if let Some(wrong) = names::email(&spec.to) {
            report.add(&to, wrong);
        }
    } else if let Some(wrong) = names::user(&spec.to) {
        report.add(&to, wrong);
    } else if plan.target.collaborators.is_empty() {
        report.add_with_hint(
            &to,
            "is a user name, which cannot be invited, and target.collaborators invites nobody",
            "name the address of that user under target.collaborators",
        );
    }
    if spec.silence == Period::seconds(0) {
        report.add(&at.member("silence"), "must be more than nothing");
    }
}
