//! Mark and sweep: which contents of an archive no kept run refers to, and since when.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};

use super::{Result, Store, StoreError};

/// What is referred to, while it is collected. Dropped, nothing has changed.
#[derive(Debug)]
pub struct Marks {
    plan: String,
    transaction: Transaction<'static, Postgres>,
}

/// What the marks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// Contents that nothing refers to.
    pub unreferenced: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Of these, the contents that have been so for longer than the grace period and are not locked.
    pub due: i64,
}

impl Store {
    /// Begins to mark the contents of a plan's archive.
    pub async fn archive_marks(&self, plan: &str) -> Result<Marks> {
        let failed = StoreError::query("archive.marks");
        let mut transaction = self.begin().await.map_err(&failed)?;
        for table in ["marks (sha256 bytea PRIMARY KEY)", "pending_marks (name text PRIMARY KEY)"] {
            let create = format!("CREATE TEMPORARY TABLE {table} ON COMMIT DROP");
            let create = sqlx::query(sqlx::AssertSqlSafe(create));
            create.execute(&mut *transaction).await.map_err(&failed)?;
        }
        Ok(Marks { plan: plan.to_owned(), transaction })
    }

    /// Contents that may be deleted now: unreferenced since before `grace_ended`, and not locked at `now`. At most `most`, in the order
    /// of digests, from `after` on.
    pub async fn archive_due(
        &self,
        plan: &str,
        grace_ended: DateTime<Utc>,
        now: DateTime<Utc>,
        after: &[u8],
        most: i64,
    ) -> Result<Vec<(Vec<u8>, i64)>> {
        sqlx::query_as(
            "SELECT sha256, size_bytes FROM archive_objects
             WHERE plan = $1 AND unreferenced <= $2 AND (locked_until IS NULL OR locked_until <= $3) AND sha256 > $4
             ORDER BY sha256 LIMIT $5",
        )
        .bind(plan)
        .bind(grace_ended)
        .bind(now)
        .bind(after)
        .bind(most)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("archive.due"))
    }

    /// These runs are there: none of them was pruned.
    pub async fn archives_stay(&self, plan: &str, runs: &[String]) -> Result<()> {
        sqlx::query(
            "UPDATE archives SET phase = 'Complete' WHERE plan = $1 AND run = ANY ($2) AND phase = 'Pruned'",
        )
        .bind(plan)
        .bind(runs)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.stay"))
        .map(drop)
    }

    /// A run is being deleted, or it is not: its record is kept.
    pub async fn archive_pruned(&self, plan: &str, run: &str, pruned: bool) -> Result<()> {
        sqlx::query("UPDATE archives SET phase = $3 WHERE plan = $1 AND run = $2")
            .bind(plan)
            .bind(run)
            .bind(if pruned { "Pruned" } else { "Complete" })
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.pruned"))
            .map(drop)
    }
}

impl Marks {
    /// These contents are referred to. Safe to repeat.
    pub async fn add(&mut self, digests: &[Vec<u8>]) -> Result<()> {
        sqlx::query("INSERT INTO marks SELECT unnest($1::bytea[]) ON CONFLICT DO NOTHING")
            .bind(digests)
            .execute(&mut *self.transaction)
            .await
            .map_err(StoreError::query("archive.mark"))
            .map(drop)
    }

    /// These contents that the store copied by itself are referred to. Safe to repeat.
    pub async fn add_pending(&mut self, names: &[String]) -> Result<()> {
        sqlx::query("INSERT INTO pending_marks SELECT unnest($1::text[]) ON CONFLICT DO NOTHING")
            .bind(names)
            .execute(&mut *self.transaction)
            .await
            .map_err(StoreError::query("archive.mark_pending"))
            .map(drop)
    }

    /// Applies the marks: what nothing refers to is so from `now` on, or was before. What an unfinished run has copied counts as
    /// referred to.
    pub async fn apply(&mut self, grace_ended: DateTime<Utc>, now: DateTime<Utc>) -> Result<Marked> {
        self.apply_pending(now).await?;
        let failed = StoreError::query("archive.apply_marks");
        sqlx::query(
            "INSERT INTO marks SELECT decode(copied.entry ->> 'sha256', 'hex')
             FROM archive_progress copied JOIN archives run ON run.id = copied.archive
             WHERE run.plan = $1 AND copied.entry ->> 'sha256' <> '' ON CONFLICT DO NOTHING",
        )
        .bind(&self.plan)
        .execute(&mut *self.transaction)
        .await
        .map_err(&failed)?;
        sqlx::query(
            "UPDATE archive_objects AS content SET unreferenced = CASE WHEN marked.sha256 IS NULL
                THEN coalesce(content.unreferenced, $2) END
             FROM archive_objects AS same LEFT JOIN marks AS marked USING (sha256)
             WHERE content.plan = $1 AND same.plan = $1 AND same.sha256 = content.sha256
               AND (marked.sha256 IS NULL) <> (content.unreferenced IS NOT NULL)",
        )
        .bind(&self.plan)
        .bind(now)
        .execute(&mut *self.transaction)
        .await
        .map_err(&failed)?;
        let (unreferenced, bytes, due) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(size_bytes), 0)::bigint,
                count(*) FILTER (WHERE unreferenced <= $2 AND (locked_until IS NULL OR locked_until <= $3))
             FROM (SELECT plan, size_bytes, unreferenced, locked_until FROM archive_objects
                   UNION ALL SELECT plan, size_bytes, unreferenced, locked_until FROM archive_pending) AS content
             WHERE plan = $1 AND unreferenced IS NOT NULL",
        )
        .bind(&self.plan)
        .bind(grace_ended)
        .bind(now)
        .fetch_one(&mut *self.transaction)
        .await
        .map_err(failed)?;
        Ok(Marked { unreferenced, bytes, due })
    }

    async fn apply_pending(&mut self, now: DateTime<Utc>) -> Result<()> {
        let failed = StoreError::query("archive.apply_pending_marks");
        sqlx::query(
            "INSERT INTO pending_marks SELECT copied.entry ->> 'pending'
             FROM archive_progress copied JOIN archives run ON run.id = copied.archive
             WHERE run.plan = $1 AND copied.entry ->> 'pending' IS NOT NULL ON CONFLICT DO NOTHING",
        )
        .bind(&self.plan)
        .execute(&mut *self.transaction)
        .await
        .map_err(&failed)?;
        // A line that was written before its content was hashed refers to both places.
        sqlx::query(
            "INSERT INTO marks SELECT DISTINCT sha256 FROM archive_pending JOIN pending_marks USING (name)
             WHERE plan = $1 AND sha256 IS NOT NULL ON CONFLICT DO NOTHING",
        )
        .bind(&self.plan)
        .execute(&mut *self.transaction)
        .await
        .map_err(&failed)?;
        sqlx::query(
            "UPDATE archive_pending AS content SET unreferenced = CASE WHEN marked.name IS NULL
                THEN coalesce(content.unreferenced, $2) END
             FROM archive_pending AS same LEFT JOIN pending_marks AS marked USING (name)
             WHERE content.plan = $1 AND same.plan = $1 AND same.name = content.name
               AND (marked.name IS NULL) <> (content.unreferenced IS NOT NULL)",
        )
        .bind(&self.plan)
        .bind(now)
        .execute(&mut *self.transaction)
        .await
        .map_err(failed)
        .map(drop)
    }

    /// Keeps what was applied.
    pub async fn keep(self) -> Result<()> {
        self.transaction.commit().await.map_err(StoreError::query("archive.keep_marks"))
    }
}
