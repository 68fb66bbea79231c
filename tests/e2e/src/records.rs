//! The daemon's tables, with plain SQL: what psql can do, and nothing more.

use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);
/// How long anything may take. Only a failing test waits so long: it has room for a machine that stalls.
const BOUND: Duration = Duration::from_mins(5);
/// The phases after which nothing happens by itself.
const FINAL: [&str; 3] = ["Succeeded", "Failed", "Cancelled"];

/// A connection to the store.
#[derive(Debug)]
pub struct Records {
    pool: PgPool,
}

/// The name of a filed request.
#[derive(Debug, Clone)]
pub struct Request(String);

/// How a request stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What is being done about it.
    pub phase: String,
    /// The milestone that was reached.
    pub state: String,
    /// What the daemon says of it.
    pub status: Value,
}

/// One step of a request.
#[derive(Debug, Clone)]
pub struct StepLine {
    /// Its key, such as `deploy/apilos-pra`.
    pub step: String,
    /// `Pending`, `Running`, `Done` or `Failed`.
    pub phase: String,
    /// How often it was begun.
    pub attempt: i32,
    /// What it has moved.
    pub done: i64,
    /// What it says.
    pub message: String,
    /// What it left for others.
    pub output: Value,
}

/// A resource that a request created or changed.
#[derive(Debug, Clone)]
pub struct LedgerLine {
    /// What it is.
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// `intended`, `present` or `deleted`.
    pub state: String,
    /// What undoing needs.
    pub detail: Value,
}

impl Request {
    /// The request called `name`.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Standing {
    /// The sentence of the status.
    pub fn message(&self) -> &str {
        self.status["message"].as_str().unwrap_or_default()
    }

    /// One of its conditions.
    pub fn condition(&self, kind: &str) -> Option<&Value> {
        self.status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
    }
}

/// Looks until there is something to see; `None` if there is not in time.
pub async fn poll<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(BOUND, seen).await.ok()
}

impl Records {
    /// Connects to the store at `url`.
    pub async fn connect(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().expect("the store's address");
        let pool =
            PgPoolOptions::new().max_connections(2).connect_with(options).await.expect("the store answers");
        Self { pool }
    }

    pub(crate) async fn close(self) {
        self.pool.close().await;
    }

    /// Runs a statement.
    pub async fn execute(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The first column of every row of a query, as text.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(sql, &[]).await;
        rows.iter().map(|row| text(row, 0)).collect()
    }

    async fn rows(&self, sql: &str, arguments: &[&str]) -> Vec<PgRow> {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for argument in arguments {
            query = query.bind(*argument);
        }
        query.fetch_all(&self.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// How `request` stands.
    pub async fn standing(&self, request: &Request) -> Standing {
        let sql = "SELECT phase, state, status FROM recovery_requests WHERE name = $1";
        let rows = self.rows(sql, &[request.name()]).await;
        let [row] = rows.as_slice() else { panic!("there is no request {}", request.name()) };
        Standing { phase: text(row, 0), state: text(row, 1), status: row.get(2) }
    }

    /// The steps of `request` that were begun, in the order of their keys.
    pub async fn steps(&self, request: &Request) -> Vec<StepLine> {
        let sql = "SELECT step, phase, attempt, done, coalesce(message, ''), coalesce(output, 'null')
                   FROM recovery_steps WHERE request = $1 ORDER BY step";
        let rows = self.rows(sql, &[request.name()]).await;
        let step = |row: &PgRow| StepLine {
            step: text(row, 0),
            phase: text(row, 1),
            attempt: row.get(2),
            done: row.get(3),
            message: text(row, 4),
            output: row.get(5),
        };
        rows.iter().map(step).collect()
    }

    /// One step of `request`.
    pub async fn step(&self, request: &Request, key: &str) -> Option<StepLine> {
        self.steps(request).await.into_iter().find(|step| step.step == key)
    }

    /// The ledger of `request`, in the order of the intents.
    pub async fn ledger(&self, request: &Request) -> Vec<LedgerLine> {
        let sql =
            "SELECT kind, name, state, detail FROM resource_ledger WHERE request = $1 ORDER BY intended_at";
        let rows = self.rows(sql, &[request.name()]).await;
        let line = |row: &PgRow| LedgerLine {
            kind: text(row, 0),
            name: text(row, 1),
            state: text(row, 2),
            detail: row.get(3),
        };
        rows.iter().map(line).collect()
    }

    /// Waits until `request` has ended, in whichever way.
    pub async fn ended(&self, request: &Request) -> Standing {
        let look = async || {
            let standing = self.standing(request).await;
            let settled =
                standing.status["observedGeneration"].as_i64() >= Some(self.generation(request).await);
            (settled && FINAL.contains(&standing.phase.as_str())).then_some(standing)
        };
        self.must_see("the end", request, poll(look).await).await
    }

    /// Waits until `request` has succeeded.
    pub async fn succeeded(&self, request: &Request) -> Standing {
        self.ended_as(request, "Succeeded").await
    }

    /// Waits until `request` has failed, and returns its sentence.
    pub async fn failed(&self, request: &Request) -> String {
        self.ended_as(request, "Failed").await.message().to_owned()
    }

    async fn ended_as(&self, request: &Request, phase: &str) -> Standing {
        let end = self.ended(request).await;
        let picture = self.picture(request).await;
        assert_eq!(end.phase, phase, "{}:{picture}", request.name());
        end
    }

    /// Waits until the step `key` of `request` is as `wanted`.
    pub async fn step_is(
        &self,
        request: &Request,
        key: &str,
        wanted: impl Fn(&StepLine) -> bool,
    ) -> StepLine {
        let look = async || self.step(request, key).await.filter(|step| wanted(step));
        self.must_see(key, request, poll(look).await).await
    }

    /// Waits until the standing of `request` is as `wanted`.
    pub async fn stands(&self, request: &Request, wanted: impl Fn(&Standing) -> bool) -> Standing {
        let look = async || Some(self.standing(request).await).filter(|standing| wanted(standing));
        self.must_see("a standing", request, poll(look).await).await
    }

    /// Everything in every table, as text.
    pub async fn everything(&self) -> String {
        let tables = self.column("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await;
        let mut all = String::new();
        for table in tables {
            all.push_str(&self.column(&format!("SELECT t::text FROM {table} t")).await.join("\n"));
        }
        all
    }

    async fn generation(&self, request: &Request) -> i64 {
        let rows =
            self.rows("SELECT generation FROM recovery_requests WHERE name = $1", &[request.name()]).await;
        rows.first().map_or(0, |row| row.get(0))
    }

    async fn must_see<T>(&self, what: &str, request: &Request, seen: Option<T>) -> T {
        match seen {
            Some(seen) => seen,
            None => panic!("{what} was not seen within {} s{}", BOUND.as_secs(), self.picture(request).await),
        }
    }

    /// How things stand, for the one who reads why a test failed.
    async fn picture(&self, request: &Request) -> String {
        let standing = self.standing(request).await;
        let steps = self.steps(request).await.into_iter().filter(|step| step.phase != "Done");
        let steps: Vec<String> = steps
            .map(|step| {
                format!("  {} {} ({}. attempt): {}", step.step, step.phase, step.attempt, step.message)
            })
            .collect();
        format!("\n{} in {}: {}\n{}", standing.phase, standing.state, standing.message(), steps.join("\n"))
    }
}

fn text(row: &PgRow, index: usize) -> String {
    row.get(index)
}
