//! The `PostgreSQL` tables behind the kinds. Nothing outside this module writes SQL to them.
//!
//! Rows can hold nonsense (people write them with psql, newer releases add words): each row type converts into what the code
//! uses, and what cannot be converted is *that row's* error. Writes about a request carry the lease's epoch; a stale one is
//! refused by the database ([`StoreError::Fenced`]).

use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Postgres, Transaction};

use crate::runtime::class::{Class, Classified};
pub use crate::runtime::lease::Epoch;

mod accepted;
mod alert_drill;
mod archive_contents;
mod archive_facts;
mod archive_marks;
mod archive_pending;
mod archive_progress;
mod archive_turns;
mod archives;
mod at_work;
mod budgets;
mod counts;
mod dumps;
pub mod embedded;
mod events;
mod freshness;
mod lease;
mod ledger;
mod plans;
mod preflight;
mod prune;
mod requests;
mod schedule;
pub mod snapshot;
mod steps;
mod throwaways;
mod truths;
mod uploads;
mod verdicts;

pub use archive_contents::Stored;
pub use archive_facts::ArchiveFacts;
pub use archive_marks::{Marked, Marks};
pub use archive_pending::Pending;
pub use archive_progress::{Pace, Progress};
pub use archive_turns::Turn;
#[cfg(test)]
pub(crate) use archives::a_row;
pub use archives::{ArchiveEnd, ArchiveRow, Copied};
pub use dumps::DumpRow;
pub use events::{Event, Severity};
pub use freshness::{Artifacts, PlanDates, Sizes};
pub use lease::RequestLease;
pub use ledger::{Intent, LedgerRow, LedgerState};
pub use plans::{Applied, PlanRow};
pub use preflight::PreflightTurn;
pub use requests::{Desired, RequestRow, StatusUpdate};
pub use schedule::{Claim, Ending, LastRun, RunState, ScheduledRun};
#[cfg(test)]
pub(crate) use steps::a_done_step;
pub use steps::{Reopen, Span, SpanKind, StepPhase, StepRow};
pub use throwaways::ThrowawayRow;
pub use truths::TruthRow;
pub use uploads::Upload;
pub use verdicts::{ListedBackup, ProofTurn, Rung, Verdict};

/// The channel on which people's changes of requests are told: the payload is the request's name.
pub const ASKED: &str = "reprise_asked";
/// The channel on which every change of a request or its steps is told.
pub const CHANGED: &str = "reprise_changed";

/// What can go wrong between us and our own tables.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or refused a statement. Retry with backoff.
    #[error("{} {op}", became_of(source))]
    Query {
        /// What was being done.
        op: &'static str,
        /// The database's answer.
        #[source]
        source: sqlx::Error,
    },
    /// Nobody lets us in there, or nobody is there. Retry with backoff.
    #[error("no connection to the store at {at}")]
    Connect {
        /// Host, port and database.
        at: String,
        /// What the attempt met.
        #[source]
        source: sqlx::Error,
    },
    /// It was asked and says nothing: its machine, or the way to it, may be gone. Retry with backoff.
    #[error("the store has not answered in time")]
    Silent,
    /// Another replica owns the request by now: stop at once.
    #[error("the lease on request {request} is no longer ours")]
    Fenced {
        /// The request's name.
        request: String,
    },
    /// Another daemon does the scheduled run by now: stop at once.
    #[error("the {job} run of plan {plan} is no longer ours")]
    Outrun {
        /// The plan's name.
        plan: String,
        /// The job.
        job: String,
    },
    /// A stored value that this release does not understand.
    #[error("{table} {key}: cannot read {column}: {value}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// The column.
        column: &'static str,
        /// What is in it, or what is wrong with it.
        value: String,
    },
    /// A newer release has changed the schema: this one might misread what it finds, and write what nobody reads.
    #[error(
        "a newer release of Reprise has brought this store up to date (change {change} of its schema is not known to this one): start that \
         release or a newer one"
    )]
    Newer {
        /// The first change that is not known here.
        change: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the store's schema up to date")]
    Migrate {
        /// Why.
        #[source]
        source: MigrateError,
    },
}

fn became_of(source: &sqlx::Error) -> &'static str {
    match source.as_database_error().map(sqlx::error::DatabaseError::code) {
        None => "no answer from the store to",
        Some(code) if code.as_deref() == Some(LOCKED) => {
            "another session keeps a lock on what the store is to write (a transaction left open in psql?):"
        }
        Some(_) => "the store refused",
    }
}

/// `lock_not_available`.
const LOCKED: &str = "55P03";

impl StoreError {
    fn query(op: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Query { op, source }
    }

    /// Whether the database has no tables of ours (`undefined_table`).
    pub fn lacks_tables(&self) -> bool {
        match self {
            Self::Query { source: sqlx::Error::Database(error), .. } => {
                error.code().as_deref() == Some("42P01")
            }
            _ => false,
        }
    }

    /// Whether the database refuses what was written, or does not understand it: the same is refused again.
    ///
    /// Source: PostgreSQL, "Error Codes", classes 22, 23 and 42.
    pub fn is_about_the_data(&self) -> bool {
        match self {
            Self::Query { source: sqlx::Error::Database(error), .. } => error
                .code()
                .is_some_and(|code| ["22", "23", "42"].iter().any(|class| code.starts_with(class))),
            _ => false,
        }
    }

    /// Whether the database answers and takes no writes just now: it is a copy, or its disk is full or fails.
    pub fn takes_no_writes(&self) -> bool {
        match self {
            Self::Query { source: sqlx::Error::Database(error), .. } => {
                matches!(error.code().as_deref(), Some("25006" | "53100" | "58030"))
            }
            _ => false,
        }
    }

