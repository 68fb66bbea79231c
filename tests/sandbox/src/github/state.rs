//! Workflows, runs and artifacts. Plain data under one lock; the bytes of artifacts are files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A workflow file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Workflow {
    /// Numeric id.
    pub id: u64,
    /// Base name, `archive.yml`.
    pub file: String,
    /// Whether it may be dispatched.
    pub dispatchable: bool,
}

/// A run of a workflow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Numeric id, higher for later ones.
    pub id: u64,
    /// Its workflow's id.
    pub workflow: u64,
    /// `queued`, `in_progress`, `completed`.
    pub status: String,
    /// Set when completed.
    pub conclusion: Option<String>,
    /// What started it.
    pub event: String,
    /// The branch.
    pub head_branch: String,
    /// The commit.
    pub head_sha: String,
    /// Who started it.
    pub actor: String,
    /// Whether it ran for a fork: its artifacts are nobody's.
    pub from_fork: bool,
    /// Position among the runs of its workflow.
    pub number: u64,
    /// Wall time.
    pub created_at: DateTime<Utc>,
    /// Wall time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl Run {
    /// The check suite's id: derived, nothing else of checks is simulated.
    pub fn check_suite(&self) -> u64 {
        self.id + 17
    }

    /// The id of its one job: derived, no job of this world has a log or steps.
    pub fn job(&self) -> u64 {
        self.id + 31
    }
}

/// An artifact of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Artifact {
    /// Numeric id, higher for later ones.
    pub id: u64,
    /// The run's id.
    pub run: u64,
    /// Its name; may repeat within a run.
    pub name: String,
    /// The stored bytes.
    pub file: PathBuf,
    /// Their number.
    pub size: u64,
    /// `sha256:…`, where the uploader was new enough.
    pub digest: Option<String>,
    /// The stored bytes' type; `application/zip` unless uploaded raw.
    pub content_type: String,
    /// Wall time.
    pub created_at: DateTime<Utc>,
    /// Wall time, as shown.
    pub expires_at: DateTime<Utc>,
    /// World time of the expiry.
    pub deadline: Duration,
}

/// Everything that the repository holds.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct State {
    /// By id.
    pub workflows: BTreeMap<u64, Workflow>,
    /// By id.
    pub runs: BTreeMap<u64, Run>,
    /// By id.
    pub artifacts: BTreeMap<u64, Artifact>,
}

impl State {
    /// A workflow by number or by file name.
    pub fn workflow(&self, id_or_file: &str) -> Option<&Workflow> {
        let number = id_or_file.parse().ok().and_then(|id: u64| self.workflows.get(&id));
        number.or_else(|| self.workflows.values().find(|workflow| workflow.file == id_or_file))
    }

    /// All runs, of one workflow if asked, newest first.
    pub fn runs_newest_first(&self, workflow: Option<u64>) -> Vec<Run> {
        let of = |run: &&Run| workflow.is_none_or(|id| run.workflow == id);
        let mut runs: Vec<Run> = self.runs.values().filter(of).cloned().collect();
        runs.sort_by_key(|run| std::cmp::Reverse((run.created_at, run.id)));
        runs
    }

    /// All artifacts, of one run if asked, newest first.
    pub fn artifacts_newest_first(&self, run: Option<u64>) -> Vec<Artifact> {
        let of = |artifact: &&Artifact| run.is_none_or(|id| artifact.run == id);
        self.artifacts.values().rev().filter(of).cloned().collect()
    }

    /// The first free run id for a run of this time: ids grow with time, whatever the order of seeding.
    pub fn free_run_id(&self, created_at: DateTime<Utc>) -> u64 {
        let first = u64::try_from(created_at.timestamp()).unwrap_or(0) * 8;
        (first..=u64::MAX).find(|id| !self.runs.contains_key(id)).unwrap_or(first)
    }

    /// The first free artifact id for this time.
    pub fn free_artifact_id(&self, created_at: DateTime<Utc>) -> u64 {
        let first = u64::try_from(created_at.timestamp()).unwrap_or(0) * 2;
        (first..=u64::MAX).find(|id| !self.artifacts.contains_key(id)).unwrap_or(first)
    }
}
