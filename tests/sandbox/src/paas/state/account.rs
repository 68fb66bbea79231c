//! Users, what lets them in, and their projects.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A person or a machine account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct User {
    /// `us-<uuid>`.
    pub(in crate::paas) id: String,
    pub(in crate::paas) username: String,
    pub(in crate::paas) fullname: String,
    pub(in crate::paas) email: String,
}

/// A long-lived API token: all rights of its user, no end.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::paas) struct ApiToken {
    pub(in crate::paas) id: String,
    pub(in crate::paas) user: String,
    pub(in crate::paas) name: String,
    /// `tk-us-` and 48 characters.
    pub(in crate::paas) secret: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) last_used_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiToken").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A public key; unique over all accounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct SshKey {
    pub(in crate::paas) id: String,
    pub(in crate::paas) user: String,
    pub(in crate::paas) name: String,
    /// As it was sent, comment included.
    pub(in crate::paas) content: String,
    pub(in crate::paas) fingerprint: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
}

impl SshKey {
    /// Whether this is `public_key` (`type base64`, comments aside).
    pub(in crate::paas) fn is(&self, public_key: &str) -> bool {
        essence(&self.content) == essence(public_key)
    }
}

/// Type and key, without comment.
fn essence(line: &str) -> Vec<&str> {
    line.split_whitespace().take(2).collect()
}

/// A user's link to a code host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Integration {
    pub(in crate::paas) id: String,
    pub(in crate::paas) user: String,
    /// `github`, `gitlab-self-hosted`, …
    pub(in crate::paas) kind: String,
    pub(in crate::paas) url: String,
    /// The user's number at the code host.
    pub(in crate::paas) uid: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
}

/// What apps, and their bill, belong to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Project {
    /// `prj-<uuid>`.
    pub(in crate::paas) id: String,
    pub(in crate::paas) name: String,
    pub(in crate::paas) default: bool,
    pub(in crate::paas) owner: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) updated_at: DateTime<Utc>,
}

/// An invitation to take a project over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Transfer {
    /// `tin-<uuid>`.
    pub(in crate::paas) id: String,
    pub(in crate::paas) project: String,
    pub(in crate::paas) invited: String,
    pub(in crate::paas) inviter: String,
    /// `pending`, `accepted`, `declined`, `canceled`, `failed`.
    pub(in crate::paas) status: String,
    pub(in crate::paas) reason: String,
    /// World seconds since the start.
    pub(in crate::paas) ends_at: f64,
    pub(in crate::paas) expires_at: DateTime<Utc>,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) updated_at: DateTime<Utc>,
}

impl Transfer {
    /// Whether it still waits at `now` (world seconds).
    pub(in crate::paas) fn is_pending(&self, now: f64) -> bool {
        self.status == "pending" && now < self.ends_at
    }
}
