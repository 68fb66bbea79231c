//! What must not stay: downloaded dumps (personal data) and the ephemeral SSH key. Also done when a request fails or is cancelled.

use super::{Ctx, Result, StepError};
use crate::store::{LedgerState, SpanKind};

pub(super) async fn run(ctx: &Ctx) -> Result<()> {
    ctx.doing(SpanKind::Own, "deleting what must not stay");
    remove_dir(ctx).await?;
    let rows = ctx.tools.store.ledger(&ctx.run.request).await?;
    for row in rows.iter().filter(|row| row.kind == "ssh-key" && row.state != LedgerState::Deleted) {
        let platform = ctx.tools.target_platform(&ctx.run)?;
        let keys = platform.keys().await.map_err(StepError::provider("listing the account's SSH keys"))?;
        for key in keys.iter().filter(|key| key.name == row.name) {
            platform
                .delete_key(&key.id)
                .await
                .map_err(StepError::provider("removing the ephemeral SSH key"))?;
        }
        ctx.gone(row).await?;
    }
    ctx.tools.forget_ssh_key(&ctx.run.request);
    Ok(())
}

async fn remove_dir(ctx: &Ctx) -> Result<()> {
    match tokio::fs::remove_dir_all(&ctx.run.dir).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StepError::io("deleting the downloaded backups")(error))
        }
        _ => Ok(()),
    }
}
