//! What to do next with a request: a pure function of what is wanted, what the steps say and what runs. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};

use reprise_crds::{Milestone, Phase};

use super::graph::Graph;
use super::step::Step;
use crate::store::{Desired, StepPhase};

/// What is known when deciding.
#[derive(Debug)]
pub struct Situation<'a> {
    /// The steps in scope.
    pub graph: &'a Graph,
    /// Whether it is a drill, and how that stands.
    pub drill: Option<Drill>,
    /// A person has to agree before anything is made, and nobody has.
    pub unapproved: bool,
    /// Somebody asked for another try while what closes the last one was under way.
    pub again: bool,
    /// What people want.
    pub desired: Desired,
    /// The stored milestone: a floor.
    pub state: Milestone,
    /// The stored phase.
    pub phase: Phase,
    /// What the store says of each step; absent means never begun.
    pub phases: &'a BTreeMap<Step, StepPhase>,
    /// The steps that a task of *this* process is at, or that wait for their next try.
    pub busy: &'a BTreeSet<Step>,
}

/// What is known of a drill beside its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drill {
    /// It has lived for as long as it may.
    pub expired: bool,
    /// What it chose cannot be read: it cannot end well, so nothing is made for it.
    pub blind: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Steps to start now, all at once.
    pub start: Vec<Step>,
    /// Whether every running task is to be stopped.
    pub stop: bool,
    /// The milestone to record.
    pub state: Milestone,
    /// The phase to record.
    pub phase: Phase,
}

/// Decides. Steps that the store calls running but that no task of ours is at were cut off: they start again.
pub fn decide(now: &Situation<'_>) -> Decision {
    let done = |step: &Step| now.phase_of(step) == StepPhase::Done;
    let failed = now.graph.steps().any(|step| now.phase_of(step) == StepPhase::Failed);
    if let Some(drill) = now.drill {
        return rehearse(now, drill, failed);
    }
    match now.desired {
        // Also where somebody asks to cancel what has ended well: there is nothing to stop.
        Desired::Run | Desired::Pause | Desired::Cancel if now.graph.steps().all(done) => {
            now.settled(Phase::Succeeded)
        }
        Desired::Pause if now.phase.is_final() => now.settled(now.phase),
        Desired::Pause if failed && now.closes() => now.closing(Step::Cleanup, Phase::Running, Phase::Failed),
        Desired::Pause => now.paused(),
        Desired::Run if failed => now.failing(ready(now, done)),
        Desired::Run if now.again => now.closing(Step::Cleanup, Phase::Running, Phase::Failed),
        Desired::Run if now.unapproved => now.awaiting(ready(now, done)),
        Desired::Run => Decision { start: ready(now, done), ..now.settled(Phase::Running) },
        Desired::Cancel => now.closing(Step::Cleanup, Phase::Running, Phase::Cancelled),
        Desired::TearDown => match now.phase_of(&Step::TearDown) {
            StepPhase::Failed => now.settled(Phase::Failed),
            _ => now.closing(Step::TearDown, Phase::TearingDown, Phase::Cancelled),
        },
    }
}

/// A drill leaves nothing behind: however it ends, it is torn down first, and it ends well only if that was seen to be done.
fn rehearse(now: &Situation<'_>, drill: Drill, failed: bool) -> Decision {
    let done = |step: &Step| now.phase_of(step) == StepPhase::Done;
    let whole = now.graph.steps().all(done);
    let unwanted = matches!(now.desired, Desired::Cancel | Desired::TearDown) && !whole;
    // Once it was begun, no step of the recovery starts again.
    let closing = now.phases.contains_key(&Step::TearDown);
    if !(closing || whole || failed || unwanted || drill.expired || drill.blind) {
        if now.desired == Desired::Pause {
            return now.paused();
        }
        return Decision { start: ready(now, done), ..now.settled(Phase::Running) };
    }
    let end = match now.phase_of(&Step::TearDown) {
        // It has ended so; what people ask for afterwards makes no other end of it.
        StepPhase::Done if matches!(now.phase, Phase::Cancelled | Phase::Failed) => now.phase,
        StepPhase::Failed => Phase::Failed,
        _ if unwanted => Phase::Cancelled,
        _ if whole => Phase::Succeeded,
        _ => Phase::Failed,
    };
    now.closing(Step::TearDown, Phase::TearingDown, end)
}

impl Situation<'_> {
    fn phase_of(&self, step: &Step) -> StepPhase {
        self.phases.get(step).copied().unwrap_or(StepPhase::Pending)
    }

    fn settled(&self, phase: Phase) -> Decision {
        let reached = self.graph.reached(|step| self.phase_of(step) == StepPhase::Done);
        Decision { start: Vec::new(), stop: false, state: reached.max(self.state), phase }
    }

    /// What is being done is stopped; the steps go on from where they are once it is to run again.
    fn paused(&self) -> Decision {
        if self.busy.is_empty() {
            return self.settled(Phase::Paused);
        }
        Decision { stop: true, ..self.settled(Phase::Running) }
    }

    /// Only what makes nothing goes on meanwhile.
    fn awaiting(&self, ready: Vec<Step>) -> Decision {
        let start: Vec<Step> = ready.into_iter().filter(Step::makes_nothing).collect();
        let idle = start.is_empty() && self.busy.is_empty();
        let phase = if idle { Phase::WaitingApproval } else { Phase::Running };
        Decision { start, ..self.settled(phase) }
    }

    /// Whether the closing step was begun; one that rests between two tries is pending, too.
    fn closes(&self) -> bool {
        self.busy.contains(&Step::Cleanup) || self.phases.contains_key(&Step::Cleanup)
    }

    /// A step has failed. What does not need it goes on to its end: it may be hours of work, and the closing step would throw it away.
    fn failing(&self, ready: Vec<Step>) -> Decision {
        let open = |step: &Step| self.phase_of(step) != StepPhase::Failed;
        let allowed = |step: &Step| !self.unapproved || step.makes_nothing();
        let start: Vec<Step> = ready.into_iter().filter(|step| open(step) && allowed(step)).collect();
        if self.closes() || (start.is_empty() && self.busy.is_empty()) {
            return self.closing(Step::Cleanup, Phase::Running, Phase::Failed);
        }
        Decision { start, ..self.settled(Phase::Running) }
    }

    /// Stops everything else, then runs the closing step once, then ends in `end`, also where the closing step failed.
    fn closing(&self, last: Step, meanwhile: Phase, end: Phase) -> Decision {
        if self.busy.contains(&last) {
            return self.settled(meanwhile);
        }
        if !self.busy.is_empty() {
            return Decision { stop: true, ..self.settled(meanwhile) };
        }
        match self.phase_of(&last) {
            StepPhase::Done | StepPhase::Failed => self.settled(end),
            StepPhase::Pending | StepPhase::Running => {
                Decision { start: vec![last], ..self.settled(meanwhile) }
            }
        }
    }
}

fn ready(now: &Situation<'_>, done: impl Fn(&Step) -> bool) -> Vec<Step> {
    let waiting = |step: &&Step| !done(step) && !now.busy.contains(*step);
    now.graph.steps().filter(waiting).filter(|step| now.graph.needs(step).all(&done)).cloned().collect()
}

#[cfg(test)]
mod tests;
