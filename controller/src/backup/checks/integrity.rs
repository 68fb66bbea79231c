//! Whether what is there is sound in itself: indexes usable, constraints proven, sequences ahead of their columns.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::finding::Finding;
use super::veil::{VEILED, unveiled};
use super::{CheckError, failed, forget_search_path};
use crate::backup::contents::RelationName;

/// Looks for unsound things.
pub async fn integrity(conn: &mut PgConnection) -> Result<Vec<Finding>, CheckError> {
    forget_search_path(conn).await?;
    let mut findings = invalid_indexes(conn).await?;
    findings.extend(unproven_constraints(conn).await?);
    findings.extend(sequences_behind(conn).await?);
    Ok(findings)
}

/// That of a partitioned table holds nothing: it is invalid while a partition has none of its own, in the source as well, and an
/// attachment that did not come back is missed by itself.
async fn invalid_indexes(conn: &mut PgConnection) -> Result<Vec<Finding>, CheckError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_index i
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i' AND n.nspname !~ '^pg_' ORDER BY 1, 2",
    )
    .fetch_all(conn)
    .await
    .map_err(failed("look for invalid indexes"))?;
    let finding = |(schema, name)| Finding::IndexInvalid { index: RelationName { schema, name } };
    Ok(rows.into_iter().map(finding).collect())
}

/// What a table only inherits is told of its parent, and what is not enforced (since PostgreSQL 18) claims nothing.
async fn unproven_constraints(conn: &mut PgConnection) -> Result<Vec<Finding>, CheckError> {
    let constraints: Vec<String> = sqlx::query_scalar(
        "SELECT n.nspname || ' ' || c.relname || ' ' || k.conname FROM pg_catalog.pg_constraint k
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE NOT k.convalidated AND k.conislocal AND n.nspname !~ '^pg_'
           AND coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true) ORDER BY 1",
    )
    .fetch_all(conn)
    .await
    .map_err(failed("look for constraints that were not validated"))?;
    Ok(constraints.into_iter().map(|constraint| Finding::ConstraintNotValidated { constraint }).collect())
}

/// A sequence with the column it feeds, be it as its owner or by the column's default.
fn fed_columns() -> String {
    format!(
        "SELECT DISTINCT sn.nspname::text, s.relname::text, format('%I.%I', sn.nspname, s.relname),
           format('%I.%I', tn.nspname, c.relname), a.attname::text, quote_ident(a.attname), q.seqincrement, {VEILED},
           c.oid::bigint, c.relkind = 'p'
    FROM pg_catalog.pg_class s
    JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
    JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
    JOIN (
      SELECT objid AS seq, refobjid AS rel, refobjsubid AS col FROM pg_catalog.pg_depend
      WHERE classid = 'pg_catalog.pg_class'::regclass AND refclassid = 'pg_catalog.pg_class'::regclass
        AND deptype IN ('a', 'i') AND refobjsubid > 0
      UNION
      SELECT d.refobjid, f.adrelid, f.adnum FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
      WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
    ) AS fed ON fed.seq = s.oid
    JOIN pg_catalog.pg_class c ON c.oid = fed.rel
    JOIN pg_catalog.pg_namespace tn ON tn.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = fed.rel AND a.attnum = fed.col
    WHERE s.relkind = 'S' AND c.relkind IN ('r', 'p') AND sn.nspname !~ '^pg_' AND NOT q.seqcycle
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
        AND e.objid = s.oid AND e.deptype = 'e')
      AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
    ORDER BY 1, 2"
    )
}

async fn sequences_behind(conn: &mut PgConnection) -> Result<Vec<Finding>, CheckError> {
    let columns = sqlx::query(AssertSqlSafe(fed_columns()))
        .fetch_all(&mut *conn)
        .await
        .map_err(failed("list the columns that sequences feed"))?;
    let mut findings = Vec::new();
    for row in columns {
        let fed = Fed::of(&row).map_err(failed("list the columns that sequences feed"))?;
        if let Some((last_value, next, furthest)) = fed.behind(conn).await? {
            findings.push(Finding::SequenceBehind {
                sequence: fed.sequence,
                column: format!("{}.{}", fed.table, fed.column),
                last_value,
                next,
                furthest,
            });
        }
    }
    Ok(findings)
}

struct Fed {
    sequence: RelationName,
    quoted: String,
    table: String,
    column: String,
    quoted_column: String,
    increment: i64,
    /// Whether some rows of the table are hidden from its owner.
    veiled: bool,
    oid: i64,
    /// Whether its rows are its partitions'.
    partitioned: bool,
}

