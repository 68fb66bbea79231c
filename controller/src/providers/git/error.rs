//! Why git did not do what it was asked for, and what of that is the host's own answer.

use crate::providers::process::ProcessError;
use crate::runtime::class::{Class, Classified};

/// Why git did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program itself.
    #[error("git cannot {doing}")]
    Process {
        /// What we were doing.
        doing: &'static str,
        /// Why.
        #[source]
        source: ProcessError,
    },
    /// It ended with an error.
    #[error("git cannot {doing} ({complaint})")]
    Failed {
        /// What we were doing.
        doing: &'static str,
        /// Its own last words.
        complaint: String,
    },
    /// Our own copy is locked: another git is at it, or one was killed at it.
    #[error("our copy of the code is locked ({complaint})")]
    Locked {
        /// Its own last words.
        complaint: String,
    },
    /// The host has the repository, and not what was asked for.
    #[error("the code's host has no {reference} ({complaint})")]
    NoSuchRef {
        /// The branch, tag or commit.
        reference: String,
        /// Its own last words.
        complaint: String,
    },
    /// The host has no such repository, or not for us.
    #[error("the code's host does not give the repository ({complaint})")]
    NoAccess {
        /// Its own last words.
        complaint: String,
    },
    /// It ended well with an answer that makes no sense.
    #[error("git's answer is not understood: cannot {doing}")]
    Answer {
        /// What we were doing.
        doing: &'static str,
    },
    /// An address, ref or path that git could take for something else.
    #[error("`{text}` is not {what}")]
    Argument {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
    },
    /// The commit was fetched without its history, which the platform refuses.
    #[error("the history of the code is incomplete")]
    Shallow,
    /// The platform took the code but did not accept it: its build or its hook failed.
    #[error("the push was refused ({reason})")]
    Refused {
        /// What the platform said of the branch.
        reason: String,
    },
    /// The connection was lost while pushing: a deployment may be under way. Look before pushing again.
    #[error("the push ended without an answer ({complaint})")]
    InDoubt {
        /// Git's last words.
        complaint: String,
    },
}

impl GitError {
    /// The push may have been carried out.
    pub fn outcome_unknown(&self) -> bool {
        let timeout = |source: &ProcessError| {
            matches!(source, ProcessError::Timeout { .. } | ProcessError::Follow { .. })
        };
        match self {
            Self::InDoubt { .. } => true,
            Self::Process { doing, source } => *doing == PUSHING && timeout(source),
            _ => false,
        }
    }
}

impl GitError {
    /// It is the host, or the line to it, that does not give what was asked for; not this machine, nor the plan.
    pub fn is_of_the_host(&self) -> bool {
        match self {
            Self::NoSuchRef { .. } | Self::NoAccess { .. } | Self::Failed { .. } => true,
            Self::Process { source, .. } => matches!(source, ProcessError::Timeout { .. }),
            _ => false,
        }
    }
}

pub(super) const PUSHING: &str = "push the code";

impl Classified for GitError {
    fn class(&self) -> Class {
        match self {
            // A program that is missing stays so; a full disk or a full table of processes does not.
            Self::Process { source: ProcessError::Start { source, .. }, .. }
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Class::Terminal
            }
            Self::NoSuchRef { .. }
            | Self::NoAccess { .. }
            | Self::Answer { .. }
            | Self::Argument { .. }
            | Self::Shallow
            | Self::Refused { .. } => Class::Terminal,
            Self::Process { .. } | Self::Failed { .. } | Self::Locked { .. } | Self::InDoubt { .. } => {
                Class::Transient
            }
        }
    }
}

/// What the host itself answered to a fetch: asking again changes nothing of it.
///
/// Source: `remote-curl.c`, `http.c`, `fetch.c` and `upload-pack.c` of git 2.30 to 2.47.
pub(super) fn definite(error: GitError, reference: &str) -> GitError {
    const NO_REF: &[&str] = &["couldn't find remote ref", "not our ref", "unadvertised object"];
    const NO_ACCESS: &[&str] = &[
        "Authentication failed",
        "could not read Username",
        "Repository not found",
        "does not appear to be a git repository",
        "does not exist",
        "returned error: 401",
        "returned error: 403",
        "returned error: 404",
    ];
    let GitError::Failed { doing, complaint } = error else { return error };
    let says = |words: &[&str]| words.iter().any(|words| complaint.contains(words));
    let not_found = complaint.contains("repository '") && complaint.contains("' not found");
    if says(NO_REF) {
        return GitError::NoSuchRef { reference: reference.to_owned(), complaint };
    }
    if not_found || says(NO_ACCESS) {
        return GitError::NoAccess { complaint };
    }
    GitError::Failed { doing, complaint }
}
