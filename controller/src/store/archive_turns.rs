//! Turns at a plan's archive: who works on it, and who lists or deletes its contents.

use super::{Result, Store, StoreError};

impl Store {
    /// Takes the turn of a plan's archive: at most one process works on it. Held by a connection of its own, so that it ends with us.
    pub async fn archive_turn(&self, plan: &str) -> Result<Option<Turn>> {
        Turn::at(self, "reprise.archive", plan).await
    }

    /// The turn to list the contents of a plan's archive, or to delete some of them: waits for it.
    pub async fn archive_listing_turn(&self, plan: &str) -> Result<Turn> {
        let failed = StoreError::query("archive.listing_turn");
        let mut connection = self.pool.acquire().await.map_err(&failed)?.detach();
        sqlx::query("SELECT pg_advisory_lock(hashtext('reprise.archive.listing'), hashtext($1))")
            .bind(plan)
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        Ok(Turn { connection })
    }
}

/// The turn of a plan's archive; ends when it is dropped.
#[derive(Debug)]
pub struct Turn {
    connection: sqlx::PgConnection,
}

impl Turn {
    /// The turn of `kind` at `what`, if nobody has it.
    pub(super) async fn at(store: &Store, kind: &str, what: &str) -> Result<Option<Self>> {
        let failed = StoreError::query("archive.turn");
        let mut connection = store.pool.acquire().await.map_err(&failed)?.detach();
        let taken = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext($1), hashtext($2))")
            .bind(kind)
            .bind(what)
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        Ok(if taken { Some(Self { connection }) } else { None })
    }

    /// Makes sure that it is still ours: the store may have lost the connection, and given the turn to somebody else.
    pub async fn is_ours(&mut self) -> Result<()> {
        let asked = sqlx::query("SELECT 1").execute(&mut self.connection).await;
        asked.map(drop).map_err(StoreError::query("archive.is_ours"))
    }
}
