//! The extensions that an ordinary owner may not make: platforms make them on demand, and so does the throwaway server.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::backup::checks::CheckError;
use crate::backup::toc::Toc;

/// Makes those extensions of the dump that only a superuser may make, and returns those that this server does not offer
/// at all. The others are left to `pg_restore`, which knows their schema and their place in the order.
pub(super) async fn provide(connection: &mut PgConnection, toc: &Toc) -> Result<Vec<String>, CheckError> {
    let failed = |doing| move |source| CheckError { doing, source };
    let wanted: Vec<String> = toc.of_kind("EXTENSION").map(|entry| entry.name.clone()).collect();
    let offered = sqlx::query(
        "SELECT a.name::text, format('%I', a.name), v.trusted FROM pg_catalog.pg_available_extensions a
         JOIN pg_catalog.pg_available_extension_versions v ON v.name = a.name AND v.version = a.default_version
         WHERE a.name = ANY ($1)",
    )
    .bind(&wanted)
    .fetch_all(&mut *connection)
    .await
    .map_err(failed("list the extensions that the throwaway server offers"))?;
    let mut missing = wanted;
    for row in offered {
        let (name, quoted, trusted): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        missing.retain(|wanted| *wanted != name);
        if !trusted {
            sqlx::query(AssertSqlSafe(format!("CREATE EXTENSION IF NOT EXISTS {quoted}")))
                .execute(&mut *connection)
                .await
                .map_err(failed("make an extension in the throwaway database"))?;
        }
    }
    Ok(missing)
}
