//! What keeps a backup from the next rung.

use thiserror::Error;

use crate::backup::Refusal;
use crate::backup::checks::{Ahead, CheckError, DataOutcome, Finding, Unasked};
use crate::backup::restore::RestoreError;
use crate::runtime::class::{Class, Classified};

/// What keeps a backup from the next rung.
#[derive(Debug, Error)]
pub enum Halt {
    /// The archive was refused, or could not be looked at.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The throwaway server is older than the dump's, and dumps do not surely go down: nothing is known of the backup.
    #[error(
        "the dump is of PostgreSQL {dumped}, and the newest server here is {here}: install the package postgresql-{dumped}"
    )]
    ServerOlder {
        /// The major of the server that was dumped.
        dumped: u32,
        /// The major of the throwaway server.
        here: u32,
    },
    /// The restore did not run to its end: nothing is known of the backup.
    #[error("the restore did not run to its end")]
    NotRestored(#[from] RestoreError),
    /// A look at the restored database could not be taken: nothing is known of the backup.
    #[error("the restored database could not be looked at")]
    NotSeen(#[from] CheckError),
    /// Not every entry came back.
    #[error("not everything came back: {0}")]
    Incomplete(String),
    /// What came back is not sound.
    #[error("what came back is not sound: {}", list(.0))]
    Unsound(Vec<Finding>),
    /// The plan's questions are not answered as they should be.
    #[error("the plan's checks do not hold: {}", list(.0))]
    Answers(Vec<DataOutcome>),
    /// The plan's questions could not be asked, through a fault of their own or of the machine: no fault of the backup, and no proof.
    #[error(
        "the plan's checks could not be asked: {}; correct dataChecks in the plan, and they are asked anew",
        list(.0)
    )]
    Unasked(Vec<DataOutcome>),
    /// The same questions held for the very same bytes before: what they ask for is not in the backup alone.
    #[error(
        "the plan's checks held for these very bytes before, and do not now: {}; a check must not depend on the day or the machine",
        list(.0)
    )]
    Unsteady(Vec<DataOutcome>),
    /// Newer code than the plan's has changed the database: no fault of the backup, and no proof of a recovery with this code.
    #[error("the database is ahead of the code: {}; deploy newer code, or name it in the plan", list(.0))]
    Ahead(Vec<Ahead>),
    /// Nothing vouches for the bytes: a changed one would not have shown.
    #[error(
        "neither a recorded digest nor checksums cover all of its bytes: a changed one would not have shown"
    )]
    Unsealed,
}

impl Halt {
    /// The labels that are not those of a [`Refusal`] or a [`Finding`].
    pub const REASONS: &'static [&'static str] = &[
        "server-older",
        "restore-failed",
        "check-not-run",
        "restore-incomplete",
        "check-failed",
        "check-not-asked",
        "check-unsteady",
        "code-behind",
        "unsealed",
    ];

    /// The stable label, for verdicts and metrics. Labels are added to, never renamed.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::ServerOlder { .. } => "server-older",
            Self::NotRestored(_) => "restore-failed",
            Self::NotSeen(_) => "check-not-run",
            Self::Incomplete(_) => "restore-incomplete",
            Self::Unsound(findings) => findings.first().map_or("restore-incomplete", Finding::reason),
            Self::Answers(_) => "check-failed",
            Self::Unasked(_) => "check-not-asked",
            Self::Unsteady(_) => "check-unsteady",
            Self::Ahead(_) => "code-behind",
            Self::Unsealed => "unsealed",
        }
    }

    /// Whether it says that the backup is bad. If not, either it is to be tried again, or nothing is wrong with it that
    /// could be seen ([`Halt::Unsealed`], [`Halt::Ahead`], [`Halt::Unasked`], [`Halt::Unsteady`]).
    pub fn blames_backup(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.blames_backup(),
            Self::Incomplete(_) | Self::Unsound(_) | Self::Answers(_) => true,
            Self::ServerOlder { .. }
            | Self::NotRestored(_)
            | Self::NotSeen(_)
            | Self::Unasked(_)
            | Self::Unsteady(_)
            | Self::Ahead(_)
            | Self::Unsealed => false,
        }
    }

    /// Of what did not hold. Questions that the machine failed to answer are asked another time; what the others found is told first, for
    /// it is there already.
    pub(super) fn of(outcomes: Vec<DataOutcome>) -> Self {
        let (unasked, answers): (Vec<_>, Vec<_>) =
            outcomes.into_iter().partition(|outcome| outcome.unasked.is_some());
        if answers.is_empty() { Self::Unasked(unasked) } else { Self::Answers(answers) }
    }

    /// Whether trying again may lead further, with the same plan and the same backup.
    pub(super) fn is_of_the_machine(&self) -> bool {
        let machine = |outcome: &DataOutcome| outcome.unasked == Some(Unasked::Machine);
        matches!(self, Self::Unasked(outcomes) if outcomes.iter().any(machine))
    }

    /// The same as told by one who knows the backup: whether these questions were answered as they should be by `others` of the plan's
    /// backups, and by these very bytes (`itself`).
    ///
    /// What was there in others to be asked for is lacking in this one. And what held for these bytes is in them.
    #[must_use]
    pub fn known(self, others: bool, itself: bool) -> Self {
        let lacks = |outcome: &DataOutcome| outcome.unasked == Some(Unasked::Question { absent: true });
        match self {
            Self::Answers(outcomes) if itself => Self::Unsteady(outcomes),
            Self::Unasked(outcomes) if others && !itself && outcomes.iter().any(lacks) => {
                Self::Answers(outcomes.into_iter().filter(lacks).collect())
            }
            halt => halt,
        }
    }
}

