//! Whether indexes and tables are sound inside, as PostgreSQL's own `amcheck` sees it: an index that lacks a row answers
//! wrong without a word, and no count shows it. For throwaway databases: it takes a superuser.
//!
//! What is made for it is made in a transaction that is rolled back, so that nothing of it stays, whatever happens. An
//! index's own functions run as its table's owner, in a restricted operation: PostgreSQL sees to that since May 2022.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::time::Instant;

use super::finding::Finding;
use super::{CheckError, USER_SCHEMA, failed};
use crate::backup::contents::RelationName;

/// Where the extension is made, if the dump did not bring it.
const SCHEMA: &str = "reprise_structure";
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
        /// Valid b-tree indexes of the users', every row of the table looked up in each.
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

/// Looks into every valid b-tree index and every table of the users', the smallest first, for at most `limit`; `conn` is a
/// superuser's. What is damaged is a finding, what could not be looked at is told.
///
/// *Repeat*: safe.
pub async fn structure(
    conn: &mut PgConnection,
    limit: Duration,
) -> Result<(Structure, Vec<Finding>), CheckError> {
    let mut transaction = conn.begin().await.map_err(failed(DOING))?;
    let looked = look(&mut transaction, limit).await;
    transaction.rollback().await.map_err(failed("take the look into indexes and tables back"))?;
    looked
}

async fn look(conn: &mut PgConnection, limit: Duration) -> Result<(Structure, Vec<Finding>), CheckError> {
    let offered = match provide(conn).await {
        Ok(Some(offered)) => offered,
        Ok(None) => return Ok(unavailable("this server does not offer amcheck")),
        Err(sqlx::Error::Database(error)) => return Ok(unavailable(error.message())),
        Err(error) => return Err(failed("make the extension amcheck")(error)),
    };
    let Offered { schema, version, heap } = &offered;
    let until = Instant::now() + limit;
    let mut findings = Vec::new();
    let indexes = list(conn, INDEXES).await.map_err(failed(DOING))?;
    let ask = |oid: i64| format!("SELECT {schema}.bt_index_check({oid}::oid::regclass, true)");
    let damaged = |index, fault| Finding::IndexDamaged { index, fault };
    let indexes = cover(conn, indexes, until, ask, damaged, &mut findings).await?;
    let tables = if *heap {
        let tables = list(conn, TABLES).await.map_err(failed(DOING))?;
        // Its answer is rows; the first one is raised, so that both looks tell damage in the same way.
        let ask = |oid: i64| {
            format!(
                "DO $$ DECLARE found text; BEGIN
                   SELECT format('block %s, row %s: %s', blkno, offnum, msg) INTO found
                   FROM {schema}.verify_heapam({oid}::oid::regclass, true, true, 'none') LIMIT 1;
                   IF found IS NOT NULL THEN RAISE SQLSTATE 'XX001' USING MESSAGE = found; END IF; END $$"
            )
        };
        let damaged = |table, fault| Finding::TableDamaged { table, fault };
        Some(cover(conn, tables, until, ask, damaged, &mut findings).await?)
    } else {
        None
    };
    Ok((Structure::Looked { version: version.clone(), indexes, tables }, findings))
}

fn unavailable(why: &str) -> (Structure, Vec<Finding>) {
    (Structure::Unavailable(why.to_owned()), Vec::new())
}

/// The extension as it is there.
struct Offered {
    schema: String,
    version: String,
    heap: bool,
}

/// Makes the extension unless the dump brought it. `None` if the server has none that looks up every row.
async fn provide(conn: &mut PgConnection) -> sqlx::Result<Option<Offered>> {
    let there = "SELECT quote_ident(n.nspname), x.extversion::text,
           EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid AND p.proname = 'verify_heapam'),
           EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid AND p.proname = 'bt_index_check'
                   AND p.pronargs = 2)
         FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
         WHERE x.extname = 'amcheck'";
    let mut found = sqlx::query(there).fetch_optional(&mut *conn).await?;
    if found.is_none() {
        let offered = "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck')";
        if !sqlx::query_scalar::<_, bool>(offered).fetch_one(&mut *conn).await? {
            return Ok(None);
        }
        let make = format!("CREATE SCHEMA {SCHEMA}; CREATE EXTENSION amcheck SCHEMA {SCHEMA}");
        sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *conn).await?;
        found = sqlx::query(there).fetch_optional(&mut *conn).await?;
    }
    let Some(row) = found else { return Ok(None) };
    let every_row: bool = row.try_get(3)?;
    let offered = Offered { schema: row.try_get(0)?, version: row.try_get(1)?, heap: row.try_get(2)? };
    Ok(every_row.then_some(offered))
}

/// Indexes of the catalogue say nothing of a backup, and those of TOAST are read with their tables.
const INDEXES: &str = "pg_catalog.pg_index i ON i.indexrelid = c.oid AND i.indisvalid AND i.indisready
    JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree' WHERE c.relkind = 'i'";
const TABLES: &str =
    "pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'heap' WHERE c.relkind IN ('r', 'm')";

async fn list(conn: &mut PgConnection, of: &str) -> sqlx::Result<Vec<(i64, RelationName)>> {
    let sql = format!(
        "SELECT c.oid::bigint, n.nspname::text, c.relname::text FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN {of} AND {USER_SCHEMA}
           AND n.nspname <> '{SCHEMA}' AND c.relpersistence <> 't' ORDER BY c.relpages, 2, 3"
    );
    let rows: Vec<(i64, String, String)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(oid, schema, name)| (oid, RelationName { schema, name })).collect())
}

/// Asks for each of them, until the time is over. One round trip each.
async fn cover(
    conn: &mut PgConnection,
    all: Vec<(i64, RelationName)>,
    until: Instant,
    ask: impl Fn(i64) -> String,
    damaged: impl Fn(RelationName, String) -> Finding,
    findings: &mut Vec<Finding>,
) -> Result<Covered, CheckError> {
    let mut covered = Covered { total: all.len() as u64, ..Covered::default() };
    for (oid, name) in all {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        if left == 0 {
            break;
        }
        let asked = format!("SAVEPOINT look; SET LOCAL statement_timeout = {left}; {}", ask(oid));
        match sqlx::raw_sql(AssertSqlSafe(asked)).execute(&mut *conn).await {
            Ok(_) => covered.looked += 1,
            Err(sqlx::Error::Database(error)) => {
                sqlx::raw_sql("ROLLBACK TO look").execute(&mut *conn).await.map_err(failed(DOING))?;
                match error.code().as_deref().unwrap_or("no code") {
                    // Its message names pages and rows, never what is in them.
                    "XX001" | "XX002" => {
                        covered.looked += 1;
                        findings.push(damaged(name, error.message().to_owned()));
                    }
                    "57014" => break,
                    // What a function of the index's own says may hold data.
                    code => covered.unanswered.push(format!("{name} ({code})")),
                }
            }
            Err(error) => return Err(failed(DOING)(error)),
        }
    }
    Ok(covered)
}

#[cfg(test)]
mod tests;
