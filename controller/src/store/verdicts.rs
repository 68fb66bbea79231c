//! Verdicts: what is known of each backup, when it was learnt, and by whom.
//!
//! A verdict is a fact about one backup at one time: a later fact replaces an earlier one, never the other way round, so
//! that any number of daemons may learn at once. What taught nothing ([`Store::note_trouble`]) leaves the fact as it is.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{Result, Store, StoreError};

/// The evidence ladder. Stored as text that is added to and never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The provider lists it.
    #[default]
    Listed,
    /// All its bytes arrived.
    Downloaded,
    /// Its containers are whole.
    Intact,
    /// Every block of it can be read.
    Readable,
    /// It was restored for real.
    Restored,
    /// What was restored passed every check.
    Asserted,
}

impl Rung {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Downloaded => "downloaded",
            Self::Intact => "intact",
            Self::Readable => "readable",
            Self::Restored => "restored",
            Self::Asserted => "asserted",
        }
    }
}

/// A row of `backup_verdicts`.
#[derive(Debug, Clone, Default, PartialEq, sqlx::FromRow)]
pub struct Verdict {
    /// `database` or `objects`.
    pub kind: String,
    /// The provider's id of the backup.
    pub backup: String,
    /// What the provider calls it.
    pub name: Option<String>,
    /// When the backup was taken.
    pub taken_at: Option<DateTime<Utc>>,
    /// Its size as the provider lists it, else as downloaded, in bytes.
    pub size_bytes: Option<i64>,
    /// The highest rung that it reached when it was last looked at.
    pub rung: Rung,
    /// The class of the refusal, if it was refused.
    pub refused: Option<String>,
    /// The refusal in a sentence, or why it is not higher.
    pub message: Option<String>,
    /// Digest of what was downloaded.
    pub sha256: Option<String>,
    /// Digest of the dump inside.
    pub dump_sha256: Option<String>,
    /// Versions of the tools that judged it.
    pub tools: Value,
    /// When it was judged.
    pub checked_at: DateTime<Utc>,
    /// The request or job that judged it.
    pub checked_by: Option<String>,
    /// Since when the provider does not list it.
    pub gone_at: Option<DateTime<Utc>>,
    /// It was taken as far up as it gets.
    pub settled: bool,
    /// It was restored and passed every check of its own.
    pub sound: bool,
    /// When it did so last, whatever was found later.
    pub proven_at: Option<DateTime<Utc>>,
    /// Which rows or large objects are gone since the backup before.
    pub suspicious: Option<String>,
    /// Who said that this was meant.
    pub accepted_by: Option<String>,
    /// Rows of each table, and large objects: `{"tables": [[schema, name, rows], …], "largeObjects": [count, bytes]}`; of an earlier
    /// release the list of tables alone. Read where they are asked for ([`Store::verdicts_with_counts`]).
    pub counts: Option<Value>,
    /// Digest of the statements that make its schema.
    pub schema_sha256: Option<String>,
    /// The extensions that the dump makes, by name.
    pub extensions: Option<Vec<String>>,
    /// Seconds from the beginning to each rung.
    pub reached: Option<Value>,
    /// What was looked at in the restored database, a sentence each: `{"structure": …, "migrations": …}`.
    pub checks: Option<Value>,
    /// Fingerprint of the plan's questions that it was asked, if it came so far.
    pub questions_sha256: Option<String>,
    /// How often something was learnt of it.
    pub climbs: i32,
    /// How often in a row nothing was.
    pub attempts: i32,
    /// When it is tried again.
    pub retry_at: Option<DateTime<Utc>>,
    /// Why nothing was learnt.
    pub trouble: Option<String>,
}

impl Verdict {
    /// What people call it.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.backup)
    }
}

/// A backup as the provider lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBackup {
    /// Its id.
    pub backup: String,
    /// What it is called.
    pub name: Option<String>,
    /// When it was taken.
    pub taken_at: Option<DateTime<Utc>>,
    /// Its size, in bytes.
    pub size_bytes: Option<i64>,
}

/// The right to work on the backups of a plan, as long as it lives.
#[derive(Debug)]
pub struct ProofTurn {
    _connection: PgConnection,
}

