//! A rehearsal of the alerts: until when the metrics are to say that there is one.

use chrono::{DateTime, Utc};

use super::{Result, Store, StoreError};

impl Store {
    /// The alerts are rehearsed until then; a date in the past ends it. Safe to repeat.
    pub async fn rehearse_alerts(&self, until: DateTime<Utc>) -> Result<()> {
        sqlx::query(
            "INSERT INTO alert_drill (until) VALUES ($1) ON CONFLICT (only_one) DO UPDATE SET until = EXCLUDED.until",
        )
        .bind(until)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("alert_drill.begin"))
    }

    /// Whether the alerts are rehearsed at `now`.
    pub async fn alerts_are_rehearsed(&self, now: DateTime<Utc>) -> Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM alert_drill WHERE until > $1)")
            .bind(now)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::query("alert_drill.is"))
    }
}
