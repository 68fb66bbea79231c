//! Whose turn the preflight is. What it finds is kept in the plan's status, where people and programs look for it.

use sqlx::PgConnection;

use super::{Result, Store, StoreError};

/// The right to look, as long as it lives.
#[derive(Debug)]
pub struct PreflightTurn {
    _connection: PgConnection,
}

impl Store {
    /// Takes the turn to look: one daemon at a time does, for all plans. Held by a connection of its own, so that it ends
    /// with us.
    pub async fn preflight_turn(&self) -> Result<Option<PreflightTurn>> {
        let failed = StoreError::query("preflight.turn");
        let mut connection = self.pool.acquire().await.map_err(&failed)?.detach();
        let taken = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('reprise.preflight'))")
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        Ok(if taken { Some(PreflightTurn { _connection: connection }) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::store::tests::lab;

    #[tokio::test]
    async fn an_outcome_is_kept_beside_what_the_status_holds_and_asks_for_nothing() {
        let lab = lab().await;
        lab.sql("UPDATE recovery_plans SET status = '{\"conditions\": []}'").await.unwrap();
        lab.store.record_plan_status("apilos", "preflight", &json!({"a": 1})).await.unwrap();
        lab.store.record_plan_status("apilos", "preflight", &json!({"a": 2})).await.unwrap();
        let row = lab.store.plan("apilos").await.unwrap().unwrap();
        assert_eq!(row.status, json!({"conditions": [], "preflight": {"a": 2}}));
        assert_eq!(row.generation, 1, "nobody changed the plan");
        let first = lab.store.preflight_turn().await.unwrap();
        assert!(first.is_some() && lab.store.preflight_turn().await.unwrap().is_none());
        lab.end().await;
    }
}
