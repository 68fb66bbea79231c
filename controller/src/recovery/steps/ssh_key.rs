//! A key that the platform's SSH server accepts from us: the configured one if it is registered, else an ephemeral one, registered
//! for this request and removed with it. The ephemeral private half never leaves this process; after a crash it is replaced.

use super::{Ctx, Result, StepError};
use crate::providers::scalingo::keys::Key;
use crate::providers::ssh::{ClientKey, SshConfig};
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::SshIdentity;
use crate::recovery::rehearsal::suffix;
use crate::recovery::tools::registered;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    /// A key of ours whose private half is lost.
    Remove(String),
    Register,
}

pub(super) async fn run(ctx: &Ctx) -> Result<SshIdentity> {
    let (identity, key) = identity(ctx).await?;
    // A server that cannot be recognised is told here, and not first when a dump waits for its way.
    ctx.tools.ssh_config(&ctx.run.plan.target.region, key).await?;
    Ok(identity)
}

/// How to reach the platform's SSH server as somebody whom it knows. Registers a fresh key if the earlier one is lost.
pub(super) async fn config(ctx: &Ctx) -> Result<SshConfig> {
    let (_, key) = identity(ctx).await?;
    ctx.tools.ssh_config(&ctx.run.plan.target.region, key).await
}

async fn identity(ctx: &Ctx) -> Result<(SshIdentity, ClientKey)> {
    // Two steps may want the key at once: only one of them registers it.
    let _turn = ctx.tools.ssh_key_turn.lock().await;
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe =
        || async { platform.keys().await.map_err(StepError::provider("listing the account's SSH keys")) };
    let listed = look(ctx, Pace::PROVIDER, observe).await?;
    if let Some(key) = ctx.tools.configured_ssh_key()?
        && let Some(known) = registered(&listed, &key)
    {
        return Ok((SshIdentity { ephemeral: false, id: known.id.clone() }, key));
    }
    ephemeral(ctx).await
}

async fn ephemeral(ctx: &Ctx) -> Result<(SshIdentity, ClientKey)> {
    // Another daemon may use the account, and have a request of the same name.
    let name = format!("reprise-{}-{}", ctx.run.request, suffix(&ctx.run.request, ctx.run.filed_at));
    let key = ctx.tools.ephemeral_ssh_key(&ctx.run.request)?;
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let intent = ctx.intend("ssh-key", &name, None, serde_json::json!({})).await?;
    let line = key.public_line().map_err(StepError::failed("writing the public half of the SSH key"))?;
    let observe =
        || async { platform.keys().await.map_err(StepError::provider("listing the account's SSH keys")) };
    let act = |action: Action| async {
        let action = action;
        match action {
            Action::Remove(id) => platform
                .delete_key(&id)
                .await
                .map(drop)
                .map_err(StepError::provider("removing an SSH key that is lost")),
            Action::Register => platform
                .add_key(&name, &line)
                .await
                .map(drop)
                .map_err(StepError::provider("registering an SSH key")),
        }
    };
    let known = drive(ctx, Pace::PROVIDER, false, observe, |seen| Ok(decide(&name, &key, seen)), act).await?;
    ctx.saw(&intent, &known.id).await?;
    Ok((SshIdentity { ephemeral: true, id: known.id }, key))
}

/// The name is this request's own, so whatever bears it is ours.
fn decide(name: &str, key: &ClientKey, seen: &[Key]) -> Next<Action, Key> {
    match seen.iter().find(|known| known.name == name) {
        Some(known) if registered(std::slice::from_ref(known), key).is_some() => Next::Done(known.clone()),
        Some(lost) => Next::Act(Action::Remove(lost.id.clone())),
        None => Next::Act(Action::Register),
    }
}
