//! Who comes first where something is scarce. What a task is for is said once, where it begins; what it begins has the same urgency.

use std::future::Future;

/// What work is for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Something is down.
    Recovery,
    /// A rehearsal of that.
    Drill,
    /// A look, or a person's command. What nobody has said anything of.
    Preflight,
    /// Proofs and copies, which have all day.
    Verdicts,
}

tokio::task_local! {
    static CURRENT: Urgency;
}

impl Urgency {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Recovery, Self::Drill, Self::Preflight, Self::Verdicts];

    /// That of the task that asks.
    pub fn current() -> Self {
        CURRENT.try_with(|urgency| *urgency).unwrap_or(Self::Preflight)
    }

    /// Does `work` with this urgency.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self, work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tasks::{Tasks, aside};

    #[tokio::test]
    async fn what_a_task_begins_is_as_urgent_as_itself() {
        assert_eq!(Urgency::current(), Urgency::Preflight);
        let begun = Urgency::Recovery.scope(async {
            let tasks = Tasks::new();
            let beside = aside(async { Urgency::current() }).await;
            (beside, tasks.spawn("one", |_| async { Urgency::current() }).join().await)
        });
        let (beside, task) = begun.await;
        assert_eq!((beside, task.unwrap()), (Urgency::Recovery, Urgency::Recovery));
        assert_eq!(Urgency::current(), Urgency::Preflight);
    }
}
