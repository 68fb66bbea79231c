//! Scheduled runs: one row a plan, job and due time, so that one daemon of several runs it.
//!
//! A claim is kept alive by heartbeats, judged by the database's clock alone. One that fell silent is taken over under a higher
//! number; what the former owner still writes is refused ([`StoreError::Outrun`]). That two runs of one job never overlap is a
//! unique index's business.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Result, Store, StoreError};

/// A row of `scheduled_runs`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ScheduledRun {
    /// When it was due.
    pub due_at: DateTime<Utc>,
    /// How it stands.
    pub state: RunState,
    /// The daemon that is or was at it.
    pub claimed_by: String,
    /// When it last showed a sign of life.
    pub heartbeat_at: DateTime<Utc>,
    /// When it ended, if it has.
    pub finished_at: Option<DateTime<Utc>>,
    /// How many attempts failed.
    pub failures: i32,
    /// When it may be tried again, if it failed and nothing newer was due since.
    pub retry_at: Option<DateTime<Utc>>,
    /// What it did, or why it failed.
    pub message: Option<String>,
}

/// The newest run of a job.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LastRun {
    /// The job.
    pub job: String,
    /// What became of it.
    #[sqlx(flatten)]
    pub run: ScheduledRun,
}

/// How a scheduled run stands. Stored as text that is added to and never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum RunState {
    /// Somebody is at it, or was and fell silent.
    Claimed,
    /// It succeeded.
    Done,
    /// Its last attempt failed.
    Failed,
}

/// The right to do one scheduled run, until it is finished or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The plan.
    pub plan: String,
    /// The job.
    pub job: String,
    /// When it was due.
    pub due_at: DateTime<Utc>,
    /// How many attempts failed before.
    pub failures: u32,
    number: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It succeeded; this is what it did.
    Done(String),
    /// It failed for this reason, and may be tried again after the time.
    Failed(String, Duration),
}

const ROW: &str = "SELECT due_at, state, claimed_by, heartbeat_at, finished_at, failures, retry_at, message
    FROM scheduled_runs WHERE plan = $1 AND job = $2";

/// Claimed by our own predecessor, or by a daemon that fell silent. `$4` is our name, `$5` the limit in seconds. A sign of life from
/// a time to come is of a clock that was ahead: whoever lives gives another one soon.
const ORPHANED: &str = "(run.state = 'claimed' AND (run.claimed_by = $4
    OR run.heartbeat_at NOT BETWEEN clock_timestamp() - make_interval(secs => $5)
        AND clock_timestamp() + make_interval(secs => $5)))";

