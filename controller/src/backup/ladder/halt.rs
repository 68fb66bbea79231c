//! What keeps a backup from the next rung.

use thiserror::Error;

use crate::backup::Refusal;
use crate::backup::checks::{Ahead, CheckError, DataOutcome, Finding};
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
    #[error("the plan's checks do not hold: {}", .0.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", "))]
    Answers(Vec<DataOutcome>),
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
            Self::Ahead(_) => "code-behind",
            Self::Unsealed => "unsealed",
        }
    }

    /// Whether it says that the backup is bad. If not, either it is to be tried again, or nothing is wrong with it that
    /// could be seen ([`Halt::Unsealed`], [`Halt::Ahead`]).
    pub fn blames_backup(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.blames_backup(),
            Self::Incomplete(_) | Self::Unsound(_) | Self::Answers(_) => true,
            Self::ServerOlder { .. }
            | Self::NotRestored(_)
            | Self::NotSeen(_)
            | Self::Ahead(_)
            | Self::Unsealed => false,
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
            | Self::Ahead(_)
            | Self::Unsealed => Class::Terminal,
        }
    }
}

fn list<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
