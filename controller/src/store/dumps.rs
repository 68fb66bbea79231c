//! Copies of database backups that the archive keeps.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Result, Store, StoreError, Stored};

/// A row of `archive_dumps`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DumpRow {
    /// The backup's id at the platform.
    pub backup: String,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// When it was copied.
    pub copied_at: DateTime<Utc>,
    /// Bytes of the copy.
    pub bytes: i64,
    /// Digest of the backup as the platform served it.
    pub sha256: String,
    /// The copy's record.
    pub record: Value,
}

impl Store {
    /// The copies that the archive of a plan keeps, newest backup first.
    pub async fn dump_copies(&self, plan: &str) -> Result<Vec<DumpRow>> {
        sqlx::query_as(
            "SELECT backup, taken_at, copied_at, bytes, sha256, record FROM archive_dumps WHERE plan = $1
             ORDER BY taken_at DESC, backup",
        )
        .bind(plan)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("dumps.list"))
    }

    /// A copy was made. Safe to repeat.
    pub async fn keep_dump(&self, plan: &str, row: &DumpRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO archive_dumps (plan, backup, taken_at, copied_at, bytes, sha256, record)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (plan, backup) DO UPDATE SET taken_at = EXCLUDED.taken_at, copied_at = EXCLUDED.copied_at,
                bytes = EXCLUDED.bytes, sha256 = EXCLUDED.sha256, record = EXCLUDED.record",
        )
        .bind(plan)
        .bind(&row.backup)
        .bind(row.taken_at)
        .bind(row.copied_at)
        .bind(row.bytes)
        .bind(&row.sha256)
        .bind(&row.record)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("dumps.keep"))
    }

    /// These are all copies that the archive of a plan keeps.
    pub async fn dumps_are(&self, plan: &str, rows: &[DumpRow]) -> Result<()> {
        let known: Vec<&str> = rows.iter().map(|row| row.backup.as_str()).collect();
        sqlx::query("DELETE FROM archive_dumps WHERE plan = $1 AND backup <> ALL ($2)")
            .bind(plan)
            .bind(known)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("dumps.forget"))?;
        for row in rows {
            self.keep_dump(plan, row).await?;
        }
        Ok(())
    }

    /// The newest backup of each plan of which there is a copy, by the time at which it was taken.
    pub async fn newest_dump_copies(&self) -> Result<Vec<(String, DateTime<Utc>)>> {
        sqlx::query_as("SELECT plan, max(taken_at) FROM archive_dumps GROUP BY plan")
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("dumps.newest"))
    }

    /// The archive holds a content. Safe to repeat.
    pub async fn archive_stored(&self, plan: &str, stored: &Stored) -> Result<()> {
        sqlx::query(
            "INSERT INTO archive_objects (plan, sha256, size_bytes, noise, locked_until) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (plan, sha256) DO UPDATE SET unreferenced = NULL, damaged_at = NULL,
                 size_bytes = EXCLUDED.size_bytes, noise = EXCLUDED.noise, locked_until = greatest(archive_objects.locked_until, EXCLUDED.locked_until)",
        )
        .bind(plan)
        .bind(stored.sha256.as_slice())
        .bind(stored.size)
        .bind(stored.noise)
        .bind(stored.locked_until)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("archive.stored"))
    }
}