impl Classified for Halt {
    fn class(&self) -> Class {
        match self {
            Self::Refused(refusal) => refusal.class(),
            Self::NotRestored(error) => error.class(),
            Self::NotSeen(error) => error.class(),
            Self::ServerOlder { .. }
            | Self::Incomplete(_)
            | Self::Unsound(_)
            | Self::Answers(_)
            | Self::Unasked(_)
            | Self::Unsteady(_)
            | Self::Ahead(_)
            | Self::Unsealed => Class::Terminal,
        }
    }
}

fn list<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(unasked: Option<Unasked>) -> DataOutcome {
        let (name, found, expected) = ("people".to_owned(), "3".to_owned(), "9 or more".to_owned());
        DataOutcome { name, holds: false, unasked, found, expected }
    }

    #[test]
    fn what_was_found_and_what_was_expected_is_told() {
        let told = Halt::of(vec![outcome(None), outcome(Some(Unasked::Machine))]).to_string();
        assert_eq!(told, "the plan's checks do not hold: people (found 3, expected 9 or more)");
    }

    #[test]
    fn what_did_not_come_back_whole_or_sound_is_the_backups_fault_and_what_was_not_seen_is_not() {
        let told = || "1 of 9 entries".to_owned();
        for halt in [Halt::Incomplete(told()), Halt::Unsound(Vec::new())] {
            assert!(halt.blames_backup(), "{halt}");
        }
        for halt in [Halt::Unsealed, Halt::Ahead(Vec::new()), Halt::ServerOlder { dumped: 17, here: 15 }] {
            assert!(!halt.blames_backup(), "{halt}");
        }
    }

    #[test]
    fn a_question_that_cannot_be_asked_blames_no_backup_unless_others_have_answered_it() {
        let absent = || Halt::of(vec![outcome(Some(Unasked::Question { absent: true }))]);
        for (halt, reason, blames, again) in [
            (absent(), "check-not-asked", false, false),
            (absent().known(true, false), "check-failed", true, false),
            (absent().known(true, true), "check-not-asked", false, false),
            (Halt::of(vec![outcome(Some(Unasked::Machine))]), "check-not-asked", false, true),
            (
                Halt::of(vec![outcome(Some(Unasked::Machine))]).known(true, false),
                "check-not-asked",
                false,
                true,
            ),
            (Halt::of(vec![outcome(None)]), "check-failed", true, false),
            (Halt::of(vec![outcome(None)]).known(true, true), "check-unsteady", false, false),
        ] {
            let seen = (halt.reason(), halt.blames_backup(), halt.is_of_the_machine());
            assert_eq!(seen, (reason, blames, again), "{halt}");
        }
    }
}
