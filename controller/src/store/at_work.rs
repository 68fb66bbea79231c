//! Whether a recovery or drill is at work, which comes before all that can wait.

use super::{Result, Store, StoreError};

impl Store {
    /// Whether a recovery or drill is at work, of whichever plan: what can wait waits for it. One that was not accepted stands
    /// until somebody corrects it, and is at no work.
    pub async fn recovery_at_work(&self) -> Result<bool> {
        self.at_work(None).await
    }

    /// The same for what is of one `plan`: the tear-down of another one's drill may go on for days where a vendor refuses it, and
    /// takes neither disk nor line that anybody would miss.
    pub async fn recovery_at_work_beside(&self, plan: &str) -> Result<bool> {
        self.at_work(Some(plan)).await
    }

    async fn at_work(&self, plan: Option<&str>) -> Result<bool> {
        sqlx::query_scalar(
            r#"SELECT EXISTS (SELECT FROM recovery_requests WHERE phase IN ('Pending', 'Running', 'TearingDown')
                AND NOT (phase = 'Pending' AND coalesce(status -> 'conditions', '[]') @> '[{"type": "Accepted", "status": "False"}]')
                AND NOT coalesce(phase = 'TearingDown' AND spec ->> 'mode' = 'drill' AND plan <> $1, false))"#,
        )
        .bind(plan)
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::query("at_work.look"))
    }
}
