//! What a run ends with: as the reconciler says it, and as metrics count it.

use std::time::Duration;

use crate::runtime::class::Class;

/// What a run that went well wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another run after this nominal time, unless something changes earlier.
    RequeueAfter(Duration),
    /// Another run when something changes.
    AwaitChange,
}

/// How a run ended: a closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunOutcome {
    /// It went well and asked for another.
    Requeued,
    /// It went well and waits for a change.
    Settled,
    /// It failed, with this class.
    Failed(Class),
    /// It broke an invariant.
    Panicked,
}

impl RunOutcome {
    /// Every label, for metrics that exist from the start.
    pub const LABELS: [&'static str; 7] =
        ["requeued", "settled", "transient", "throttled", "terminal", "cancelled", "panicked"];

    /// The outcome as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Requeued => "requeued",
            Self::Settled => "settled",
            Self::Failed(class) => class.label(),
            Self::Panicked => "panicked",
        }
    }
}

impl From<Outcome> for RunOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::RequeueAfter(_) => Self::Requeued,
            Outcome::AwaitChange => Self::Settled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RunOutcome;
    use crate::runtime::class::Class;

    #[test]
    fn every_outcome_has_its_label_in_the_list() {
        let failed = [Class::Transient, Class::Throttled(None), Class::Terminal, Class::Cancelled]
            .map(RunOutcome::Failed);
        let all = [RunOutcome::Requeued, RunOutcome::Settled]
            .into_iter()
            .chain(failed)
            .chain([RunOutcome::Panicked]);
        assert!(all.map(RunOutcome::label).eq(RunOutcome::LABELS));
    }
}
