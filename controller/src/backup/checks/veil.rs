//! Row-level security that binds a table's owner too (`FORCE ROW LEVEL SECURITY`): where it hides rows, no count is exact. The
//! owner may lift it, and what he lifts in a transaction that is rolled back was never lifted for anybody else.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgTransaction};

/// Whether it hides rows of `pg_class c` from us who may lift it.
pub(super) const VEILED: &str =
    "(c.relrowsecurity AND c.relforcerowsecurity AND pg_catalog.pg_has_role(c.relowner, 'USAGE'))";

/// A transaction in which the rows of these tables, told as SQL does, are all there. To be rolled back.
pub(super) async fn unveiled<'c>(
    conn: &'c mut PgConnection,
    tables: &[impl AsRef<str>],
) -> sqlx::Result<PgTransaction<'c>> {
    let mut transaction = conn.begin().await?;
    for table in tables {
        let lift = format!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", table.as_ref());
        sqlx::query(AssertSqlSafe(lift)).execute(&mut *transaction).await?;
    }
    Ok(transaction)
}

/// A transaction that sees every row of ours and can write nothing. To be rolled back.
pub async fn all_rows(conn: &mut PgConnection) -> sqlx::Result<PgTransaction<'_>> {
    let veiled = format!(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {VEILED} ORDER BY c.oid"
    );
    let tables: Vec<String> = sqlx::query_scalar(AssertSqlSafe(veiled)).fetch_all(&mut *conn).await?;
    let mut transaction = unveiled(conn, &tables).await?;
    sqlx::query("SET TRANSACTION READ ONLY").execute(&mut *transaction).await?;
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::lab::lab;

    #[tokio::test]
    async fn what_an_owner_does_not_see_is_seen_and_hidden_again_and_nothing_can_be_written() {
        let lab = lab().await;
        let target = lab.target().await;
        let mut owner = lab.owner(&target).await;
        let table = "CREATE SCHEMA a; CREATE TABLE a.\"b c\" AS SELECT 1 AS x; ALTER TABLE a.\"b c\" ENABLE ROW LEVEL SECURITY;
                     ALTER TABLE a.\"b c\" FORCE ROW LEVEL SECURITY";
        sqlx::raw_sql(table).execute(&mut owner).await.expect("a table");
        let rows = "SELECT count(*) FROM a.\"b c\"";
        let mut reading = all_rows(&mut owner).await.expect("a transaction");
        let seen: i64 = sqlx::query_scalar(rows).fetch_one(&mut *reading).await.expect("a count");
        let write = sqlx::query("INSERT INTO a.\"b c\" VALUES (2)").execute(&mut *reading).await;
        reading.rollback().await.expect("rolled back");
        let after: i64 = sqlx::query_scalar(rows).fetch_one(&mut owner).await.expect("a count");
        assert_eq!((seen, write.is_err(), after), (1, true, 0));
    }
}
