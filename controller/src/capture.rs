//! What is archived beside the bucket: database backups, code, configuration, and our own records.
//!
//! Each part stands for itself: one that cannot be had is told, in the run's record and wherever the run is shown, and does not keep
//! the others from being archived.

use reprise_crds::RecoveryPlanSpec;
use tokio_util::sync::CancellationToken;

use crate::archive::crypt::{CryptError, Recipients};
use crate::archive::folder::{Folder, Purpose};
use crate::archive::format::{Extra, Record};
use crate::archive::take::Beside;
use crate::archive::{ArchiveError, Archiver};
use crate::proof::ProofError;
use crate::providers::git::GitError;
use crate::providers::http::ProviderError;
use crate::recovery::error::StepError;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::store::StoreError;

pub mod code;
pub mod configuration;
pub mod dumps;
pub mod records;

/// Why something beside the bucket could not be archived.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The platform does not answer as it should.
    #[error("{doing}")]
    Platform {
        /// What was being done.
        doing: String,
        /// Its answer.
        #[source]
        source: ProviderError,
    },
    /// The platform's backups cannot be had.
    #[error(transparent)]
    Backups(#[from] ProofError),
    /// The code cannot be had.
    #[error("keeping the code of {app}")]
    Code {
        /// Whose.
        app: String,
        /// Why.
        #[source]
        source: GitError,
    },
    /// What an app runs cannot be had: it was never pushed to the code's host, or is no commit.
    #[error("{app} runs {runs}: the code of {git_ref} is kept in its place")]
    OtherCode {
        /// Whose.
        app: String,
        /// What it runs, and why that is not kept.
        runs: String,
        /// The plan's ref.
        git_ref: String,
    },
    /// Nothing may lie in the archive in clear.
    #[error(transparent)]
    Crypt(#[from] CryptError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The plan or the configuration does not allow it.
    #[error(transparent)]
    Setup(#[from] StepError),
    /// Our own tables.
    #[error(transparent)]
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
    /// It is not there.
    #[error("{0}")]
    Absent(String),
}

/// What could be had of a kind, and why the rest could not.
#[derive(Debug, Default)]
struct Part {
    extras: Vec<Extra>,
    errors: Vec<CaptureError>,
}

impl From<Result<Vec<Extra>, CaptureError>> for Part {
    fn from(kept: Result<Vec<Extra>, CaptureError>) -> Self {
        match kept {
            Ok(extras) => Self { extras, errors: Vec::new() },
            Err(error) => Self { extras: Vec::new(), errors: vec![error] },
        }
    }
}

/// Captures what belongs to one plan.
#[derive(Debug)]
pub struct Capture<'a> {
    /// Store, platform, clock.
    pub tools: &'a Tools,
    /// The plan's name.
    pub plan: &'a str,
    /// The plan.
    pub spec: &'a RecoveryPlanSpec,
    /// Stops everything.
    pub stop: &'a CancellationToken,
}

impl Capture<'_> {
    /// Takes an archive with all that belongs to it.
    pub async fn take(&self, archiver: &Archiver) -> Result<Record, ArchiveError> {
        let turn = archiver.prepare().await?;
        let any = |record: &Record| (!record.extras.is_empty()).then_some(());
        let before = archiver.newest_with(any).await?;
        let beside = self.beside(archiver, before.as_ref().map(|(record, ())| record)).await;
        archiver.take(turn, beside).await
    }

    /// Everything that a run archives beside the bucket, and what could not be had. `before` is the run before.
    pub async fn beside(&self, archiver: &Archiver, before: Option<&Record>) -> Beside {
        let mut beside = Beside::default();
        self.tell("code", self.code(archiver, before).await, &mut beside);
        let recipients = match Recipients::parse(&archiver.spec.recipients) {
            Ok(recipients) => recipients,
            Err(error) => {
                let again = match &error {
                    CryptError::Recipient(text) => CryptError::Recipient(text.clone()),
                    _ => CryptError::NoRecipient,
                };
                self.tell("configuration", Part::from(Err(error.into())), &mut beside);
                self.tell("records", Part::from(Err(again.into())), &mut beside);
                return beside;
            }
        };
        self.tell("configuration", self.configuration(archiver, &recipients).await, &mut beside);
        self.tell("records", self.records(archiver, &recipients).await.into(), &mut beside);
        beside
    }

    fn tell(&self, kind: &str, part: Part, beside: &mut Beside) {
        beside.extras.extend(part.extras);
        for error in part.errors {
            let why = format!("{kind}: {}", Chain(&error));
            tracing::error!(plan = self.plan, why, "a part of the estate is not archived");
            beside.missing.push(why);
        }
    }

    /// A private folder for what is on its way into the archive; it goes with the value.
    fn folder(&self) -> Result<Folder, CaptureError> {
        Ok(Folder::below(&self.tools.archive_work.join(self.plan), Purpose::Capture)?)
    }
}
