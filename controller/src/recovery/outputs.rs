//! What steps leave for later ones: typed, stored as JSON, free of secrets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Result, StepError};
use super::step::Step;
use crate::store::{StepPhase, StepRow};

/// The versions of what a step was done with, by program; `server` is the database's. Empty where an earlier release did it.
pub type Versions = BTreeMap<String, String>;

/// The database backup that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChosenBackup {
    /// The source addon's id; empty where the archive's copy was taken.
    pub addon: String,
    /// The archive's copy was taken: the platform does not have it any more.
    #[serde(default)]
    pub copied: bool,
    /// The backup's id at the platform.
    pub backup: String,
    /// Its name there.
    pub name: String,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// Size of the download, in bytes.
    pub size_bytes: u64,
    /// Digest of the download.
    pub archive_sha256: String,
    /// Digest of the dump inside.
    pub dump_sha256: String,
    /// The major version of the server that was dumped.
    pub server_version: String,
    /// Tables in the dump.
    pub tables: u64,
    /// Rows in them.
    pub rows: u64,
    /// Large objects in the dump.
    pub large_objects: u64,
    /// Digest of the statements that make its schema; `None` where an earlier release chose it.
    #[serde(default)]
    pub schema_sha256: Option<String>,
    /// Whether checksums cover all of its bytes: only then may it be called asserted.
    #[serde(default)]
    pub sealed: bool,
    /// With what it was read.
    #[serde(default)]
    pub tools: Versions,
    /// The newer ones, and why each lost.
    pub refused: Vec<RefusedBackup>,
}

/// A backup that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedBackup {
    /// Its id at the provider.
    pub backup: String,
    /// When it was taken.
    pub taken_at: Option<DateTime<Utc>>,
    /// The class of the refusal.
    pub reason: String,
    /// The refusal in a sentence.
    pub message: String,
}

/// The copy of the bucket that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum ChosenObjects {
    /// A workflow's artifact.
    #[serde(rename_all = "camelCase")]
    Artifact {
        /// Index of the source in the plan of then.
        source: usize,
        /// Where the source is: its repository; `None` where an earlier release chose it.
        #[serde(default)]
        place: Option<String>,
        /// The run.
        run: u64,
        /// The artifact.
        artifact: u64,
        /// When the run began.
        taken_at: DateTime<Utc>,
        /// Size of the download, in bytes.
        size_bytes: u64,
        /// Digest of the download.
        sha256: String,
        /// Objects inside.
        objects: u64,
        /// Their total size, in bytes.
        bytes: u64,
        /// The newer ones, and why each lost.
        refused: Vec<RefusedBackup>,
    },
    /// A run of the plan's archive.
    #[serde(rename_all = "camelCase")]
    Archive {
        /// Index of the source in the plan.
        source: usize,
        /// The run's name.
        run: String,
        /// When it was complete.
        taken_at: DateTime<Utc>,
        /// When contents were last read again and nothing was found to be wrong with the run.
        verified_at: Option<DateTime<Utc>>,
        /// Of its objects, so many had their contents read again then; none: that was not counted.
        #[serde(default)]
        verified_objects: Option<i64>,
        /// Objects inside.
        objects: u64,
        /// Their total size, in bytes.
        bytes: u64,
        /// The newer ones, and why each lost.
        refused: Vec<RefusedBackup>,
    },
    /// A mirror bucket.
    #[serde(rename_all = "camelCase")]
    Mirror {
        /// Index of the source in the plan of then.
        source: usize,
        /// Where the source is: its endpoint, bucket and prefix; `None` where an earlier release chose it.
        #[serde(default)]
        place: Option<String>,
        /// When its newest object was written.
        taken_at: Option<DateTime<Utc>>,
        /// Objects inside.
        objects: u64,
        /// Their total size, in bytes.
        bytes: u64,
        /// What was tried before.
        refused: Vec<RefusedBackup>,
    },
}

/// What of an archive run's objects was read again, in words.
pub fn read_again(objects: Option<i64>) -> String {
    objects.map_or_else(|| "a sample".to_owned(), |objects| format!("the contents of {objects} of them"))
}

/// Something that was created, with the provider's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// The provider's id.
    pub id: String,
}

/// What was undone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TornDown {
    /// Rows of the ledger that were settled.
    pub resources: u64,
    /// What stays, as `KIND NAME`: it is not, or not any more, this request's alone.
    pub left_alone: Vec<String>,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeApp {
    /// The provider's id.
    pub id: String,
    /// `git@host:name.git`.
    pub git_url: String,
    /// `name.region.provider`.
    pub default_host: String,
}

