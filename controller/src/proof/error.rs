//! Why backups could not be taken up.

use reprise_cluster::ClusterError;

use crate::providers::http::ProviderError;
use crate::recovery::error::StepError;
use crate::runtime::class::{Class, Classified};
use crate::store::StoreError;

/// Why backups could not be taken up. Says nothing of any of them.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is no such plan.
    #[error("there is no plan called {0}")]
    NoPlan(String),
    /// The plan cannot be read.
    #[error("plan {plan} cannot be read: {problems}")]
    Plan {
        /// Its name.
        plan: String,
        /// What is wrong with it.
        problems: String,
    },
    /// Another process takes up this plan's backups.
    #[error("another process takes up the backups of plan {0}")]
    Busy(String),
    /// The lost or living app has no such addon.
    #[error("{app} has no addon {addon}, so the platform lists no backups")]
    NoAddon {
        /// The app.
        app: String,
        /// The addon that the plan names.
        addon: String,
    },
    /// There is no such backup.
    #[error("the platform lists no finished backup called {0}")]
    NoBackup(String),
    /// The platform does not answer as it should.
    #[error("could not {doing}")]
    Platform {
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        #[source]
        source: ProviderError,
    },
    /// Something that recoveries need too cannot be set up.
    #[error(transparent)]
    Setup(#[from] StepError),
    /// There is no `pg_restore`.
    #[error("pg_restore cannot be used")]
    Tools(#[source] crate::backup::Refusal),
    /// The throwaway server cannot be run.
    #[error("the throwaway server cannot be run")]
    Server(#[from] ClusterError),
    /// The throwaway database cannot be made.
    #[error("the throwaway database cannot be made")]
    Database(#[source] sqlx::Error),
    /// A folder of ours cannot be used.
    #[error("could not {doing}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Our own tables.
    #[error("keeping the verdicts")]
    Store(#[from] StoreError),
    /// Backups were taken up, and nothing was learnt of any.
    #[error("nothing was learnt: {0}")]
    Nothing(String),
    /// We were told to stop; the next run goes on.
    #[error("stopped; the next run goes on from here")]
    Stopped,
}

impl Classified for ProofError {
    fn class(&self) -> Class {
        match self {
            Self::Platform { source, .. } => source.class(),
            Self::Setup(error) => error.class(),
            Self::Tools(refusal) => refusal.class(),
            Self::Store(error) => error.class(),
            Self::Busy(_) | Self::Server(_) | Self::Database(_) | Self::File { .. } | Self::Nothing(_) => {
                Class::Transient
            }
            Self::NoPlan(_) | Self::Plan { .. } | Self::NoAddon { .. } | Self::NoBackup(_) => Class::Terminal,
            Self::Stopped => Class::Cancelled,
        }
    }
}
