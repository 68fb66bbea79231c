//! Why the archive could not be taken, read or proven.

use crate::providers::s3::S3Error;
use crate::runtime::class::{Class, Classified};
use crate::store::StoreError;

/// A result of the archive.
pub type Result<T, E = ArchiveError> = std::result::Result<T, E>;

/// Why the archive could not be taken, read or proven.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The production bucket, or the one that is restored into.
    #[error("{doing} at the bucket outside the archive")]
    Outside {
        /// What was being done.
        doing: &'static str,
        /// The store's answer.
        #[source]
        source: S3Error,
    },
    /// One object cannot be copied.
    #[error("`{key}` cannot be copied")]
    Object {
        /// Its key at the source.
        key: String,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// The archive's own bucket.
    #[error("{doing} at the archive")]
    Inside {
        /// What was being done.
        doing: &'static str,
        /// The store's answer.
        #[source]
        source: S3Error,
    },
    /// Our own tables.
    #[error("keeping the archive's records")]
    Store(#[from] StoreError),
    /// A file of ours.
    #[error("{doing} in the work folder")]
    File {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A part of the archive is not what it was.
    #[error("{what} is damaged: {how}")]
    Damaged {
        /// Its key.
        what: String,
        /// What is wrong with it.
        how: String,
    },
    /// It is not done, for a reason that trying again does not change.
    #[error("{why}; {advice}")]
    Refused {
        /// Why.
        why: String,
        /// What to do.
        advice: &'static str,
    },
    /// Another process works on this archive.
    #[error("another process works on the archive of plan {0}")]
    Busy(String),
    /// We were told to stop; the next start goes on.
    #[error("stopped; the next run goes on from here")]
    Cancelled,
}

impl ArchiveError {
    /// What was to be done at the bucket outside may have been done.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Outside { source, .. } if source.outcome_unknown())
    }

    /// Names what was done at the bucket outside.
    pub fn outside(doing: &'static str) -> impl Fn(S3Error) -> Self {
        move |source| match source {
            S3Error::Cancelled { .. } => Self::Cancelled,
            source => Self::Outside { doing, source },
        }
    }

    /// Names what was done at the archive.
    pub fn inside(doing: &'static str) -> impl Fn(S3Error) -> Self {
        move |source| match source {
            S3Error::Cancelled { .. } => Self::Cancelled,
            source => Self::Inside { doing, source },
        }
    }

    /// Names the object that a store's answer is about.
    #[must_use]
    pub fn of(self, key: &str) -> Self {
        match self {
            Self::Outside { .. } | Self::Inside { .. } => {
                Self::Object { key: key.to_owned(), source: Box::new(self) }
            }
            other => other,
        }
    }

    /// A store does not let our key pair do what was asked: one that is frozen is another matter.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Outside { source, .. } | Self::Inside { source, .. } => {
                source.is_denied() && !source.is_frozen() && source.class() == Class::Terminal
            }
            Self::Object { source, .. } => source.is_denied(),
            _ => false,
        }
    }

    /// A store refuses whatever it is asked for, and not this one thing.
    pub fn is_of_all(&self) -> bool {
        match self {
            Self::Outside { source, .. } | Self::Inside { source, .. } => source.is_of_all(),
            Self::Object { source, .. } => source.is_of_all(),
            _ => false,
        }
    }

    /// A store turned out to list in another order than S3 has: begun again, its lists are sorted.
    pub fn is_disordered(&self) -> bool {
        match self {
            Self::Outside { source, .. } | Self::Inside { source, .. } => source.is_disordered(),
            _ => false,
        }
    }

    /// Names what was done with a file.
    pub fn file(doing: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::File { doing, source }
    }
}

impl Classified for ArchiveError {
    fn class(&self) -> Class {
        match self {
            Self::Outside { source, .. } | Self::Inside { source, .. } => source.class(),
            Self::Object { source, .. } => source.class(),
            Self::Store(source) => source.class(),
            Self::File { .. } | Self::Busy(_) => Class::Transient,
            Self::Damaged { .. } | Self::Refused { .. } => Class::Terminal,
            Self::Cancelled => Class::Cancelled,
        }
    }
}
