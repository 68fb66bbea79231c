//! Why a command did not work, for the person who typed it.

use std::path::PathBuf;

use reprise_crds::Problem;

use super::exit;
use crate::config::ConfigError;
use crate::store::StoreError;

/// Why a command did not work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A document has problems; all of them are listed.
    #[error("{what} has {} problem{}; nothing was changed", problems.len(), if problems.len() == 1 { "" } else { "s" })]
    Invalid {
        /// Which document.
        what: String,
        /// What is wrong with it.
        problems: Vec<Problem>,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}{}", path.display(), spared(source))]
    Write {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no such thing.
    #[error("there is no {kind} called {name}{}", known(names))]
    NotFound {
        /// `plan`, `request` or `app`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The names that there are.
        names: Vec<String>,
    },
    /// The name is taken.
    #[error("a request called {0} was filed before; choose another name")]
    NameTaken(String),
    /// The name would be refused.
    #[error("`{0}` is not a name: use 1 to 63 lower-case letters, digits and inner hyphens")]
    BadName(String),
    /// The webhook's address cannot be listened at.
    #[error("cannot listen for the notification")]
    Listen(#[source] std::io::Error),
    /// Nobody is named who agrees.
    #[error("who agrees? No user is known here: say it with --by")]
    Anonymous,
    /// What was given answers nothing.
    #[error("{0}; nothing was changed")]
    Answer(String),
    /// There is no store to talk to.
    #[error("no store: {advice}")]
    NoStore {
        /// What to do.
        advice: String,
    },
    /// The store failed.
    #[error("the store does not answer")]
    Store(#[source] StoreError),
    /// It is a database, and none of ours yet.
    #[error(
        "this database has no tables of Reprise: start `reprise serve` with it once, or correct DATABASE_URL"
    )]
    NoTables,
    /// The private store cannot be run.
    #[error("cannot run the private store")]
    Embedded(#[source] crate::store::embedded::EmbeddedError),
    /// The daemon's configuration is wrong.
    #[error("the configuration cannot be used")]
    Config(#[source] ConfigError),
    /// The daemon could not start.
    #[error("cannot start: {what}")]
    Start {
        /// What failed.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The daemon ran, and cannot go on.
    #[error("the daemon ended")]
    Ended(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The archive could not be taken, read or proven.
    #[error("the archive of plan {plan}")]
    Archive {
        /// Whose archive.
        plan: String,
        /// Why.
        #[source]
        source: crate::archive::ArchiveError,
    },
    /// Something beside the bucket could not be archived.
    #[error("the archive of plan {plan}")]
    Capture {
        /// Whose archive.
        plan: String,
        /// Why.
        #[source]
        source: Box<crate::capture::CaptureError>,
    },
    /// Backups could not be taken up.
    #[error("the backups of plan {plan}")]
    Proof {
        /// Whose backups.
        plan: String,
        /// Why.
        #[source]
        source: crate::proof::ProofError,
    },
    /// What was asked for could not be set up.
    #[error("cannot begin")]
    Setup(#[source] crate::recovery::error::StepError),
    /// The live estate cannot be read.
    #[error("cannot read the live estate")]
    Look(#[source] crate::draft::look::LookError),
    /// A request was not waited for any longer.
    #[error("{name} has not ended within {}; it goes on", humantime::format_duration(*limit))]
    NotEnded {
        /// The request.
        name: String,
        /// How long it was waited for.
        limit: std::time::Duration,
    },
    /// Nobody reads what we print.
    #[error("cannot print")]
    Print(#[source] std::io::Error),
}

/// What is there is never written over.
fn spared(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::AlreadyExists => ", which is kept as it is; name another file",
        _ => "",
    }
}

fn known(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there is: {}", names.join(", ")) }
}

impl CliError {
    /// The exit code that tells scripts what happened.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid { .. }
            | Self::Read { .. }
            | Self::NameTaken(_)
            | Self::BadName(_)
            | Self::Anonymous
            | Self::Answer(_)
            | Self::Config(_) => exit::USAGE,
            Self::NotFound { .. } => exit::NOT_FOUND,
            Self::NoStore { .. } | Self::NoTables | Self::Store(_) => exit::UNAVAILABLE,
            Self::Archive { .. }
            | Self::Capture { .. }
            | Self::Proof { .. }
            | Self::Setup(_)
            | Self::Look(_)
            | Self::Embedded(_)
            | Self::Write { .. }
            | Self::Start { .. }
            | Self::Ended(_)
            | Self::Listen(_)
            | Self::NotEnded { .. }
            | Self::Print(_) => exit::FAILED,
        }
    }
}

impl From<StoreError> for CliError {
    fn from(source: StoreError) -> Self {
        if source.lacks_tables() { Self::NoTables } else { Self::Store(source) }
    }
}

impl From<std::io::Error> for CliError {
    fn from(source: std::io::Error) -> Self {
        Self::Print(source)
    }
}
