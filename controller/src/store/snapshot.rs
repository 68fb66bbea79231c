//! A snapshot of our own records, as lines of JSON that a later release can read too: columns go by their names, and those that a
//! line does not have get their defaults.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, Row as _};

use super::{Result, Store, StoreError};

/// The tables of a snapshot, in the order in which they refer to each other. What the archive itself tells (its contents) and what only
/// a living process means (leases, unfinished copies, claims) is left out. That a content is damaged no listing tells.
const TABLES: [&str; 12] = [
    "recovery_plans",
    "recovery_requests",
    "recovery_steps",
    "recovery_events",
    "resource_ledger",
    "backup_verdicts",
    "verification_reports",
    "archives",
    "archive_dumps",
    "object_truths",
    "archive_objects",
    "archive_pending",
];

/// The rows of a table that a snapshot takes.
fn rows_of(table: &str) -> &'static str {
    match table {
        "archive_objects" | "archive_pending" => "damaged_at IS NOT NULL",
        _ => "true",
    }
}

/// A row of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    table: String,
    row: Value,
}

/// Why a snapshot was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There are records here already.
    #[error("this store is not empty: it has {0} plans")]
    NotEmpty(i64),
    /// A line says nothing that can be read.
    #[error("line {number} cannot be read: {why}")]
    Line {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// All records, a line each.
    pub async fn snapshot(&self) -> Result<Vec<String>> {
        let failed = StoreError::query("snapshot.read");
        let mut transaction = self.begin().await.map_err(&failed)?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let mut lines = Vec::new();
        for table in TABLES {
            let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
                "SELECT to_jsonb(one) FROM {table} AS one WHERE {}",
                rows_of(table)
            )))
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
            for row in rows {
                let row: Value = row.try_get(0).map_err(&failed)?;
                lines.push(serde_json::to_string(&Line { table: table.to_owned(), row }).unwrap_or_default());
            }
        }
        Ok(lines)
    }

    /// Takes in a snapshot, all of it or nothing. Only into an empty store. How many rows it had.
    pub async fn take_in(&self, lines: &[&str]) -> Result<usize, SnapshotError> {
        let failed = StoreError::query("snapshot.write");
        let plans: i64 = sqlx::query_scalar("SELECT count(*) FROM recovery_plans")
            .fetch_one(&self.pool)
            .await
            .map_err(&failed)?;
        if plans > 0 {
            return Err(SnapshotError::NotEmpty(plans));
        }
        let mut transaction = self.begin().await.map_err(&failed)?;
        for table in TABLES {
            triggers(&mut transaction, table, "DISABLE").await.map_err(&failed)?;
        }
        for (number, line) in (1..).zip(lines) {
            let wrong = |why: String| SnapshotError::Line { number, why };
            let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            let Some(table) = TABLES.iter().find(|table| **table == line.table) else {
                return Err(wrong(format!("there is no table {}", line.table)));
            };
            put(&mut transaction, table, &line.row).await.map_err(|error| wrong(error.to_string()))?;
        }
        // What was under way is another machine's, or nobody's: people decide whether it goes on here.
        sqlx::query(
            "UPDATE recovery_requests SET desired = 'cancel', deletion_requested_at = NULL, lease_holder = NULL, lease_expires_at = NULL
             WHERE phase NOT IN ('Succeeded', 'Failed', 'Cancelled') OR phase = 'Succeeded' AND pursues_hand_over(status)",
        )
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        for table in TABLES {
            triggers(&mut transaction, table, "ENABLE").await.map_err(&failed)?;
            sequences(&mut transaction, table).await.map_err(&failed)?;
        }
        sqlx::query(
            "SELECT setval('resource_versions', greatest(
                (SELECT max(resource_version) FROM recovery_plans), (SELECT max(resource_version) FROM recovery_requests), 1))",
        )
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(lines.len())
    }
}

/// Only our own: what they would do has been done, and is in the rows.
async fn triggers(connection: &mut PgConnection, table: &str, verb: &str) -> sqlx::Result<()> {
    let statement = format!("ALTER TABLE {table} {verb} TRIGGER USER");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

/// Columns that the row does not have get their defaults, columns that the table does not have are left out.
async fn put(connection: &mut PgConnection, table: &str, row: &Value) -> sqlx::Result<()> {
    let names: Vec<String> = row.as_object().map(|row| row.keys().cloned().collect()).unwrap_or_default();
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
         AND attgenerated = '' AND attname = ANY ($2)",
    )
    .bind(table)
    .bind(names)
    .fetch_all(&mut *connection)
    .await?;
    let columns = columns.join(", ");
    let statement = format!(
        "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM jsonb_populate_record(NULL::{table}, $1)"
    );
    sqlx::query(sqlx::AssertSqlSafe(statement)).bind(row).execute(connection).await.map(drop)
}

/// New rows get numbers after those that were taken in.
async fn sequences(connection: &mut PgConnection, table: &str) -> sqlx::Result<()> {
    let owned: Vec<(String, String)> = sqlx::query_as(
        "SELECT quote_ident(attname), pg_get_serial_sequence($1, attname) FROM pg_attribute
         WHERE attrelid = $1::regclass AND attidentity <> '' AND NOT attisdropped",
    )
    .bind(table)
    .fetch_all(&mut *connection)
    .await?;
    for (column, sequence) in owned {
        let statement = format!("SELECT setval('{sequence}', greatest(max({column}), 1)) FROM {table}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
