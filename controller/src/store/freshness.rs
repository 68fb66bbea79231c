//! How old the newest of everything is: dates of what is on record, for all plans in one statement.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Result, Store, StoreError};

/// The dates of one plan. What has none is not known to be there.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct PlanDates {
    /// The plan.
    pub plan: String,
    /// Its spec, at this generation.
    pub spec: Value,
    /// Grows with each change of the spec.
    pub generation: i64,
    /// When the newest database backup was taken that is asserted and still at the platform.
    pub backup_at: Option<DateTime<Utc>>,
    /// When the platform last told its backups.
    pub listed_at: Option<DateTime<Utc>>,
    /// Whether the newest backup that was restored and not refused is suspicious, and nobody has accepted it.
    pub suspicious: bool,
    /// Whether the newest backup that was looked at, and is still at the platform, was refused; none: none was.
    pub refused: Option<bool>,
    /// When the newest archive was complete that nothing is known against.
    pub archive_at: Option<DateTime<Utc>>,
    /// When an archive was last read back without finding anything.
    pub archive_verified_at: Option<DateTime<Utc>>,
    /// When the newest database backup was taken of which the archive keeps a copy.
    pub dump_copy_at: Option<DateTime<Utc>>,
    /// When a drill last succeeded.
    pub drill_at: Option<DateTime<Utc>>,
}

/// How much a recovery of one plan would move today.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Sizes {
    /// Of the newest sound database backup, as it is downloaded.
    pub backup_bytes: Option<i64>,
    /// Digest of the statements that make its schema.
    pub schema_sha256: Option<String>,
    /// Of the documents in the newest archive run that is complete.
    pub document_bytes: Option<i64>,
}

impl Store {
    /// What a recovery of `plan` would move today, as far as it is known.
    pub async fn sizes(&self, plan: &str) -> Result<Sizes> {
        sqlx::query_as(
            "SELECT newest.size_bytes AS backup_bytes, newest.schema_sha256, archive.bytes AS document_bytes
             FROM (VALUES ($1)) AS plan (name)
             LEFT JOIN LATERAL (SELECT size_bytes, schema_sha256 FROM backup_verdicts v
                WHERE v.plan = plan.name AND v.kind = 'database' AND v.refused IS NULL AND v.gone_at IS NULL
                  AND v.rung NOT IN ('listed', 'downloaded') ORDER BY v.taken_at DESC NULLS LAST LIMIT 1) newest ON true
             LEFT JOIN LATERAL (SELECT bytes FROM archives a WHERE a.plan = plan.name AND a.phase = 'Complete'
                ORDER BY run DESC LIMIT 1) archive ON true",
        )
        .bind(plan)
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::query("freshness.sizes"))
    }

    /// The dates of every plan. Those of a time to come were written by a clock that was ahead, and hide none that is true.
    pub async fn plan_dates(&self) -> Result<Vec<PlanDates>> {
        sqlx::query_as(
            "SELECT p.name AS plan, p.spec, p.generation, proven.backup_at, listing.listed_at,
                coalesce(restored.suspicious, false) AS suspicious, judged.refused, archive.archive_at, archive.archive_verified_at, copied.dump_copy_at, drill.drill_at
             FROM recovery_plans p
             LEFT JOIN LATERAL (SELECT max(taken_at) AS backup_at FROM backup_verdicts v
                WHERE v.plan = p.name AND v.kind = 'database' AND v.rung = 'asserted' AND v.refused IS NULL
                  AND v.gone_at IS NULL AND v.taken_at <= clock_timestamp() + interval '5 minutes') proven ON true
             LEFT JOIN LATERAL (SELECT listed_at FROM backup_listings l
                WHERE l.plan = p.name AND l.kind = 'database') listing ON true
             LEFT JOIN LATERAL (SELECT v.suspicious IS NOT NULL AND v.accepted_by IS NULL AS suspicious FROM backup_verdicts v
                WHERE v.plan = p.name AND v.kind = 'database' AND v.rung IN ('restored', 'asserted') AND v.refused IS NULL
                  AND v.gone_at IS NULL AND v.taken_at IS NOT NULL
                ORDER BY v.taken_at DESC LIMIT 1) restored ON true
             LEFT JOIN LATERAL (SELECT v.refused IS NOT NULL AS refused FROM backup_verdicts v
                WHERE v.plan = p.name AND v.kind = 'database' AND v.gone_at IS NULL AND v.taken_at IS NOT NULL
                  AND (v.rung <> 'listed' OR v.refused IS NOT NULL)
                ORDER BY v.taken_at DESC LIMIT 1) judged ON true
             LEFT JOIN LATERAL (SELECT max(finished_at) FILTER (WHERE damaged IS NULL AND NOT suspicious
                   AND finished_at <= clock_timestamp() + interval '5 minutes') AS archive_at,
                max(verified_at) FILTER (WHERE damaged IS NULL AND verified_at <= clock_timestamp() + interval '5 minutes') AS archive_verified_at
                FROM archives a
                WHERE a.plan = p.name AND a.phase = 'Complete') archive ON true
             LEFT JOIN LATERAL (SELECT max(taken_at) AS dump_copy_at FROM archive_dumps d
                WHERE d.plan = p.name AND d.taken_at <= clock_timestamp() + interval '5 minutes') copied ON true
             LEFT JOIN LATERAL (SELECT max(finished_at) AS drill_at FROM recovery_requests r
                WHERE r.plan = p.name AND r.phase = 'Succeeded' AND r.spec ->> 'mode' = 'drill'
                  AND r.finished_at <= clock_timestamp() + interval '5 minutes') drill ON true
             ORDER BY p.name",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("freshness.dates"))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::{Lab, lab};

    async fn archive_at(lab: &Lab) -> Option<String> {
        let dates = lab.store.plan_dates().await.expect("answered");
        dates[0].archive_at.map(|at| at.format("%F").to_string())
    }

    #[tokio::test]
    async fn a_run_that_is_suspicious_or_damaged_makes_no_archive_fresh() {
        let lab = lab().await;
        lab.sql(
            "INSERT INTO archives (plan, run, phase, finished_at, suspicious, damaged) VALUES
                ('apilos', '1', 'Complete', '2026-11-01T01:00:00Z', false, NULL),
                ('apilos', '2', 'Complete', '2026-11-02T01:00:00Z', false, 'a content is missing'),
                ('apilos', '3', 'Complete', '2026-11-03T01:00:00Z', true, NULL)",
        )
        .await
        .expect("written");
        assert_eq!(archive_at(&lab).await.as_deref(), Some("2026-11-01"));
        assert!(lab.store.accept_archive("apilos", "3", "somebody").await.expect("answered"));
        assert_eq!(archive_at(&lab).await.as_deref(), Some("2026-11-03"), "somebody says that it is right");
        lab.end().await;
    }
}
