//! The archive's records: a row a run, and what an unfinished run has copied.

use chrono::{DateTime, NaiveDateTime, Utc};
use futures::{Stream, StreamExt as _};
use serde_json::Value;

mod row;

pub use row::ArchiveRow;

use super::{Pending, Result, Store, StoreError, Stored};

/// How a run ended.
#[derive(Debug, Clone)]
pub struct ArchiveEnd {
    /// When.
    pub finished_at: DateTime<Utc>,
    /// Objects in it.
    pub objects: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Objects that had to be copied.
    pub changed_objects: i64,
    /// Their bytes.
    pub changed_bytes: i64,
    /// How long it took.
    pub duration_seconds: f64,
    /// More changed than the plan allows.
    pub suspicious: bool,
    /// Digest of the manifest's file.
    pub manifest_sha256: String,
    /// The run's record.
    pub record: Value,
}

/// Something that was copied, or that vanished before it could be.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The key at the source.
    pub key: String,
    /// The entity tag that the listing showed.
    pub etag: String,
    /// The manifest's line; none if it vanished.
    pub entry: Option<Value>,
    /// What was stored for it, unless it was there.
    pub stored: Option<Stored>,
    /// What the store copied by itself for it.
    pub pending: Option<Pending>,
}

const COLUMNS: &str = "SELECT id, plan, run, phase, started_at, finished_at, objects, bytes, done_objects, done_bytes, due_bytes,
    objects_per_second, bytes_per_second, seconds_left, changed_objects, changed_bytes, duration_seconds, suspicious, suspected, verified_at, verified_depth, verified_objects, damaged, message, status FROM archives";

