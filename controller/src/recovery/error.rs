//! Why a step did not end well, and whether another try may.

use std::time::Duration;

use crate::archive::ArchiveError;
use crate::runtime::class::{Class, Classified};
use crate::store::StoreError;

/// What helps where an object store denies.
const KEY_PAIR: &str = "is the key pair of the plan valid, and may it do that? Set a better one where its references point (restart the daemon \
                        for `env:`), and resume the request";

/// The failure of a step. Its text says what failed; what is known and what to do follow in the same sentence.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Something below failed, classified where it was made.
    #[error("{doing}")]
    Failed {
        /// What this step was doing.
        doing: String,
        /// Whether another try may help.
        class: Class,
        /// Whether a mutating call may have taken effect although its answer was lost.
        in_doubt: bool,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The world is not as the plan assumes, and no retry will change that: a person has to decide.
    #[error("{what}. What to do: {advice}")]
    Refused {
        /// What was found.
        what: String,
        /// What a person can do about it.
        advice: String,
    },
    /// Our credentials do not open the door: only a person can give better ones.
    #[error("{what}. What to do: {advice}")]
    Denied {
        /// What was refused.
        what: String,
        /// What a person can do about it.
        advice: String,
        /// It was said for a quiet period already.
        lasted: bool,
    },
    /// Nothing moved for longer than the plan allows.
    #[error("nothing moved for {} s while {doing}", silence.as_secs())]
    Stalled {
        /// For how long.
        silence: Duration,
        /// What it was at.
        doing: String,
    },
    /// Asked to stop.
    #[error("stopped")]
    Stopped,
    /// A stored output of an earlier step is missing or unreadable: a defect, or an older release's row.
    #[error("the output of step {step} is missing or of an unknown shape")]
    Output {
        /// The earlier step's key.
        step: String,
    },
    /// Our own records could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A result of a step.
pub type Result<T, E = StepError> = std::result::Result<T, E>;

impl StepError {
    /// Wraps a classified error with what was being done.
    pub fn failed<E>(doing: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Classified + std::error::Error + Send + Sync + 'static,
    {
        let doing = doing.into();
        move |source| Self::Failed { doing, class: source.class(), in_doubt: false, source: Box::new(source) }
    }

    /// Wraps an I/O error of this machine: another try may help (disk space comes back), a person sees it meanwhile.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Failed {
            doing,
            class: Class::Transient,
            in_doubt: false,
            source: Box::new(source),
        }
    }

    /// Wraps an object store's error, and keeps whether a mutation may have taken effect.
    pub fn s3(doing: impl Into<String>) -> impl FnOnce(crate::providers::s3::S3Error) -> Self {
        let doing = doing.into();
        move |source| {
            if source.is_denied() && !source.is_frozen() && source.class() == Class::Terminal {
                let what = format!("{doing}: {}", crate::runtime::chain::Chain(&source));
                return Self::Denied { what, advice: KEY_PAIR.to_owned(), lasted: false };
            }
            Self::Failed {
                doing,
                class: source.class(),
                in_doubt: source.outcome_unknown(),
                source: Box::new(source),
            }
        }
    }

    /// A reference of the plan leads nowhere any more.
    pub fn reference(what: impl Into<String>) -> impl FnOnce(crate::config::ReferenceError) -> Self {
        let what = what.into();
        move |source| {
            Self::refused(
                format!("{what}: {}", crate::runtime::chain::Chain(&source)),
                "set it where the daemon runs, restart the daemon, and resume the request",
            )
        }
    }

    /// Wraps an error of the archive: a store that denies is believed once it has denied for a while.
    pub fn archive(doing: impl Into<String>) -> impl FnOnce(ArchiveError) -> Self {
        let doing = doing.into();
        move |source| {
            if source.is_denied() {
                let what = format!("{doing}: {}", crate::runtime::chain::Chain(&source));
                return Self::Denied { what, advice: KEY_PAIR.to_owned(), lasted: false };
            }
            Self::failed(doing)(source)
        }
    }

    /// A refusal.
    pub fn refused(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), advice: advice.into() }
    }

    /// Whether it is about our credentials, and was said once: it may be somebody's who stands before the vendor.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { lasted: false, .. })
    }

    /// The same after it was said for a quiet period.
    #[must_use]
    pub fn lasting(self) -> Self {
        match self {
            Self::Denied { what, advice, .. } => Self::Denied { what, advice, lasted: true },
            other => other,
        }
    }

    /// The same as something that may pass: it is tried again, where what would be taken instead is a loss.
    #[must_use]
    pub fn may_pass(self) -> Self {
        match self {
            Self::Failed { doing, class: Class::Terminal, in_doubt, source } => {
                Self::Failed { doing, class: Class::Transient, in_doubt, source }
            }
            Self::Refused { what, advice } | Self::Denied { what, advice, .. } => Self::Failed {
                doing: what,
                class: Class::Transient,
                in_doubt: false,
                source: format!("what to do: {advice}").into(),
            },
            other => other,
        }
    }

    /// Whether a mutating call may have taken effect although nobody told us.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Failed { in_doubt: true, .. })
    }
}

impl Classified for StepError {
    fn class(&self) -> Class {
        match self {
            Self::Failed { class, .. } => *class,
            Self::Refused { .. } | Self::Denied { .. } | Self::Output { .. } => Class::Terminal,
            Self::Stalled { .. } => Class::Transient,
            Self::Stopped => Class::Cancelled,
            Self::Store(error) => error.class(),
        }
    }
}
