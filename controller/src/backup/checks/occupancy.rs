//! What is in a database before anything is restored into it.

use std::collections::BTreeSet;
use std::fmt;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{CheckError, USER_SCHEMA, failed};

/// What users put into a database, and the extensions it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Tables, views, sequences and the like.
    pub relations: u64,
    /// Functions and types on their own.
    pub routines_and_types: u64,
    /// Large objects.
    pub large_objects: u64,
    /// Schemas, collations, operators and what searches text. They keep nobody out, and stand in the way of a restore that makes them.
    pub bare: u64,
    /// Installed extensions, which do not count as content.
    pub extensions: BTreeSet<String>,
    /// The schemas that these live in: whoever made the extensions made them.
    pub extension_schemas: BTreeSet<String>,
}

/// Catalogues of what is neither relation, routine nor type, each with the column of its schema.
const BARE: [(&str, &str); 4] = [
    ("pg_collation", "collnamespace"),
    ("pg_operator", "oprnamespace"),
    ("pg_ts_config", "cfgnamespace"),
    ("pg_ts_dict", "dictnamespace"),
];

impl Occupancy {
    /// Whether nothing of a user's is in it.
    pub fn is_empty(&self) -> bool {
        self.relations == 0 && self.routines_and_types == 0 && self.large_objects == 0
    }
}

impl fmt::Display for Occupancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} relations, {} functions and types, {} large objects",
            self.relations, self.routines_and_types, self.large_objects
        )
    }
}

/// Looks at what the database of `conn` holds.
pub async fn occupancy(conn: &mut PgConnection) -> Result<Occupancy, CheckError> {
    let not_of_extension = |class: &str, oid: &str| {
        format!(
            "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{class}'::regclass
               AND d.objid = {oid} AND d.deptype = 'e')"
        )
    };
    // An index belongs to its table, and what is behind a composite type to the type: neither is noted as the extension's.
    let relation = format!(
        "c.relkind NOT IN ('i', 'I') AND {} AND {}",
        not_of_extension("pg_class", "c.oid"),
        not_of_extension("pg_type", "c.reltype")
    );
    let bare: Vec<String> = BARE
        .iter()
        .map(|(class, namespace)| {
            let own = not_of_extension(class, "o.oid");
            format!(
                "(SELECT count(*) FROM pg_catalog.{class} o JOIN pg_catalog.pg_namespace n ON n.oid = o.{namespace}
                  WHERE {USER_SCHEMA} AND {own})"
            )
        })
        .collect();
    let sql = format!(
        "SELECT
           (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE {USER_SCHEMA} AND {relation}),
           (SELECT count(*) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
            WHERE {USER_SCHEMA} AND {routine})
           + (SELECT count(*) FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
              WHERE {USER_SCHEMA} AND t.typrelid = 0 AND t.typelem = 0 AND {of_type}),
           (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata),
           (SELECT count(*) FROM pg_catalog.pg_namespace n WHERE {USER_SCHEMA} AND n.nspname <> 'public' AND {schema}
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extnamespace = n.oid)) + {bare},
           (SELECT coalesce(array_agg(extname::text), '{{}}') FROM pg_catalog.pg_extension),
           (SELECT coalesce(array_agg(n.nspname::text), '{{}}') FROM pg_catalog.pg_extension e
            JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace)",
        routine = not_of_extension("pg_proc", "p.oid"),
        of_type = not_of_extension("pg_type", "t.oid"),
        schema = not_of_extension("pg_namespace", "n.oid"),
        bare = bare.join(" + "),
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .fetch_one(conn)
        .await
        .map_err(failed("look whether the database is empty"))?;
    let count = |index: usize| {
        let count: Result<i64, _> = row.try_get(index);
        count.map(i64::unsigned_abs).map_err(failed("look whether the database is empty"))
    };
    let names = |index: usize| {
        let names: Result<Vec<String>, _> = row.try_get(index);
        names.map(BTreeSet::from_iter).map_err(failed("list the extensions"))
    };
    Ok(Occupancy {
        relations: count(0)?,
        routines_and_types: count(1)?,
        large_objects: count(2)?,
        bare: count(3)?,
        extensions: names(4)?,
        extension_schemas: names(5)?,
    })
}

/// The version of the server, such as `15.4`.
pub async fn server_version(conn: &mut PgConnection) -> Result<String, CheckError> {
    let told: String = sqlx::query_scalar("SELECT current_setting('server_version')")
        .fetch_one(conn)
        .await
        .map_err(failed("ask the server for its version"))?;
    // Distributors put their own behind it.
    Ok(told.split_whitespace().next().unwrap_or_default().to_owned())
}
