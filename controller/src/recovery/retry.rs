//! Whether somebody asked to try a request again and nothing was done about it so far.
//!
//! The ask is compared with the one that was acted upon last, not with the date of the end: a step fails, people read of it and ask, and
//! the request ends only then, when what closes it is done. Clocks are set back, too. No I/O.

use reprise_crds::{Mode, Phase};
use serde_json::Value;

use super::accept::Accepted;
use super::step::Step;
use crate::store::{Desired, RequestRow, StepPhase, StepRow};

/// The member of the stored status that tells which ask was acted upon: a `retry_requested_at`, or null for none.
pub(super) const HEARD: &str = "retriedAt";

/// What the status tells once the newest ask was acted upon.
pub(super) fn heard(row: &RequestRow) -> Value {
    serde_json::to_value(row.retry_requested_at).unwrap_or_default()
}

/// Whether the steps have to be opened again: as soon as nothing runs any more. A drill is torn down whatever people want of it.
pub(super) fn is_due(row: &RequestRow, accepted: &Accepted, steps: &[StepRow]) -> bool {
    let cleanup = Step::Cleanup.to_string();
    let unclean = || steps.iter().any(|row| row.step == cleanup && row.phase == StepPhase::Failed);
    let wanted = match (accepted.mode, row.desired) {
        // Torn down it is: one that was cancelled has nothing more to undo.
        (Mode::Drill, _) => row.phase != Phase::Cancelled,
        (Mode::Recover, Desired::Run | Desired::TearDown) => true,
        (Mode::Recover, Desired::Cancel) => unclean(),
        (Mode::Recover, Desired::Pause) => false,
    };
    let over = row.is_finished() || is_closing(accepted, steps);
    wanted && over && row.phase != Phase::Succeeded && is_asked(row)
}

fn is_asked(row: &RequestRow) -> bool {
    match row.status.get(HEARD) {
        Some(before) => *before != heard(row),
        // Written by an earlier release, which went by the dates.
        None => row.retry_requested_at.zip(row.finished_at).is_some_and(|(asked, finished)| asked > finished),
    }
}

/// Whether it is being ended before all is done: a step failed, or what closes a request was begun early.
fn is_closing(accepted: &Accepted, steps: &[StepRow]) -> bool {
    let phase = |step: &Step| {
        let key = step.to_string();
        steps.iter().find(|row| row.step == key).map(|row| row.phase)
    };
    let begun = phase(&Step::Cleanup).is_some() || phase(&Step::TearDown).is_some();
    let early = || {
        let mut others = accepted.graph.steps().filter(|step| **step != Step::Cleanup);
        others.any(|step| phase(step) != Some(StepPhase::Done))
    };
    steps.iter().any(|row| row.phase == StepPhase::Failed) || (begun && early())
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, Utc};
    use reprise_crds::{Milestone, RecoveryPlan};
    use serde_json::json;

    use super::*;
    use crate::recovery::cut::Cut;
    use crate::recovery::evidence::tests::{request, step};
    use crate::recovery::graph::Graph;

    fn accepted(mode: Mode) -> Accepted {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        let plan = RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
        Accepted { graph: Graph::compile(&plan, &Cut::default()), plan, cut: Cut::default(), mode }
    }

    /// A request that stands so, asked to be tried again now; its status tells that nobody was heard.
    fn asked(phase: Phase) -> RequestRow {
        RequestRow {
            status: json!({ HEARD: null }),
            retry_requested_at: Some(Utc::now()),
            ..request(Milestone::Addons, phase)
        }
    }

    fn due(row: &RequestRow, steps: &[StepRow]) -> bool {
        is_due(row, &accepted(Mode::Recover), steps)
    }

    #[test]
    fn an_ask_before_the_end_is_acted_upon_whatever_the_clock_says() {
        let failed = [step("postgresql", StepPhase::Failed, Value::Null)];
        let row = asked(Phase::Running);
        assert!(due(&row, &failed), "what closes it may run");
        let ended = RequestRow {
            finished_at: row.retry_requested_at.map(|at| at + TimeDelta::hours(1)),
            ..asked(Phase::Failed)
        };
        assert!(due(&ended, &failed));
        let heard = RequestRow { status: json!({ HEARD: heard(&ended) }), ..ended };
        assert!(!due(&heard, &failed), "once is enough");
    }

    #[test]
    fn an_ask_while_all_is_well_is_no_ask_to_begin_again() {
        assert!(!due(&asked(Phase::Running), &[step("postgresql", StepPhase::Done, Value::Null)]));
        assert!(!due(&asked(Phase::Succeeded), &[]));
        let early = [step("cleanup", StepPhase::Running, Value::Null)];
        assert!(due(&asked(Phase::Running), &early), "it was cancelled, and is wanted again");
        let graph = accepted(Mode::Recover).graph;
        let done = graph.steps().filter(|step| **step != Step::Cleanup);
        let done = done.map(|of| step(&of.to_string(), StepPhase::Done, Value::Null));
        let last: Vec<StepRow> = done.chain(early).collect();
        assert!(!due(&asked(Phase::Running), &last), "it is nearly there");
    }

    #[test]
    fn what_an_earlier_release_ended_goes_by_the_dates() {
        let old = RequestRow { status: json!({}), ..asked(Phase::Failed) };
        assert!(due(&old, &[]));
        let before = old.finished_at.map(|at| at - TimeDelta::seconds(1));
        assert!(!due(&RequestRow { retry_requested_at: before, ..old }, &[]));
    }

    #[test]
    fn a_cancelled_drill_is_torn_down_again_and_a_cancelled_recovery_is_let_be() {
        let row = RequestRow { desired: Desired::Cancel, ..asked(Phase::Failed) };
        assert!(!due(&row, &[]));
        assert!(is_due(&row, &accepted(Mode::Drill), &[]));
        let over = RequestRow { desired: Desired::Run, ..asked(Phase::Cancelled) };
        assert!(!is_due(&over, &accepted(Mode::Drill), &[]), "it was torn down");
    }

    #[test]
    fn what_a_cancelled_recovery_could_not_clean_up_is_tried_again() {
        let row = RequestRow { desired: Desired::Cancel, ..asked(Phase::Cancelled) };
        let cleanup = |phase| [step("cleanup", phase, Value::Null)];
        assert!(due(&row, &cleanup(StepPhase::Failed)));
        assert!(!due(&row, &cleanup(StepPhase::Done)));
    }
}
