//! Steps: what was done, what is being done, how far it is and where its time went.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;

use super::{Epoch, Result, Store, StoreError};

/// Where a step stands. Stored as text that is added to and never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "PascalCase")]
pub enum StepPhase {
    /// Not begun, or to be begun again.
    Pending,
    /// A task is at it.
    Running,
    /// Its post-condition was observed.
    Done,
    /// It gave up; the message says why.
    Failed,
}

/// What a stretch of time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Bytes were moving: download, restore, refill, push.
    Data,
    /// DNS caches and name servers.
    Dns,
    /// The platform was provisioning, building, restarting, or limiting our rate.
    Provider,
    /// Our own doing.
    Own,
}

/// A stretch of time of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span(pub SpanKind, pub DateTime<Utc>, pub DateTime<Utc>);

/// A row of `recovery_steps`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StepRow {
    /// The step's key, such as `deploy/apilos-siap-pra`.
    pub step: String,
    /// Where it stands.
    pub phase: StepPhase,
    /// How often it was begun.
    pub attempt: i32,
    /// How far it is, in `unit`s.
    pub done: i64,
    /// How far it has to go, where that is known.
    pub total: Option<i64>,
    /// `bytes`, `objects`, `entries`, …
    pub unit: Option<String>,
    /// What it does, why it waits, why it failed.
    pub message: Option<String>,
    /// What later steps need to know.
    pub output: Option<Value>,
    /// Where the time went.
    #[sqlx(json)]
    pub spans: Vec<Span>,
    /// The first beginning.
    pub started_at: Option<DateTime<Utc>>,
    /// The last sign of life.
    pub heartbeat_at: Option<DateTime<Utc>>,
    /// The end.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What of a request is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopen {
    /// All that failed.
    All,
    /// The tear-down alone: of a drill, whose resources are gone, and of what is torn down on request.
    TearDown,
    /// The cleanup alone: of what was cancelled.
    Cleanup,
}

impl Reopen {
    const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::TearDown => "tear-down",
            Self::Cleanup => "cleanup",
        }
    }
}

