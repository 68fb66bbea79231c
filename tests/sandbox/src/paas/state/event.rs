//! What happened on the platform, for the timelines.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Event {
    /// 24 hex digits.
    pub(in crate::paas) id: String,
    pub(in crate::paas) at: DateTime<Utc>,
    /// The id of whoever did it.
    pub(in crate::paas) user: String,
    /// `scale`, `new_variable`, …
    pub(in crate::paas) kind: String,
    /// Empty for what is about an account.
    pub(in crate::paas) app_id: String,
    /// What it was called then: a later name does not change it, as documented.
    pub(in crate::paas) app_name: String,
    pub(in crate::paas) project_id: String,
    pub(in crate::paas) project_name: String,
    /// What is particular to its kind.
    pub(in crate::paas) data: serde_json::Value,
}
