//! Whether a person has to agree before anything is made: more data would be lost than the plan lets go without asking. No I/O.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reprise_crds::{Mode, RecoveryPlanSpec};

use super::outputs::{ChosenBackup, Outputs};
use super::report::rpo_minutes;
use super::step::Step;
use crate::store::RequestRow;

/// A loss that is larger than the plan allows without asking.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The name of the backup that was chosen.
    pub backup: String,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// What was written between it and the filing is lost, in minutes.
    pub minutes: f64,
    /// What the plan allows.
    pub allowed: Duration,
}

impl Loss {
    /// The loss that the request would cause with the backup that its steps chose; `None` while none is chosen, where the plan
    /// has no limit or allows it, and in a drill, in which nothing is lost.
    pub fn of(row: &RequestRow, plan: &RecoveryPlanSpec, mode: Mode, outputs: &Outputs) -> Option<Self> {
        let allowed = plan.limits.loss_without_approval.filter(|_| mode == Mode::Recover)?.duration();
        let chosen = outputs.find::<ChosenBackup>(&Step::ChooseBackup).ok().flatten()?;
        let minutes = rpo_minutes(chosen.taken_at, row.created_at);
        let loss = Self { backup: chosen.name, taken_at: chosen.taken_at, minutes, allowed };
        (minutes * 60.0 > allowed.as_secs_f64()).then_some(loss)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backup, taken_at, minutes, allowed } = self;
        let (taken_at, allowed) = (taken_at.format("%Y-%m-%dT%H:%M:%SZ"), allowed.as_secs() / 60);
        write!(f, "{backup} of {taken_at}: {minutes:.0} minutes of data are lost, the plan allows {allowed}")
    }
}

#[cfg(test)]
mod tests {
    use reprise_crds::{Milestone, Phase, RecoveryPlan};

    use super::*;
    use crate::recovery::evidence::tests::{backup, request, step};
    use crate::store::StepPhase;

    /// With a backup of three hours before the filing.
    fn loss(limit: Option<&str>, mode: Mode) -> Option<Loss> {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        let mut plan = RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
        plan.limits.loss_without_approval = limit.map(|limit| limit.parse().expect("a period"));
        let chosen = step("choose-backup", StepPhase::Done, backup(true));
        Loss::of(&request(Milestone::Pending, Phase::Running), &plan, mode, &Outputs::read(&[chosen]))
    }

    #[test]
    fn only_a_recovery_that_loses_more_than_the_plan_allows_asks() {
        assert_eq!(loss(None, Mode::Recover), None);
        assert_eq!(loss(Some("3h"), Mode::Recover), None);
        assert_eq!(loss(Some("1h"), Mode::Drill), None);
        let told = loss(Some("2h"), Mode::Recover).expect("it asks").to_string();
        let told_of = told.starts_with("nightly of ");
        assert!(told_of && told.ends_with(": 180 minutes of data are lost, the plan allows 120"), "{told}");
    }
}
