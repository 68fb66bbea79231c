//! What the database holds, and what the read-only user may do in it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};

use crate::error::AppError;
use crate::settings::Settings;

/// Every table of the user's: its name for people, and quoted for SQL by the server itself.
const TABLES: &str =
    "SELECT n.nspname || '.' || c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    ORDER BY 1";
/// `insufficient_privilege` and `read_only_sql_transaction`: the refusals that are meant.
const REFUSED: [&str; 2] = ["42501", "25006"];

/// The exact number of rows of every user table, seen at one moment.
pub(crate) async fn count_rows(pool: &PgPool) -> Result<BTreeMap<String, i64>, AppError> {
    let counted = async {
        // Out of the pool: a visitor who leaves may cut this short, and a pool would keep the transaction open.
        let mut connection = pool.acquire().await?.detach();
        let mut transaction =
            connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        let mut counts = BTreeMap::new();
        for (name, quoted) in tables(&mut transaction).await? {
            let count = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {quoted}")));
            counts.insert(name, count.fetch_one(&mut *transaction).await?);
        }
        Ok(counts)
    };
    counted.await.map_err(AppError::database("counting rows"))
}

/// What the read-only user can do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) can_read: bool,
    pub(crate) can_write: bool,
}

/// Tries to read and to write as the read-only user. Nothing is changed even if it could.
pub(crate) async fn read_only_rights(settings: &Settings) -> Result<Rights, AppError> {
    let tried = async {
        let mut connection = PgConnection::connect_with(&settings.read_only).await?;
        let first = tables(&mut connection).await?.into_iter().next();
        let (read, write) = match &first {
            Some((_, table)) => (
                format!("SELECT count(*) FROM {table}"),
                // Rights are checked before the condition is.
                format!("DELETE FROM {table} WHERE false"),
            ),
            None => ("SELECT 1".into(), "CREATE TABLE public.reprise_probe ()".into()),
        };
        let can_read = is_permitted(&mut connection, read).await?;
        let can_write = is_permitted(&mut connection, write).await?
            || is_permitted(&mut connection, "CREATE TABLE public.reprise_probe ()".into()).await?;
        Ok(Rights { can_read, can_write })
    };
    tried.await.map_err(AppError::database("trying the read-only user"))
}

/// Whether a statement is permitted; it is undone in any case.
async fn is_permitted(connection: &mut PgConnection, statement: String) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let tried = sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await;
    transaction.rollback().await?;
    match tried {
        Ok(_) => Ok(true),
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
            if code.is_some_and(|code| REFUSED.contains(&code.as_str())) { Ok(false) } else { Err(error) }
        }
    }
}

async fn tables(connection: &mut PgConnection) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = sqlx::query(TABLES).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("quoted")?))).collect()
}
