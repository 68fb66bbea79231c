//! The ledger: every external resource that a request created or changed, written as an intent *before* the call.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Epoch, Result, Store, StoreError};

/// How much is known of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum LedgerState {
    /// A call may have been sent: perhaps it is there, perhaps not.
    Intended,
    /// It was seen, with this id.
    Present,
    /// It was seen to be gone, or (a change) to be undone.
    Deleted,
}

/// A row of `resource_ledger`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LedgerRow {
    /// The nonce of the intent.
    pub nonce: Uuid,
    /// The step that wrote it.
    pub step: String,
    /// `app`, `addon`, `project`, `bucket`, `dns-record`, …
    pub kind: String,
    /// Its deterministic name.
    pub name: String,
    /// What it belongs to (an app's name), if anything.
    pub parent: Option<String>,
    /// How much is known.
    pub state: LedgerState,
    /// The vendor's id, once seen.
    pub external_id: Option<String>,
    /// What undoing needs.
    pub detail: Value,
    /// When the intent was written, by the database's clock.
    pub intended_at: DateTime<Utc>,
    /// When it was first seen, if it was.
    #[sqlx(default)]
    pub observed_at: Option<DateTime<Utc>>,
    /// Whether [`Store::intend`] wrote it just now: nothing can have been made under it yet.
    #[sqlx(default)]
    pub fresh: bool,
}

/// What is about to be created or changed.
#[derive(Debug, Clone)]
pub struct Intent<'a> {
    /// The step that does it.
    pub step: &'a str,
    /// See [`LedgerRow::kind`].
    pub kind: &'a str,
    /// See [`LedgerRow::name`].
    pub name: &'a str,
    /// See [`LedgerRow::parent`].
    pub parent: Option<&'a str>,
    /// See [`LedgerRow::detail`].
    pub detail: Value,
}

const COLUMNS: &str = "SELECT nonce, step, kind, name, parent, state, external_id, detail, intended_at, observed_at FROM resource_ledger";

impl Store {
    /// The names of everything that requests other than this one made, changed or undid since it was filed, or that may have become
    /// somebody else's since.
    pub async fn names_of_others(&self, request: &str) -> Result<BTreeSet<String>> {
        let names: Vec<String> =
            sqlx::query_scalar(
                "SELECT DISTINCT name FROM resource_ledger WHERE request <> $1
                    AND greatest(intended_at, observed_at, deleted_at) >= (SELECT created_at FROM recovery_requests WHERE name = $1)
                 UNION SELECT ledger.name FROM resource_ledger AS ledger JOIN recovery_requests AS other ON other.name = request
                 WHERE request <> $1 AND kind IN ('project', 'app') AND phase = 'Succeeded'
                    AND (pursues_hand_over(status) OR EXISTS (SELECT FROM jsonb_path_query(status,
                        '$.conditions[*] ? (@.type == \"HandedOver\" && @.status == \"True\")') AS told
                        WHERE (told ->> 'lastTransitionTime')::timestamptz >= (SELECT created_at FROM recovery_requests WHERE name = $1)))",
            )
                .bind(request)
                .fetch_all(&self.pool)
                .await
                .map_err(StoreError::query("ledger.others"))?;
        Ok(names.into_iter().collect())
    }

    /// Writes the intent before the call; a live row for the same resource is returned as it is (its `detail` too, so that the
    /// first old value of a changed record is never lost). Safe to repeat.
    pub async fn intend(&self, request: &str, epoch: Epoch, intent: &Intent<'_>) -> Result<LedgerRow> {
        let failed = StoreError::query("ledger.intend");
        let nonce = Uuid::new_v4();
        let mut transaction = self.fenced(request, epoch).await?;
        sqlx::query(
            "INSERT INTO resource_ledger (nonce, request, step, kind, name, parent, detail, epoch)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (request, kind, name, coalesce(parent, '')) WHERE state <> 'deleted' DO NOTHING",
        )
        .bind(nonce)
        .bind(request)
        .bind(intent.step)
        .bind(intent.kind)
        .bind(intent.name)
        .bind(intent.parent)
        .bind(&intent.detail)
        .bind(epoch.0)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let row: LedgerRow = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{COLUMNS} WHERE request = $1 AND kind = $2 AND name = $3 AND parent IS NOT DISTINCT FROM $4 AND state <> 'deleted'"
        )))
        .bind(request)
        .bind(intent.kind)
        .bind(intent.name)
        .bind(intent.parent)
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(LedgerRow { fresh: row.nonce == nonce, ..row })
    }

    /// Adds to the detail of a live row, and returns it as it is then. Safe to repeat.
    pub async fn amend(&self, request: &str, epoch: Epoch, nonce: Uuid, detail: &Value) -> Result<LedgerRow> {
        let failed = StoreError::query("ledger.amend");
        let mut transaction = self.fenced(request, epoch).await?;
        let row: LedgerRow = sqlx::query_as(
            "UPDATE resource_ledger SET detail = detail || $3 WHERE nonce = $1 AND request = $2 AND state <> 'deleted'
             RETURNING nonce, step, kind, name, parent, state, external_id, detail, intended_at, observed_at",
        )
        .bind(nonce)
        .bind(request)
        .bind(detail)
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(row)
    }

    /// Records that the resource was seen, with its id. Safe to repeat. An error where the row is closed: what nobody has on record nobody
    /// would undo.
    pub async fn observed(&self, request: &str, epoch: Epoch, nonce: Uuid, external_id: &str) -> Result<()> {
        let failed = StoreError::query("ledger.observed");
        let mut transaction = self.fenced(request, epoch).await?;
        let done = sqlx::query(
            "UPDATE resource_ledger SET state = 'present', external_id = $3, observed_at = coalesce(observed_at, clock_timestamp())
             WHERE nonce = $1 AND request = $2 AND state <> 'deleted'",
        )
        .bind(nonce)
        .bind(request)
        .bind(external_id)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Unreadable {
                table: "resource_ledger",
                key: nonce.to_string(),
                column: "state",
                value: format!("closed, and {external_id} was seen under it"),
            });
        }
        transaction.commit().await.map_err(failed)
    }

    /// Records that the resource was seen to be gone. Safe to repeat.
    pub async fn gone(&self, request: &str, epoch: Epoch, nonce: Uuid) -> Result<()> {
        let failed = StoreError::query("ledger.gone");
        let mut transaction = self.fenced(request, epoch).await?;
        sqlx::query(
            "UPDATE resource_ledger SET state = 'deleted', deleted_at = coalesce(deleted_at, clock_timestamp())
             WHERE nonce = $1 AND request = $2",
        )
        .bind(nonce)
        .bind(request)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// The ledger of a request, oldest first.
    pub async fn ledger(&self, request: &str) -> Result<Vec<LedgerRow>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE request = $1 ORDER BY intended_at")))
            .bind(request)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("ledger.list"))
    }
}
