//! Whether the server is at work for us: the sign of life of what tells nothing while it goes on (an index, one large table).

use sqlx::PgConnection;

use super::CheckError;

/// Whether another session of the connection's own user executes something, and waits neither for a lock of somebody's nor for its
/// client.
pub async fn is_executing(conn: &mut PgConnection) -> Result<bool, CheckError> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
          WHERE usename = current_user AND pid <> pg_catalog.pg_backend_pid() AND state = 'active'
            AND coalesce(wait_event_type, '') NOT IN ('Lock', 'Client'))",
    )
    .fetch_one(conn)
    .await
    .map_err(|source| CheckError { doing: "ask the server what it does", source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::lab::lab;

    #[tokio::test]
    async fn work_is_a_sign_of_life_and_waiting_for_a_lock_is_none() {
        let lab = lab().await;
        let target = lab.target().await;
        let (mut works, mut holds, mut asks) =
            (lab.owner(&target).await, lab.owner(&target).await, lab.owner(&target).await);
        assert!(!is_executing(&mut asks).await.expect("told"), "the others are idle");
        for sql in ["CREATE TABLE a (x integer)", "BEGIN; LOCK TABLE a"] {
            sqlx::raw_sql(sql).execute(&mut holds).await.expect("a lock");
        }
        let blocked = sqlx::raw_sql("TABLE a").execute(&mut works);
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = current_user AND wait_event_type = 'Lock')";
        let seen = async {
            while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut asks).await.expect("told") {}
            assert!(!is_executing(&mut asks).await.expect("told"), "it waits for a lock");
        };
        tokio::select! { biased; _ = blocked => panic!("it had to wait"), () = seen => {} }
        let work = sqlx::raw_sql("SELECT pg_sleep(600)").execute(&mut holds);
        let seen = async { while !is_executing(&mut asks).await.expect("told") {} };
        tokio::select! { biased; _ = work => panic!("it takes ten minutes"), () = seen => {} }
    }
}
