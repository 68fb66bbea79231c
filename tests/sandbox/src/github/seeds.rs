//! What a run that already happened looks like, for seeding. Plain data.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::archives;

/// Retention of artifacts, in days.
pub const RETENTION_DAYS: i64 = 90;

/// What the listing says of an artifact's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Digest {
    /// The digest of the stored bytes.
    Ok,
    /// A digest of something else.
    Wrong,
    /// None: an old uploader.
    None,
    /// The digest of these other bytes: what was uploaded before it was damaged.
    Of(Bytes),
}

/// An artifact to be.
#[derive(Debug, Clone)]
pub struct SeedArtifact {
    /// Its name.
    pub name: String,
    /// The stored bytes: what `/zip` leads to.
    pub bytes: Bytes,
    /// Whether it is past its retention.
    pub expired: bool,
    /// What the listing says.
    pub digest: Digest,
    /// `application/zip`, unless it was uploaded raw.
    pub content_type: String,
}

impl SeedArtifact {
    /// A sound zip.
    pub fn zip(name: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let (name, content_type) = (name.to_owned(), "application/zip".to_owned());
        Self { name, bytes, expired: false, digest: Digest::Ok, content_type }
    }

    /// A zip whose stored bytes are damaged while the listing's digest is of the good one.
    pub fn damaged(name: &str, good: impl Into<Bytes>) -> Self {
        let good = good.into();
        let bytes = archives::damaged(&good);
        Self { digest: Digest::Of(good), ..Self::zip(name, bytes) }
    }

    /// A zip that was already bad when it was uploaded: the digest agrees, the CRC of its largest entry does not.
    pub fn wrong_crc(name: &str, good: &[u8]) -> Self {
        Self::zip(name, archives::wrong_crc(good))
    }

    /// A single file that was uploaded without a zip around it; `name` is the file's.
    pub fn raw(name: &str, bytes: impl Into<Bytes>, content_type: &str) -> Self {
        Self { content_type: content_type.to_owned(), ..Self::zip(name, bytes) }
    }

    /// The same, past its retention.
    #[must_use]
    pub fn expired(self) -> Self {
        Self { expired: true, ..self }
    }

    /// The same, with another digest in the listing.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest, ..self }
    }
}

/// A run to be.
#[derive(Debug, Clone)]
pub struct SeedRun {
    /// The workflow's file, `archive.yml`.
    pub workflow: String,
    /// `success`, `failure`, …; `None` while it runs.
    pub conclusion: Option<String>,
    /// What started it.
    pub event: String,
    /// The branch.
    pub head_branch: String,
    /// Whether it ran for a fork.
    pub from_fork: bool,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Its artifacts, oldest first.
    pub artifacts: Vec<SeedArtifact>,
}

impl SeedRun {
    /// A scheduled run on `main` that ended so.
    pub fn completed(workflow: &str, conclusion: &str, created_at: DateTime<Utc>) -> Self {
        Self {
            workflow: workflow.to_owned(),
            conclusion: Some(conclusion.to_owned()),
            event: "schedule".to_owned(),
            head_branch: "main".to_owned(),
            from_fork: false,
            created_at,
            artifacts: Vec::new(),
        }
    }

    /// The same, with one more artifact.
    #[must_use]
    pub fn with(mut self, artifact: SeedArtifact) -> Self {
        self.artifacts.push(artifact);
        self
    }
}

/// What a dispatched workflow produces when it ends.
#[async_trait]
pub trait Producer: Send + Sync + std::fmt::Debug {
    /// The artifacts of a run of `workflow`; an error fails the run.
    async fn produce(&self, workflow: &str) -> Result<Vec<SeedArtifact>, String>;
}
