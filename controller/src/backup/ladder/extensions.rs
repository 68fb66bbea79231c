//! The dump's extensions, which platforms make on demand where an ordinary owner may not: so does the throwaway server, for
//! all of them, as one that the owner may make can need one that he may not.

use sqlx::{AssertSqlSafe, PgConnection};

use super::quoted;
use crate::backup::checks::CheckError;
use crate::backup::contents::Counts;
use crate::backup::toc::{Entry, Toc};

/// Makes the extensions of the dump, in its order and its schemas, and lends `owner` the tables that they let users fill.
/// Returns those that this server does not offer, or cannot make.
pub(super) async fn provide(
    connection: &mut PgConnection,
    toc: &Toc,
    counts: &Counts,
    owner: &str,
) -> Result<Vec<String>, CheckError> {
    let mut missing = Vec::new();
    for entry in toc.of_kind("EXTENSION") {
        match sqlx::raw_sql(AssertSqlSafe(statements(entry, toc, counts, owner)))
            .execute(&mut *connection)
            .await
        {
            Ok(_) => {}
            Err(sqlx::Error::Database(_)) => missing.push(format!("the extension {}", entry.name)),
            Err(source) => return Err(failed("make an extension in the throwaway database")(source)),
        }
    }
    lend(connection, owner)
        .await
        .map_err(failed("lend the tables of extensions in the throwaway database"))?;
    Ok(missing)
}

fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> CheckError {
    move |source| CheckError { doing, source }
}

/// What makes an extension where the dump has it, and first of all its schema, if that is the dump's too. What an extension
/// needs stands before it in a dump, unless the source's version of it needed less.
fn statements(entry: &Entry, toc: &Toc, counts: &Counts, owner: &str) -> String {
    let extension = quoted(&entry.name);
    let Some(schema) = counts.extensions.get(&entry.name) else {
        return format!("CREATE EXTENSION IF NOT EXISTS {extension} CASCADE");
    };
    let own = schema != "public" && toc.of_kind("SCHEMA").any(|made| made.name == *schema);
    let schema = quoted(schema);
    let first = if own {
        format!("CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {}; ", quoted(owner))
    } else {
        String::new()
    };
    format!("{first}CREATE EXTENSION IF NOT EXISTS {extension} WITH SCHEMA {schema} CASCADE")
}

/// The tables and sequences of extensions whose content is dumped are filled by `owner`, as the source's were.
async fn lend(connection: &mut PgConnection, owner: &str) -> sqlx::Result<()> {
    let grants: Vec<String> = sqlx::query_scalar(
        "SELECT format('GRANT USAGE ON SCHEMA %I TO %I; GRANT ALL ON %I.%I TO %2$I', n.nspname, $1::text, n.nspname, c.relname)
         FROM pg_catalog.pg_extension e CROSS JOIN unnest(e.extconfig) AS filled (oid)
         JOIN pg_catalog.pg_class c ON c.oid = filled.oid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    )
    .bind(owner)
    .fetch_all(&mut *connection)
    .await?;
    for grant in grants {
        sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut *connection).await?;
    }
    Ok(())
}
