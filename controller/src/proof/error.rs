//! Why backups could not be taken up.

use reprise_cluster::ClusterError;

use super::address::AddressError;

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
    /// A backup that was asked for is not there.
    #[error("the platform did not make backup {0}: look at the database's dashboard")]
    NotMade(String),
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
    /// The address of the server that the plan names is none.
    #[error("the address behind proof.server cannot be used")]
    Address(#[source] AddressError),
    /// The server that the plan names will not do.
    #[error("the server that the plan names ({at}) cannot be used: {why}")]
    Unsuited {
        /// Host and port.
        at: String,
        /// What is lacking, and what to do.
        why: String,
    },
    /// The server that the plan names does not answer as it should.
    #[error("could not {doing} on the server that the plan names ({at})")]
    Named {
        /// Host and port.
        at: String,
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        #[source]
        source: sqlx::Error,
    },
    /// The server that the plan names is older than the dump's, and dumps do not surely go down.
    #[error(
        "the dump is of PostgreSQL {dumped}, and the server that the plan names is of {here}: name one of {dumped} or newer in proof.server"
    )]
    NamedOlder {
        /// The major of the server that was dumped.
        dumped: u32,
        /// The major of the server that the plan names.
        here: u32,
    },
    /// Another process has something at work in a plan's folder.
    #[error("another process is at work in the folder of a throwaway database")]
    InUse,
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
            // The user, his password or the database are not such.
            Self::Named { source: sqlx::Error::Database(error), .. }
                if error.code().is_some_and(|code| code.starts_with("28") || code.starts_with("3D")) =>
            {
                Class::Terminal
            }
            Self::Busy(_)
            | Self::Server(_)
            | Self::Database(_)
            | Self::InUse
            | Self::Named { .. }
            | Self::File { .. }
            | Self::Nothing(_) => Class::Transient,
            Self::NoPlan(_)
            | Self::Address(_)
            | Self::Unsuited { .. }
            | Self::NamedOlder { .. }
            | Self::Plan { .. }
            | Self::NoAddon { .. }
            | Self::NoBackup(_)
            | Self::NotMade(_) => Class::Terminal,
            Self::Stopped => Class::Cancelled,
        }
    }
}
