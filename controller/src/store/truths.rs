//! Rows against objects, for each pair of a database backup and an archive run that was compared.

use serde_json::Value;

use super::{Result, Store, StoreError};

/// A row of `object_truths`.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct TruthRow {
    /// The backup's id.
    pub backup: String,
    /// The archive run.
    pub run: String,
    /// Rows that name an object.
    pub keys: i64,
    /// Those whose object the run lacks.
    pub dangling: i64,
    /// Objects below the plan's prefixes.
    pub objects: i64,
    /// Those that no row names.
    pub orphans: i64,
    /// The first few of each: `{"dangling": […], "orphans": […]}`.
    pub samples: Value,
}

impl Store {
    /// Records what was found of a pair, in place of what was known. Safe to repeat.
    pub async fn record_truth(&self, plan: &str, truth: &TruthRow, by: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO object_truths (plan, backup, run, learnt_by, keys, dangling, objects, orphans, samples)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (plan, backup, run) DO UPDATE SET learnt_at = now(), learnt_by = EXCLUDED.learnt_by,
                keys = EXCLUDED.keys, dangling = EXCLUDED.dangling, objects = EXCLUDED.objects,
                orphans = EXCLUDED.orphans, samples = EXCLUDED.samples",
        )
        .bind(plan)
        .bind(&truth.backup)
        .bind(&truth.run)
        .bind(by)
        .bind(truth.keys)
        .bind(truth.dangling)
        .bind(truth.objects)
        .bind(truth.orphans)
        .bind(&truth.samples)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("truth.record"))
    }

    /// What is known of `backup` against each run.
    pub async fn truths(&self, plan: &str, backup: &str) -> Result<Vec<TruthRow>> {
        sqlx::query_as(
            "SELECT backup, run, keys, dangling, objects, orphans, samples FROM object_truths
             WHERE plan = $1 AND backup = $2 ORDER BY run",
        )
        .bind(plan)
        .bind(backup)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("truth.list"))
    }
}
