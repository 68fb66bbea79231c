//! What the archive holds, by content.

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _};
use sqlx::{Postgres, Transaction};

use super::{Result, Store, StoreError};

/// A content in the archive.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its digest.
    pub sha256: [u8; 32],
    /// In bytes.
    pub size: i64,
    /// It looks random.
    pub noise: bool,
    /// Nobody deletes it before.
    pub locked_until: Option<DateTime<Utc>>,
}

impl Store {
    /// Which of these contents the archive holds undamaged, as far as is known: the size of each, whether each looks random
    /// (what nobody has read is taken for it: then it cannot turn into noise), and until when it is locked.
    pub async fn archive_holds(
        &self,
        plan: &str,
        digests: &[Vec<u8>],
    ) -> Result<Vec<(Vec<u8>, i64, bool, Option<DateTime<Utc>>)>> {
        sqlx::query_as(
            "SELECT sha256, size_bytes, coalesce(noise, true), locked_until FROM archive_objects
             WHERE plan = $1 AND sha256 = ANY ($2) AND damaged_at IS NULL",
        )
        .bind(plan)
        .bind(digests)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("archive.holds"))
    }

    /// The same: the size of each, and when it was last read again.
    pub async fn archive_holds_read(
        &self,
        plan: &str,
        digests: &[Vec<u8>],
    ) -> Result<Vec<(Vec<u8>, i64, Option<DateTime<Utc>>)>> {
        sqlx::query_as(
            "SELECT sha256, size_bytes, verified_at FROM archive_objects
             WHERE plan = $1 AND sha256 = ANY ($2) AND damaged_at IS NULL",
        )
        .bind(plan)
        .bind(digests)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("archive.holds_read"))
    }

    /// The time by the clock that dates what is read again.
    pub async fn archive_clock(&self) -> Result<DateTime<Utc>> {
        let asked = sqlx::query_scalar("SELECT now()").fetch_one(&self.pool).await;
        asked.map_err(StoreError::query("archive.clock"))
    }

    /// Whether any content of a plan's archive is known to be damaged, whoever names it.
    pub async fn archive_has_damage(&self, plan: &str) -> Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM archive_objects WHERE plan = $1 AND damaged_at IS NOT NULL)
                OR EXISTS (SELECT FROM archive_pending WHERE plan = $1 AND damaged_at IS NOT NULL)",
        )
        .bind(plan)
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::query("archive.has_damage"))
    }

    /// Digests of the contents that the archive holds undamaged, and until when each is locked; at most `most`, in no order.
    pub fn archive_undamaged(
        &self,
        plan: &str,
        most: usize,
    ) -> impl Stream<Item = Result<(Vec<u8>, Option<DateTime<Utc>>)>> + Send + '_ {
        sqlx::query_as(
            "SELECT sha256, locked_until FROM archive_objects WHERE plan = $1 AND damaged_at IS NULL LIMIT $2",
        )
        .bind(plan.to_owned())
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch(&self.pool)
        .map(|row| row.map_err(StoreError::query("archive.undamaged")))
    }

    /// Contents are locked until these dates.
    pub async fn archive_locked(
        &self,
        plan: &str,
        digests: &[Vec<u8>],
        until: &[DateTime<Utc>],
    ) -> Result<()> {
        sqlx::query(
            "UPDATE archive_objects SET locked_until = new.until FROM unnest($2::bytea[], $3::timestamptz[]) AS new (sha, until)
             WHERE plan = $1 AND sha256 = new.sha",
        )
        .bind(plan)
        .bind(digests)
        .bind(until)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.locked"))
        .map(drop)
    }

    /// Where the contents lie that we know of, if we know of any place.
    pub async fn archive_place(&self, plan: &str) -> Result<Option<String>> {
        sqlx::query_scalar("SELECT place FROM archive_places WHERE plan = $1")
            .bind(plan)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("archive.place"))
    }

    /// What is known of contents is about this place from now on. Safe to repeat.
    pub async fn archive_lies_at(&self, plan: &str, place: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO archive_places (plan, place) VALUES ($1, $2) ON CONFLICT (plan) DO UPDATE SET place = excluded.place",
        )
        .bind(plan)
        .bind(place)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.liesAt"))
        .map(drop)
    }

    /// Forgets all contents but damaged ones: they lie where the archive was, and what is damaged may be the same place by another name.
    /// Safe to repeat.
    pub async fn archive_left(&self, plan: &str) -> Result<()> {
        let failed = StoreError::query("archive.left");
        let mut transaction = self.begin().await.map_err(&failed)?;
        for forget in [
            "DELETE FROM archive_objects WHERE plan = $1 AND damaged_at IS NULL",
            "DELETE FROM archive_pending WHERE plan = $1 AND damaged_at IS NULL",
        ] {
            sqlx::query(forget).bind(plan).execute(&mut *transaction).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Forgets what a run that was cut off had copied: it lies where the archive was. Safe to repeat.
    pub async fn archive_notes_left(&self, plan: &str) -> Result<()> {
        sqlx::query(
            "DELETE FROM archive_progress USING archives WHERE archives.id = archive_progress.archive AND archives.plan = $1",
        )
        .bind(plan)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.notesLeft"))
        .map(drop)
    }

    /// How many contents the archive holds.
    pub async fn archive_count(&self, plan: &str) -> Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM archive_objects WHERE plan = $1")
            .bind(plan)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::query("archive.count"))
    }

    /// What the archive holds as far as we know, in the order of digests.
    pub fn archive_contents<'a>(
        &'a self,
        plan: &'a str,
    ) -> impl Stream<Item = Result<(Vec<u8>, i64)>> + Send + 'a {
        sqlx::query_as("SELECT sha256, size_bytes FROM archive_objects WHERE plan = $1 ORDER BY sha256")
            .bind(plan)
            .fetch(&self.pool)
            .map(|row| row.map_err(StoreError::query("archive.contents")))
    }

    /// Notes contents that a listing of the archive showed. Safe to repeat.
    pub async fn archive_listed(&self, plan: &str, digests: &[Vec<u8>], sizes: &[i64]) -> Result<()> {
        sqlx::query(
            "INSERT INTO archive_objects (plan, sha256, size_bytes) SELECT $1, sha, size FROM unnest($2::bytea[], $3::bigint[]) AS new (sha, size)
             ON CONFLICT DO NOTHING",
        )
        .bind(plan)
        .bind(digests)
        .bind(sizes)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.listed"))
        .map(drop)
    }

    /// Forgets contents that the archive does not hold.
    pub async fn archive_lost(&self, plan: &str, digests: &[Vec<u8>]) -> Result<()> {
        sqlx::query("DELETE FROM archive_objects WHERE plan = $1 AND sha256 = ANY ($2)")
            .bind(plan)
            .bind(digests)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.lost"))
            .map(drop)
    }

    /// Digests of `count` contents that were read longest ago, or never; among equals, at random. Before them those that were thawed to
    /// be read, and were not yet.
    pub fn archive_sample(&self, plan: &str, count: i64) -> impl Stream<Item = Result<Vec<u8>>> + Send + '_ {
        sqlx::query_scalar(
            "WITH content AS (SELECT sha256, verified_at, coalesce(thaw_asked_at BETWEEN now() - interval '10 days' AND now()
                    AND thaw_asked_at > coalesce(verified_at, '-infinity'), false) AS thawed
                FROM archive_objects WHERE plan = $1)
             SELECT sha256 FROM content WHERE thawed
             UNION ALL (SELECT sha256 FROM content WHERE NOT thawed
                ORDER BY date_trunc('week', CASE WHEN verified_at <= now() THEN verified_at END) NULLS FIRST, random() LIMIT $2)",
        )
        .bind(plan.to_owned())
        .bind(count)
        .fetch(&self.pool)
        .map(|row| row.map_err(StoreError::query("archive.sample")))
    }

    /// A content in cold storage is being thawed, to be read. Safe to repeat.
    pub async fn archive_thaw_asked(&self, plan: &str, digest: &[u8]) -> Result<()> {
        sqlx::query("UPDATE archive_objects SET thaw_asked_at = now() WHERE plan = $1 AND sha256 = $2")
            .bind(plan)
            .bind(digest)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.thaw_asked"))
            .map(drop)
    }

    /// These contents were read again, and are other bytes than they are called.
    pub async fn archive_damaged(&self, plan: &str, digests: &[Vec<u8>]) -> Result<()> {
        sqlx::query("UPDATE archive_objects SET damaged_at = now() WHERE plan = $1 AND sha256 = ANY ($2)")
            .bind(plan)
            .bind(digests)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.damaged"))
            .map(drop)
    }

    /// These contents were read again, and are what they are called.
    pub async fn archive_read(&self, plan: &str, digests: &[Vec<u8>]) -> Result<()> {
        sqlx::query("UPDATE archive_objects SET verified_at = now(), damaged_at = NULL WHERE plan = $1 AND sha256 = ANY ($2)")
            .bind(plan)
            .bind(digests)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.read"))
            .map(drop)
    }

    /// Contents that the archive holds; of these, those read again within the last week, and those that never were.
    pub async fn archive_coverage(&self, plan: &str) -> Result<(i64, i64, i64)> {
        sqlx::query_as(
            "SELECT count(*), count(*) FILTER (WHERE verified_at BETWEEN now() - interval '7 days' AND now()),
                count(*) FILTER (WHERE verified_at IS NULL OR verified_at > now()) FROM archive_objects WHERE plan = $1",
        )
        .bind(plan)
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::query("archive.coverage"))
    }
}

