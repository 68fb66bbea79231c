//! One look at everything that a dump can hold: objects by kind and name, rows, sequence values, large objects.
//!
//! Names are built as a dump's table of contents builds them, so that the two can be compared as text.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::veil::{VEILED, unveiled};
use super::{CheckError, USER_SCHEMA, failed, forget_search_path};
use crate::backup::contents::RelationName;
use crate::backup::toc::on_one_line;

/// The state of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceState {
    /// Its last value.
    pub last_value: i64,
    /// Whether that value was handed out already.
    pub is_called: bool,
}

/// What was seen in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Kind and path of each object, in the words of a table of contents.
    pub objects: HashSet<(String, String)>,
    /// Rows of each table, exactly; of a partitioned table, those of its partitions.
    pub rows: BTreeMap<RelationName, u64>,
    /// The tables among them that belong to an extension, which may have put rows of its own there.
    pub of_extensions: BTreeSet<RelationName>,
    /// The partitioned tables among them, whose rows are their partitions'.
    pub partitioned: BTreeSet<RelationName>,
    /// The roles of its server.
    pub roles: BTreeSet<String>,
    /// Each sequence.
    pub sequences: BTreeMap<RelationName, SequenceState>,
    /// Large objects.
    pub large_objects: u64,
    /// Bytes in them.
    pub large_object_bytes: u64,
}

/// The kinds that [`observe`] can see. Others leave no trace that could be looked up by name.
const KINDS: &[&str] = &[
    "AGGREGATE",
    "CHECK CONSTRAINT",
    "COLLATION",
    "COMMENT",
    "CONSTRAINT",
    "DEFAULT",
    "DOMAIN",
    "EXTENSION",
    "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "INDEX",
    "INDEX ATTACH",
    "MATERIALIZED VIEW",
    "MATERIALIZED VIEW DATA",
    "POLICY",
    "PROCEDURE",
    "PUBLICATION",
    "ROW SECURITY",
    "RULE",
    "SCHEMA",
    "SEQUENCE",
    "SEQUENCE OWNED BY",
    "SERVER",
    "STATISTICS",
    "TABLE",
    "TABLE ATTACH",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TRIGGER",
    "TYPE",
    "VIEW",
];

/// The kinds whose comments [`observe`] can see.
const COMMENTED: &[&str] = &[
    "AGGREGATE",
    "COLUMN",
    "CONSTRAINT",
    "DOMAIN",
    "FOREIGN TABLE",
    "FUNCTION",
    "INDEX",
    "MATERIALIZED VIEW",
    "PROCEDURE",
    "SCHEMA",
    "SEQUENCE",
    "TABLE",
    "TRIGGER",
    "TYPE",
    "VIEW",
];

impl Observed {
    /// Whether objects of this kind can be seen at all.
    pub fn sees(&self, kind: &str) -> bool {
        KINDS.contains(&kind)
    }

    /// Whether comments on this, in the words of a table of contents (`TABLE client`), can be seen.
    pub fn sees_comment(&self, on: &str) -> bool {
        COMMENTED.iter().any(|kind| on.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))
            && !on.contains(" ON DOMAIN ")
    }

    /// The rows of a table, and whether there are as many as a dump holds; more are right in an extension's table, and none are
    /// seen in one that it keeps to itself.
    pub fn rows_of(&self, table: &RelationName, expected: u64) -> Option<(u64, bool)> {
        let of_extension = self.of_extensions.contains(table);
        let found = self.rows.get(table).copied().or_else(|| of_extension.then_some(0))?;
        Some((found, found == expected || (found > expected && of_extension)))
    }

    /// How many tables hold rows of the user's, and how many these are. A partitioned table's are its partitions', and an extension
    /// brings its own.
    pub fn counted(&self) -> (u64, u64) {
        let own =
            |table: &RelationName| !self.partitioned.contains(table) && !self.of_extensions.contains(table);
        let own = self.rows.iter().filter(|(table, _)| own(table));
        own.fold((0, 0), |(tables, all), (_, rows)| (tables + 1, all + rows))
    }

    /// Whether this object was seen.
    pub fn has(&self, kind: &str, path: &str) -> bool {
        self.objects.contains(&(kind.to_owned(), comparable(kind, path)))
    }
}

