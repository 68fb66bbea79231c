//! Evidence: every request that changed something, in order, and a tally of all that were made. Entries are also written to a
//! file as they come, so that what happened can be read after the sandbox was killed.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub mod change;
pub mod credential;
pub mod observed;

pub use credential::Credential;
pub use observed::{Observed, Seen};

/// The file of all entries, one JSON object a line, in the world's folder.
pub const FILE: &str = "journal.jsonl";

/// One effect, or one attempt at it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the journal, from 1.
    pub seq: u64,
    /// Wall time.
    pub at: DateTime<Utc>,
    /// Which part: `scalingo`, `database-api`, `alwaysdata`, `github`, `s3-source`, `s3-archive`, `git`, `ssh`, `control`.
    pub service: Cow<'static, str>,
    /// What was asked: `POST /v1/apps`, `PutObject`, `push`.
    pub call: String,
    /// Who asked: a user id, an access key id; never a secret.
    pub caller: String,
    /// What it was about: a resource's name or id.
    pub resource: String,
    /// HTTP status, or 0 where there is none.
    pub status: u16,
    /// A fault that was played on it, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Where more is known of the request.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// What more is known of a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// The call by its route: `POST /v1/apps/{app}/addons`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The client's `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The fingerprint of the credential that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Whom the client thought to talk to (`Host`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What the resources that it changed were before, by kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What they are after it, by kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl Entry {
    /// Whether it changed anything: what was refused did not, nor did a deletion of what was not there, which is a success, too.
    pub fn had_effect(&self) -> bool {
        let deletes = matches!(self.call.as_str(), "DeleteObject" | "DeleteObjects");
        let left_all = self.evidence.before.is_none() && self.evidence.after.is_none();
        (200..300).contains(&self.status) && !(deletes && left_all)
    }
}

/// An [`Entry`] before it has a place.
#[derive(Debug, Clone)]
pub struct Draft {
    /// See [`Entry::service`].
    pub service: &'static str,
    /// See [`Entry::call`].
    pub call: String,
    /// See [`Entry::caller`].
    pub caller: String,
    /// See [`Entry::resource`].
    pub resource: String,
    /// See [`Entry::status`].
    pub status: u16,
    /// See [`Entry::fault`].
    pub fault: Option<String>,
}

/// Tells what a service holds now, without secrets: by kind, an array of objects each.
pub type Witness = Arc<dyn Fn(&str) -> Option<Value> + Send + Sync>;

/// The journal of one sandbox.
#[derive(Default)]
pub struct Journal {
    written: Mutex<Written>,
    observed: Mutex<Observed>,
    witness: OnceLock<Witness>,
    baseline: Mutex<Baseline>,
    secrets: Mutex<Arc<[String]>>,
}

/// Shorter ones would be found by chance.
pub const LEAST_SECRET: usize = 12;

/// From when on evidence is gathered, and what there was then.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    /// Entries up to this one were the world's own.
    pub seq: u64,
    /// What there was, by kind.
    pub inventory: Value,
}

#[derive(Default)]
struct Written {
    entries: Vec<Entry>,
    file: Option<File>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("entries", &self.written().entries.len()).finish_non_exhaustive()
    }
}

impl Journal {
    /// A journal that is also written to `file`; what is there already is continued.
    pub fn open(file: &Path) -> std::io::Result<Self> {
        let entries = if file.exists() { read(&std::fs::read_to_string(file)?) } else { Vec::new() };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
        let written = Mutex::new(Written { entries, file: Some(file) });
        Ok(Self { written, ..Self::default() })
    }

    /// Appends an entry.
    pub fn record(&self, draft: Draft) {
        self.record_with(draft, Evidence::default());
    }

    /// Appends an entry of which more is known.
    pub fn record_with(&self, draft: Draft, evidence: Evidence) {
        let Draft { service, call, caller, resource, status, fault } = draft;
        let service = Cow::Borrowed(service);
        let mut written = self.written();
        let seq = written.entries.len() as u64 + 1;
        let entry = Entry { seq, at: Utc::now(), service, call, caller, resource, status, fault, evidence };
        if let Err(error) = written.append(&entry) {
            tracing::warn!(%error, "could not write to the journal's file");
        }
        written.entries.push(entry);
    }

    /// A copy of all entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.written().entries.clone()
    }

    /// A copy of the entries after the one numbered `seq`.
    pub fn since(&self, seq: u64) -> Vec<Entry> {
        let written = self.written();
        let first = usize::try_from(seq).unwrap_or(usize::MAX).min(written.entries.len());
        written.entries[first..].to_vec()
    }

    /// Notes a request, whether it changes something or not.
    pub fn saw(&self, seen: &Seen) {
        let secrets = Arc::clone(&self.secrets.lock().unwrap_or_else(PoisonError::into_inner));
        self.observing().note(seen, &secrets);
    }

    /// From now on these are looked for in addresses; they are kept nowhere else.
    pub fn look_for(&self, secrets: Vec<String>) {
        let long: Arc<[String]> = secrets.into_iter().filter(|one| one.len() >= LEAST_SECRET).collect();
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = long;
    }

    /// What was noted of all requests.
    pub fn observed(&self) -> Observed {
        self.observing().clone()
    }

    /// From now on evidence is gathered, against what there is now; what was noted so far is forgotten.
    pub fn begin(&self, inventory: Value) {
        let seq = self.written().entries.len() as u64;
        *self.observing() = Observed::default();
        *self.baseline.lock().unwrap_or_else(PoisonError::into_inner) = Baseline { seq, inventory };
    }

    /// What [`Journal::begin`] was told.
    pub fn baseline(&self) -> Baseline {
        self.baseline.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who is asked what a service holds, before and after what changes it.
    pub fn set_witness(&self, witness: Witness) {
        self.witness.get_or_init(|| witness);
    }

    /// What `service` holds now, if somebody can tell.
    pub fn witness(&self, service: &str) -> Option<Value> {
        self.witness.get().and_then(|witness| witness(service))
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observing(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn append(&mut self, entry: &Entry) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        file.write_all(&line)
    }
}

/// The entries of a journal's file; a line that was cut short is left out.
pub fn read(text: &str) -> Vec<Entry> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(resource: &str) -> Draft {
        let (call, caller, resource) = ("POST /v1/apps".into(), "us-1".into(), resource.into());
        Draft { service: "scalingo", call, caller, resource, status: 201, fault: None }
    }

    #[test]
    fn the_file_outlives_the_journal_and_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let journal = Journal::open(&file).unwrap();
        journal.record(draft("one"));
        drop(journal);
        // A crash in the middle of a line.
        std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"seq\":2,\n").unwrap();
        let journal = Journal::open(&file).unwrap();
        journal.record(draft("two"));
        let read = read(&std::fs::read_to_string(&file).unwrap());
        let told: Vec<_> = read.iter().map(|entry| (entry.seq, entry.resource.as_str())).collect();
        assert_eq!(told, [(1, "one"), (2, "two")]);
        assert_eq!(journal.since(1).len(), 1);
        assert!(journal.since(9).is_empty());
    }
}
