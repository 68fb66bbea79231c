//! What is archived beside the bucket: database backups, code, configuration, and our own records.
//!
//! Each part stands for itself: one that cannot be had is told, in the run's record and wherever the run is shown, and does not keep
//! the others from being archived.

use reprise_crds::RecoveryPlanSpec;
use tokio_util::sync::CancellationToken;

use crate::archive::crypt::{CryptError, Recipients};
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
mod configuration;
pub mod dumps;
mod folder;
pub mod records;

use folder::Folder;
pub use folder::sweep;

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
        let part = |kind: &str, kept: Result<Vec<Extra>, CaptureError>, beside: &mut Beside| match kept {
            Ok(extras) => beside.extras.extend(extras),
            Err(error) => {
                let why = format!("{kind}: {}", Chain(&error));
                tracing::error!(plan = self.plan, why, "a part of the estate is not archived");
                beside.missing.push(why);
            }
        };
        let kept = self.code(archiver, before).await;
        part("code", kept, &mut beside);
        let recipients = archiver.spec.recipients.as_slice();
        match Recipients::parse(recipients) {
            Ok(recipients) => {
                let kept = self.configuration(archiver, &recipients).await;
                part("configuration", kept, &mut beside);
                let kept = self.records(archiver, &recipients).await;
                part("records", kept, &mut beside);
            }
            Err(error) => {
                let why = || {
                    CaptureError::Crypt(match &error {
                        CryptError::Recipient(text) => CryptError::Recipient(text.clone()),
                        _ => CryptError::NoRecipient,
                    })
                };
                part("configuration", Err(why()), &mut beside);
                part("records", Err(why()), &mut beside);
            }
        }
        beside
    }

    /// A private folder for what is on its way into the archive; it goes with the value.
    fn folder(&self) -> Result<Folder, CaptureError> {
        Folder::below(&self.tools.archive_work.join(self.plan))
    }
}