/// Looks at everything. `progress` is told tables counted and in all; the counting takes nearly all of the time.
pub async fn observe(conn: &mut PgConnection, progress: impl Fn(u64, u64)) -> Result<Observed, CheckError> {
    forget_search_path(conn).await?;
    let objects = objects(conn).await?;
    let (rows, of_extensions, partitioned) = rows(conn, progress).await?;
    let roles = roles(conn).await?;
    let sequences = sequences(conn).await?;
    let (large_objects, large_object_bytes) = large_objects(conn).await?;
    Ok(Observed {
        objects,
        rows,
        of_extensions,
        partitioned,
        roles,
        sequences,
        large_objects,
        large_object_bytes,
    })
}

/// A path as both sides tell it: on one line, and without the quotes that a dump puts into what a comment is on, where
/// names need them or where `pg_dump` was told to quote all.
fn comparable(kind: &str, path: &str) -> String {
    let path = on_one_line(path);
    if kind == "COMMENT" { path.replace('"', "") } else { path }
}

async fn objects(conn: &mut PgConnection) -> Result<HashSet<(String, String)>, CheckError> {
    let rows = sqlx::query(include_str!("catalogue.sql"))
        .fetch_all(conn)
        .await
        .map_err(failed("read the catalogue"))?;
    let pair = |row: sqlx::postgres::PgRow| {
        let (kind, path): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let path = comparable(&kind, &path);
        Ok((kind, path))
    };
    rows.into_iter().map(pair).collect::<Result<_, _>>().map_err(failed("read the catalogue"))
}

/// A relation that is looked into.
struct Relation {
    name: RelationName,
    quoted: String,
    kind: String,
    of_extension: bool,
    /// Whether some of its rows are hidden from its owner.
    veiled: bool,
}

/// The relations of some kinds, each kind one letter as in `pg_class.relkind`.
async fn relations(conn: &mut PgConnection, kinds: &str) -> Result<Vec<Relation>, CheckError> {
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, format('%I.%I', n.nspname, c.relname), c.relkind::text,
           EXISTS (SELECT FROM pg_catalog.pg_depend d
             WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
           {VEILED}
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE {USER_SCHEMA} AND c.relkind::text = ANY (string_to_array($1, NULL)) ORDER BY 1, 2"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(kinds)
        .fetch_all(conn)
        .await
        .map_err(failed("list the relations"))?;
    let relation = |row: sqlx::postgres::PgRow| {
        Ok(Relation {
            name: RelationName { schema: row.try_get(0)?, name: row.try_get(1)? },
            quoted: row.try_get(2)?,
            kind: row.try_get(3)?,
            of_extension: row.try_get(4)?,
            veiled: row.try_get(5)?,
        })
    };
    rows.into_iter().map(relation).collect::<Result<_, _>>().map_err(failed("list the relations"))
}

/// The rows of each table; the extensions' tables; the partitioned ones.
type Rows = (BTreeMap<RelationName, u64>, BTreeSet<RelationName>, BTreeSet<RelationName>);

async fn rows(conn: &mut PgConnection, progress: impl Fn(u64, u64)) -> Result<Rows, CheckError> {
    let tables = relations(conn, "rp").await?;
    let total = tables.len() as u64;
    let (mut rows, mut of_extensions, mut partitioned) = Rows::default();
    for (done, table) in (1..).zip(tables) {
        match count(conn, &table).await {
            Ok(count) => drop(rows.insert(table.name.clone(), count.unsigned_abs())),
            // An extension may keep its tables to itself.
            Err(sqlx::Error::Database(_)) if table.of_extension => {}
            Err(error) => return Err(failed("count the rows of a table")(error)),
        }
        if table.of_extension {
            of_extensions.insert(table.name.clone());
        }
        if table.kind == "p" {
            partitioned.insert(table.name);
        }
        progress(done, total);
    }
    Ok((rows, of_extensions, partitioned))
}

async fn count(conn: &mut PgConnection, table: &Relation) -> sqlx::Result<i64> {
    // A parent's own rows are told apart from its children's, as a dump does; a partitioned table has none.
    let only = if table.kind == "p" { "" } else { "ONLY " };
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM {only}{}", table.quoted));
    if !table.veiled {
        return sqlx::query_scalar(sql).fetch_one(conn).await;
    }
    let mut transaction = unveiled(conn, &[&table.quoted]).await?;
    let count = sqlx::query_scalar(sql).fetch_one(&mut *transaction).await?;
    transaction.rollback().await.map(|()| count)
}

async fn roles(conn: &mut PgConnection) -> Result<BTreeSet<String>, CheckError> {
    let names: Result<Vec<String>, _> =
        sqlx::query_scalar("SELECT rolname::text FROM pg_catalog.pg_roles").fetch_all(conn).await;
    names.map(BTreeSet::from_iter).map_err(failed("list the roles"))
}

async fn sequences(conn: &mut PgConnection) -> Result<BTreeMap<RelationName, SequenceState>, CheckError> {
    let mut states = BTreeMap::new();
    for sequence in relations(conn, "S").await? {
        let sql = format!("SELECT last_value, is_called FROM {}", sequence.quoted);
        match sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *conn).await {
            Ok((last_value, is_called)) => {
                states.insert(sequence.name, SequenceState { last_value, is_called });
            }
            // An extension may keep its sequences to itself.
            Err(sqlx::Error::Database(_)) if sequence.of_extension => {}
            Err(error) => return Err(failed("read a sequence")(error)),
        }
    }
    Ok(states)
}

