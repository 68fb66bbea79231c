//! Events: what happened, in order, for people.

use chrono::{DateTime, Utc};

use super::{Epoch, Result, Store, StoreError};

/// Whether a person should worry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "PascalCase")]
pub enum Severity {
    /// Things go on.
    Normal,
    /// Something was not as it should be.
    Warning,
}

/// A row of `recovery_events`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Event {
    /// Grows with time.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// How bad.
    #[sqlx(rename = "type")]
    pub severity: Severity,
    /// One word, `PascalCase`.
    pub reason: String,
    /// The step that it is about, if any.
    pub step: Option<String>,
    /// A sentence.
    pub message: String,
}

impl Store {
    /// Appends an event, unless the newest one of the request says just the same.
    pub async fn record_event(
        &self,
        request: &str,
        epoch: Epoch,
        severity: Severity,
        reason: &str,
        step: Option<&str>,
        message: &str,
    ) -> Result<()> {
        let failed = StoreError::query("event.record");
        let mut transaction = self.fenced(request, epoch).await?;
        sqlx::query(
            "INSERT INTO recovery_events (request, type, reason, step, message)
             SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (
                SELECT 1 FROM (SELECT reason, step, message FROM recovery_events WHERE request = $1 ORDER BY id DESC LIMIT 1) AS newest
                WHERE (newest.reason, newest.step, newest.message) IS NOT DISTINCT FROM ($3, $4, $5))",
        )
        .bind(request)
        .bind(severity)
        .bind(reason)
        .bind(step)
        .bind(message)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// When a recovery of each plan that there is last reached each milestone, for the metrics. Drills are not counted, nor are recoveries of a
    /// part: where a scope has no step a milestone holds by itself.
    pub async fn milestones(&self) -> Result<Vec<(String, String, DateTime<Utc>)>> {
        sqlx::query_as(
            r#"SELECT request.plan, split_part(event.message, ' ', 2), max(event.at)
             FROM recovery_events AS event
             JOIN recovery_requests AS request ON request.name = event.request
             JOIN recovery_plans AS plan ON plan.name = request.plan
             WHERE event.reason = 'MilestoneReached' AND coalesce(request.spec ->> 'mode', 'recover') = 'recover'
                AND coalesce(request.spec -> 'scope', '"all"') @> '"all"'
             GROUP BY 1, 2 ORDER BY 1, 3"#,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("event.milestones"))
    }

    /// The events of a request after `id`, oldest first.
    pub async fn events_after(&self, request: &str, id: i64) -> Result<Vec<Event>> {
        sqlx::query_as(
            "SELECT id, at, type, reason, step, message FROM recovery_events WHERE request = $1 AND id > $2 ORDER BY id",
        )
        .bind(request)
        .bind(id)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("event.list"))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::lab;

    #[tokio::test]
    async fn milestones_are_those_of_recoveries_and_survive_the_process() {
        let lab = lab().await;
        for statement in [
            "INSERT INTO recovery_requests (name, plan) VALUES ('first', 'apilos'), ('second', 'apilos')",
            "INSERT INTO recovery_requests (name, plan, spec) VALUES ('drilled', 'apilos', '{\"mode\": \"drill\"}'),
                ('names', 'apilos', '{\"scope\": [\"dns\"]}'), ('named', 'apilos', '{\"scope\": \"dns\"}')",
            "INSERT INTO recovery_events (request, at, type, reason, message) VALUES
                ('first', to_timestamp(100), 'Normal', 'MilestoneReached', 'milestone app-created is reached'),
                ('second', to_timestamp(200), 'Normal', 'MilestoneReached', 'milestone app-created is reached'),
                ('drilled', to_timestamp(300), 'Normal', 'MilestoneReached', 'milestone app-created is reached'),
                ('names', to_timestamp(300), 'Normal', 'MilestoneReached', 'milestone app-created is reached'),
                ('named', to_timestamp(300), 'Normal', 'MilestoneReached', 'milestone app-created is reached'),
                ('second', to_timestamp(400), 'Normal', 'BackupChosen', 'milestone dns-ok is near')",
        ] {
            lab.sql(statement).await.expect("written");
        }
        let reached = lab.store.milestones().await.expect("read");
        let at = chrono::DateTime::from_timestamp(200, 0).expect("a date");
        assert_eq!(reached, [("apilos".to_owned(), "app-created".to_owned(), at)]);
        let mut open = lab.store.scopes().await.expect("read");
        open.sort_unstable();
        assert_eq!(open, [("all".to_owned(), 3), ("dns".to_owned(), 2)]);
        lab.end().await;
    }
}