    /// The database's own words for a refused constraint, if that is what happened.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Query { source: sqlx::Error::Database(error), .. } => error.constraint(),
            _ => None,
        }
    }
}

impl Classified for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Query { .. } | Self::Connect { .. } | Self::Silent => Class::Transient,
            Self::Fenced { .. } | Self::Outrun { .. } => Class::Cancelled,
            Self::Unreadable { .. } | Self::Newer { .. } | Self::Migrate { .. } => Class::Terminal,
        }
    }
}

/// How long a few questions to the store may take together.
const ANSWER: Duration = Duration::from_mins(1);

/// Bounds a few questions to the store: a connection to a machine that lost its power never ends by itself.
pub async fn answered<T>(asking: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(ANSWER, asking).await.unwrap_or(Err(StoreError::Silent))
}

/// How often one is told that something still waits.
const HEARD: Duration = Duration::from_secs(30);

/// Does `work`, and calls `waits` each time that it still has not ended.
async fn heard<T>(work: impl Future<Output = T>, waits: impl Fn()) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(HEARD, &mut work).await {
            Ok(done) => return done,
            Err(_) => waits(),
        }
    }
}

/// How long a connection may take to be there, with all attempts.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What one more attempt meets: a pool that has tried for long enough says only that.
async fn met(options: &PgConnectOptions, source: sqlx::Error) -> sqlx::Error {
    if !matches!(source, sqlx::Error::PoolTimedOut) {
        return source;
    }
    match tokio::time::timeout(ARRIVAL, options.connect()).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => source,
    }
}

/// Host or socket, port and database; nothing secret.
fn place(options: &PgConnectOptions) -> String {
    let host =
        options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    format!("{host}:{}/{}", options.get_port(), options.get_database().unwrap_or_default())
}

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

/// How soon the server sees that a daemon is gone without a word (its machine lost power), and gives back what that one had locked.
const LOST: &str =
    "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4;
    SET tcp_user_timeout = 40000; SET idle_in_transaction_session_timeout = 60000";

/// How long a connection that is given back may take to show that it is whole. One that was given back in the middle of a question, because
/// nobody answers at the other end, would else keep its place in the pool for as long as the system believes in it: a quarter of an hour, or
/// for ever.
const BACK: Duration = Duration::from_secs(3);

/// A pool of so many connections.
fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ARRIVAL)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(LOST).execute(connection).await.map(drop) })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                let silent = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                tokio::time::timeout(BACK, connection.ping()).await.map_err(silent)?.map(|()| true)
            })
        })
}

impl Store {
    /// Connects to `options` with a bounded pool; does not touch the schema.
    pub async fn connect(options: PgConnectOptions) -> Result<Self> {
        let options = options.application_name("reprise");
        match pool(12).connect_with(options.clone()).await {
            Ok(pool) => Ok(Self { pool }),
            Err(source) => {
                Err(StoreError::Connect { at: place(&options), source: met(&options, source).await })
            }
        }
    }

    /// Opens a transaction.
    ///
    /// In a task of its own: `begin` is not safe to cancel in sqlx 0.9.0 (its issue 4393). Dropped while BEGIN is under way, it gives the
    /// pool a connection with an open transaction, and what the next one writes there nobody else ever sees.
    async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.begin_by("BEGIN").await
    }

    /// The same, for what every moment of every request needs: somebody's open transaction on one row must not keep all connections waiting.
    async fn begin_briefly(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.begin_by("BEGIN; SET LOCAL lock_timeout = '2s'").await
    }

    async fn begin_by(&self, statement: &'static str) -> sqlx::Result<Transaction<'static, Postgres>> {
        let pool = self.pool.clone();
        #[expect(clippy::disallowed_methods, reason = "it must end even if nobody waits for it any more")]
        let begun = tokio::spawn(async move { pool.begin_with(statement).await });
        begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Applies the migrations that are missing. Safe to repeat, and for two daemons at once (it takes a lock, and says so while it waits).
    /// One of an older release may be at work meanwhile: a migration adds, and takes nothing away that the release before it uses.
    pub async fn migrate(&self) -> Result<()> {
        let migrations = sqlx::migrate!("./migrations");
        let waits = || {
            tracing::warn!(
                "still bringing the store's schema up to date: another daemon may be at it. Behind a pooler that lends sessions by \
                 transaction its lock may never be given back: DATABASE_URL has to lead to the server itself"
            );
        };
        let done = heard(migrations.run(&self.pool), waits).await;
        done.map_err(|source| match source {
            MigrateError::VersionMissing(change) => StoreError::Newer { change },
            source => StoreError::Migrate { source },
        })
    }

    /// A listener on `channels`. What was told while it was disconnected is lost: resync now and then.
    ///
    /// By a connection beside the others: where nobody answers at its other end, the place of one that is dropped is not given back.
    pub async fn listen(&self, channels: &[&str]) -> Result<PgListener> {
        let failed = StoreError::query("listen");
        let options = self.pool.connect_options().as_ref().clone();
        let beside =
            pool(1).max_lifetime(None).idle_timeout(None).connect_with(options).await.map_err(&failed)?;
        let mut listener = PgListener::connect_with(&beside).await.map_err(&failed)?;
        listener.listen_all(channels.iter().copied()).await.map_err(&failed)?;
        Ok(listener)
    }

    /// Whether the store answers.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop).map_err(StoreError::query("ping"))
    }

    /// Whether the store takes writes: a copy and a full disk still answer questions.
    pub async fn takes_writes(&self) -> Result<()> {
        let failed = StoreError::query("takes_writes");
        let mut transaction = self.begin_briefly().await.map_err(&failed)?;
        let nothing = "UPDATE scheduler_ticks SET ticked_by = ticked_by";
        sqlx::query(nothing).execute(&mut *transaction).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