/// The tables that hold the rows of a partitioned one: each is asked by itself, as all at once may need more locks than there is room for.
fn leaves() -> String {
    format!(
        "WITH RECURSIVE parts (oid) AS (SELECT $1::bigint::oid
           UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN parts ON i.inhparent = parts.oid)
         SELECT format('%I.%I', n.nspname, c.relname), {VEILED} FROM parts
         JOIN pg_catalog.pg_class c USING (oid) JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r'"
    )
}

impl Fed {
    fn of(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            sequence: RelationName { schema: row.try_get(0)?, name: row.try_get(1)? },
            quoted: row.try_get(2)?,
            table: row.try_get(3)?,
            column: row.try_get(4)?,
            quoted_column: row.try_get(5)?,
            increment: row.try_get(6)?,
            veiled: row.try_get(7)?,
            oid: row.try_get(8)?,
            partitioned: row.try_get(9)?,
        })
    }

    /// The next value and the furthest one in the column, if the sequence would run into it.
    async fn behind(&self, conn: &mut PgConnection) -> Result<Option<(i64, i64, i64)>, CheckError> {
        let ask = async {
            let Some(furthest) = self.furthest(conn).await? else { return Ok(None) };
            let next = format!(
                "SELECT last_value, next::bigint FROM (
                   SELECT last_value, CASE WHEN is_called THEN last_value::numeric + {} ELSE last_value END FROM {}
                 ) AS state (last_value, next)
                 WHERE next BETWEEN -9223372036854775808 AND 9223372036854775807",
                self.increment, self.quoted
            );
            let state: Option<(i64, i64)> =
                sqlx::query_as(AssertSqlSafe(next)).fetch_optional(&mut *conn).await?;
            let passed = |next: i64| if self.increment > 0 { furthest >= next } else { furthest <= next };
            Ok(state.filter(|(_, next)| passed(*next)).map(|(last, next)| (last, next, furthest)))
        };
        ask.await.map_err(failed("hold a sequence against its column"))
    }

    /// The furthest value in the column; none where there is no row.
    async fn furthest(&self, conn: &mut PgConnection) -> sqlx::Result<Option<i64>> {
        let tables = if self.partitioned {
            sqlx::query_as(AssertSqlSafe(leaves())).bind(self.oid).fetch_all(&mut *conn).await?
        } else {
            vec![(self.table.clone(), self.veiled)]
        };
        let mut furthest = None;
        for (table, veiled) in tables {
            let of_table = self.furthest_of(conn, &table, veiled).await?;
            furthest = match (furthest, of_table) {
                (Some(one), Some(other)) if self.increment > 0 => Some(std::cmp::max(one, other)),
                (Some(one), Some(other)) => Some(std::cmp::min(one, other)),
                (one, other) => one.or(other),
            };
        }
        Ok(furthest)
    }

    async fn furthest_of(
        &self,
        conn: &mut PgConnection,
        table: &str,
        veiled: bool,
    ) -> sqlx::Result<Option<i64>> {
        let furthest = if self.increment > 0 { "max" } else { "min" };
        let sql = AssertSqlSafe(format!("SELECT {furthest}({})::bigint FROM {table}", self.quoted_column));
        if !veiled {
            return sqlx::query_scalar(sql).fetch_one(conn).await;
        }
        let mut transaction = unveiled(conn, &[table]).await?;
        let value = sqlx::query_scalar(sql).fetch_one(&mut *transaction).await?;
        transaction.rollback().await.map(|()| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::lab::lab;

    #[tokio::test]
    async fn what_a_part_has_of_its_whole_is_told_of_the_whole_alone() {
        let lab = lab().await;
        let families =
            "CREATE TABLE public.parent (id integer); CREATE TABLE public.child () INHERITS (public.parent);
             CREATE TABLE public.whole (id integer) PARTITION BY LIST (id);
             CREATE TABLE public.part PARTITION OF public.whole FOR VALUES IN (1);
             ALTER TABLE public.parent ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
             ALTER TABLE public.whole ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
             CREATE INDEX whole_id ON ONLY public.whole (id)";
        let mut source = lab.connect(&lab.source(families).await).await;
        let found = integrity(&mut source).await.expect("a look");
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        let of = |table| format!("constraint public {table} positive is not validated");
        assert_eq!(told, [of("parent"), of("whole")]);
    }
}
