//! What must not stay: downloaded dumps (personal data) and the ephemeral SSH key. Also done when a request fails or is cancelled.

use super::teardown::{self, Undone};
use super::{Ctx, Result, StepError};
use crate::providers::scalingo::keys::Key;
use crate::recovery::drive::QUIET;
use crate::store::{LedgerRow, LedgerState, SpanKind};

pub(super) async fn run(ctx: &Ctx) -> Result<()> {
    ctx.doing(SpanKind::Own, "deleting what must not stay");
    remove_dir(ctx).await?;
    let rows = ctx.tools.store.ledger(&ctx.run.request).await?;
    let quiet = ctx.deadline(QUIET);
    for row in rows.iter().filter(|row| row.kind == "ssh-key" && row.state != LedgerState::Deleted) {
        teardown::settle(ctx, row, quiet).await?;
        ctx.gone(row).await?;
    }
    ctx.tools.forget_ssh_key(&ctx.run.request);
    Ok(())
}

/// Removes the key of a row of the ledger, whose name is this request's own.
pub(super) async fn remove_key(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let keys = keys(ctx, row).await?;
    for key in &keys {
        let gone = ctx.tools.target_platform(&ctx.run)?.delete_key(&key.id).await;
        gone.map_err(StepError::provider("removing the ephemeral SSH key"))?;
    }
    Ok(if keys.is_empty() { Undone::Absent } else { Undone::Settled })
}

pub(super) async fn key_is_gone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    Ok(keys(ctx, row).await?.is_empty())
}

async fn keys(ctx: &Ctx, row: &LedgerRow) -> Result<Vec<Key>> {
    let listed = ctx.tools.target_platform(&ctx.run)?.keys().await;
    let mut keys = listed.map_err(StepError::provider("listing the account's SSH keys"))?;
    keys.retain(|key| key.name == row.name);
    Ok(keys)
}

async fn remove_dir(ctx: &Ctx) -> Result<()> {
    match tokio::fs::remove_dir_all(&ctx.run.dir).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StepError::io("deleting the downloaded backups")(error))
        }
        _ => Ok(()),
    }
}