/// Number and bytes: their pages are the superuser's, so each is asked for its end by the functions that its owner may call. Read
/// whole, one beyond 1 GB would not fit into a value.
async fn large_objects(conn: &mut PgConnection) -> Result<(u64, u64), CheckError> {
    let (count, bytes): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(size + pg_catalog.lo_close(fd)), 0)::bigint
         FROM (SELECT fd, pg_catalog.lo_lseek64(fd, 0, 2) AS size
               FROM (SELECT pg_catalog.lo_open(oid, 262144) AS fd FROM pg_catalog.pg_largeobject_metadata OFFSET 0) AS opened
               OFFSET 0) AS sized",
    )
    .fetch_one(conn)
    .await
    .map_err(failed("read the large objects"))?;
    Ok((count.unsigned_abs(), bytes.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::lab::lab;

    #[test]
    fn rows_of_partitions_are_counted_once() {
        let relation = |name: &str| RelationName { schema: "public".into(), name: name.into() };
        let rows = [("all", 1_000), ("y2025", 400), ("y2026", 600), ("spatial_ref_sys", 8_500)];
        let seen = Observed {
            rows: rows.iter().map(|(name, rows)| (relation(name), *rows)).collect(),
            partitioned: [relation("all")].into(),
            of_extensions: [relation("spatial_ref_sys")].into(),
            ..Observed::default()
        };
        assert_eq!(seen.counted(), (2, 1_000));
    }

    #[tokio::test]
    async fn large_objects_are_measured_and_not_read() {
        let lab = lab().await;
        let target = lab.target().await;
        let mut owner = lab.owner(&target).await;
        let sparse = "SELECT lo_from_bytea(0, 'bonjour'), lo_create(0);
                      DO $$ DECLARE fd integer = lo_open(lo_create(0), 393216); BEGIN
                        PERFORM lo_lseek64(fd, 1200000000, 0), lowrite(fd, 'x'); END $$";
        sqlx::raw_sql(sparse).execute(&mut owner).await.expect("large objects");
        assert_eq!(large_objects(&mut owner).await.expect("a look"), (3, 1_200_000_008));
    }
}
