//! Evidence: every request that changed something, in order.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// One effect, or one attempt at it.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Position in the journal, from 1.
    pub seq: u64,
    /// Wall time.
    pub at: DateTime<Utc>,
    /// Which part: `scalingo`, `database-api`, `alwaysdata`, `github`, `s3-source`, `s3-archive`, `git`, `ssh`, `control`.
    pub service: &'static str,
    /// What was asked: `POST /v1/apps`, `PutObject`, `push`.
    pub call: String,
    /// Who asked: a user id, an access key id; never a secret.
    pub caller: String,
    /// What it was about: a resource's name or id.
    pub resource: String,
    /// HTTP status, or 0 where there is none.
    pub status: u16,
    /// A fault that was played on it, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
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

/// The journal of one sandbox.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Vec<Entry>>);

impl Journal {
    /// Appends an entry.
    pub fn record(&self, draft: Draft) {
        let Draft { service, call, caller, resource, status, fault } = draft;
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = entries.len() as u64 + 1;
        entries.push(Entry { seq, at: Utc::now(), service, call, caller, resource, status, fault });
    }

    /// A copy of all entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
