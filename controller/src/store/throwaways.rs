//! The throwaway databases on servers that plans name: each is on record before it is made.

use super::{Result, Store, StoreError};

/// A row of `proof_databases`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ThrowawayRow {
    /// The database's name.
    pub name: String,
    /// The plan whose backups are tried in it.
    pub plan: String,
    /// Host and port of its server.
    pub server: String,
}

impl Store {
    /// Puts down that a database of this name is about to be made.
    pub async fn begin_throwaway(&self, name: &str, plan: &str, server: &str) -> Result<()> {
        sqlx::query("INSERT INTO proof_databases (name, plan, server) VALUES ($1, $2, $3)")
            .bind(name)
            .bind(plan)
            .bind(server)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(StoreError::query("throwaway.begin"))
    }

    /// All that are on record, the oldest first.
    pub async fn throwaways(&self) -> Result<Vec<ThrowawayRow>> {
        sqlx::query_as("SELECT name, plan, server FROM proof_databases ORDER BY begun_at, name")
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("throwaway.list"))
    }

    /// Forgets one that was dropped. Safe to repeat.
    pub async fn end_throwaway(&self, name: &str) -> Result<()> {
        self.forget_throwaway("DELETE FROM proof_databases WHERE name = $1", name).await
    }

    /// Forgets one that is not there, unless it was begun within the hour: what a killed process asked for may still come. Safe to repeat.
    pub async fn forget_absent_throwaway(&self, name: &str) -> Result<()> {
        let old = "DELETE FROM proof_databases WHERE name = $1 AND begun_at < now() - interval '1 hour'";
        self.forget_throwaway(old, name).await
    }

    async fn forget_throwaway(&self, statement: &'static str, name: &str) -> Result<()> {
        let done = sqlx::query(statement).bind(name).execute(&self.pool).await;
        done.map(drop).map_err(StoreError::query("throwaway.end"))
    }
}
