//! Whether a person has to agree before anything is made: more data would be lost than the plan lets go without asking. No I/O.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reprise_crds::{Mode, RecoveryPlanSpec};

use super::outputs::{ChosenBackup, Outputs};
use super::report::rpo_minutes;
use super::step::Step;
use crate::store::{RequestRow, StepRow};

/// A loss that is larger than the plan allows without asking, or that may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// What is lost; `None` where it cannot be told which backup was chosen.
    pub known: Option<Lost>,
    /// What the plan allows.
    pub allowed: Duration,
}

/// What a backup lacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Lost {
    /// Its name.
    pub backup: String,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// What was written between that and the filing, in minutes.
    pub minutes: f64,
}

impl Loss {
    /// The loss that the request would cause with the backup that its steps chose; `None` while none is chosen, where the plan
    /// has no limit or allows it, and in a drill, in which nothing is lost. A choice that cannot be read may lose anything.
    pub fn of(row: &RequestRow, plan: &RecoveryPlanSpec, mode: Mode, outputs: &Outputs) -> Option<Self> {
        let allowed = plan.limits.loss_without_approval.filter(|_| mode == Mode::Recover)?.duration();
        let Ok(chosen) = outputs.find::<ChosenBackup>(&Step::ChooseBackup) else {
            return Some(Self { known: None, allowed });
        };
        let chosen = chosen?;
        let minutes = rpo_minutes(chosen.taken_at, row.created_at);
        let known = Some(Lost { backup: chosen.name, taken_at: chosen.taken_at, minutes });
        (minutes * 60.0 > allowed.as_secs_f64()).then_some(Self { known, allowed })
    }
}

/// Whether somebody agreed to what was chosen: before it was, nobody knew what there was to agree to.
pub(super) fn covers(row: &RequestRow, steps: &[StepRow]) -> bool {
    let choice = Step::ChooseBackup.to_string();
    let chosen = steps.iter().find(|step| step.step == choice).and_then(|step| step.finished_at);
    row.approval.as_ref().is_some_and(|(_, agreed)| chosen.is_some_and(|chosen| *agreed >= chosen))
}

/// Whether a backup was chosen by a release that wrote it down in another way: nothing can be made of it, so nothing is to be
/// made for it either.
pub(super) fn is_unreadable(outputs: &Outputs) -> bool {
    outputs.find::<ChosenBackup>(&Step::ChooseBackup).is_err()
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = self.allowed.as_secs() / 60;
        let Some(Lost { backup, taken_at, minutes }) = &self.known else {
            return write!(
                f,
                "this release cannot read which backup was chosen, so how much is lost is not known; the plan allows {allowed} minutes"
            );
        };
        let taken_at = taken_at.format("%Y-%m-%dT%H:%M:%SZ");
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
        loss_of(limit, mode, backup(true))
    }

    fn loss_of(limit: Option<&str>, mode: Mode, output: serde_json::Value) -> Option<Loss> {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        let mut plan = RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
        plan.limits.loss_without_approval = limit.map(|limit| limit.parse().expect("a period"));
        let chosen = step("choose-backup", StepPhase::Done, output);
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

    #[test]
    fn who_agrees_before_anything_is_chosen_agrees_to_nothing() {
        let at = |second| DateTime::<Utc>::from_timestamp(second, 0).expect("a date");
        let chosen =
            StepRow { finished_at: Some(at(100)), ..step("choose-backup", StepPhase::Done, backup(true)) };
        let agreed = |second| RequestRow {
            approval: Some(("Ada".to_owned(), at(second))),
            ..request(Milestone::BackupSelected, Phase::WaitingApproval)
        };
        assert!(covers(&agreed(100), std::slice::from_ref(&chosen)));
        assert!(!covers(&agreed(99), std::slice::from_ref(&chosen)), "it was not known what is lost");
        assert!(
            !covers(&agreed(100), &[])
                && !covers(&request(Milestone::BackupSelected, Phase::Running), &[chosen])
        );
    }

    #[test]
    fn a_choice_that_cannot_be_read_may_lose_anything() {
        let odd = serde_json::json!({ "backup": "b-2", "written": "otherwise" });
        let told = loss_of(Some("9d"), Mode::Recover, odd.clone()).expect("it asks").to_string();
        assert!(told.contains("not known") && told.ends_with("the plan allows 12960 minutes"), "{told}");
        assert_eq!(loss_of(None, Mode::Recover, odd.clone()), None, "the plan lets everything go");
        assert_eq!(loss_of(Some("9d"), Mode::Drill, odd.clone()), None, "nothing is lost in a drill");
        let outputs = |output| Outputs::read(&[step("choose-backup", StepPhase::Done, output)]);
        assert!(is_unreadable(&outputs(odd)) && !is_unreadable(&outputs(backup(true))));
        assert!(!is_unreadable(&Outputs::default()), "nothing is chosen yet");
    }
}
