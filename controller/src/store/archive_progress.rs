//! How far the run of an archive is that goes on.

use super::{Result, Store, StoreError};

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Objects that are there: those that did not change, and those that were copied.
    pub objects: i64,
    /// Objects that the listing has shown so far.
    pub of: i64,
    /// Bytes that were copied.
    pub bytes: i64,
    /// Bytes that have to be, as far as the listing has shown.
    pub due_bytes: i64,
    /// How fast.
    pub pace: Option<Pace>,
}

/// How fast a run goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Objects copied in a second.
    pub objects_per_second: f64,
    /// Bytes copied in a second.
    pub bytes_per_second: f64,
    /// Seconds until all is copied; not known before all is listed, nor before anything was copied.
    pub seconds_left: Option<f64>,
}

impl Store {
    /// How far a run is.
    pub async fn archive_progress(&self, id: i64, progress: &Progress) -> Result<()> {
        sqlx::query(
            "UPDATE archives SET done_objects = $2, done_bytes = $3, objects = $4, due_bytes = $5, objects_per_second = $6,
                bytes_per_second = $7, seconds_left = $8, heartbeat_at = now() WHERE id = $1",
        )
        .bind(id)
        .bind(progress.objects)
        .bind(progress.bytes)
        .bind(progress.of)
        .bind(progress.due_bytes)
        .bind(progress.pace.map(|pace| pace.objects_per_second))
        .bind(progress.pace.map(|pace| pace.bytes_per_second))
        .bind(progress.pace.and_then(|pace| pace.seconds_left))
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.progress"))
        .map(drop)
    }
}
