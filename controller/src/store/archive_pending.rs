//! Contents that the archive's store copied by itself, until they are hashed and after.

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _};
use sqlx::{Postgres, Transaction};

use super::{Result, Store, StoreError, Stored};

/// A content that the store copied by itself.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Pending {
    /// Where it lies, below the archive's prefix.
    pub name: String,
    /// In bytes.
    #[sqlx(rename = "size_bytes")]
    pub size: i64,
    /// The entity tag that the source showed; empty where it is not known.
    pub etag: String,
    /// The source encrypts: its entity tag is no MD5, whatever it looks like.
    pub opaque: bool,
    /// The key at the source from which it was copied; empty where it is not known.
    pub source_key: String,
    /// The version of that, in a versioned source.
    pub source_version: Option<String>,
    /// Nobody deletes it before.
    pub locked_until: Option<DateTime<Utc>>,
    /// Its digest, once it was hashed.
    pub sha256: Option<Vec<u8>>,
}

const COLUMNS: &str = "SELECT name, size_bytes, etag, opaque, source_key, source_version, locked_until, sha256 FROM archive_pending";

impl Store {
    /// Which of these the archive holds undamaged, as far as is known.
    pub async fn archive_pending(&self, plan: &str, names: &[String]) -> Result<Vec<Pending>> {
        let query = format!("{COLUMNS} WHERE plan = $1 AND name = ANY ($2) AND damaged_at IS NULL");
        sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(plan)
            .bind(names)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("archive.pending"))
    }

    /// The digest of what was copied as `name`, if it was hashed and the archive holds it undamaged under its digest.
    pub async fn archive_hashed_as(&self, plan: &str, name: &str) -> Result<Option<Vec<u8>>> {
        sqlx::query_scalar(
            "SELECT sha256 FROM archive_pending JOIN archive_objects USING (plan, sha256)
             WHERE plan = $1 AND name = $2 AND archive_objects.damaged_at IS NULL",
        )
        .bind(plan)
        .bind(name)
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::query("archive.hashed_as"))
    }

    /// Which of these the archive holds undamaged, as far as is known: the size of each, and when it was read.
    pub async fn archive_pending_read(
        &self,
        plan: &str,
        names: &[String],
    ) -> Result<Vec<(String, i64, Option<DateTime<Utc>>)>> {
        sqlx::query_as(
            "SELECT name, size_bytes, hashed_at FROM archive_pending
             WHERE plan = $1 AND name = ANY ($2) AND damaged_at IS NULL",
        )
        .bind(plan)
        .bind(names)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("archive.pending_read"))
    }

    /// At most `most` that have not been hashed, at random.
    pub async fn archive_unhashed(&self, plan: &str, most: i64) -> Result<Vec<Pending>> {
        let query = format!(
            "{COLUMNS} WHERE plan = $1 AND sha256 IS NULL AND damaged_at IS NULL ORDER BY random() LIMIT $2"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(plan)
            .bind(most)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("archive.unhashed"))
    }

    /// How many have not been hashed.
    pub async fn archive_unhashed_count(&self, plan: &str) -> Result<i64> {
        sqlx::query_scalar(
            "SELECT count(*) FROM archive_pending WHERE plan = $1 AND sha256 IS NULL AND damaged_at IS NULL",
        )
        .bind(plan)
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::query("archive.unhashed_count"))
    }

    /// One was hashed, and lies under its digest. Safe to repeat.
    pub async fn archive_hashed(&self, plan: &str, name: &str, stored: &Stored) -> Result<()> {
        let failed = StoreError::query("archive.hashed");
        let mut transaction = self.begin().await.map_err(&failed)?;
        super::archive_contents::remember(&mut transaction, plan, &[stored]).await?;
        sqlx::query(
            "UPDATE archive_pending SET sha256 = $3, hashed_at = now() WHERE plan = $1 AND name = $2",
        )
        .bind(plan)
        .bind(name)
        .bind(stored.sha256.as_slice())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// One is not what the source had.
    pub async fn archive_pending_damaged(&self, plan: &str, name: &str) -> Result<()> {
        sqlx::query("UPDATE archive_pending SET damaged_at = now() WHERE plan = $1 AND name = $2")
            .bind(plan)
            .bind(name)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.pending_damaged"))
            .map(drop)
    }

    /// The lock of one was extended.
    pub async fn archive_pending_locked(&self, plan: &str, name: &str, until: DateTime<Utc>) -> Result<()> {
        sqlx::query("UPDATE archive_pending SET locked_until = $3 WHERE plan = $1 AND name = $2")
            .bind(plan)
            .bind(name)
            .bind(until)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.pending_locked"))
            .map(drop)
    }

    /// Forgets those that the archive does not hold.
    pub async fn archive_pending_lost(&self, plan: &str, names: &[String]) -> Result<()> {
        sqlx::query("DELETE FROM archive_pending WHERE plan = $1 AND name = ANY ($2)")
            .bind(plan)
            .bind(names)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.pending_lost"))
            .map(drop)
    }

    /// Notes those that a listing of the archive showed. Safe to repeat.
    pub async fn archive_pending_listed(&self, plan: &str, names: &[String], sizes: &[i64]) -> Result<()> {
        sqlx::query(
            "INSERT INTO archive_pending (plan, name, size_bytes) SELECT $1, name, size FROM unnest($2::text[], $3::bigint[]) AS new (name, size)
             ON CONFLICT DO NOTHING",
        )
        .bind(plan)
        .bind(names)
        .bind(sizes)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.pending_listed"))
        .map(drop)
    }

    /// All that are not known to be damaged, in the order of names (byte by byte).
    pub fn archive_pending_names<'a>(
        &'a self,
        plan: &'a str,
    ) -> impl Stream<Item = Result<(String, i64)>> + Send + 'a {
        sqlx::query_as("SELECT name, size_bytes FROM archive_pending WHERE plan = $1 AND damaged_at IS NULL ORDER BY name")
            .bind(plan)
            .fetch(&self.pool)
            .map(|row| row.map_err(StoreError::query("archive.pending_names")))
    }

    /// Those that may be deleted now: unreferenced since before `grace_ended`, and not locked at `now`. At most `most`, after `after`.
    pub async fn archive_pending_due(
        &self,
        plan: &str,
        grace_ended: DateTime<Utc>,
        now: DateTime<Utc>,
        after: &str,
        most: i64,
    ) -> Result<Vec<(String, i64)>> {
        sqlx::query_as(
            "SELECT name, size_bytes FROM archive_pending
             WHERE plan = $1 AND unreferenced <= $2 AND (locked_until IS NULL OR locked_until <= $3) AND name > $4
             ORDER BY name LIMIT $5",
        )
        .bind(plan)
        .bind(grace_ended)
        .bind(now)
        .bind(after)
        .bind(most)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("archive.pending_due"))
    }
}

