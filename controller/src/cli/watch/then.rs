//! How a request stood when an event was told: who follows it later is not told of then with the words of now.

use reprise_crds::{Milestone, Phase};

use crate::store::Event;

/// Where the events so far have brought a request.
#[derive(Debug, Default)]
pub(super) struct Then {
    /// The milestone.
    pub(super) state: Milestone,
    /// The phase.
    pub(super) phase: Phase,
}

impl Then {
    /// The next event, in the order in which they were told.
    pub(super) fn take(&mut self, event: &Event) {
        if event.reason == "MilestoneReached" {
            let told = event.message.split_whitespace().find_map(|word| word.parse().ok());
            self.state = told.unwrap_or(self.state).max(self.state);
        }
        // A phase is told by its own name, and of no step.
        let told = event.reason.parse().ok().filter(|_| event.step.is_none());
        self.phase = told.unwrap_or(self.phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Severity;

    fn event(reason: &str, message: &str) -> Event {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        Event {
            id: 1,
            at: chrono::DateTime::UNIX_EPOCH,
            severity: Severity::Normal,
            reason,
            step: None,
            message,
        }
    }

    #[test]
    fn an_event_is_shown_with_what_was_reached_by_then() {
        let mut then = Then::default();
        let mut after = |reason: &str, message: &str| {
            then.take(&event(reason, message));
            (then.state, then.phase)
        };
        assert_eq!(after("Running", "begun"), (Milestone::Pending, Phase::Running));
        let reached = after("MilestoneReached", "milestone app-created is reached");
        assert_eq!(reached, (Milestone::AppCreated, Phase::Running));
        assert_eq!(after("StepRetrying", "restored later"), (Milestone::AppCreated, Phase::Running));
        assert_eq!(after("Failed", "it cannot go on"), (Milestone::AppCreated, Phase::Failed));
    }
}