/// An addon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeAddon {
    /// The provider's id.
    pub id: String,
    /// The resource's name: default user and database of a PostgreSQL addon.
    pub resource: String,
    /// The plan that it really has.
    pub plan: String,
}

/// How the SSH server knows us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SshIdentity {
    /// Whether the key was made for this request, and goes with it.
    pub ephemeral: bool,
    /// The key's id at the platform.
    pub id: String,
}

/// What a restore accounted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredDatabase {
    /// Entries of the archive.
    pub entries: u64,
    /// Entries seen in the database.
    pub restored: u64,
    /// Entries left out for a named reason: rule → how many.
    pub benign: BTreeMap<String, u64>,
    /// With what, and in which server.
    #[serde(default)]
    pub tools: Versions,
}

/// What the checks of the restored database saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedDatabase {
    /// Tables compared with the dump.
    pub tables: u64,
    /// Rows in them.
    pub rows: u64,
    /// Sequences found at or past the largest value.
    pub sequences: u64,
    /// The plan's own checks that hold.
    pub data_checks: u64,
    /// What holding rows against objects found, where the plan asks for it.
    #[serde(default)]
    pub references: Option<String>,
    /// The database's migrations against the code's; `None` where an earlier release checked it.
    #[serde(default)]
    pub migrations: Option<String>,
}

/// What is in the new bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refilled {
    /// Objects compared and found right.
    pub objects: u64,
    /// Their total size, in bytes.
    pub bytes: u64,
}

/// An app whose variables are set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfiguredApp {
    /// The commit that the plan's ref meant; it is the one that will be deployed.
    pub commit: String,
    /// The names of its variables.
    pub names: Vec<String>,
    /// Where it was read what the app that is replaced was like; `None` where nobody tells.
    #[serde(default)]
    pub captured_from: Option<String>,
    /// What that app had and this one has not, by names.
    #[serde(default)]
    pub left: Vec<String>,
    /// Why it is not known what the app was like.
    #[serde(default)]
    pub unknown: Option<String>,
    /// The newest deployment of the app when they were put, by its id: what it runs may have begun with others.
    #[serde(default)]
    pub put_after: Option<String>,
}

/// An app that was there already, led to the restored database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchedApp {
    /// The variables that were switched.
    pub names: Vec<String>,
    /// The host of the database that they lead to.
    pub host: String,
    /// The databases that the app has itself. They stay, and are billed.
    pub old: Vec<String>,
}

/// What was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// The exact commit.
    pub commit: String,
    /// The platform's deployment.
    pub deployment: String,
    /// With what it was pushed.
    #[serde(default)]
    pub tools: Versions,
}

/// The switch of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchedName {
    /// The record's id at the DNS provider.
    pub record: String,
    /// Where the name points now.
    pub target: String,
    /// Where it pointed before, if it existed.
    pub old_value: Option<String>,
    /// How long caches may hold the old answer after the switch, in seconds.
    pub old_ttl_seconds: u64,
}

/// What a client saw under the public name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probed {
    /// The HTTP status.
    pub status: u16,
    /// Who issued the certificate.
    pub issuer: String,
    /// Until when it is valid.
    pub not_after: DateTime<Utc>,
}

/// The outputs of the steps that are done.
#[derive(Debug, Clone, Default)]
pub struct Outputs(BTreeMap<String, Value>);

impl Outputs {
    /// From the stored rows.
    pub fn read(rows: &[StepRow]) -> Self {
        let done = rows.iter().filter(|row| row.phase == StepPhase::Done);
        Self(done.filter_map(|row| Some((row.step.clone(), row.output.clone()?))).collect())
    }

    /// The output of `step`, as the type that it leaves.
    pub fn get<T: for<'de> Deserialize<'de>>(&self, step: &Step) -> Result<T> {
        self.find(step)?.ok_or_else(|| StepError::Output { step: step.to_string() })
    }

    /// The default hosts of the apps that were made and of those that were `standing`: where names were switched to.
    pub fn hosts(&self, standing: impl Fn(&str) -> bool) -> Vec<String> {
        let is_one =
            |step: &str| step.starts_with("app/") || step.strip_prefix("target/").is_some_and(&standing);
        let apps = self.0.iter().filter(|(step, _)| is_one(step));
        apps.filter_map(|(_, made)| MadeApp::deserialize(made).ok()).map(|made| made.default_host).collect()
    }

    /// The output of `step`, if it is done.
    pub fn find<T: for<'de> Deserialize<'de>>(&self, step: &Step) -> Result<Option<T>> {
        let value = self.0.get(&step.to_string());
        value.map(T::deserialize).transpose().map_err(|_| StepError::Output { step: step.to_string() })
    }
}