const ROW: &str = "SELECT kind, backup, name, taken_at, size_bytes, rung, refused, message, sha256, dump_sha256, tools,
    checked_at, checked_by, gone_at, settled, sound, proven_at, suspicious, accepted_by, reached, checks, schema_sha256, extensions,
    questions_sha256, climbs, attempts, retry_at, trouble";

/// Both facts are about the very same bytes: the same dump, as the platform may pack it anew for each download.
const SAME: &str = "(CASE WHEN known.dump_sha256 IS NOT NULL AND EXCLUDED.dump_sha256 IS NOT NULL
    THEN known.dump_sha256 = EXCLUDED.dump_sha256 ELSE known.sha256 = EXCLUDED.sha256 END)";

/// The new fact is no news: it says less of the very same bytes, and was not meant to say all. A refusal of them stands until
/// somebody looks at all of it again.
const NO_NEWS: &str = "NOT EXCLUDED.settled AND EXCLUDED.refused IS NULL
    AND (known.refused IS NOT NULL
      OR array_position(ARRAY['listed', 'downloaded', 'intact', 'readable', 'restored', 'asserted'], known.rung) + known.settled::int
       > array_position(ARRAY['listed', 'downloaded', 'intact', 'readable', 'restored', 'asserted'], EXCLUDED.rung))";

