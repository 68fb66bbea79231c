//! One look at everything that a dump can hold: objects by kind and name, rows, sequence values, large objects.
//!
//! Names are built as a dump's table of contents builds them, so that the two can be compared as text.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
    /// Rows of each table, exactly; of a partitioned table, those of its partitions here (a foreign one's are elsewhere).
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
    oid: i64,
    /// The table that it is a partition of.
    whole: Option<i64>,
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
           {VEILED}, c.oid::bigint,
           (SELECT i.inhparent::bigint FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition)
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
            oid: row.try_get(6)?,
            whole: row.try_get(7)?,
        })
    };
    rows.into_iter().map(relation).collect::<Result<_, _>>().map_err(failed("list the relations"))
}

/// The rows of each table; the extensions' tables; the partitioned ones.
type Rows = (BTreeMap<RelationName, u64>, BTreeSet<RelationName>, BTreeSet<RelationName>);

async fn rows(conn: &mut PgConnection, progress: impl Fn(u64, u64)) -> Result<Rows, CheckError> {
    let tables = relations(conn, "rp").await?;
    let total = tables.len() as u64;
    let wholes: HashMap<i64, &Relation> =
        tables.iter().filter(|table| table.kind == "p").map(|whole| (whole.oid, whole)).collect();
    let mut rows: BTreeMap<_, u64> = wholes.values().map(|whole| (whole.name.clone(), 0)).collect();
    for (done, table) in (0..).zip(&tables) {
        progress(done, total);
        if table.kind == "p" {
            continue;
        }
        let count = match count(conn, table).await {
            Ok(count) => count.unsigned_abs(),
            // An extension may keep its tables to itself.
            Err(sqlx::Error::Database(_)) if table.of_extension => continue,
            Err(error) => return Err(failed("count the rows of a table")(error)),
        };
        rows.insert(table.name.clone(), count);
        // One by one: a partitioned table is counted under the locks of all of its partitions, for which a server may have no room.
        let part_of = |part: &&Relation| part.whole.and_then(|whole| wholes.get(&whole).copied());
        for whole in std::iter::successors(part_of(&table), part_of) {
            *rows.entry(whole.name.clone()).or_default() += count;
        }
    }
    progress(total, total);
    let of = |wanted: fn(&Relation) -> bool| {
        tables.iter().filter(|table| wanted(table)).map(|table| table.name.clone()).collect()
    };
    let (of_extensions, partitioned) = (of(|table| table.of_extension), of(|table| table.kind == "p"));
    Ok((rows, of_extensions, partitioned))
}

/// A parent's own rows are told apart from its children's, as a dump does.
async fn count(conn: &mut PgConnection, table: &Relation) -> sqlx::Result<i64> {
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM ONLY {}", table.quoted));
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
    async fn a_partitioned_table_is_counted_by_its_parts_and_never_as_one() {
        let lab = lab().await;
        let target = lab.target().await;
        let (mut owner, mut other) = (lab.owner(&target).await, lab.owner(&target).await);
        let parts = "CREATE TABLE public.whole (id integer, sort text) PARTITION BY LIST (sort);
            CREATE TABLE public.a PARTITION OF public.whole FOR VALUES IN ('a') PARTITION BY RANGE (id);
            CREATE TABLE public.a_1 PARTITION OF public.a FOR VALUES FROM (0) TO (10);
            CREATE TABLE public.b PARTITION OF public.whole FOR VALUES IN ('b');
            CREATE SEQUENCE public.s OWNED BY public.whole.id;
            INSERT INTO public.whole VALUES (1, 'a'), (2, 'a'), (3, 'b')";
        sqlx::raw_sql(parts).execute(&mut owner).await.expect("tables");
        // Whoever asks for the whole waits for this lock, and for those of all parts.
        let lock = "BEGIN; LOCK TABLE ONLY public.whole IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut other).await.expect("a lock");
        sqlx::raw_sql("SET lock_timeout = '2s'").execute(&mut owner).await.expect("set");
        let seen = observe(&mut owner, |_, _| {}).await.expect("a look that waits for nobody");
        let rows: Vec<(&str, u64)> =
            seen.rows.iter().map(|(name, rows)| (name.name.as_str(), *rows)).collect();
        assert_eq!(rows, [("a", 2), ("a_1", 2), ("b", 1), ("whole", 3)]);
        assert_eq!((seen.counted(), seen.partitioned.len()), ((2, 3), 2));
        let found = super::super::integrity(&mut owner).await.expect("a look that waits for nobody");
        assert_eq!(found.iter().map(super::super::Finding::reason).collect::<Vec<_>>(), ["sequence-behind"]);
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