impl Store {
    /// Remembers that `plan` has this schedule for `job`, and says since when it is followed: `since` at first sight and after
    /// every change of it, and never later than that.
    pub async fn see_schedule(
        &self,
        plan: &str,
        job: &str,
        schedule: &str,
        since: DateTime<Utc>,
    ) -> Result<DateTime<Utc>> {
        sqlx::query_scalar(
            "INSERT INTO schedules AS known (plan, job, schedule, since) VALUES ($1, $2, $3, $4)
             ON CONFLICT (plan, job) DO UPDATE SET schedule = EXCLUDED.schedule,
                since = CASE WHEN known.schedule = EXCLUDED.schedule THEN least(known.since, EXCLUDED.since) ELSE EXCLUDED.since END
             RETURNING since",
        )
        .bind(plan)
        .bind(job)
        .bind(schedule)
        .bind(since)
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::query("schedule.see"))
    }

    /// Forgets the schedules of `plan` whose jobs are not in `kept`: should one come back, it starts afresh.
    pub async fn forget_schedules(&self, plan: &str, kept: &[&str]) -> Result<()> {
        sqlx::query("DELETE FROM schedules WHERE plan = $1 AND job <> ALL ($2)")
            .bind(plan)
            .bind(kept)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(StoreError::query("schedule.forget"))
    }

    /// Claims the run for `me`, if it is nobody's: not claimed yet, or failed and due for another attempt, or claimed by a
    /// predecessor of the same name or by a daemon that has been silent for longer than `silence`. `None` if it is
    /// somebody's, ended, or would overlap another run of the job. Older runs of the job that nobody is at are given up for it.
    ///
    /// The caller must not be at the job itself.
    pub async fn claim_run(
        &self,
        plan: &str,
        job: &str,
        due_at: DateTime<Utc>,
        me: &str,
        silence: Duration,
    ) -> Result<Option<Claim>> {
        let failed = StoreError::query("schedule.claim");
        let mut transaction = self.begin().await.map_err(&failed)?;
        let wanted = Wanted { plan, job, due_at, me, silence };
        give_up_orphans(&mut transaction, &wanted).await.map_err(&failed)?;
        let taken = match take(&mut transaction, &wanted).await {
            Ok(taken) => taken,
            Err(error) if overlaps(&error) => None,
            Err(error) => return Err(failed(error)),
        };
        let Some((number, failures)) = taken else { return Ok(None) };
        give_up_retries(&mut transaction, &wanted).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        let (plan, job, failures) = (plan.to_owned(), job.to_owned(), u32::try_from(failures).unwrap_or(0));
        Ok(Some(Claim { plan, job, due_at, failures, number }))
    }

    /// Shows that somebody is still at it.
    pub async fn beat(&self, claim: &Claim) -> Result<()> {
        let done = sqlx::query(
            "UPDATE scheduled_runs SET heartbeat_at = clock_timestamp()
             WHERE plan = $1 AND job = $2 AND due_at = $3 AND claim = $4 AND state = 'claimed'",
        )
        .bind(&claim.plan)
        .bind(&claim.job)
        .bind(claim.due_at)
        .bind(claim.number)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("schedule.beat"))?;
        ours(claim, done.rows_affected())
    }

    /// Writes down how an attempt ended, and so gives the claim back. Safe to repeat.
    pub async fn finish_run(&self, claim: &Claim, ending: &Ending) -> Result<()> {
        let (state, message, retry, failures) = match ending {
            Ending::Done(message) => (RunState::Done, message, None, 0),
            Ending::Failed(message, retry) => (RunState::Failed, message, Some(retry.as_secs_f64()), 1),
        };
        let done = sqlx::query(
            "UPDATE scheduled_runs SET state = $5, message = $6, finished_at = clock_timestamp(),
                retry_at = clock_timestamp() + make_interval(secs => $7),
                failures = CASE WHEN state = 'claimed' THEN failures + $8 ELSE failures END
             WHERE plan = $1 AND job = $2 AND due_at = $3 AND claim = $4 AND (state = 'claimed' OR state = $5)",
        )
        .bind(&claim.plan)
        .bind(&claim.job)
        .bind(claim.due_at)
        .bind(claim.number)
        .bind(state)
        .bind(message)
        .bind(retry)
        .bind(failures)
        .execute(&self.pool)
        .await
        .map_err(StoreError::query("schedule.finish"))?;
        ours(claim, done.rows_affected())
    }

    /// Gives a claim back whose work did not end: another daemon need not wait for the silence. Whoever claims the run goes on with it.
    pub async fn leave_run(&self, claim: &Claim) -> Result<()> {
        let left = sqlx::query(
            "UPDATE scheduled_runs SET heartbeat_at = clock_timestamp() - interval '1 day'
             WHERE plan = $1 AND job = $2 AND due_at = $3 AND claim = $4 AND state = 'claimed'",
        );
        let left = left.bind(&claim.plan).bind(&claim.job).bind(claim.due_at).bind(claim.number);
        left.execute(&self.pool).await.map(drop).map_err(StoreError::query("schedule.leave"))
    }

    /// The newest run of a job that was due until `now`: a clock that was ahead for a while has left later ones, and they are no
    /// reason to wait for years.
    pub async fn last_run_until(
        &self,
        plan: &str,
        job: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<ScheduledRun>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{ROW} AND due_at <= $3 ORDER BY due_at DESC LIMIT 1")))
            .bind(plan)
            .bind(job)
            .bind(now)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("schedule.run"))
    }

    /// The newest run of a job, whatever became of it.
    pub async fn last_run(&self, plan: &str, job: &str) -> Result<Option<ScheduledRun>> {
        self.one_run("ORDER BY due_at DESC LIMIT 1", plan, job).await
    }

    /// The newest run of each job of `plan`, by the jobs' names; one of a time to come only where there is no other.
    pub async fn last_runs(&self, plan: &str) -> Result<Vec<LastRun>> {
        sqlx::query_as(
            "SELECT DISTINCT ON (job) job, due_at, state, claimed_by, heartbeat_at, finished_at, failures, retry_at, message
             FROM scheduled_runs WHERE plan = $1 ORDER BY job, due_at > clock_timestamp(), due_at DESC",
        )
        .bind(plan)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("schedule.last_runs"))
    }

    /// The newest due time of a job that was ever claimed.
    pub async fn last_due(&self, plan: &str, job: &str) -> Result<Option<DateTime<Utc>>> {
        Ok(self.last_run(plan, job).await?.map(|run| run.due_at))
    }

    /// The run of a job that is claimed now, by a living daemon or not.
    pub async fn running(&self, plan: &str, job: &str) -> Result<Option<ScheduledRun>> {
        self.one_run("AND state = 'claimed'", plan, job).await
    }

    async fn one_run(&self, which: &str, plan: &str, job: &str) -> Result<Option<ScheduledRun>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{ROW} {which}")))
            .bind(plan)
            .bind(job)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("schedule.run"))
    }

    /// After which time each schedule's next run is due: that at which its newest run was, or since when it is followed. Times to come
    /// are of a clock that was ahead.
    pub async fn schedule_marks(&self) -> Result<Vec<(String, String, DateTime<Utc>)>> {
        sqlx::query_as(
            "SELECT plan, job, greatest(least(since, clock_timestamp()), (SELECT max(due_at) FROM scheduled_runs AS run
                WHERE run.plan = known.plan AND run.job = known.job AND run.due_at <= clock_timestamp()))
             FROM schedules AS known",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("schedule.marks"))
    }

    /// Writes down that `me` has looked at all schedules.
    pub async fn record_tick(&self, me: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO scheduler_ticks (ticked_at, ticked_by) VALUES (clock_timestamp(), $1)
             ON CONFLICT (single) DO UPDATE SET ticked_at = EXCLUDED.ticked_at, ticked_by = EXCLUDED.ticked_by",
        )
        .bind(me)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("schedule.tick"))
    }

    /// When any daemon last looked at all schedules.
    pub async fn last_tick(&self) -> Result<Option<DateTime<Utc>>> {
        sqlx::query_scalar("SELECT ticked_at FROM scheduler_ticks")
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("schedule.last_tick"))
    }
}