impl Store {
    /// Stores what was learnt, in place of what was known before. Safe to repeat. Suspicion and its acceptance stay with the
    /// bytes that they are about. What was written while the clock was ahead is no later fact.
    pub async fn record_verdict(&self, plan: &str, verdict: &Verdict) -> Result<()> {
        let statement = format!(
            "INSERT INTO backup_verdicts AS known (plan, kind, backup, taken_at, size_bytes, rung, refused, message, sha256, tools,
                checked_at, checked_by, name, settled, sound, proven_at, dump_sha256, counts, reached, schema_sha256, checks, extensions,
                questions_sha256, climbs)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, 1)
             ON CONFLICT (plan, kind, backup) DO UPDATE SET
                taken_at = coalesce(EXCLUDED.taken_at, known.taken_at),
                size_bytes = coalesce(known.size_bytes, EXCLUDED.size_bytes),
                rung = CASE WHEN EXCLUDED.rung = 'asserted' AND known.suspicious IS NOT NULL AND known.accepted_by IS NULL
                    AND {SAME} THEN 'restored' ELSE EXCLUDED.rung END,
                suspicious = CASE WHEN {SAME} THEN known.suspicious END,
                accepted_by = CASE WHEN {SAME} THEN known.accepted_by END,
                refused = EXCLUDED.refused, message = EXCLUDED.message, sha256 = EXCLUDED.sha256, tools = EXCLUDED.tools,
                checked_at = EXCLUDED.checked_at, checked_by = EXCLUDED.checked_by, name = coalesce(EXCLUDED.name, known.name),
                settled = EXCLUDED.settled, sound = EXCLUDED.sound, proven_at = coalesce(EXCLUDED.proven_at, known.proven_at),
                dump_sha256 = EXCLUDED.dump_sha256, counts = coalesce(EXCLUDED.counts, known.counts),
                schema_sha256 = coalesce(EXCLUDED.schema_sha256, known.schema_sha256),
                extensions = coalesce(EXCLUDED.extensions, known.extensions),
                questions_sha256 = coalesce(EXCLUDED.questions_sha256, CASE WHEN {SAME} THEN known.questions_sha256 END),
                checks = coalesce(EXCLUDED.checks, CASE WHEN {SAME} THEN known.checks END),
                reached = coalesce(EXCLUDED.reached, known.reached), climbs = known.climbs + 1, attempts = 0, retry_at = NULL,
                trouble = NULL
             WHERE (known.checked_at <= EXCLUDED.checked_at OR known.checked_at > clock_timestamp())
                AND NOT coalesce({SAME} AND {NO_NEWS}, false)"
        );
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(plan)
            .bind(&verdict.kind)
            .bind(&verdict.backup)
            .bind(verdict.taken_at)
            .bind(verdict.size_bytes)
            .bind(verdict.rung)
            .bind(&verdict.refused)
            .bind(&verdict.message)
            .bind(&verdict.sha256)
            .bind(&verdict.tools)
            .bind(verdict.checked_at)
            .bind(&verdict.checked_by)
            .bind(&verdict.name)
            .bind(verdict.settled)
            .bind(verdict.sound)
            .bind(verdict.proven_at)
            .bind(&verdict.dump_sha256)
            .bind(&verdict.counts)
            .bind(&verdict.reached)
            .bind(&verdict.schema_sha256)
            .bind(&verdict.checks)
            .bind(&verdict.extensions)
            .bind(&verdict.questions_sha256)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(StoreError::query("verdict.record"))
    }

    /// Stores the provider's list of finished backups: new ones are put down as listed, those that are not on it any more as
    /// gone, and one whose size has changed is judged anew. Safe to repeat.
    pub async fn record_listing(
        &self,
        plan: &str,
        listed: &[ListedBackup],
        at: DateTime<Utc>,
        by: &str,
    ) -> Result<()> {
        let failed = StoreError::query("verdict.listing");
        let mut transaction = self.begin().await.map_err(&failed)?;
        put_listed(&mut transaction, plan, listed, at, by).await.map_err(&failed)?;
        let ids: Vec<&str> = listed.iter().map(|one| one.backup.as_str()).collect();
        sqlx::query(
            "UPDATE backup_verdicts SET gone_at = $3
             WHERE plan = $1 AND kind = 'database' AND gone_at IS NULL AND backup <> ALL ($2)",
        )
        .bind(plan)
        .bind(ids)
        .bind(at)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        sqlx::query(
            "INSERT INTO backup_listings (plan, kind, listed_at, listed_by, backups) VALUES ($1, 'database', $2, $3, $4)
             ON CONFLICT (plan, kind) DO UPDATE SET listed_at = EXCLUDED.listed_at, listed_by = EXCLUDED.listed_by,
                backups = EXCLUDED.backups",
        )
        .bind(plan)
        .bind(at)
        .bind(by)
        .bind(i32::try_from(listed.len()).unwrap_or(i32::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// When the provider last told a plan's backups.
    pub async fn last_listing(&self, plan: &str) -> Result<Option<DateTime<Utc>>> {
        sqlx::query_scalar("SELECT listed_at FROM backup_listings WHERE plan = $1 AND kind = 'database'")
            .bind(plan)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("verdict.last_listing"))
    }

    /// Notes that an attempt taught nothing of a backup, and when the next one may follow. What is known stays.
    pub async fn note_trouble(
        &self,
        plan: &str,
        backup: &str,
        why: &str,
        retry_at: DateTime<Utc>,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE backup_verdicts SET trouble = $3, retry_at = $4, attempts = attempts + 1
             WHERE plan = $1 AND kind = 'database' AND backup = $2",
        )
        .bind(plan)
        .bind(backup)
        .bind(why)
        .bind(retry_at)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("verdict.trouble"))
    }

    /// Stores which backups are suspicious, and why: a sound one that is not is asserted. One that is not sound keeps its rung. Safe
    /// to repeat.
    pub async fn record_suspicions(&self, plan: &str, found: &[(String, Option<String>)]) -> Result<()> {
        let (backups, why): (Vec<&str>, Vec<Option<&str>>) =
            found.iter().map(|(backup, why)| (backup.as_str(), why.as_deref())).unzip();
        sqlx::query(
            "UPDATE backup_verdicts AS known SET suspicious = new.why,
                rung = CASE WHEN NOT known.sound THEN known.rung WHEN new.why IS NULL OR known.accepted_by IS NOT NULL THEN 'asserted' ELSE 'restored' END
             FROM unnest($2::text[], $3::text[]) AS new (backup, why)
             WHERE known.plan = $1 AND known.kind = 'database' AND known.backup = new.backup
               AND known.suspicious IS DISTINCT FROM new.why",
        )
        .bind(plan)
        .bind(backups)
        .bind(why)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("verdict.suspicions"))
    }

    /// Somebody says that what is suspicious about a backup was meant. `false` if it is not suspicious.
    pub async fn accept_backup(&self, plan: &str, backup: &str, who: &str) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE backup_verdicts SET accepted_by = $3, rung = CASE WHEN sound THEN 'asserted' ELSE rung END
             WHERE plan = $1 AND kind = 'database' AND (backup = $2 OR name = $2) AND suspicious IS NOT NULL",
        )
        .bind(plan)
        .bind(backup)
        .bind(who)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("verdict.accept"))?;
        Ok(done.rows_affected() > 0)
    }

    /// What is known of the backups of a plan, newest backup first, without the rows of their tables, which are most of it.
    pub async fn verdicts(&self, plan: &str) -> Result<Vec<Verdict>> {
        self.verdicts_with(plan, "NULL::jsonb AS counts").await
    }

    /// The same with the rows of their tables.
    pub async fn verdicts_with_counts(&self, plan: &str) -> Result<Vec<Verdict>> {
        self.verdicts_with(plan, "counts").await
    }

    /// What each look at one backup found, the last look first, with the rows of its tables.
    pub async fn verification_reports(&self, plan: &str, kind: &str, backup: &str) -> Result<Vec<Verdict>> {
        // What an earlier release did not know of a look is what is known now.
        let statement = format!(
            "{ROW}, counts FROM (SELECT found.* FROM verification_reports r
                JOIN backup_verdicts v ON v.plan = r.plan AND v.kind = r.kind AND v.backup = r.backup
                CROSS JOIN LATERAL jsonb_populate_record(v, r.report) AS found
                WHERE r.plan = $1 AND r.kind = $2 AND r.backup = $3) AS known ORDER BY checked_at DESC"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(plan)
            .bind(kind)
            .bind(backup)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("verdict.reports"))
    }

    async fn verdicts_with(&self, plan: &str, counts: &str) -> Result<Vec<Verdict>> {
        let statement = format!(
            "{ROW}, {counts} FROM backup_verdicts WHERE plan = $1 ORDER BY taken_at DESC NULLS LAST, backup"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(plan)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("verdict.list"))
    }

    /// Takes the turn of a plan's backups: at most one process takes them up. `None` if another has it. Held by a connection
    /// of its own, so that it ends with us.
    pub async fn proof_turn(&self, plan: &str) -> Result<Option<ProofTurn>> {
        let failed = StoreError::query("verdict.turn");
        let mut connection = self.pool.acquire().await.map_err(&failed)?.detach();
        let taken =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('reprise.proof'), hashtext($1))")
                .bind(plan)
                .fetch_one(&mut connection)
                .await
                .map_err(failed)?;
        Ok(if taken { Some(ProofTurn { _connection: connection }) } else { None })
    }
}

