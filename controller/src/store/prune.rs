//! What is kept of times long past: verdicts of backups that nobody can have any more, and runs that have newer ones.
//!
//! Both are read again and again, whole. What a request named stays for its evidence.

use chrono::{DateTime, Utc};

use super::{Result, Store, StoreError};

/// A backup that the archive has a copy of can be had for as long; that which was proven last is the one that the plan's proof is of.
const GONE_FOR_GOOD: &str = "v.plan = $1 AND v.kind = 'database' AND v.gone_at < $2
    AND NOT EXISTS (SELECT FROM archive_dumps d WHERE d.plan = v.plan AND d.backup = v.backup)
    AND NOT EXISTS (SELECT FROM recovery_steps s JOIN recovery_requests r ON r.name = s.request
        WHERE r.plan = v.plan AND s.output ->> 'backup' = v.backup)
    AND v.backup IS DISTINCT FROM (SELECT p.backup FROM backup_verdicts p WHERE p.plan = v.plan AND p.kind = 'database'
        AND p.proven_at IS NOT NULL AND p.refused IS NULL ORDER BY p.proven_at DESC LIMIT 1)";

impl Store {
    /// Takes back what `by` has noted against a backup. Safe to repeat.
    pub async fn forget_note(&self, plan: &str, backup: &str, by: &str) -> Result<()> {
        sqlx::query(
            "DELETE FROM backup_verdicts WHERE plan = $1 AND kind = 'database' AND backup = $2 AND checked_by = $3",
        )
        .bind(plan)
        .bind(backup)
        .bind(by)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("verdict.forget_note"))
    }

    /// Deletes what is known of backups that the platform has not listed since `before`, and that neither the archive nor a request has.
    /// Returns how many. Safe to repeat.
    pub async fn prune_verdicts(&self, plan: &str, before: DateTime<Utc>) -> Result<u64> {
        let statement = format!(
            "WITH gone AS (DELETE FROM backup_verdicts v WHERE {GONE_FOR_GOOD} RETURNING v.backup),
                truths AS (DELETE FROM object_truths t USING gone WHERE t.plan = $1 AND t.backup = gone.backup)
             SELECT count(*) FROM gone"
        );
        let gone: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .bind(plan)
            .bind(before)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::query("verdict.prune"))?;
        Ok(gone.unsigned_abs())
    }

    /// Deletes the runs of a plan's jobs that were due `before`, but for those that somebody is at and the last of each job. Safe to repeat.
    pub async fn prune_runs(&self, plan: &str, before: DateTime<Utc>) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM scheduled_runs AS old WHERE plan = $1 AND due_at < $2 AND state <> 'claimed'
               AND EXISTS (SELECT FROM scheduled_runs AS newer WHERE newer.plan = old.plan AND newer.job = old.job
                 AND newer.due_at > old.due_at AND newer.due_at <= clock_timestamp())",
        )
        .bind(plan)
        .bind(before)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("schedule.prune"))?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::store::tests::lab;

    fn day(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(day)
    }

    #[tokio::test]
    async fn what_nobody_can_have_any_more_is_forgotten_and_what_was_named_is_not() {
        let lab = lab().await;
        lab.store.file_request("bad-day", "apilos", &serde_json::json!({})).await.expect("filed");
        for sql in [
            "INSERT INTO backup_verdicts (plan, kind, backup, rung, gone_at, proven_at)
             SELECT 'apilos', 'database', backup, 'asserted', gone::timestamptz, proven::timestamptz FROM (VALUES
                ('long gone', '1970-01-02', '1970-01-01'), ('copied', '1970-01-02', NULL), ('chosen', '1970-01-02', NULL),
                ('proven', '1970-01-02', '1970-01-02'), ('gone', '1970-02-01', NULL), ('there', NULL, NULL)) AS v (backup, gone, proven)",
            "INSERT INTO object_truths (plan, backup, run, learnt_by, keys, dangling, objects, orphans)
             VALUES ('apilos', 'long gone', '1', 'test', 0, 0, 0, 0), ('apilos', 'there', '1', 'test', 0, 0, 0, 0)",
            "INSERT INTO archive_dumps (plan, backup, taken_at, copied_at, bytes, sha256, record)
             VALUES ('apilos', 'copied', now(), now(), 1, '', '{}')",
            "INSERT INTO recovery_steps (request, step, milestone, output)
             VALUES ('bad-day', 'choose-backup', 'backup-selected', '{\"backup\": \"chosen\"}')",
        ] {
            lab.sql(sql).await.expect(sql);
        }
        assert_eq!(lab.store.prune_verdicts("apilos", day(20)).await.expect("pruned"), 1);
        let rows = lab.store.verdicts("apilos").await.expect("read");
        let mut left: Vec<&str> = rows.iter().map(|row| row.backup.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["chosen", "copied", "gone", "proven", "there"]);
        let truths: i64 = sqlx::query_scalar("SELECT count(*) FROM object_truths")
            .fetch_one(&lab.store.pool)
            .await
            .expect("a count");
        assert_eq!(truths, 1);
        lab.end().await;
    }

    #[tokio::test]
    async fn old_runs_go_and_the_last_of_each_job_stays() {
        let lab = lab().await;
        let runs = "INSERT INTO scheduled_runs (plan, job, due_at, claimed_by, state, finished_at)
            SELECT plan, job, due::timestamptz, claimed_by, state, due::timestamptz FROM (VALUES
            ('apilos', 'drill', '1970-01-02', 'a', 'done'), ('apilos', 'archive', '1970-01-02', 'a', 'done'),
            ('apilos', 'archive', '1970-01-03', 'a', 'failed'), ('apilos', 'archive', '1970-03-01', 'a', 'done')) AS run (plan, job, due, claimed_by, state)";
        lab.sql(runs).await.expect("written");
        assert_eq!(lab.store.prune_runs("apilos", day(20)).await.expect("pruned"), 2);
        assert_eq!(lab.store.last_due("apilos", "drill").await.expect("read"), Some(day(1)));
        assert_eq!(lab.store.prune_runs("apilos", day(20)).await.expect("pruned"), 0);
        lab.end().await;
    }
}
