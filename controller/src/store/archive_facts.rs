//! How archives stand, for the metrics: all plans in one statement.

use chrono::{DateTime, Utc};

use super::{Result, Store, StoreError};

/// How the archive of a plan stands.
#[derive(Debug, Clone, Default, sqlx::FromRow)]
pub struct ArchiveFacts {
    /// The plan.
    pub plan: String,
    /// When its newest run was complete, which is one of the bucket itself where there is one; none: no run ever was.
    pub finished_at: Option<DateTime<Utc>>,
    /// Objects of the newest run.
    pub objects: Option<i64>,
    /// Their bytes.
    pub bytes: Option<i64>,
    /// Bytes that it had to copy.
    pub changed_bytes: Option<i64>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// It is suspicious, and nobody has accepted it.
    pub suspicious: bool,
    /// A verification found something wrong with it.
    pub damaged: bool,
    /// Parts of the estate that should lie beside the newest run and do not, or do not any more.
    pub missing: i64,
    /// Days until every content was read back, as the last verification that read some had it.
    pub full_coverage_days: Option<i64>,
    /// Objects that are there of the run that goes on, if one does.
    pub copying_objects: Option<i64>,
    /// Bytes that it has copied.
    pub copying_bytes: Option<i64>,
    /// Bytes that it has to copy, as far as it has listed.
    pub copying_bytes_of: Option<i64>,
    /// Seconds until it has copied all; not known before it has listed all.
    pub copying_left: Option<f64>,
    /// Objects that it has listed so far.
    pub copying_of: Option<i64>,
    /// Rows of the newest backup that was compared whose object is missing, in the archive run that lacks the fewest: it is the one
    /// that a recovery takes.
    pub dangling: Option<i64>,
    /// Objects of that run that no row of that backup names.
    pub orphans: Option<i64>,
    /// So many rows without their object the plan finds normal.
    pub dangling_limit: Option<i64>,
}

impl Store {
    /// How the archive of every plan stands that has had a run.
    pub async fn archive_facts(&self) -> Result<Vec<ArchiveFacts>> {
        sqlx::query_as(
            "SELECT plan.plan, newest.finished_at, newest.objects, newest.bytes, newest.changed_bytes, newest.duration_seconds,
                coalesce(newest.suspicious, false) AS suspicious, newest.damaged IS NOT NULL AS damaged,
                (coalesce(jsonb_array_length(newest.status -> 'missing'), 0)
                    + coalesce(jsonb_array_length(newest.status -> 'lost'), 0))::bigint AS missing,
                truth.dangling, truth.orphans, truth.dangling_limit, verified.full_coverage_days, open.done_objects AS copying_objects, open.done_bytes AS copying_bytes,
                open.due_bytes AS copying_bytes_of, open.seconds_left AS copying_left, open.objects AS copying_of
             FROM (SELECT DISTINCT plan FROM archives) AS plan
             LEFT JOIN LATERAL (SELECT * FROM archives WHERE plan = plan.plan AND phase = 'Complete'
                ORDER BY coalesce(status ->> 'mirrored' = 'true', false), run DESC LIMIT 1) AS newest ON true
             LEFT JOIN LATERAL (SELECT (status ->> 'daysToFullCoverage')::bigint AS full_coverage_days FROM archives
                WHERE plan = plan.plan AND status ? 'daysToFullCoverage' ORDER BY verified_at DESC NULLS LAST LIMIT 1) AS verified ON true
             LEFT JOIN LATERAL (SELECT * FROM archives WHERE plan = plan.plan AND phase = 'Running' ORDER BY run DESC LIMIT 1)
                AS open ON true
             LEFT JOIN LATERAL (SELECT t.dangling, t.orphans, (p.spec #>> '{limits,danglingRows}')::bigint AS dangling_limit
                FROM object_truths t
                JOIN recovery_plans p ON p.name = t.plan AND coalesce(jsonb_array_length(p.spec -> 'objectKeys'), 0) > 0
                LEFT JOIN backup_verdicts v ON v.plan = t.plan AND v.kind = 'database' AND v.backup = t.backup
                WHERE t.plan = plan.plan ORDER BY v.taken_at DESC NULLS LAST, t.dangling, t.run DESC LIMIT 1)
                AS truth ON true",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("archive.facts"))
    }
}
