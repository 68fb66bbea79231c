//! The plan as it stood when a request was accepted, kept with the request.

use serde_json::Value;

use super::{Epoch, Result, Store, StoreError};

impl Store {
    /// The spec of the plan that `request` was accepted with; `None` before that, and where an earlier release did not keep it.
    pub async fn accepted_plan(&self, request: &str) -> Result<Option<Value>> {
        let kept: Option<Option<Value>> =
            sqlx::query_scalar("SELECT accepted_plan FROM recovery_requests WHERE name = $1")
                .bind(request)
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::query("request.plan"))?;
        Ok(kept.flatten())
    }

    /// Keeps `spec` as the plan that `request` was accepted with. Safe to repeat: the first one stays.
    pub async fn keep_plan(&self, request: &str, epoch: Epoch, spec: &Value) -> Result<()> {
        let failed = StoreError::query("request.keep");
        let mut transaction = self.fenced(request, epoch).await?;
        sqlx::query(
            "UPDATE recovery_requests SET accepted_plan = $2 WHERE name = $1 AND accepted_plan IS NULL",
        )
        .bind(request)
        .bind(spec)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }
}