impl Store {
    /// The runs of a plan, newest first.
    pub async fn archives(&self, plan: &str) -> Result<Vec<ArchiveRow>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE plan = $1 ORDER BY run DESC")))
            .bind(plan)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("archive.list"))
    }

    /// The run that was cut off, or a new one called `run`, of the bucket `source`. What was noted of a run of another bucket is
    /// forgotten: its keys are not this one's. Only for whoever has the plan's turn.
    pub async fn begin_archive(
        &self,
        plan: &str,
        run: &str,
        holder: &str,
        source: &str,
    ) -> Result<ArchiveRow> {
        let failed = StoreError::query("archive.begin");
        let forgotten = "WITH other AS (UPDATE archives SET source = $2 WHERE plan = $1 AND phase = 'Running'
                AND source IS DISTINCT FROM $2 RETURNING id)
             DELETE FROM archive_progress USING other WHERE archive = other.id";
        sqlx::query(forgotten).bind(plan).bind(source).execute(&self.pool).await.map_err(&failed)?;
        let open = sqlx::query_scalar::<_, i64>(
            "UPDATE archives SET heartbeat_at = now(), holder = $2, message = NULL
             WHERE id = (SELECT max(id) FROM archives WHERE plan = $1 AND phase = 'Running') RETURNING id",
        );
        let open = open.bind(plan).bind(holder).fetch_optional(&self.pool).await.map_err(&failed)?;
        let id = if let Some(id) = open {
            id
        } else {
            let new = "INSERT INTO archives (plan, run, holder, source, heartbeat_at) VALUES ($1, $2, $3, $4, now()) RETURNING id";
            let new = sqlx::query_scalar::<_, i64>(new).bind(plan).bind(run).bind(holder).bind(source);
            new.fetch_one(&self.pool).await.map_err(&failed)?
        };
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1")))
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }

    /// An unfinished run goes on under another name, and lists its bucket again.
    pub async fn rename_archive(&self, id: i64, run: &str) -> Result<()> {
        sqlx::query("UPDATE archives SET run = $2, listed_at = clock_timestamp() WHERE id = $1")
            .bind(id)
            .bind(run)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.rename"))
            .map(drop)
    }

    /// Stores what was copied: one transaction for many. Safe to repeat.
    pub async fn archive_copied(&self, plan: &str, id: i64, copied: &[Copied]) -> Result<()> {
        let failed = StoreError::query("archive.copied");
        let mut transaction = self.begin().await.map_err(&failed)?;
        let stored: Vec<&Stored> = copied.iter().filter_map(|one| one.stored.as_ref()).collect();
        super::archive_contents::remember(&mut transaction, plan, &stored).await?;
        let pending: Vec<&Pending> = copied.iter().filter_map(|one| one.pending.as_ref()).collect();
        if !pending.is_empty() {
            super::archive_pending::note(&mut transaction, plan, &pending).await?;
        }
        sqlx::query(
            "INSERT INTO archive_progress (archive, key, etag, entry)
             SELECT $1, key, etag, entry FROM unnest($2::text[], $3::text[], $4::jsonb[]) AS new (key, etag, entry)
             ON CONFLICT (archive, key) DO UPDATE SET etag = EXCLUDED.etag, entry = EXCLUDED.entry",
        )
        .bind(id)
        .bind(copied.iter().map(|one| one.key.clone()).collect::<Vec<_>>())
        .bind(copied.iter().map(|one| one.etag.clone()).collect::<Vec<_>>())
        .bind(copied.iter().map(|one| one.entry.clone()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// What a run has copied, in the order of keys (byte by byte).
    pub fn archive_lines(
        &self,
        id: i64,
    ) -> impl Stream<Item = Result<(String, String, Option<Value>)>> + Send + '_ {
        sqlx::query_as("SELECT key, etag, entry FROM archive_progress WHERE archive = $1 ORDER BY key")
            .bind(id)
            .fetch(&self.pool)
            .map(|row| row.map_err(StoreError::query("archive.lines")))
    }

    /// Somebody says that a run whose record is `gone` was taken out on purpose. `false`: there is no such run.
    pub async fn forget_archive(&self, plan: &str, run: &str, by: &str, gone: &str) -> Result<bool> {
        sqlx::query(
            "UPDATE archives SET phase = 'Pruned', accepted_at = now(), accepted_by = $3
             WHERE plan = $1 AND run = $2 AND phase = 'Complete' AND right(damaged, length($4)) = $4",
        )
        .bind(plan)
        .bind(run)
        .bind(by)
        .bind(gone)
        .execute(&self.pool)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(StoreError::query("archive.forget"))
    }

    /// Somebody says that a suspicious run is right as it is. `false`: there is no such complete run, or it is not suspicious.
    pub async fn accept_archive(&self, plan: &str, run: &str, by: &str) -> Result<bool> {
        sqlx::query(
            "UPDATE archives SET suspicious = false, accepted_at = now(), accepted_by = $3
             WHERE plan = $1 AND run = $2 AND phase = 'Complete' AND suspicious",
        )
        .bind(plan)
        .bind(run)
        .bind(by)
        .execute(&self.pool)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(StoreError::query("archive.accept"))
    }

    /// A run turned out to be suspicious, and why; one that somebody has accepted stays so. Safe to repeat.
    pub async fn archive_is_suspected(&self, plan: &str, run: &str, why: &[String]) -> Result<bool> {
        sqlx::query(
            "UPDATE archives SET suspicious = true, suspected = $3
             WHERE plan = $1 AND run = $2 AND phase = 'Complete' AND accepted_at IS NULL",
        )
        .bind(plan)
        .bind(run)
        .bind(Value::from(why.to_vec()))
        .execute(&self.pool)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(StoreError::query("archive.suspected"))
    }

    /// A run is whole: its manifest is there.
    pub async fn finish_archive(&self, id: i64, end: &ArchiveEnd) -> Result<()> {
        let failed = StoreError::query("archive.finish");
        let mut transaction = self.begin().await.map_err(&failed)?;
        sqlx::query(
            "UPDATE archives SET phase = 'Complete', finished_at = $2, objects = $3, bytes = $4, changed_objects = $5, changed_bytes = $6,
                duration_seconds = $7, suspicious = $8, manifest_sha256 = $9, status = $10, message = NULL, heartbeat_at = now(),
                done_objects = $3 WHERE id = $1",
        )
        .bind(id)
        .bind(end.finished_at)
        .bind(end.objects)
        .bind(end.bytes)
        .bind(end.changed_objects)
        .bind(end.changed_bytes)
        .bind(end.duration_seconds)
        .bind(end.suspicious)
        .bind(&end.manifest_sha256)
        .bind(&end.record)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        sqlx::query("DELETE FROM archive_progress WHERE archive = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// A run lies in the archive that our tables do not know: another machine took it. Safe to repeat.
    pub async fn archive_found(
        &self,
        plan: &str,
        run: &str,
        started_at: DateTime<Utc>,
        end: &ArchiveEnd,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO archives (plan, run, started_at, phase, finished_at, objects, done_objects, bytes, changed_objects,
                changed_bytes, duration_seconds, suspicious, manifest_sha256, status, listed_at)
             VALUES ($1, $2, $3, 'Complete', $4, $5, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (plan, run) DO NOTHING",
        )
        .bind(plan)
        .bind(run)
        .bind(started_at)
        .bind(end.finished_at)
        .bind(end.objects)
        .bind(end.bytes)
        .bind(end.changed_objects)
        .bind(end.changed_bytes)
        .bind(end.duration_seconds)
        .bind(end.suspicious)
        .bind(&end.manifest_sha256)
        .bind(&end.record)
        .bind(listed_at(run, started_at, end.finished_at))
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.found"))
        .map(drop)
    }

    /// What lies beside a run no more, or beside all of them; nothing, if all is there. Replaces what was said before.
    pub async fn archive_lacks(&self, plan: &str, run: &str, lost: &[String]) -> Result<()> {
        sqlx::query(
            "UPDATE archives SET status = CASE WHEN cardinality($3::text[]) = 0 THEN status - 'lost'
                ELSE jsonb_set(status, '{lost}', to_jsonb($3::text[])) END
             WHERE plan = $1 AND run = $2",
        )
        .bind(plan)
        .bind(run)
        .bind(lost)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.lacks"))
        .map(drop)
    }

    /// Why a run does not go on; it stays resumable.
    pub async fn archive_stopped(&self, id: i64, message: &str) -> Result<()> {
        sqlx::query("UPDATE archives SET message = $2 WHERE id = $1")
            .bind(id)
            .bind(message)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.stopped"))
            .map(drop)
    }

    /// What is known to be wrong with a run; nothing, if it is found to be whole by a list, which proves no bytes.
    pub async fn archive_is_damaged(&self, plan: &str, run: &str, damaged: Option<&str>) -> Result<()> {
        sqlx::query("UPDATE archives SET damaged = $3 WHERE plan = $1 AND run = $2")
            .bind(plan)
            .bind(run)
            .bind(damaged)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("archive.is_damaged"))
            .map(drop)
    }

    /// Contents were read again, `objects` of the run's among them, and nothing is wrong with the run.
    pub async fn archive_verified(
        &self,
        plan: &str,
        run: &str,
        (depth, objects): (&str, i64),
        days_to_full_coverage: i64,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE archives SET damaged = NULL, verified_at = now(), verified_depth = $3, verified_objects = $4,
                status = status || jsonb_build_object('daysToFullCoverage', $5::bigint)
             WHERE plan = $1 AND run = $2",
        )
        .bind(plan)
        .bind(run)
        .bind(depth)
        .bind(objects)
        .bind(days_to_full_coverage)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("archive.verified"))
        .map(drop)
    }
}

/// A complete run of which nothing is known, for the tests of what is made of rows.
/// When a run that another machine took listed its bucket: a run is named by that, unless a clock was wrong.
fn listed_at(run: &str, began: DateTime<Utc>, ended: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let named = NaiveDateTime::parse_from_str(run.get(..16)?, "%Y%m%dT%H%M%SZ").ok()?.and_utc();
    (began < named && named <= ended).then_some(named)
}

#[cfg(test)]
pub(crate) fn a_row(run: &str) -> ArchiveRow {
    ArchiveRow {
        id: 1,
        plan: "apilos".to_owned(),
        run: run.to_owned(),
        phase: "Complete".to_owned(),
        started_at: DateTime::UNIX_EPOCH,
        finished_at: None,
        objects: None,
        bytes: None,
        done_objects: 0,
        done_bytes: 0,
        due_bytes: 0,
        objects_per_second: None,
        bytes_per_second: None,
        seconds_left: None,
        changed_objects: None,
        changed_bytes: None,
        duration_seconds: None,
        suspicious: false,
        suspected: Value::Null,
        verified_at: None,
        verified_depth: None,
        verified_objects: None,
        damaged: None,
        message: None,
        status: Value::Null,
    }
}