async fn put_listed(
    connection: &mut PgConnection,
    plan: &str,
    listed: &[ListedBackup],
    at: DateTime<Utc>,
    by: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO backup_verdicts AS known (plan, kind, backup, name, taken_at, size_bytes, rung, checked_at, checked_by)
         SELECT $1, 'database', backup, name, taken_at, size_bytes, 'listed', $6, $7
         FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::bigint[]) AS new (backup, name, taken_at, size_bytes)
         ON CONFLICT (plan, kind, backup) DO UPDATE SET name = EXCLUDED.name, gone_at = NULL,
            taken_at = coalesce(EXCLUDED.taken_at, known.taken_at),
            settled = known.settled AND coalesce(known.size_bytes = EXCLUDED.size_bytes, true),
            size_bytes = coalesce(EXCLUDED.size_bytes, known.size_bytes)",
    )
    .bind(plan)
    .bind(listed.iter().map(|one| one.backup.as_str()).collect::<Vec<_>>())
    .bind(listed.iter().map(|one| one.name.as_deref()).collect::<Vec<_>>())
    .bind(listed.iter().map(|one| one.taken_at).collect::<Vec<_>>())
    .bind(listed.iter().map(|one| one.size_bytes).collect::<Vec<_>>())
    .bind(at)
    .bind(by)
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests;
