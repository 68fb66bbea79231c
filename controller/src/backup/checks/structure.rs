//! Whether indexes and tables are sound inside, as PostgreSQL's own `amcheck` sees it: an index that lacks a row answers
//! wrong without a word, and no count shows it. For throwaway databases: it takes a superuser.
//!
//! Pages, order and links are looked at in every index. An index on plain columns was made here, a moment ago, of the very rows that lie
//! beside it: that it has them all says nothing of the backup, and to look takes a fifth of the restore's time. What functions compute, or
//! choose, may differ from what they say now: in those indexes every row is looked up.
//!
//! What is made for it is the session's own and ends with it, so that nothing of it stays, whatever happens, and several sessions may
//! look at once. An index's own functions run as its table's owner, in a restricted operation (PostgreSQL sees to that since May 2022),
//! and can write nothing.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::time::Instant;

use super::finding::Finding;
use super::{CheckError, USER_SCHEMA, failed};
use crate::backup::contents::RelationName;

/// A report names so many of what could not be looked at.
const NAMED: usize = 3;
const DOING: &str = "look into indexes and tables";

/// How far the look inside came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// There was none, for this reason.
    Unavailable(String),
    /// There was one.
    Looked {
        /// Of the extension.
        version: String,
        /// Valid b-tree indexes of the users'.
        indexes: Covered,
        /// Tables of the users', TOAST included; `None` where the server offers no such look.
        tables: Option<Covered>,
    },
}

/// What was looked at of all that there is. What is in neither list was not reached in time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// All of them.
    pub total: u64,
    /// Those that were looked at, sound or not.
    pub looked: u64,
    /// Those that could not be, each with the code of the error.
    pub unanswered: Vec<String>,
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "indexes and tables were not looked into: {why}"),
            Self::Looked { version, indexes, tables } => {
                write!(f, "amcheck {version} looked into {}", indexes.told("b-tree indexes"))?;
                match tables {
                    Some(tables) => write!(f, " and {}", tables.told("tables")),
                    None => f.write_str("; this server offers no look into tables"),
                }
            }
        }
    }
}

impl Covered {
    fn told(&self, what: &str) -> String {
        let Self { total, looked, unanswered } = self;
        let late = total.saturating_sub(looked + unanswered.len() as u64);
        let late = if late > 0 { format!(", {late} not reached in time") } else { String::new() };
        let named = unanswered.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let failed = match unanswered.len() {
            0 => String::new(),
            number => format!(", {number} could not be looked into: {named}"),
        };
        format!("{looked} of {total} {what}{late}{failed}")
    }
}

/// Looks into every valid b-tree index and every table of the users', each in one of the `sessions`, which are a superuser's and are
/// used for nothing else afterwards. Ends after `limit`. What is damaged is a finding, what could not be looked at is told.
///
/// *Repeat*: safe.
pub async fn structure(
    sessions: &mut [PgConnection],
    limit: Duration,
) -> Result<(Structure, Vec<Finding>), CheckError> {
    let until = Instant::now() + limit;
    let mut offered = None;
    for session in sessions.iter_mut() {
        offered = match provide(session).await {
            Ok(Some(here)) => Some(here),
            Ok(None) => return Ok(unavailable("this server does not offer amcheck")),
            Err(sqlx::Error::Database(error)) => return Ok(unavailable(error.message())),
            Err(error) => return Err(failed("make the functions of amcheck")(error)),
        };
    }
    let (Some(offered), [first, ..]) = (offered, &mut *sessions) else {
        return Ok(unavailable("nobody looks"));
    };
    let mut parts = list(first, Kind::Index).await.map_err(failed(DOING))?;
    if offered.heap {
        parts.extend(list(first, Kind::Table).await.map_err(failed(DOING))?);
        parts.sort_by_key(|part| part.pages);
    }
    let board = Board::of(parts);
    let looks = (0..).zip(sessions).map(|(number, session)| board.work(session, number % 2 == 0, until));
    futures::future::try_join_all(looks).await?;
    let Seen { indexes, tables, findings } = board.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let tables = offered.heap.then_some(tables);
    Ok((Structure::Looked { version: offered.version, indexes, tables }, findings))
}

fn unavailable(why: &str) -> (Structure, Vec<Finding>) {
    (Structure::Unavailable(why.to_owned()), Vec::new())
}

/// The extension as the server has it.
struct Offered {
    version: String,
    heap: bool,
}

/// Makes the functions in the session's own schema, whose end is theirs, and lets the session write nothing from then on. `None` if the
/// server has no such extension. The dump's own, of whatever version, is left alone.
///
/// Source: PostgreSQL's `contrib/amcheck`, whose SQL declares the same; the second argument is there since PostgreSQL 11, the look into
/// tables since 14.
async fn provide(session: &mut PgConnection) -> sqlx::Result<Option<Offered>> {
    let offered = "SELECT default_version, current_setting('server_version_num')::int >= 140000
                   FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'";
    let Some((version, heap)) =
        sqlx::query_as::<_, (String, bool)>(offered).fetch_optional(&mut *session).await?
    else {
        return Ok(None);
    };
    sqlx::raw_sql(INDEX_LOOK).execute(&mut *session).await?;
    if heap {
        sqlx::raw_sql(TABLE_LOOK).execute(&mut *session).await?;
    }
    sqlx::raw_sql("SET default_transaction_read_only = on").execute(session).await?;
    Ok(Some(Offered { version, heap }))
}

