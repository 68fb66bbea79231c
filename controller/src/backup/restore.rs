//! The restore itself: the real, parallel `pg_restore` into a database that is empty or provably ours.
//!
//! Three moves, of which the middle one is the only one that acts: [`Selection::new`] decides (pure) what is restored
//! from what was seen in the target; [`restore`] runs; [`super::accounting`] says what came of it. Nothing here trusts
//! the exit status.
//!
//! Extensions are left to `pg_restore`, save those that the target has: a dump makes them with `IF NOT EXISTS` in their
//! own schema and at their right place in the order, which nobody outside of the archive knows; and an error is told
//! with its entry. Comments are data, except those on what the platform owns; privileges name roles that do not exist.

mod messages;
mod progress;
mod quotes;
mod run;
mod selection;
mod target;

use std::path::Path;

use thiserror::Error;

pub(super) use messages::head_of;
pub use messages::{EntryError, Messages, Report};
pub use progress::Progress;
pub(super) use quotes::{RAISED, without_values};
pub use run::restore;
pub use selection::Selection;
pub use target::{Host, Target, Tls};

use super::contents::Counts;
use super::toc::Toc;
use crate::runtime::class::{Class, Classified};

/// All that a restore needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The dump.
    pub file: &'a Path,
    /// Its table of contents.
    pub toc: &'a Toc,
    /// What is in it, for the progress.
    pub counts: &'a Counts,
    /// What of it is restored.
    pub selection: &'a Selection,
    /// Where to.
    pub target: &'a Target,
    /// Connections at once. With one alone it does all in the archive's order, and does not tell what it has finished.
    pub jobs: u16,
    /// A folder of ours (0700) for the password file and the list.
    pub work_dir: &'a Path,
    /// Name of the sessions in `pg_stat_activity`, by which those of a killed predecessor are found.
    pub application: &'a str,
}

impl Order<'_> {
    /// Whether one session does it all, in the archive's order, and does not tell what it has finished: where it was asked for, and where a family
    /// of tables is restored over itself.
    pub fn is_alone(&self) -> bool {
        self.jobs == 1 || self.counts.has_families() && self.selection.replaces()
    }
}

/// Why a restore did not run to its end.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The target holds something that is not known to be ours.
    #[error("the target database is not empty: {found}")]
    NotEmpty {
        /// What it holds.
        found: String,
    },
    /// Our own disk failed us.
    #[error("could not {doing}")]
    Local {
        /// What we were doing.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `pg_restore` gave up: the connection was refused or lost, or the file went away.
    #[error("pg_restore gave up after {finished} of {total} entries: {said}")]
    GaveUp {
        /// Entries that it had finished.
        finished: u64,
        /// Entries that it was given.
        total: u64,
        /// Its last error, or its exit status.
        said: String,
    },
    /// The server had trouble of its own: what did not come back says nothing of the dump.
    #[error("the server had trouble of its own: {said}")]
    Trouble {
        /// The first error that says so.
        said: String,
    },
    /// It did not come to an end.
    #[error("the restore did not come to an end: {said}")]
    Stalled {
        /// What it stood at, and for how long.
        said: String,
    },
    /// It was stopped from outside.
    #[error("the restore was stopped")]
    Cancelled,
}

impl RestoreError {
    /// What the server or the line was heard to say.
    fn said(&self) -> &str {
        match self {
            Self::GaveUp { said, .. } | Self::Trouble { said } => said,
            Self::NotEmpty { .. } | Self::Local { .. } | Self::Stalled { .. } | Self::Cancelled => "",
        }
    }

    /// Whether the server's disk is full.
    pub fn is_for_want_of_disk(&self) -> bool {
        messages::is_full(self.said())
    }

    /// Whether the line to the server was cut.
    pub fn is_of_the_line(&self) -> bool {
        messages::is_cut(self.said())
    }
}

impl Classified for RestoreError {
    fn class(&self) -> Class {
        match self {
            Self::NotEmpty { .. } => Class::Terminal,
            Self::Local { .. } | Self::GaveUp { .. } | Self::Trouble { .. } | Self::Stalled { .. } => {
                Class::Transient
            }
            Self::Cancelled => Class::Cancelled,
        }
    }
}

#[cfg(test)]
mod faraway;
#[cfg(test)]
mod tests;
