//! The lease of a request: who may act on it, fenced by an epoch that grows with each change of owner.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, Transaction};

use super::{ASKED, Result, Store, StoreError};
use crate::runtime::lease::{Epoch, Lease, LeaseStore, Seen};

/// The lease of one request, in its row. The database's clock judges it.
#[derive(Debug, Clone)]
pub struct RequestLease {
    store: Store,
    request: String,
}

impl RequestLease {
    /// Whether `epoch` is the current owner's, and its lease has not ended.
    pub async fn stands(&self, epoch: Epoch) -> Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM recovery_requests WHERE name = $1 AND lease_epoch = $2 AND lease_holder IS NOT NULL
                AND lease_expires_at > clock_timestamp())",
        )
        .bind(&self.request)
        .bind(epoch.0)
        .fetch_one(&self.store.pool)
        .await
        .map_err(StoreError::query("lease.stands"))
    }
}

impl Store {
    /// The lease of `request`.
    pub fn lease(&self, request: &str) -> RequestLease {
        RequestLease { store: self.clone(), request: request.to_owned() }
    }

    /// Has every daemon look at `request` at once: there is something for whoever does not own it, or owns it no more.
    pub async fn wake(&self, request: &str) -> Result<()> {
        let told =
            sqlx::query("SELECT pg_notify($1, $2)").bind(ASKED).bind(request).execute(&self.pool).await;
        told.map(drop).map_err(StoreError::query("lease.wake"))
    }

    /// Opens a transaction in which `epoch` is proved to be the current owner's: the row is locked until it ends, so no other
    /// replica can take over in between.
    pub(super) async fn fenced(&self, request: &str, epoch: Epoch) -> Result<Transaction<'static, Postgres>> {
        let failed = StoreError::query("lease.fence");
        let mut transaction = self.begin_briefly().await.map_err(&failed)?;
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
         WHERE name = $1 AND lease_epoch = $2 AND lease_holder IS NOT NULL FOR NO KEY UPDATE",
    )
    .bind(request)
    .bind(epoch.0)
    .fetch_optional(connection)
    .await?;
    Ok(held == Some(true))
}

/// A lease's columns: holder, epoch, end, and the database's clock.
type Row = (Option<String>, i64, Option<DateTime<Utc>>, DateTime<Utc>);

impl LeaseStore for RequestLease {
    type Error = StoreError;

    async fn read(&self) -> Result<Seen> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT lease_holder, lease_epoch, lease_expires_at, clock_timestamp() FROM recovery_requests WHERE name = $1",
        )
        .bind(&self.request)
        .fetch_optional(&self.store.pool)
        .await
        .map_err(StoreError::query("lease.read"))?;
        let (holder, epoch, expires_at, now) = row.unwrap_or_else(|| (None, 0, None, Utc::now()));
        let holder = holder.unwrap_or_default();
        let lease =
            (epoch > 0).then(|| Lease { holder, epoch: Epoch(epoch), expires_at: expires_at.unwrap_or(now) });
        Ok(Seen { lease, now })
    }

    async fn take(&self, me: &str, after: Epoch, term: Duration) -> Result<Option<Epoch>> {
        let failed = StoreError::query("lease.take");
        let mut transaction = self.store.begin_briefly().await.map_err(&failed)?;
        let taken = sqlx::query_scalar::<_, i64>(
            "UPDATE recovery_requests SET lease_epoch = lease_epoch + 1, lease_holder = $2,
                lease_expires_at = clock_timestamp() + make_interval(secs => $4)
             WHERE name = $1 AND lease_epoch = $3
               AND (lease_holder IS NULL OR lease_holder = $2 OR lease_expires_at <= clock_timestamp()
                 OR lease_expires_at > clock_timestamp() + make_interval(secs => 2 * $4))
             RETURNING lease_epoch",
        )
        .bind(&self.request)
        .bind(me)
        .bind(after.0)
        .bind(term.as_secs_f64())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(taken.map(Epoch))
    }

    async fn renew(&self, me: &str, epoch: Epoch, term: Duration) -> Result<bool> {
        let failed = StoreError::query("lease.renew");
        let mut transaction = self.store.begin_briefly().await.map_err(&failed)?;
        let done = sqlx::query(
            "UPDATE recovery_requests SET lease_expires_at = clock_timestamp() + make_interval(secs => $4)
             WHERE name = $1 AND lease_holder = $2 AND lease_epoch = $3 AND lease_expires_at > clock_timestamp()",
        )
        .bind(&self.request)
        .bind(me)
        .bind(epoch.0)
        .bind(term.as_secs_f64())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    async fn release(&self, me: &str, epoch: Epoch) -> Result<()> {
        let failed = StoreError::query("lease.release");
        let mut transaction = self.store.begin_briefly().await.map_err(&failed)?;
        sqlx::query(
            "UPDATE recovery_requests SET lease_holder = NULL, lease_expires_at = NULL
             WHERE name = $1 AND lease_holder = $2 AND lease_epoch = $3",
        )
        .bind(&self.request)
        .bind(me)
        .bind(epoch.0)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }
}