const INDEX_LOOK: &str = "CREATE FUNCTION pg_temp.reprise_index(regclass, boolean) RETURNS void
    AS '$libdir/amcheck', 'bt_index_check' LANGUAGE C STRICT";
const TABLE_LOOK: &str = "CREATE FUNCTION pg_temp.reprise_table(
      relation regclass, on_error_stop boolean, check_toast boolean, skip text, startblock bigint, endblock bigint,
      OUT blkno bigint, OUT offnum integer, OUT attnum integer, OUT msg text) RETURNS SETOF record
    AS '$libdir/amcheck', 'verify_heapam' LANGUAGE C";

/// What is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Index,
    Table,
}

/// One of them.
#[derive(Debug)]
struct Part {
    kind: Kind,
    oid: i64,
    name: RelationName,
    pages: i32,
    /// An index of which functions say what is in it.
    computed: bool,
}

impl Part {
    /// The question; damage is raised by both kinds.
    fn ask(&self) -> String {
        let oid = self.oid;
        match self.kind {
            Kind::Index => format!("SELECT pg_temp.reprise_index({oid}::oid::regclass, {})", self.computed),
            // Its answer is rows; the first one is raised.
            Kind::Table => format!(
                "DO $$ DECLARE found text; BEGIN
                   SELECT format('block %s, row %s: %s', blkno, offnum, msg) INTO found
                   FROM pg_temp.reprise_table({oid}::oid::regclass, true, true, 'none', NULL, NULL) LIMIT 1;
                   IF found IS NOT NULL THEN RAISE SQLSTATE 'XX001' USING MESSAGE = found; END IF; END $$"
            ),
        }
    }

    fn damaged(self, fault: String) -> Finding {
        match self.kind {
            Kind::Index => Finding::IndexDamaged { index: self.name, fault },
            Kind::Table => Finding::TableDamaged { table: self.name, fault },
        }
    }
}

/// Indexes of the catalogue say nothing of a backup, and those of TOAST are read with their tables.
const INDEXES: &str = "pg_catalog.pg_index i ON i.indexrelid = c.oid AND i.indisvalid AND i.indisready
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree' WHERE c.relkind = 'i'";
const TABLES: &str =
    "pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'heap' WHERE c.relkind IN ('r', 'm')";

/// All of a kind, the smallest first.
async fn list(conn: &mut PgConnection, kind: Kind) -> sqlx::Result<Vec<Part>> {
    let (of, computed) = match kind {
        Kind::Index => (INDEXES, "i.indexprs IS NOT NULL OR i.indpred IS NOT NULL"),
        Kind::Table => (TABLES, "false"),
    };
    let sql = format!(
        "SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relpages, {computed} FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN {of} AND {USER_SCHEMA}
           AND c.relpersistence <> 't' ORDER BY c.relpages, 2, 3"
    );
    let rows: Vec<(i64, String, String, i32, bool)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(conn).await?;
    let part = |(oid, schema, name, pages, computed)| {
        let name = RelationName { schema, name };
        Part { kind, oid, name, pages, computed }
    };
    Ok(rows.into_iter().map(part).collect())
}

/// What is to be looked into, and what was seen so far.
struct Board {
    open: Mutex<VecDeque<Part>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    indexes: Covered,
    tables: Covered,
    findings: Vec<Finding>,
}

impl Seen {
    fn of(&mut self, kind: Kind) -> &mut Covered {
        match kind {
            Kind::Index => &mut self.indexes,
            Kind::Table => &mut self.tables,
        }
    }
}

impl Board {
    fn of(parts: Vec<Part>) -> Self {
        let mut seen = Seen::default();
        for part in &parts {
            seen.of(part.kind).total += 1;
        }
        Self { open: Mutex::new(parts.into()), seen: Mutex::new(seen) }
    }

    /// Looks into one after the other until none is left or the time is over. Some sessions begin with the small ones, of which time is
    /// enough for the most, others with the large ones, so that in the end none waits for another.
    async fn work(&self, session: &mut PgConnection, small: bool, until: Instant) -> Result<(), CheckError> {
        loop {
            let left = until.saturating_duration_since(Instant::now()).as_millis();
            let next = |open: &mut VecDeque<Part>| if small { open.pop_front() } else { open.pop_back() };
            if left == 0 {
                return Ok(());
            }
            let part = next(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner));
            let Some(part) = part else { return Ok(()) };
            let asked = format!("SET statement_timeout = {left}; {}", part.ask());
            let answer = sqlx::raw_sql(AssertSqlSafe(asked)).execute(&mut *session).await;
            self.note(part, answer.map(drop))?;
        }
    }

    fn note(&self, part: Part, answer: sqlx::Result<()>) -> Result<(), CheckError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(()) => seen.of(part.kind).looked += 1,
            Err(sqlx::Error::Database(error)) => match error.code().as_deref().unwrap_or("no code") {
                // Its message names pages and rows, never what is in them.
                "XX001" | "XX002" => {
                    seen.of(part.kind).looked += 1;
                    seen.findings.push(part.damaged(error.message().to_owned()));
                }
                // The time was over.
                "57014" => {}
                // What a function of the index's own says may hold data.
                code => seen.of(part.kind).unanswered.push(format!("{} ({code})", part.name)),
            },
            Err(error) => return Err(failed(DOING)(error)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
