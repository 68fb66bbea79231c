//! Plans: what `reprise apply` writes.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Result, Store, StoreError};

/// A row of `recovery_plans`, as stored; its spec may be anything.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PlanRow {
    /// Its name.
    pub name: String,
    /// `RecoveryPlan.spec`, not validated.
    pub spec: Value,
    /// Conditions, written by the daemon.
    pub status: Value,
    /// Grows with each change of the spec.
    pub generation: i64,
    /// When it was first applied.
    pub created_at: DateTime<Utc>,
}

/// What [`Store::apply_plan`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// There was no such plan.
    Created,
    /// Its spec changed.
    Configured,
    /// It was already so.
    Unchanged,
}

const COLUMNS: &str = "SELECT name, spec, status, generation, created_at FROM recovery_plans";

impl Store {
    /// Creates the plan or replaces its spec. Safe to repeat.
    pub async fn apply_plan(&self, name: &str, spec: &Value) -> Result<Applied> {
        let failed = StoreError::query("plan.apply");
        let before = self.plan(name).await?.map(|row| row.generation);
        let after = sqlx::query_scalar::<_, i64>(
            "INSERT INTO recovery_plans (name, spec) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET spec = EXCLUDED.spec RETURNING generation",
        )
        .bind(name)
        .bind(spec)
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        Ok(match before {
            None => Applied::Created,
            Some(before) if before == after => Applied::Unchanged,
            Some(_) => Applied::Configured,
        })
    }

    /// Puts one part of the plan's status in place of the one before; the others stay. Safe to repeat.
    pub async fn record_plan_status(&self, plan: &str, part: &str, value: &Value) -> Result<()> {
        sqlx::query("UPDATE recovery_plans SET status = jsonb_set(status, ARRAY[$2], $3) WHERE name = $1")
            .bind(plan)
            .bind(part)
            .bind(value)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(StoreError::query("plan.status"))
    }

    /// The plan called `name`.
    pub async fn plan(&self, name: &str) -> Result<Option<PlanRow>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE name = $1")))
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::query("plan.get"))
    }

    /// Every plan, by name.
    pub async fn plans(&self) -> Result<Vec<PlanRow>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY name")))
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::query("plan.list"))
    }
}
