//! What must not stay: downloaded dumps (personal data) and the ephemeral SSH key. Also done when a request fails or is cancelled.

use super::{Ctx, Result, StepError};
use crate::store::{LedgerRow, LedgerState, SpanKind};

pub(super) async fn run(ctx: &Ctx) -> Result<()> {
    ctx.doing(SpanKind::Own, "deleting what must not stay");
    remove_dir(ctx).await?;
    let rows = ctx.tools.store.ledger(&ctx.run.request).await?;
    for row in rows.iter().filter(|row| row.kind == "ssh-key" && row.state != LedgerState::Deleted) {
        remove_key(ctx, row).await?;
        ctx.gone(row).await?;
    }
    ctx.tools.forget_ssh_key(&ctx.run.request);
    Ok(())
}

/// Removes the key of a row of the ledger, whose name is this request's own. `false` if there is none.
pub(super) async fn remove_key(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let mut keys = platform.keys().await.map_err(StepError::provider("listing the account's SSH keys"))?;
    keys.retain(|key| key.name == row.name);
    for key in &keys {
        let gone = platform.delete_key(&key.id).await;
        gone.map_err(StepError::provider("removing the ephemeral SSH key"))?;
    }
    Ok(!keys.is_empty())
}

async fn remove_dir(ctx: &Ctx) -> Result<()> {
    match tokio::fs::remove_dir_all(&ctx.run.dir).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StepError::io("deleting the downloaded backups")(error))
        }
        _ => Ok(()),
    }
}
