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
    /// How many backups are refused that are still at the platform and were whole once.
    pub rotten: i64,
    /// Since when the newest archive that is complete and that nothing is known against lists its bucket: what was written later is not in it.
    pub archive_at: Option<DateTime<Utc>>,
    /// When an archive was last complete.
    pub archived_at: Option<DateTime<Utc>>,
    /// The same as `archive_at` of the newest of which contents were read back.
    pub verified_archive_at: Option<DateTime<Utc>>,
    /// When an archive was last read back without finding anything.
    pub archive_verified_at: Option<DateTime<Utc>>,
    /// When the newest database backup was taken of which the archive keeps a copy.
    pub dump_copy_at: Option<DateTime<Utc>>,
    /// When it was last looked, with success, whether there is a newer one to copy.
    pub dumps_looked_at: Option<DateTime<Utc>>,
    /// When the newest run of the archive job began whose artifact can be had.
    pub artifact_at: Option<DateTime<Utc>>,
    /// When the code host last told its artifacts.
    pub artifacts_listed_at: Option<DateTime<Utc>>,
    /// Whether the plan is so new that nobody can have looked yet.
    pub brand_new: bool,
    /// When a drill last succeeded.
    pub drill_at: Option<DateTime<Utc>>,
    /// When all that the last drill stands on was last held against today's, as the plan's status says.
    pub compared_at: Option<String>,
    /// When the last preflight was, as the plan's status says.
    pub preflight_at: Option<String>,
    /// Whether that one could read the archive.
    pub archive_read: bool,
}

/// How much a recovery of one plan would move today.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Sizes {
    /// Of the newest sound database backup, as it is downloaded; of a suspicious one where there is no other.
    pub backup_bytes: Option<i64>,
    /// Digest of the statements that make its schema.
    pub schema_sha256: Option<String>,
    /// Of the documents in the newest archive run that is complete and that nothing is known against.
    pub document_bytes: Option<i64>,
    /// Of the newest artifact that can be had, as it is downloaded.
    pub artifact_bytes: Option<i64>,
}

/// What the code host tells of the artifacts that a plan's archive job leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// Runs that ended well, as far as it was looked.
    pub runs: usize,
    /// When the newest began whose artifact can be had.
    pub newest_at: Option<DateTime<Utc>>,
    /// The size of that, as it is downloaded.
    pub newest_bytes: Option<i64>,
}