/// What is to be claimed, by whom.
struct Wanted<'a> {
    plan: &'a str,
    job: &'a str,
    due_at: DateTime<Utc>,
    me: &'a str,
    silence: Duration,
}

/// Ends the other runs of the job that nobody is at any more: older ones, and such as were due by a clock that was ahead.
async fn give_up_orphans(connection: &mut PgConnection, wanted: &Wanted<'_>) -> sqlx::Result<()> {
    let statement = format!(
        "UPDATE scheduled_runs AS run SET state = 'failed', finished_at = clock_timestamp(), retry_at = NULL,
            message = 'cut off, and another run is due instead'
         WHERE run.plan = $1 AND run.job = $2 AND run.due_at <> $3 AND {ORPHANED}"
    );
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(wanted.plan)
        .bind(wanted.job)
        .bind(wanted.due_at)
        .bind(wanted.me)
        .bind(wanted.silence.as_secs_f64())
        .execute(connection)
        .await
        .map(drop)
}

/// Claims the run, if it may be claimed: the number of the claim, and the failures before it.
async fn take(connection: &mut PgConnection, wanted: &Wanted<'_>) -> sqlx::Result<Option<(i64, i32)>> {
    let statement = format!(
        "INSERT INTO scheduled_runs AS run (plan, job, due_at, claimed_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (plan, job, due_at) DO UPDATE SET state = 'claimed', claimed_by = $4, claim = run.claim + 1,
            claimed_at = clock_timestamp(), heartbeat_at = clock_timestamp(), finished_at = NULL, retry_at = NULL
         WHERE (run.state = 'failed' AND (run.retry_at <= clock_timestamp() OR run.retry_at > clock_timestamp() + interval '1 day'))
            OR {ORPHANED}
         RETURNING claim, failures"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .bind(wanted.plan)
        .bind(wanted.job)
        .bind(wanted.due_at)
        .bind(wanted.me)
        .bind(wanted.silence.as_secs_f64())
        .fetch_optional(connection)
        .await
}

/// Older runs of the job are not tried again: this one stands for them.
async fn give_up_retries(connection: &mut PgConnection, wanted: &Wanted<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE scheduled_runs SET retry_at = NULL
         WHERE plan = $1 AND job = $2 AND due_at < $3 AND retry_at IS NOT NULL",
    )
    .bind(wanted.plan)
    .bind(wanted.job)
    .bind(wanted.due_at)
    .execute(connection)
    .await
    .map(drop)
}

fn overlaps(error: &sqlx::Error) -> bool {
    let constraint = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
    constraint == Some("scheduled_runs_do_not_overlap")
}

fn ours(claim: &Claim, rows: u64) -> Result<()> {
    match rows {
        0 => Err(StoreError::Outrun { plan: claim.plan.clone(), job: claim.job.clone() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
