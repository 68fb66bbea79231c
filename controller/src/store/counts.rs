//! The rows of a backup's tables: with thousands of tables they are most of what is known of it, and few ask for them.

use serde_json::Value;

use super::{Result, Store, StoreError};

impl Store {
    /// The rows of one backup's tables, if they are known.
    pub async fn counts_of(&self, plan: &str, backup: &str) -> Result<Option<Value>> {
        let counts: Option<Option<Value>> = sqlx::query_scalar(
            "SELECT counts FROM backup_verdicts WHERE plan = $1 AND kind = 'database' AND backup = $2",
        )
        .bind(plan)
        .bind(backup)
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::query("verdict.counts"))?;
        Ok(counts.flatten())
    }
}
