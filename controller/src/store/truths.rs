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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::tests::lab;

    #[tokio::test]
    async fn what_a_recovery_would_lack_is_told_of_the_newest_backup_and_the_run_that_suits_it() {
        let lab = lab().await;
        let store = &lab.store;
        let put = async |backup: &str, run: &str, dangling| {
            let row = TruthRow {
                backup: backup.into(),
                run: run.into(),
                dangling,
                orphans: 10 - dangling,
                samples: json!({}),
                ..TruthRow::default()
            };
            store.record_truth("apilos", &row, "test").await.expect("recorded");
        };
        let listed = "INSERT INTO backup_verdicts (plan, kind, backup, taken_at, rung) VALUES
            ('apilos', 'database', 'old', now() - interval '2 days', 'asserted'),
            ('apilos', 'database', 'new', now() - interval '1 day', 'asserted')";
        lab.sql(listed).await.expect("put down");
        lab.sql("INSERT INTO archives (plan, run, started_at) VALUES ('apilos', '1', now())")
            .await
            .expect("a run");
        let told = async || {
            let facts = store.archive_facts().await.expect("facts");
            facts
                .iter()
                .find(|fact| fact.plan == "apilos")
                .and_then(|fact| Some((fact.dangling?, fact.orphans?)))
        };
        put("new", "1", 7).await;
        put("new", "2", 2).await;
        put("new", "3", 5).await;
        put("old", "1", 0).await;
        assert_eq!(told().await, None, "the plan does not ask for it any more");
        let asks = json!({
            "objectKeys": [{ "table": "public.a", "column": "b" }], "limits": { "danglingRows": 4 },
        });
        store.apply_plan("apilos", &asks).await.expect("applied");
        assert_eq!(told().await, Some((2, 8)), "not what was learnt last");
        let facts = store.archive_facts().await.expect("facts");
        assert_eq!(facts.iter().find_map(|fact| fact.dangling_limit), Some(4));
        lab.end().await;
    }
}