/// Notes contents that the archive holds, as part of a larger transaction. Safe to repeat.
pub(super) async fn remember(
    transaction: &mut Transaction<'_, Postgres>,
    plan: &str,
    stored: &[&Stored],
) -> Result<()> {
    sqlx::query(
        "INSERT INTO archive_objects (plan, sha256, size_bytes, noise, locked_until)
         SELECT DISTINCT ON (sha) $1, sha, size, noise, locked
         FROM unnest($2::bytea[], $3::bigint[], $4::boolean[], $5::timestamptz[]) AS new (sha, size, noise, locked)
         ORDER BY sha
         ON CONFLICT (plan, sha256) DO UPDATE SET unreferenced = NULL, damaged_at = NULL, size_bytes = EXCLUDED.size_bytes,
             noise = EXCLUDED.noise, locked_until = greatest(archive_objects.locked_until, EXCLUDED.locked_until)",
    )
    .bind(plan)
    .bind(stored.iter().map(|one| one.sha256.to_vec()).collect::<Vec<_>>())
    .bind(stored.iter().map(|one| one.size).collect::<Vec<_>>())
    .bind(stored.iter().map(|one| one.noise).collect::<Vec<_>>())
    .bind(stored.iter().map(|one| one.locked_until).collect::<Vec<_>>())
    .execute(&mut **transaction)
    .await
    .map_err(StoreError::query("archive.remember"))
    .map(drop)
}
