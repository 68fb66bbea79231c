//! Requests: the orders that people and schedules file, and what the daemon writes back.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use reprise_crds::{Milestone, Phase};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{Epoch, Result, Store, StoreError};

/// What people want of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// Reach the last milestone.
    Run,
    /// Stop where it is, until it is to run again.
    Pause,
    /// Stop where it is and keep what was made.
    Cancel,
    /// Stop, then tear down what the ledger proves to be its own.
    TearDown,
}

/// A row of `recovery_requests` whose words this release understands. Its `spec` is still unvalidated.
#[derive(Debug, Clone)]
pub struct RequestRow {
    /// Its name.
    pub name: String,
    /// The plan that it runs.
    pub plan: String,
    /// `RecoveryRequest.spec` without the plan, not validated.
    pub spec: Value,
    /// What people want.
    pub desired: Desired,
    /// The milestone that was reached.
    pub state: Milestone,
    /// What is being done about it.
    pub phase: Phase,
    /// Conditions, message and report.
    pub status: Value,
    /// Grows with what people ask for.
    pub generation: i64,
    /// When it was filed.
    pub created_at: DateTime<Utc>,
    /// When the daemon accepted it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, well or badly.
    pub finished_at: Option<DateTime<Utc>>,
    /// When somebody last asked to try it again.
    pub retry_requested_at: Option<DateTime<Utc>>,
    /// Who agreed to the loss of data, and when.
    pub approval: Option<(String, DateTime<Utc>)>,
}

/// What a reconcile writes back, in one statement.
#[derive(Debug, Clone)]
pub struct StatusUpdate {
    /// The milestone; an earlier one than stored is refused by the database.
    pub state: Milestone,
    /// The phase.
    pub phase: Phase,
    /// Replaces the status.
    pub status: Value,
    /// What can be shown of it, where it ends with this; what was written at an earlier end stays otherwise.
    pub evidence: Option<Value>,
}

const COLUMNS: &str = "SELECT name, plan, spec, desired, deletion_requested_at, state, phase, status, generation, created_at, \
                       started_at, finished_at, retry_requested_at, approved_by, approved_at FROM recovery_requests";

/// What a drill of a part has shown is nothing that a plan could be called proven by.
const WHOLE: &str = r#"coalesce(spec -> 'scope', '"all"') @> '"all"'"#;

impl RequestRow {
    fn read(row: &PgRow) -> Result<Self> {
        let get = StoreError::query("request.read");
        let name: String = row.try_get("name").map_err(&get)?;
        let deletion: Option<DateTime<Utc>> = row.try_get("deletion_requested_at").map_err(&get)?;
        let desired: &str = row.try_get("desired").map_err(&get)?;
        let approved_by: Option<String> = row.try_get("approved_by").map_err(&get)?;
        let approved_at: Option<DateTime<Utc>> = row.try_get("approved_at").map_err(&get)?;
        Ok(Self {
            desired: match (deletion.is_some(), desired) {
                (true, _) => Desired::TearDown,
                (false, "cancel") => Desired::Cancel,
                (false, "pause") => Desired::Pause,
                (false, _) => Desired::Run,
            },
            state: word(row, &name, "state")?,
            phase: word(row, &name, "phase")?,
            plan: row.try_get("plan").map_err(&get)?,
            spec: row.try_get("spec").map_err(&get)?,
            status: row.try_get("status").map_err(&get)?,
            generation: row.try_get("generation").map_err(&get)?,
            created_at: row.try_get("created_at").map_err(&get)?,
            started_at: row.try_get("started_at").map_err(&get)?,
            finished_at: row.try_get("finished_at").map_err(&get)?,
            retry_requested_at: row.try_get("retry_requested_at").map_err(&get)?,
            approval: approved_by.zip(approved_at),
            name,
        })
    }

    /// Whether nothing more will be done unless somebody asks.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed | Phase::Cancelled)
    }
}

fn word<T: FromStr>(row: &PgRow, name: &str, column: &'static str) -> Result<T> {
    let text: &str = row.try_get(column).map_err(StoreError::query("request.read"))?;
    text.parse().map_err(|_| StoreError::Unreadable {
        table: "recovery_requests",
        key: name.to_owned(),
        column,
        value: text.to_owned(),
    })
}

impl Store {
    /// Files a request, exactly as a plain `INSERT` would. Not safe to repeat: the name is taken the second time.
    pub async fn file_request(&self, name: &str, plan: &str, spec: &Value) -> Result<()> {
        sqlx::query("INSERT INTO recovery_requests (name, plan, spec) VALUES ($1, $2, $3)")
            .bind(name)
            .bind(plan)
            .bind(spec)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(StoreError::query("request.file"))
    }

