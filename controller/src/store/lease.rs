//! The lease of a request: who may act on it, fenced by an epoch that grows with each change of owner.

use std::time::Duration;

use sqlx::{PgConnection, Postgres, Transaction};

use super::{Result, Store, StoreError};

/// The fencing token that a write about a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

impl Store {
    /// Takes or renews the lease of `request` for `holder`, for `term` from now by the *database's* clock. `None`: somebody else
    /// holds it. The epoch grows whenever the lease changes hands or had expired, so that a former self is fenced off as well.
    pub async fn take_lease(&self, request: &str, holder: &str, term: Duration) -> Result<Option<Epoch>> {
        sqlx::query_scalar::<_, i64>(
            "UPDATE recovery_requests SET
                lease_epoch = lease_epoch + CASE WHEN lease_holder = $2 AND lease_expires_at > clock_timestamp() THEN 0 ELSE 1 END,
                lease_holder = $2,
                lease_expires_at = clock_timestamp() + make_interval(secs => $3)
             WHERE name = $1 AND (lease_holder IS NULL OR lease_holder = $2 OR lease_expires_at <= clock_timestamp())
             RETURNING lease_epoch",
        )
        .bind(request)
        .bind(holder)
        .bind(term.as_secs_f64())
        .fetch_optional(&self.pool)
        .await
        .map(|epoch| epoch.map(Epoch))
        .map_err(StoreError::query("lease.take"))
    }

    /// Gives the lease back, if it is still `holder`'s, so that another daemon need not wait for its end.
    pub async fn release_lease(&self, request: &str, holder: &str) -> Result<()> {
        sqlx::query(
            "UPDATE recovery_requests SET lease_holder = NULL, lease_expires_at = NULL WHERE name = $1 AND lease_holder = $2",
        )
        .bind(request)
        .bind(holder)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(StoreError::query("lease.release"))
    }

    /// Opens a transaction in which `epoch` is proved to be the current owner's: the row is locked until it ends, so no other
    /// replica can take over in between.
    pub(super) async fn fenced(&self, request: &str, epoch: Epoch) -> Result<Transaction<'static, Postgres>> {
        let failed = StoreError::query("lease.fence");
        let mut transaction = self.pool.begin().await.map_err(&failed)?;
        if holds(&mut transaction, request, epoch).await.map_err(&failed)? {
            Ok(transaction)
        } else {
            Err(StoreError::Fenced { request: request.to_owned() })
        }
    }
}

async fn holds(connection: &mut PgConnection, request: &str, epoch: Epoch) -> sqlx::Result<bool> {
    let held = sqlx::query_scalar::<_, bool>(
        "SELECT lease_expires_at > clock_timestamp() FROM recovery_requests
         WHERE name = $1 AND lease_epoch = $2 AND lease_holder IS NOT NULL FOR UPDATE",
    )
    .bind(request)
    .bind(epoch.0)
    .fetch_optional(connection)
    .await?;
    Ok(held == Some(true))
}
