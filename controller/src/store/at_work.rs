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

    /// Another request that has not ended and has begun to work with one of `apps`: one that was filed earlier and looks at it or makes it,
    /// or whichever has looked at it to the end, or has a change of it on record. The one that comes second waits for a person.
    pub async fn other_at_work(&self, request: &str, apps: &[&str]) -> Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT name FROM recovery_requests AS other
             WHERE phase NOT IN ('Succeeded', 'Failed', 'Cancelled') AND name <> $1
                AND (EXISTS (SELECT FROM resource_ledger WHERE request = other.name AND state <> 'deleted'
                        AND ((name = ANY($2) AND kind IN ('app', 'variables', 'force-https'))
                            OR (parent = ANY($2) AND kind IN ('domain', 'detached-domain'))))
                    OR EXISTS (SELECT FROM recovery_steps WHERE request = other.name
                        AND step IN (SELECT 'target/' || app FROM unnest($2::text[]) AS app)
                        AND (phase = 'Done'
                            OR (other.created_at, other.name) < (SELECT created_at, name FROM recovery_requests WHERE name = $1))))
             ORDER BY created_at LIMIT 1",
        )
        .bind(request)
        .bind(apps)
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::query("at_work.other"))
    }

    /// The hosts of the databases to which requests other than this one had led apps, and have undone that: they are deleted, or go next.
    pub async fn databases_undone(&self, request: &str) -> Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT DISTINCT undone.host FROM (SELECT detail #>> '{to,host}' AS host FROM resource_ledger
                WHERE kind = 'variables' AND state = 'deleted' AND request <> $1) AS undone
             WHERE undone.host IS NOT NULL",
        )
        .bind(request)
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::query("at_work.undone"))
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
        let other = async |request: &str, app: &str| {
            lab.store.other_at_work(request, &[app, "other"]).await.expect("answered")
        };
        assert_eq!(other("second", "front-new").await.as_deref(), Some("first"));
        assert_eq!(other("first", "front-new").await, None, "it was there first");
        assert_eq!(other("second", "front-old").await, None);
        lab.sql("UPDATE recovery_steps SET phase = 'Done' WHERE request = 'second'")
            .await
            .expect("looked at");
        assert_eq!(
            other("first", "front-new").await.as_deref(),
            Some("second"),
            "it goes on with it already"
        );
        lab.sql("UPDATE recovery_steps SET phase = 'Failed' WHERE request = 'second'")
            .await
            .expect("refused");
        lab.sql(
            r#"INSERT INTO resource_ledger (nonce, request, step, kind, name, parent, epoch, detail) VALUES
                (gen_random_uuid(), 'second', 'domain/www', 'detached-domain', 'www', 'front-old', 1, '{}'),
                (gen_random_uuid(), 'second', 'switch/front-new', 'variables', 'front-new', NULL, 1, '{"to": {"host": "new.test"}}')"#,
        )
        .await
        .expect("changed");
        for app in ["front-new", "front-old"] {
            assert_eq!(other("first", app).await.as_deref(), Some("second"), "{app}");
        }
        let undone = async |request: &str| lab.store.databases_undone(request).await.expect("answered");
        assert_eq!(undone("first").await, [""; 0]);
        lab.sql("UPDATE resource_ledger SET state = 'deleted'").await.expect("undone");
        assert_eq!((undone("first").await, undone("second").await.len()), (vec!["new.test".to_owned()], 0));
        assert_eq!(other("first", "front-old").await, None);
        lab.sql("UPDATE recovery_requests SET phase = 'Succeeded' WHERE name = 'first'")
            .await
            .expect("ended");
        assert_eq!(other("second", "front-new").await, None);
        lab.end().await;
    }
}
