//! The newest database backup whose every block can be read. Newer ones that cannot are refused one by one, each with its reason.

use chrono::{DateTime, Utc};

use super::dump::{self, Fetched, Unfit};
use super::{Ctx, Result, StepError};
use crate::backup::Refusal;
use crate::backup::ladder::{Recorded, Seal};
use crate::providers::scalingo::AddonRef;
use crate::providers::scalingo::backups::{Backup, BackupStatus};
use crate::recovery::outputs::{ChosenBackup, RefusedBackup};
use crate::runtime::chain::Chain;
use crate::store::{Rung, Severity, SpanKind, Verdict};

pub(super) async fn run(ctx: &Ctx) -> Result<ChosenBackup> {
    let addon = source_addon(ctx).await?;
    let candidates = candidates(list(ctx, &addon).await?);
    let mut refused = Vec::new();
    for candidate in &candidates {
        match dump::fetch(ctx, &addon, &candidate.id).await {
            Ok(fetched) => return chosen(ctx, &addon, candidate, &fetched, refused).await,
            Err(Unfit::Refused(refusal)) => refused.push(refuse(ctx, candidate, &refusal).await?),
            Err(Unfit::Error(error)) => return Err(error),
        }
    }
    Err(none_left(ctx, &refused))
}

/// The addon that holds the backups. It may be down: only its backups are wanted.
async fn source_addon(ctx: &Ctx) -> Result<AddonRef> {
    let source = &ctx.run.plan.source;
    ctx.doing(SpanKind::Provider, "looking for the lost database's backups");
    let platform = ctx.tools.source_platform(&ctx.run)?;
    let listed = platform.addons(&source.app).await;
    let addons = listed.map_err(StepError::provider(format!("listing the addons of {}", source.app)))?;
    let ours = |provider: &str| provider.eq_ignore_ascii_case(&source.addon);
    let found = addons.into_iter().find(|addon| addon.id == source.addon || ours(&addon.addon_provider.id));
    let found = found.ok_or_else(|| {
        StepError::refused(
            format!("{} has no addon {}, so the platform lists no backups", source.app, source.addon),
            "correct source.app and source.addon in the plan; if the addon was deleted, its backups can only be had from the platform's support",
        )
    })?;
    Ok(AddonRef { app: source.app.clone(), addon: found.id })
}

async fn list(ctx: &Ctx, addon: &AddonRef) -> Result<Vec<Backup>> {
    let listed = ctx.tools.source_platform(&ctx.run)?.backups(addon).await;
    listed.map_err(StepError::provider("listing the database's backups"))
}

/// Finished ones, newest first. The list's own order is not trusted.
fn candidates(mut backups: Vec<Backup>) -> Vec<Backup> {
    backups.retain(|backup| backup.status == BackupStatus::Done);
    backups.sort_by_key(|backup| std::cmp::Reverse(taken_at(backup)));
    backups
}

fn taken_at(backup: &Backup) -> DateTime<Utc> {
    backup.created_at.unwrap_or_default()
}

async fn chosen(
    ctx: &Ctx,
    addon: &AddonRef,
    backup: &Backup,
    fetched: &Fetched,
    refused: Vec<RefusedBackup>,
) -> Result<ChosenBackup> {
    let Fetched { received, dump } = fetched;
    record(ctx, backup, Rung::Readable, Some(received.download_sha256.clone()), None).await?;
    let name = backup.name.clone().unwrap_or_else(|| backup.id.clone());
    let message =
        format!("{name} is whole: {} tables, {} rows", dump.counts.tables.len(), dump.counts.rows());
    ctx.event(Severity::Normal, "BackupChosen", &message).await?;
    Ok(ChosenBackup {
        addon: addon.addon.clone(),
        backup: backup.id.clone(),
        name,
        taken_at: taken_at(backup),
        size_bytes: received.download_bytes,
        archive_sha256: received.download_sha256.clone(),
        dump_sha256: received.dump_sha256.clone(),
        server_version: dump.toc.server_version.clone(),
        tables: dump.counts.tables.len() as u64,
        rows: dump.counts.rows(),
        large_objects: dump.counts.large_objects,
        sealed: Seal::of(received, &dump.toc, &Recorded::default()).is_some(),
        refused,
    })
}

async fn refuse(ctx: &Ctx, backup: &Backup, refusal: &Refusal) -> Result<RefusedBackup> {
    let (reason, message) = (refusal.reason(), Chain(refusal).to_string());
    ctx.tools.metrics.backup_refused(reason);
    record(ctx, backup, Rung::Listed, None, Some((reason, message.clone()))).await?;
    let name = backup.name.as_deref().unwrap_or(&backup.id);
    ctx.event(Severity::Warning, "BackupRefused", &format!("{name} is not whole ({reason}): {message}"))
        .await?;
    Ok(RefusedBackup {
        backup: name.to_owned(),
        taken_at: backup.created_at,
        reason: reason.to_owned(),
        message,
    })
}

async fn record(
    ctx: &Ctx,
    backup: &Backup,
    rung: Rung,
    sha256: Option<String>,
    refused: Option<(&str, String)>,
) -> Result<()> {
    let tools = ctx.tools.postgresql().await.map_err(StepError::failed("looking for pg_restore"))?;
    let verdict = Verdict {
        kind: "database".to_owned(),
        backup: backup.id.clone(),
        taken_at: backup.created_at,
        size_bytes: backup.size.and_then(|size| i64::try_from(size).ok()),
        rung,
        refused: refused.as_ref().map(|(reason, _)| (*reason).to_owned()),
        message: refused.map(|(_, message)| message),
        sha256,
        tools: dump::tool_versions(&tools),
        checked_at: ctx.tools.clock.now(),
        checked_by: Some(ctx.run.request.clone()),
    };
    Ok(ctx.tools.store.record_verdict(&ctx.run.plan_name, &verdict).await?)
}

fn none_left(ctx: &Ctx, refused: &[RefusedBackup]) -> StepError {
    let app = &ctx.run.plan.source.app;
    if refused.is_empty() {
        return StepError::refused(
            format!("the platform lists no finished backup of the database of {app}"),
            "look at the database's dashboard; backups of a deleted addon can only be had from the platform's support",
        );
    }
    let each: Vec<String> =
        refused.iter().map(|one| format!("{} ({}: {})", one.backup, one.reason, one.message)).collect();
    StepError::refused(
        format!(
            "none of the {} backups of {app} is whole: {}. Nothing was created",
            refused.len(),
            each.join("; ")
        ),
        "ask the platform's support for older backups, or restore a dump that you keep elsewhere by hand",
    )
}