    /// The request called `name`.
    pub async fn request(&self, name: &str) -> Result<Option<RequestRow>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE name = $1")))
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("request.get"))?;
        row.as_ref().map(RequestRow::read).transpose()
    }

    /// Every request, newest first; one that cannot be read is an error of its own and hides no other.
    pub async fn requests(&self) -> Result<Vec<Result<RequestRow>>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY created_at DESC, name")))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("request.list"))?;
        Ok(rows.iter().map(RequestRow::read).collect())
    }

    /// The names of all requests that a daemon has to look at: unfinished ones, finished ones about which somebody asked for something since,
    /// and those whose hand-over is pursued.
    pub async fn open_requests(&self) -> Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT name FROM recovery_requests
             WHERE phase NOT IN ('Succeeded', 'Failed', 'Cancelled')
                OR generation > coalesce((status ->> 'observedGeneration')::bigint, 0)
                OR phase = 'Succeeded' AND pursues_hand_over(status)",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("request.open"))
    }

    /// The drill of all of `plan` that ended last, well or badly. A cancelled one says nothing.
    pub async fn last_drill(&self, plan: &str) -> Result<Option<RequestRow>> {
        let statement = format!(
            "{COLUMNS} WHERE plan = $1 AND spec ->> 'mode' = 'drill' AND {WHOLE} AND phase IN ('Succeeded', 'Failed')
             ORDER BY coalesce(finished_at <= clock_timestamp() + interval '5 minutes', false) DESC, finished_at DESC NULLS LAST LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(plan)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("request.drill"))?;
        row.as_ref().map(RequestRow::read).transpose()
    }

    /// The newest drills of all of `plan` that succeeded, at most so many, newest first. Those of a time to come are last.
    pub async fn good_drills(&self, plan: &str, most: i64) -> Result<Vec<RequestRow>> {
        let statement = format!(
            "{COLUMNS} WHERE plan = $1 AND spec ->> 'mode' = 'drill' AND {WHOLE} AND phase = 'Succeeded'
             ORDER BY coalesce(finished_at <= clock_timestamp() + interval '5 minutes', false) DESC, finished_at DESC NULLS LAST LIMIT $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(plan)
            .bind(most)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("request.drills"))?;
        rows.iter().map(RequestRow::read).collect()
    }

    /// The name of a recovery that is at work, of whichever plan, if there is one. Drills are none.
    pub async fn recovery_running(&self) -> Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT name FROM recovery_requests WHERE phase IN ('Running', 'WaitingApproval') AND spec ->> 'mode' IS DISTINCT FROM 'drill'
             ORDER BY created_at LIMIT 1",
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::query("request.running"))
    }

    /// What was written of `name` when it last ended; `None` before that, and where an earlier release ended it.
    pub async fn evidence(&self, name: &str) -> Result<Option<Value>> {
        let kept: Option<Option<Value>> =
            sqlx::query_scalar("SELECT evidence FROM recovery_requests WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::query("request.evidence"))?;
        Ok(kept.flatten())
    }

    /// Writes what a reconcile concluded; `started_at` and `finished_at` follow from the phase.
    pub async fn set_status(&self, request: &str, epoch: Epoch, update: &StatusUpdate) -> Result<()> {
        let mut transaction = self.fenced(request, epoch).await?;
        let failed = StoreError::query("request.status");
        sqlx::query(
            "UPDATE recovery_requests SET state = $2, phase = $3, status = $4,
                started_at = CASE WHEN $3 = 'Pending' THEN started_at ELSE coalesce(started_at, now()) END,
                finished_at = CASE WHEN $3 IN ('Succeeded', 'Failed', 'Cancelled') THEN coalesce(finished_at, now()) END,
                evidence = CASE WHEN $3 = 'Cancelled' AND evidence ->> 'phase' = 'Succeeded' THEN evidence
                    ELSE coalesce($5::jsonb || jsonb_build_object('finishedAt', coalesce(finished_at, now())), evidence) END
             WHERE name = $1 AND (state, phase, status) IS DISTINCT FROM ($2, $3, $4)",
        )
        .bind(request)
        .bind(update.state.as_str())
        .bind(update.phase.as_str())
        .bind(&update.status)
        .bind(&update.evidence)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Records that people want `desired`. `false` if there is no such request.
    pub async fn ask(&self, request: &str, desired: Desired) -> Result<bool> {
        let statement = match desired {
            Desired::Run => {
                "UPDATE recovery_requests SET desired = 'run', retry_requested_at = clock_timestamp() WHERE name = $1"
            }
            Desired::Pause => "UPDATE recovery_requests SET desired = 'pause' WHERE name = $1",
            // Of what has ended, that what was not cleaned up then is tried again.
            Desired::Cancel => {
                "UPDATE recovery_requests SET desired = 'cancel',
                    retry_requested_at = CASE WHEN phase = 'Cancelled' THEN clock_timestamp() ELSE retry_requested_at END WHERE name = $1"
            }
            Desired::TearDown => {
                "UPDATE recovery_requests SET desired = 'cancel',
                    deletion_requested_at = coalesce(deletion_requested_at, clock_timestamp()) WHERE name = $1"
            }
        };
        let done = sqlx::query(statement)
            .bind(request)
            .execute(&self.pool)
            .await
            .map_err(StoreError::query("request.ask"))?;
        Ok(done.rows_affected() == 1)
    }

    /// Asks to try again what failed, whatever is wanted of the request. `false` if there is no such request.
    pub async fn ask_again(&self, request: &str) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE recovery_requests SET retry_requested_at = clock_timestamp() WHERE name = $1",
        )
        .bind(request)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("request.again"))?;
        Ok(done.rows_affected() == 1)
    }

    /// Asks for another tear-down of every drill whose last one failed and that has something on record still, unless it ended within the
    /// last five minutes; their names. Never of a recovery: what that made is wanted. Safe to repeat.
    pub async fn reopen_drills(&self) -> Result<Vec<String>> {
        sqlx::query_scalar(
            "UPDATE recovery_requests AS drill SET retry_requested_at = clock_timestamp()
             WHERE phase = 'Failed' AND spec ->> 'mode' = 'drill'
                AND (finished_at BETWEEN clock_timestamp() - interval '5 minutes' AND clock_timestamp()) IS NOT TRUE
                AND EXISTS (SELECT FROM recovery_steps WHERE request = drill.name AND step = 'tear-down' AND phase = 'Failed')
                AND EXISTS (SELECT FROM resource_ledger WHERE request = drill.name AND state <> 'deleted')
             RETURNING name",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("request.leftovers"))
    }

    /// Records that `who` agrees to the loss of data that the request waits with; anew, if he did before. Safe to repeat. `false` if there is
    /// no such request.
    pub async fn approve(&self, request: &str, who: &str) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE recovery_requests SET approved_by = $2, approved_at = clock_timestamp() WHERE name = $1",
        )
        .bind(request)
        .bind(who)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("request.approve"))?;
        Ok(done.rows_affected() == 1)
    }

    /// When the newest request of each plan ended that stands failed, or a step failed of one that has not ended, for the metrics.
    pub async fn failures(&self) -> Result<Vec<(String, DateTime<Utc>)>> {
        sqlx::query_as(
            "SELECT plan, max(at) FROM (
                SELECT plan, finished_at AS at FROM recovery_requests WHERE phase = 'Failed'
                UNION ALL
                SELECT plan, recovery_steps.finished_at FROM recovery_requests JOIN recovery_steps ON request = name
                WHERE recovery_steps.phase = 'Failed' AND recovery_requests.phase NOT IN ('Succeeded', 'Failed', 'Cancelled')
             ) AS failed WHERE at IS NOT NULL GROUP BY plan",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("request.failures"))
    }

    /// When anything last moved in the open request of each plan that has stood still for longest, for the metrics. What waits for a person,
    /// who is told by another alert, is none.
    pub async fn movements(&self) -> Result<Vec<(String, DateTime<Utc>)>> {
        sqlx::query_as(
            "SELECT plan, min(moved) FROM (
                SELECT plan, greatest(created_at, started_at, retry_requested_at, deletion_requested_at, approved_at,
                    (SELECT max(greatest(moved_at, CASE WHEN phase = 'Done' THEN finished_at END)) FROM recovery_steps WHERE request = name)) AS moved
                FROM recovery_requests WHERE phase IN ('Pending', 'Running', 'TearingDown')
             ) AS open GROUP BY plan",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("request.movements"))
    }

    /// Since when the hand-over of each plan's recovery has waited for the same thing, for the metrics: of several, the one that waits for
    /// longest.
    pub async fn hand_overs(&self) -> Result<Vec<(String, DateTime<Utc>)>> {
        sqlx::query_as(
            "SELECT plan, min((output ->> 'since')::timestamptz) FROM recovery_requests JOIN recovery_steps ON request = name
             WHERE recovery_requests.phase = 'Succeeded' AND pursues_hand_over(status) AND step = 'hand-over' AND output ->> 'since' IS NOT NULL
             GROUP BY plan",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("request.hand_overs"))
    }

    /// The number of requests that have not ended by what of an estate they are about, for the metrics.
    pub async fn scopes(&self) -> Result<Vec<(String, i64)>> {
        sqlx::query_as(
            r#"SELECT part, count(*) FROM recovery_requests, jsonb_array_elements_text(
                CASE jsonb_typeof(spec -> 'scope') WHEN 'array' THEN spec -> 'scope'
                    WHEN 'string' THEN jsonb_build_array(spec -> 'scope') ELSE '["all"]' END) AS part
             WHERE phase NOT IN ('Succeeded', 'Failed', 'Cancelled') GROUP BY part"#,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("request.scopes"))
    }

    /// The number of requests in each phase, for the metrics.
    pub async fn phases(&self) -> Result<Vec<(String, i64)>> {
        sqlx::query_as("SELECT phase, count(*) FROM recovery_requests GROUP BY phase")
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("request.phases"))
    }
}

#[cfg(test)]
mod tests;