impl Store {
    /// All steps of a request, in the order in which they began.
    pub async fn steps(&self, request: &str) -> Result<Vec<StepRow>> {
        sqlx::query_as(
            "SELECT step, phase, attempt, done, total, unit, message, output, spans, started_at, heartbeat_at, finished_at
             FROM recovery_steps WHERE request = $1 ORDER BY started_at NULLS LAST, step",
        )
        .bind(request)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("step.list"))
    }

    /// Records that a step begins (again). Spans and the first beginning stay.
    pub async fn begin_step(&self, request: &str, epoch: Epoch, step: &str, milestone: &str) -> Result<()> {
        let statement = sqlx::query("INSERT INTO recovery_steps (request, step, milestone, phase, attempt, started_at, heartbeat_at)
                VALUES ($1, $2, $3, 'Running', 1, clock_timestamp(), clock_timestamp())
            ON CONFLICT (request, step) DO UPDATE SET phase = 'Running', attempt = recovery_steps.attempt + 1,
                started_at = coalesce(recovery_steps.started_at, clock_timestamp()), heartbeat_at = clock_timestamp(),
                finished_at = NULL, message = NULL").bind(request.to_owned()).bind(step.to_owned()).bind(milestone.to_owned());
        self.write(request, epoch, "step.begin", statement).await
    }

    /// Records a sign of life of a running step; `moved`: it is more than words.
    pub async fn heartbeat(&self, request: &str, epoch: Epoch, beat: &StepRow, moved: bool) -> Result<()> {
        let statement = sqlx::query("UPDATE recovery_steps SET done = $3, total = $4, unit = $5, message = $6, spans = $7, heartbeat_at = clock_timestamp(),
                moved_at = CASE WHEN $8 THEN clock_timestamp() ELSE moved_at END
            WHERE request = $1 AND step = $2 AND phase = 'Running'").bind(request.to_owned())
                .bind(beat.step.clone())
                .bind(beat.done)
                .bind(beat.total)
                .bind(beat.unit.clone())
                .bind(beat.message.clone())
                .bind(Json(beat.spans.clone()))
                .bind(moved);
        self.write(request, epoch, "step.heartbeat", statement).await
    }

    /// Records the end of a step: `Done` with its output, `Failed` or (interrupted) `Pending` with the reason. What a hand-over waits for,
    /// and since when, stays known while a look at it fails.
    pub async fn finish_step(&self, request: &str, epoch: Epoch, end: &StepRow) -> Result<()> {
        let statement = sqlx::query("UPDATE recovery_steps SET phase = $3, message = $4,
                output = coalesce($5, CASE WHEN step = 'hand-over' THEN output END), spans = $6, done = $7, total = $8, unit = $9,
                heartbeat_at = clock_timestamp(),
                finished_at = CASE WHEN $3 IN ('Done', 'Failed') THEN clock_timestamp() END
            WHERE request = $1 AND step = $2").bind(request.to_owned())
                .bind(end.step.clone())
                .bind(end.phase)
                .bind(end.message.clone())
                .bind(end.output.clone())
                .bind(Json(end.spans.clone()))
                .bind(end.done)
                .bind(end.total)
                .bind(end.unit.clone());
        self.write(request, epoch, "step.finish", statement).await
    }

    /// Takes what has to be tried again back to pending. Of [`Reopen::All`] what is done stays done, but for the closing steps, as what is
    /// fetched again must be deleted again: the row of the cleanup goes, so that one that is there has been begun. And for what a deployment
    /// to come is made of, which may be what was mended: its commit and its variables. And for the choice of a mirror whose refill failed:
    /// it has no point in time, and holds what it holds by now. And for addons, as long as nothing was built on what is in them: who was told to
    /// remove one, or to change its plan, is heard.
    pub async fn reopen_steps(&self, request: &str, epoch: Epoch, what: Reopen) -> Result<()> {
        let statement = sqlx::query(
            "WITH again AS (DELETE FROM recovery_steps WHERE request = $1 AND step = 'cleanup' AND $2 IN ('all', 'cleanup'))
             UPDATE recovery_steps SET phase = 'Pending', finished_at = NULL, asked = asked + (phase = 'Failed')::integer
             WHERE request = $1 AND step <> 'cleanup' AND CASE $2
                WHEN 'tear-down' THEN step = 'tear-down'
                WHEN 'all' THEN phase IN ('Failed', 'Running') OR step = 'tear-down'
                    OR step LIKE 'variables/%' AND NOT EXISTS (SELECT FROM recovery_steps AS deploy WHERE deploy.request = $1
                        AND deploy.step = 'deploy/' || split_part(recovery_steps.step, '/', 2) AND deploy.phase = 'Done')
                    OR step = 'postgresql' AND NOT EXISTS (SELECT FROM recovery_steps AS checked
                        WHERE checked.request = $1 AND checked.step = 'check-database' AND checked.phase = 'Done')
                    OR step LIKE 'redis/%' AND NOT EXISTS (SELECT FROM recovery_steps AS deploy WHERE deploy.request = $1
                        AND deploy.step = 'deploy/' || split_part(recovery_steps.step, '/', 2) AND deploy.phase = 'Done')
                    OR step = 'choose-objects' AND output ->> 'from' = 'mirror' AND EXISTS (SELECT FROM recovery_steps AS refill
                        WHERE refill.request = $1 AND refill.step = 'refill' AND refill.phase = 'Failed')
                ELSE false END",
        )
        .bind(request.to_owned())
        .bind(what.word());
        self.write(request, epoch, "step.reopen", statement).await
    }

    /// Takes these steps back to pending, whatever they came to: what they did is gone.
    pub async fn begin_anew(&self, request: &str, epoch: Epoch, steps: &[String]) -> Result<()> {
        let statement = sqlx::query(
            "UPDATE recovery_steps SET phase = 'Pending', finished_at = NULL WHERE request = $1 AND step = ANY ($2)",
        )
        .bind(request.to_owned())
        .bind(steps.to_vec());
        self.write(request, epoch, "step.begin_anew", statement).await
    }

    /// How often somebody asked to try this step again after it had failed.
    pub async fn asked_again(&self, request: &str, step: &str) -> Result<i32> {
        let asked: Option<i32> =
            sqlx::query_scalar("SELECT asked FROM recovery_steps WHERE request = $1 AND step = $2")
                .bind(request)
                .bind(step)
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::query("step.asked"))?;
        Ok(asked.unwrap_or_default())
    }

    async fn write(&self, request: &str, epoch: Epoch, op: &'static str, statement: Statement) -> Result<()> {
        let mut transaction = self.fenced(request, epoch).await?;
        statement.execute(&mut *transaction).await.map_err(StoreError::query(op))?;
        transaction.commit().await.map_err(StoreError::query(op))
    }
}

type Statement = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// A step that is done, of which nothing else is known.
#[cfg(test)]
pub(crate) fn a_done_step(step: &str) -> StepRow {
    StepRow {
        step: step.to_owned(),
        phase: StepPhase::Done,
        attempt: 1,
        done: 0,
        total: None,
        unit: None,
        message: None,
        output: None,
        spans: Vec::new(),
        started_at: None,
        heartbeat_at: None,
        finished_at: None,
    }
}

#[cfg(test)]
mod tests;
