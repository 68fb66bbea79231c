//! The roles that the dump's policies and user mappings are for. They belong to a server and are in no dump: without them, what
//! is for them cannot be made, which says nothing of the backup.

use sqlx::{AssertSqlSafe, PgConnection};

use super::quoted;
use crate::backup::checks::CheckError;
use crate::backup::contents::Counts;

/// Makes those that are missing, as roles that nobody can log in with and that own nothing. Returns those that this server
/// does not take.
pub(super) async fn provide(
    connection: &mut PgConnection,
    counts: &Counts,
) -> Result<Vec<String>, CheckError> {
    let failed = |source| CheckError { doing: "make a role in the throwaway server", source };
    let mut missing = Vec::new();
    for role in &counts.roles {
        let there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)")
                .bind(role)
                .fetch_one(&mut *connection)
                .await
                .map_err(failed)?;
        if there {
            continue;
        }
        let make = AssertSqlSafe(format!("CREATE ROLE {} NOLOGIN", quoted(role)));
        match sqlx::query(make).execute(&mut *connection).await {
            Ok(_) => {}
            // Somebody else was faster.
            Err(sqlx::Error::Database(error))
                if matches!(error.code().as_deref(), Some("42710" | "23505")) => {}
            Err(sqlx::Error::Database(_)) => missing.push(format!("the role {role}")),
            Err(source) => return Err(failed(source)),
        }
    }
    Ok(missing)
}
