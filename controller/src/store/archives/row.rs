//! What is known of a run.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// A row of `archives`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ArchiveRow {
    /// Its number.
    pub id: i64,
    /// Whose archive it is.
    pub plan: String,
    /// The run's name, by which runs sort in time.
    pub run: String,
    /// `Running`, `Complete`, `Failed` or `Pruned`.
    pub phase: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When its manifest was there.
    pub finished_at: Option<DateTime<Utc>>,
    /// Objects in it.
    pub objects: Option<i64>,
    /// Their bytes.
    pub bytes: Option<i64>,
    /// Objects that are done so far.
    pub done_objects: i64,
    /// Bytes that were copied so far.
    pub done_bytes: i64,
    /// Bytes that have to be copied, as far as the listing has shown.
    pub due_bytes: i64,
    /// Objects copied in a second, while it goes on.
    pub objects_per_second: Option<f64>,
    /// Bytes copied in a second, while it goes on.
    pub bytes_per_second: Option<f64>,
    /// Seconds until all is copied, when this was last written; not known before all is listed.
    pub seconds_left: Option<f64>,
    /// Objects that had to be copied.
    pub changed_objects: Option<i64>,
    /// Their bytes.
    pub changed_bytes: Option<i64>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// More changed than the plan allows.
    pub suspicious: bool,
    /// Why, where that turned out when contents were hashed that the store had copied by itself: sentences.
    pub suspected: Value,
    /// When it was last verified, without finding anything.
    pub verified_at: Option<DateTime<Utc>>,
    /// How deeply: a `sample`, or in `full`.
    pub verified_depth: Option<String>,
    /// Of its objects, so many had their contents read again then; none: that was not counted yet.
    pub verified_objects: Option<i64>,
    /// What a verification found wrong.
    pub damaged: Option<String>,
    /// Why it failed, or what it waits for.
    pub message: Option<String>,
    /// The run's record.
    pub status: Value,
}

impl ArchiveRow {
    /// Whether it shows a copy of the bucket, and not the bucket.
    pub fn is_mirrored(&self) -> bool {
        self.status.get("mirrored").and_then(Value::as_bool) == Some(true)
    }
}
