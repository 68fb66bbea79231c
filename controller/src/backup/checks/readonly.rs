//! The read-only user: what it may read, and that it may write nothing.

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{CheckError, USER_SCHEMA, failed};
use crate::backup::contents::RelationName;

/// What keeps a user from being a read-only one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadonlyGaps {
    /// Tables and views that it cannot read, be it for the lack of a grant on them or on their schema.
    pub unreadable: Vec<RelationName>,
    /// Tables that it can write to.
    pub writable: Vec<RelationName>,
}

impl ReadonlyGaps {
    /// Whether it reads everything and writes nothing.
    pub fn none(&self) -> bool {
        self.unreadable.is_empty() && self.writable.is_empty()
    }
}

/// Looks at what `user` may do, with any connection to the database.
pub async fn readonly_gaps(conn: &mut PgConnection, user: &str) -> Result<ReadonlyGaps, CheckError> {
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text,
           has_schema_privilege($1, n.oid, 'USAGE') AND has_table_privilege($1, c.oid, 'SELECT'),
           has_table_privilege($1, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE {USER_SCHEMA} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
             WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
         ORDER BY 1, 2"
    );
    let rows: Vec<(String, String, bool, bool)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(user)
        .fetch_all(conn)
        .await
        .map_err(failed("look at the rights of the read-only user"))?;
    let mut gaps = ReadonlyGaps::default();
    for (schema, name, readable, writable) in rows {
        let relation = RelationName { schema, name };
        if !readable {
            gaps.unreadable.push(relation.clone());
        }
        if writable {
            gaps.writable.push(relation);
        }
    }
    Ok(gaps)
}

/// Lets `user` read all that is there, and all that the connected user will make. What belongs to an extension, or may not be
/// granted, is left out: a single such schema would end the rest. What is lacking then tells [`readonly_gaps`]. *Repeat*: safe.
pub async fn grant_readonly(conn: &mut PgConnection, user: &str) -> Result<(), CheckError> {
    let doing = "grant the read-only user its rights";
    let not_of_extension = |class: &str, oid: &str| {
        format!(
            "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{class}'::regclass
               AND d.objid = {oid} AND d.deptype = 'e')"
        )
    };
    let sql = format!(
        "SELECT quote_ident(n.nspname), quote_ident($1), has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION'),
           (SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY c.relname)
            FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
              AND has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION') AND {relation})
         FROM pg_catalog.pg_namespace n WHERE {USER_SCHEMA} AND {schema} ORDER BY 1",
        relation = not_of_extension("pg_class", "c.oid"),
        schema = not_of_extension("pg_namespace", "n.oid"),
    );
    let schemas: Vec<(String, String, bool, Option<String>)> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(user).fetch_all(&mut *conn).await.map_err(failed(doing))?;
    for (schema, user, usage, relations) in schemas {
        let usage = usage.then(|| format!("GRANT USAGE ON SCHEMA {schema} TO {user}"));
        let select = relations.map(|relations| format!("GRANT SELECT ON {relations} TO {user}"));
        let later = format!("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {user}");
        for grant in [usage, select, Some(later)].into_iter().flatten() {
            sqlx::query(AssertSqlSafe(grant)).execute(&mut *conn).await.map_err(failed(doing))?;
        }
    }
    Ok(())
}
