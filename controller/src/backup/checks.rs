//! Looks at a restored database: what is in it, whether it is what the dump held, whether it is sound, who may read it.
//!
//! All of it reads, except [`analyze`] and [`grant_readonly`]; [`structure`] takes back what it makes, and so does [`all_rows`]. Objects that belong to an extension are the extension's
//! business and are passed over throughout.

mod activity;
mod data;
mod finding;
mod integrity;
mod migrations;
mod observe;
mod occupancy;
mod planned;
mod quiet;
mod readonly;
mod structure;
mod veil;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use thiserror::Error;

pub use activity::is_executing;
pub use data::{DataCheck, DataOutcome, Expectation, Unasked, run_data_checks};
pub use finding::{Finding, Severity, compare, undumped};
pub use integrity::integrity;
pub use migrations::{
    Ahead, Applied, Code, CodeLevel, MigrationLevel, applied_migrations, compare_migrations,
};
pub use observe::{Observed, SequenceState, observe};
pub use occupancy::{Occupancy, occupancy, server_version};
pub use planned::planned;
pub use quiet::quiet;
pub use readonly::{ReadonlyGaps, grant_readonly, readonly_gaps};
pub use structure::{Covered, Structure, structure};
pub use veil::all_rows;

use crate::runtime::class::{Class, Classified};

/// A look that could not be taken.
#[derive(Debug, Error)]
#[error("could not {doing}")]
pub struct CheckError {
    /// What we were doing.
    pub doing: &'static str,
    /// Why.
    #[source]
    pub source: sqlx::Error,
}

impl Classified for CheckError {
    fn class(&self) -> Class {
        match &self.source {
            sqlx::Error::Database(error) if is_of_the_moment(error.code().as_deref().unwrap_or_default()) => {
                Class::Transient
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Class::Transient,
            _ => Class::Terminal,
        }
    }
}

/// Whether an error with this code may pass: shutdown, lost connections, too many of them, lock and serialization trouble, a disk that fails or
/// is full, and a server that takes no writes because it has just taken over or is about to hand over (25006).
///
/// Source: "Appendix A. PostgreSQL Error Codes".
fn is_of_the_moment(code: &str) -> bool {
    code == "25006" || matches!(code.get(..2), Some("08" | "40" | "53" | "55" | "57" | "58"))
}

fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> CheckError {
    move |source| CheckError { doing, source: quiet(source) }
}

/// Of locks too: they are kept in memory that the server sets aside when it starts.
const OUT_OF_MEMORY: &str = "53200";

/// The schemas that are the users' own. To be put after a `WHERE` over `pg_namespace n`.
const USER_SCHEMA: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Names are told as a dump tells them: qualified unless they are the system's own.
async fn forget_search_path(conn: &mut PgConnection) -> Result<(), CheckError> {
    sqlx::query("SET search_path = ''").execute(conn).await.map(drop).map_err(failed("set the search path"))
}

/// Refreshes the planner's statistics, table by table, so that none is silent for long.
///
/// `progress` is told tables done and in all. *Repeat*: safe.
pub async fn analyze(conn: &mut PgConnection, progress: impl Fn(u64, u64)) -> Result<(), CheckError> {
    let tables = format!(
        "SELECT format('%I.%I', n.nspname, c.relname), c.relkind = 'p' FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'm') AND {USER_SCHEMA}
           AND pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY 1"
    );
    let tables = sqlx::query(AssertSqlSafe(tables))
        .fetch_all(&mut *conn)
        .await
        .map_err(failed("list the tables to analyze"))?;
    let total = tables.len() as u64;
    for (done, row) in (1..).zip(tables) {
        let table: String = row.try_get(0).map_err(failed("list the tables to analyze"))?;
        let partitioned: bool = row.try_get(1).map_err(failed("list the tables to analyze"))?;
        match sqlx::query(AssertSqlSafe(format!("ANALYZE {table}"))).execute(&mut *conn).await {
            // It takes the locks of all partitions at once. The plans of questions to the whole are worse without its statistics, and that is all.
            Err(sqlx::Error::Database(error))
                if partitioned && error.code().as_deref() == Some(OUT_OF_MEMORY) => {}
            analyzed => analyzed.map(drop).map_err(failed("analyze a table"))?,
        }
        progress(done, total);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_of_the_moment;

    #[test]
    fn a_server_that_takes_no_writes_just_now_is_asked_again() {
        assert!(["25006", "58030", "53100", "57P01", "40P01"].iter().all(|code| is_of_the_moment(code)));
        assert!(!["25001", "42P01", "22012", ""].iter().any(|code| is_of_the_moment(code)));
    }
}