/// Notes what the store copied, as part of a larger transaction. Safe to repeat.
pub(super) async fn note(
    transaction: &mut Transaction<'_, Postgres>,
    plan: &str,
    pending: &[&Pending],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO archive_pending (plan, name, size_bytes, etag, locked_until, source_key, source_version, opaque)
         SELECT $1, new.* FROM unnest($2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::boolean[]) AS new
         ON CONFLICT (plan, name) DO UPDATE SET etag = EXCLUDED.etag, source_key = EXCLUDED.source_key,
             source_version = EXCLUDED.source_version, opaque = EXCLUDED.opaque",
    )
    .bind(plan)
    .bind(pending.iter().map(|one| one.name.clone()).collect::<Vec<_>>())
    .bind(pending.iter().map(|one| one.size).collect::<Vec<_>>())
    .bind(pending.iter().map(|one| one.etag.clone()).collect::<Vec<_>>())
    .bind(pending.iter().map(|one| one.locked_until).collect::<Vec<_>>())
    .bind(pending.iter().map(|one| one.source_key.clone()).collect::<Vec<_>>())
    .bind(pending.iter().map(|one| one.source_version.clone()).collect::<Vec<_>>())
    .bind(pending.iter().map(|one| one.opaque).collect::<Vec<_>>())
    .execute(&mut **transaction)
    .await
    .map_err(StoreError::query("archive.note_pending"))
    .map(drop)
}
