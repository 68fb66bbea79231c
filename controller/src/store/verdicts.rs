//! Verdicts: what is known of each backup, when it was learnt, and by which request.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Result, Store, StoreError};

/// The evidence ladder. Stored as text that is added to and never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Rung {
    /// The provider lists it.
    Listed,
    /// All its bytes arrived.
    Downloaded,
    /// Its containers are whole.
    Intact,
    /// Every block of it can be read.
    Readable,
    /// It was restored for real.
    Restored,
    /// What was restored passed every check.
    Asserted,
}

/// A row of `backup_verdicts`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Verdict {
    /// `database` or `objects`.
    pub kind: String,
    /// The provider's id of the backup.
    pub backup: String,
    /// When the backup was taken.
    pub taken_at: Option<DateTime<Utc>>,
    /// Its size as downloaded, in bytes.
    pub size_bytes: Option<i64>,
    /// The highest rung that it reached.
    pub rung: Rung,
    /// The class of the refusal, if it was refused.
    pub refused: Option<String>,
    /// The refusal in a sentence.
    pub message: Option<String>,
    /// Digest of what was downloaded.
    pub sha256: Option<String>,
    /// Versions of the tools that judged it.
    pub tools: Value,
    /// When it was judged.
    pub checked_at: DateTime<Utc>,
    /// The request or job that judged it.
    pub checked_by: Option<String>,
}

impl Store {
    /// Stores what was learnt, in place of what was known. Safe to repeat.
    pub async fn record_verdict(&self, plan: &str, verdict: &Verdict) -> Result<()> {
        sqlx::query(
            "INSERT INTO backup_verdicts (plan, kind, backup, taken_at, size_bytes, rung, refused, message, sha256, tools, checked_at, checked_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (plan, kind, backup) DO UPDATE SET taken_at = EXCLUDED.taken_at, size_bytes = EXCLUDED.size_bytes,
                rung = EXCLUDED.rung, refused = EXCLUDED.refused, message = EXCLUDED.message, sha256 = EXCLUDED.sha256,
                tools = EXCLUDED.tools, checked_at = EXCLUDED.checked_at, checked_by = EXCLUDED.checked_by",
        )
        .bind(plan)
        .bind(&verdict.kind)
        .bind(&verdict.backup)
        .bind(verdict.taken_at)
        .bind(verdict.size_bytes)
        .bind(verdict.rung)
        .bind(&verdict.refused)
        .bind(&verdict.message)
        .bind(&verdict.sha256)
        .bind(&verdict.tools)
        .bind(verdict.checked_at)
        .bind(&verdict.checked_by)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("verdict.record"))
    }

    /// What is known of the backups of a plan, newest backup first.
    pub async fn verdicts(&self, plan: &str) -> Result<Vec<Verdict>> {
        sqlx::query_as(
            "SELECT kind, backup, taken_at, size_bytes, rung, refused, message, sha256, tools, checked_at, checked_by
             FROM backup_verdicts WHERE plan = $1 ORDER BY taken_at DESC NULLS LAST, backup",
        )
        .bind(plan)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("verdict.list"))
    }
}
