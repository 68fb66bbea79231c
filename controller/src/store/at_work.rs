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

    /// Another request that was filed earlier, has not ended, and makes `app` or was told to use it. The later one waits for a person.
    pub async fn other_at_work(&self, request: &str, app: &str) -> Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT name FROM recovery_requests AS other
             WHERE phase NOT IN ('Succeeded', 'Failed', 'Cancelled')
                AND (created_at, name) < (SELECT created_at, name FROM recovery_requests WHERE name = $1)
                AND (EXISTS (SELECT FROM resource_ledger WHERE request = other.name AND name = $2 AND kind = 'app' AND state <> 'deleted')
                    OR EXISTS (SELECT FROM recovery_steps WHERE request = other.name AND step = 'target/' || $2))
             ORDER BY created_at LIMIT 1",
        )
        .bind(request)
        .bind(app)
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::query("at_work.other"))
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

#[cfg(test)]
mod tests {
    use crate::store::tests::lab;

    #[tokio::test]
    async fn an_earlier_request_that_has_not_ended_keeps_its_app_to_itself() {
        let lab = lab().await;
        lab.sql(
            "INSERT INTO recovery_requests (name, plan, created_at) VALUES ('first', 'apilos', now() - interval '1 hour'), ('second', 'apilos', now())",
        )
        .await
        .expect("filed");
        lab.sql(
            "INSERT INTO recovery_steps (request, step, milestone, phase) VALUES ('first', 'target/front-new', 'app-created', 'Done'),
                ('second', 'target/front-new', 'app-created', 'Running')",
        )
        .await
        .expect("begun");
        let other =
            async |request: &str, app: &str| lab.store.other_at_work(request, app).await.expect("answered");
        assert_eq!(other("second", "front-new").await.as_deref(), Some("first"));
        assert_eq!(other("first", "front-new").await, None, "it was there first");
        assert_eq!(other("second", "front-old").await, None);
        lab.sql("UPDATE recovery_requests SET phase = 'Succeeded' WHERE name = 'first'")
            .await
            .expect("ended");
        assert_eq!(other("second", "front-new").await, None);
        lab.end().await;
    }
}