impl Store {
    /// The code host has told a plan's artifacts. Safe to repeat.
    pub async fn record_artifacts(
        &self,
        plan: &str,
        told: Artifacts,
        at: DateTime<Utc>,
        by: &str,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO backup_listings (plan, kind, listed_at, listed_by, backups, newest_at, newest_bytes)
             VALUES ($1, 'objects', $2, $3, $4, $5, $6)
             ON CONFLICT (plan, kind) DO UPDATE SET listed_at = EXCLUDED.listed_at, listed_by = EXCLUDED.listed_by,
                backups = EXCLUDED.backups, newest_at = EXCLUDED.newest_at, newest_bytes = EXCLUDED.newest_bytes",
        )
        .bind(plan)
        .bind(at)
        .bind(by)
        .bind(i32::try_from(told.runs).unwrap_or(i32::MAX))
        .bind(told.newest_at)
        .bind(told.newest_bytes)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("freshness.artifacts"))
    }

    /// What a recovery of `plan` would move today, as far as it is known: of what it would take, and not of what it would pass over.
    pub async fn sizes(&self, plan: &str) -> Result<Sizes> {
        sqlx::query_as(
            "SELECT newest.size_bytes AS backup_bytes, newest.schema_sha256, archive.bytes AS document_bytes, artifact.newest_bytes AS artifact_bytes
             FROM (VALUES ($1)) AS plan (name)
             LEFT JOIN LATERAL (SELECT size_bytes, schema_sha256 FROM backup_verdicts v
                WHERE v.plan = plan.name AND v.kind = 'database' AND v.refused IS NULL AND v.gone_at IS NULL
                  AND v.rung NOT IN ('listed', 'downloaded')
                ORDER BY v.suspicious IS NOT NULL AND v.accepted_by IS NULL, v.taken_at DESC NULLS LAST LIMIT 1) newest ON true
             LEFT JOIN LATERAL (SELECT bytes FROM archives a WHERE a.plan = plan.name AND a.phase = 'Complete'
                  AND a.damaged IS NULL AND NOT a.suspicious
                  AND a.status ->> 'mirrored' IS DISTINCT FROM 'true' ORDER BY run DESC LIMIT 1) archive ON true
             LEFT JOIN backup_listings artifact ON artifact.plan = plan.name AND artifact.kind = 'objects'",
        )
        .bind(plan)
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::query("freshness.sizes"))
    }

    /// The dates of every plan. Those of a time to come were written by a clock that was ahead, and hide none that is true.
    pub async fn plan_dates(&self) -> Result<Vec<PlanDates>> {
        sqlx::query_as(
            r#"SELECT p.name AS plan, p.spec, p.generation, proven.backup_at, listing.listed_at,
                coalesce(restored.suspicious, false) AS suspicious, judged.refused, rotten.rotten, archive.archive_at, archive.archived_at, archive.verified_archive_at,
                archive.archive_verified_at, copied.dump_copy_at, greatest(copied.copied_at, looked.dumps_at) AS dumps_looked_at,
                CASE WHEN artifact.newest_at <= clock_timestamp() + interval '5 minutes' THEN artifact.newest_at END AS artifact_at,
                artifact.listed_at AS artifacts_listed_at, p.created_at > clock_timestamp() - interval '30 minutes' AS brand_new, drill.drill_at, p.status ->> 'comparedAt' AS compared_at,
                p.status #>> '{preflight,at}' AS preflight_at,
                coalesce(p.status #> '{preflight,findings}' @> ANY (ARRAY['[{"check": "archive", "grade": "good"}]',
                    '[{"check": "archive", "grade": "warning"}]']::jsonb[]), false) AS archive_read
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
             LEFT JOIN LATERAL (SELECT count(*) AS rotten FROM backup_verdicts v
                WHERE v.plan = p.name AND v.kind = 'database' AND v.gone_at IS NULL AND v.refused IS NOT NULL AND v.refused <> 'check-failed'
                  AND (v.proven_at IS NOT NULL OR v.refused = 'digest-differs')) rotten ON true
             LEFT JOIN LATERAL (SELECT max(coalesce(listed_at, started_at)) FILTER (WHERE good) AS archive_at,
                max(coalesce(listed_at, started_at)) FILTER (WHERE good AND verified_at IS NOT NULL
                   AND (verified_objects IS DISTINCT FROM 0 OR objects = 0)) AS verified_archive_at,
                max(finished_at) FILTER (WHERE finished_at <= clock_timestamp() + interval '5 minutes') AS archived_at,
                max(verified_at) FILTER (WHERE damaged IS NULL AND verified_at <= clock_timestamp() + interval '5 minutes') AS archive_verified_at
                FROM (SELECT *, damaged IS NULL AND NOT suspicious AND status ->> 'mirrored' IS DISTINCT FROM 'true'
                   AND greatest(finished_at, listed_at, started_at) <= clock_timestamp() + interval '5 minutes' AS good FROM archives) a
                WHERE a.plan = p.name AND a.phase = 'Complete') archive ON true
             LEFT JOIN LATERAL (SELECT max(taken_at) FILTER (WHERE taken_at <= clock_timestamp() + interval '5 minutes') AS dump_copy_at,
                max(copied_at) FILTER (WHERE copied_at <= clock_timestamp() + interval '5 minutes') AS copied_at
                FROM archive_dumps d WHERE d.plan = p.name) copied ON true
             LEFT JOIN LATERAL (SELECT max(finished_at) AS dumps_at FROM scheduled_runs s
                WHERE s.plan = p.name AND s.job = 'dumps' AND s.state = 'done') looked ON true
             LEFT JOIN backup_listings artifact ON artifact.plan = p.name AND artifact.kind = 'objects'
             LEFT JOIN LATERAL (SELECT max(finished_at) AS drill_at FROM recovery_requests r
                WHERE r.plan = p.name AND r.phase = 'Succeeded' AND r.spec ->> 'mode' = 'drill' AND coalesce(r.spec -> 'scope', '"all"') @> '"all"'
                  AND r.finished_at <= clock_timestamp() + interval '5 minutes') drill ON true
             ORDER BY p.name"#,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("freshness.dates"))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::Artifacts;
    use crate::store::tests::{Lab, lab};

    async fn archive_at(lab: &Lab) -> Option<String> {
        let dates = lab.store.plan_dates().await.expect("answered");
        dates[0].archive_at.map(|at| at.format("%F").to_string())
    }

    #[tokio::test]
    async fn a_run_that_is_suspicious_or_damaged_makes_no_archive_fresh() {
        let lab = lab().await;
        lab.sql(
            "INSERT INTO archives (plan, run, phase, started_at, finished_at, suspicious, damaged) VALUES
                ('apilos', '1', 'Complete', '2026-11-01T00:00:00Z', '2026-11-01T01:00:00Z', false, NULL),
                ('apilos', '2', 'Complete', '2026-11-02T00:00:00Z', '2026-11-02T01:00:00Z', false, 'a content is missing'),
                ('apilos', '3', 'Complete', '2026-11-03T00:00:00Z', '2026-11-03T01:00:00Z', true, NULL)",
        )
        .await
        .expect("written");
        assert_eq!(archive_at(&lab).await.as_deref(), Some("2026-11-01"));
        assert!(lab.store.accept_archive("apilos", "3", "somebody").await.expect("answered"));
        assert_eq!(archive_at(&lab).await.as_deref(), Some("2026-11-03"), "somebody says that it is right");
        lab.end().await;
    }

    #[tokio::test]
    async fn the_sizes_of_today_are_of_what_a_recovery_would_take() {
        let lab = lab().await;
        let sizes = async || {
            let sizes = lab.store.sizes("apilos").await.expect("answered");
            (sizes.backup_bytes, sizes.schema_sha256, sizes.document_bytes)
        };
        lab.sql(
            "INSERT INTO archives (plan, run, phase, started_at, suspicious, damaged, bytes) VALUES
                ('apilos', '1', 'Complete', '2026-11-01T00:00:00Z', false, NULL, 100),
                ('apilos', '2', 'Complete', '2026-11-02T00:00:00Z', true, NULL, 7),
                ('apilos', '3', 'Complete', '2026-11-03T00:00:00Z', false, 'a content is missing', 8)",
        )
        .await
        .expect("written");
        lab.sql(
            "INSERT INTO backup_verdicts (plan, kind, backup, rung, taken_at, size_bytes, schema_sha256, suspicious)
             VALUES ('apilos', 'database', 'fell', 'restored', '2026-11-03T00:00:00Z', 5, 's2', 'orders fell')",
        )
        .await
        .expect("written");
        assert_eq!(sizes().await, (Some(5), Some("s2".into()), Some(100)), "there is no other backup");
        lab.sql(
            "INSERT INTO backup_verdicts (plan, kind, backup, rung, taken_at, size_bytes, schema_sha256)
             VALUES ('apilos', 'database', 'whole', 'asserted', '2026-11-02T00:00:00Z', 50, 's1')",
        )
        .await
        .expect("written");
        assert_eq!(sizes().await, (Some(50), Some("s1".into()), Some(100)));
        lab.sql("UPDATE backup_verdicts SET accepted_by = 'eve' WHERE backup = 'fell'")
            .await
            .expect("written");
        assert_eq!(sizes().await.0, Some(5), "somebody says that it is right");
        lab.end().await;
    }

    #[tokio::test]
    async fn a_backup_that_was_whole_once_and_is_refused_now_has_rotted() {
        let lab = lab().await;
        let rotten = async || lab.store.plan_dates().await.expect("answered").remove(0).rotten;
        lab.sql(
            "INSERT INTO backup_verdicts (plan, kind, backup, rung, taken_at, refused, proven_at, gone_at) VALUES
                ('apilos', 'database', 'newest', 'asserted', '2026-11-09T00:00:00Z', NULL, '2026-11-09T01:00:00Z', NULL),
                ('apilos', 'database', 'never whole', 'downloaded', '2026-11-08T00:00:00Z', 'gzip-cut', NULL, NULL),
                ('apilos', 'database', 'gone', 'listed', '2026-11-01T00:00:00Z', 'gzip-cut', '2026-11-01T01:00:00Z', '2026-11-08T00:00:00Z')",
        )
        .await
        .expect("written");
        assert_eq!(rotten().await, 0);
        lab.sql(
            "INSERT INTO backup_verdicts (plan, kind, backup, rung, taken_at, refused, proven_at) VALUES
                ('apilos', 'database', 'cut', 'listed', '2026-11-07T00:00:00Z', 'gzip-cut', '2026-11-07T01:00:00Z'),
                ('apilos', 'database', 'other bytes', 'downloaded', '2026-11-06T00:00:00Z', 'digest-differs', NULL)",
        )
        .await
        .expect("written");
        assert_eq!(rotten().await, 2);
        assert_eq!(
            lab.store.plan_dates().await.expect("answered")[0].refused,
            Some(false),
            "the newest is whole"
        );
        lab.end().await;
    }

    #[tokio::test]
    async fn a_plan_is_brand_new_for_half_an_hour() {
        let lab = lab().await;
        let new = async || lab.store.plan_dates().await.expect("answered").remove(0).brand_new;
        assert!(new().await);
        lab.sql("UPDATE recovery_plans SET created_at = created_at - interval '31 minutes'")
            .await
            .expect("written");
        assert!(!new().await);
        lab.end().await;
    }

    fn at(text: &str) -> Option<DateTime<Utc>> {
        text.parse().ok()
    }

    #[tokio::test]
    async fn a_run_is_as_old_as_its_listing_and_a_verified_one_is_the_newest_that_was_read_back() {
        let lab = lab().await;
        lab.sql(
            "INSERT INTO archives (plan, run, phase, started_at, listed_at, finished_at, verified_at, verified_objects, objects) VALUES
                ('apilos', '1', 'Complete', '2026-11-01T01:00:00Z', NULL, '2026-11-01T02:00:00Z', '2026-11-01T03:00:00Z', 3, 9),
                ('apilos', '2', 'Complete', '2026-11-02T01:00:00Z', NULL, '2026-11-02T02:00:00Z', '2026-11-02T03:00:00Z', 0, 9),
                ('apilos', '3', 'Complete', '2026-11-03T01:00:00Z', NULL, '2026-11-03T21:00:00Z', NULL, NULL, 9)",
        )
        .await
        .expect("written");
        let dates = lab.store.plan_dates().await.expect("answered").remove(0);
        assert_eq!(dates.archive_at, at("2026-11-03T01:00:00Z"), "a run of 20 hours");
        assert_eq!(dates.archived_at, at("2026-11-03T21:00:00Z"));
        assert_eq!(dates.verified_archive_at, at("2026-11-01T01:00:00Z"), "nothing of the second was read");
        assert_eq!(dates.archive_verified_at, at("2026-11-02T03:00:00Z"));
        lab.sql("UPDATE archives SET listed_at = '2026-11-03T20:00:00Z' WHERE run = '3'")
            .await
            .expect("written");
        let dates = lab.store.plan_dates().await.expect("answered").remove(0);
        assert_eq!(dates.archive_at, at("2026-11-03T20:00:00Z"), "it was cut off and has listed again");
        lab.end().await;
    }

    #[tokio::test]
    async fn what_was_last_looked_at_is_on_record_of_each_kind() {
        let lab = lab().await;
        let nothing = lab.store.plan_dates().await.expect("answered").remove(0);
        assert_eq!(
            (nothing.dumps_looked_at, nothing.artifacts_listed_at, nothing.compared_at),
            (None, None, None)
        );
        let listed = Artifacts { runs: 4, newest_at: at("2026-11-02T01:00:00Z"), newest_bytes: Some(7) };
        let looked = at("2026-11-05T01:00:00Z").expect("a date");
        lab.store.record_artifacts("apilos", listed, looked, "me").await.expect("written");
        lab.sql(
            r#"UPDATE recovery_plans SET status = '{"comparedAt": "2026-11-06T01:00:00Z",
                "preflight": {"at": "2026-11-07T01:00:00Z", "findings": [{"check": "archive", "grade": "good"}]}}'"#,
        )
        .await
        .expect("written");
        lab.sql(
            "INSERT INTO scheduled_runs (plan, job, due_at, state, claimed_by, finished_at) VALUES
                ('apilos', 'dumps', '2026-11-01T01:00:00Z', 'done', 'me', '2026-11-08T01:00:00Z'),
                ('apilos', 'dumps', '2026-11-01T02:00:00Z', 'failed', 'me', '2026-11-09T01:00:00Z')",
        )
        .await
        .expect("written");
        let dates = lab.store.plan_dates().await.expect("answered").remove(0);
        assert_eq!(
            (dates.artifact_at, dates.artifacts_listed_at),
            (at("2026-11-02T01:00:00Z"), Some(looked))
        );
        assert_eq!(dates.dumps_looked_at, at("2026-11-08T01:00:00Z"));
        assert_eq!(dates.compared_at.as_deref(), Some("2026-11-06T01:00:00Z"));
        assert_eq!((dates.preflight_at.as_deref(), dates.archive_read), (Some("2026-11-07T01:00:00Z"), true));
        assert_eq!(lab.store.sizes("apilos").await.expect("answered").artifact_bytes, Some(7));
        lab.end().await;
    }
}
