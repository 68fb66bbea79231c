//! The backups that there are: those that the platform lists, and the archive's copies of those that it does not.

use std::collections::HashMap;

use crate::archive::dumps::DumpRecord;
use crate::providers::scalingo::AddonRef;
use crate::providers::scalingo::backups::{Backup, BackupStatus};
use crate::recovery::steps::dump::{Origin, copies};
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{Severity, SpanKind};

/// The backups, and where each is had from.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) backups: Vec<Backup>,
    addon: Option<AddonRef>,
    /// Of what the platform does not list.
    copies: HashMap<String, DumpRecord>,
    /// Of what it lists.
    spare: HashMap<String, DumpRecord>,
}

impl Offered {
    pub(super) fn origin(&self, backup: &str) -> Origin {
        match (self.copies.get(backup), &self.addon) {
            (Some(copy), _) => Origin::Archive(Box::new(copy.clone())),
            (None, Some(addon)) => Origin::Platform(addon.clone()),
            (None, None) => Origin::Platform(AddonRef { app: String::new(), addon: String::new() }),
        }
    }

    /// The archive's copy of a backup that the platform lists, which is as new.
    pub(super) fn spare(&self, backup: &str) -> Option<Origin> {
        self.spare.get(backup).map(|copy| Origin::Archive(Box::new(copy.clone())))
    }
}

/// Asks the platform and the archive. Where the platform has nothing to tell any more, the archive's copies are all there is; where the
/// archive cannot be asked, the platform's own are enough.
pub(super) async fn offered(ctx: &Ctx) -> Result<Offered> {
    let listed = platform(ctx).await;
    let copies = match copies(ctx).await {
        Ok(copies) => copies,
        Err(error) if error.class() == Class::Cancelled => return Err(error),
        Err(error) => match &listed {
            Ok(_) => {
                let message = format!("the archive's copies of backups are not looked at: {}", Chain(&error));
                ctx.event(Severity::Warning, "ArchiveUnreachable", &message).await?;
                Vec::new()
            }
            Err(gone) if gone.class() == Class::Terminal => return Err(error),
            Err(_) => Vec::new(),
        },
    };
    let (addon, mut backups) = match listed {
        Ok((addon, listed)) => (Some(addon), finished(listed)),
        Err(error) if error.class() == Class::Terminal && !copies.is_empty() => {
            let message = format!(
                "the platform's own backups are gone: {}; the archive's copies are used",
                Chain(&error)
            );
            ctx.event(Severity::Warning, "BackupsFromArchive", &message).await?;
            (None, Vec::new())
        }
        Err(error) => return Err(error),
    };
    let (mut only_copied, mut spare) = (HashMap::new(), HashMap::new());
    for copy in copies {
        if backups.iter().all(|listed| listed.id != copy.backup) {
            backups.push(backup(&copy));
            only_copied.insert(copy.backup.clone(), copy);
        } else {
            spare.insert(copy.backup.clone(), copy);
        }
    }
    Ok(Offered { backups, addon, copies: only_copied, spare })
}

fn backup(copy: &DumpRecord) -> Backup {
    Backup {
        id: copy.backup.clone(),
        database_id: None,
        name: Some(copy.name.clone()),
        size: Some(copy.clear.size),
        status: BackupStatus::Done,
        method: None,
        created_at: Some(copy.taken_at),
        started_at: Some(copy.taken_at),
    }
}

async fn platform(ctx: &Ctx) -> Result<(AddonRef, Vec<Backup>)> {
    let addon = source_addon(ctx).await?;
    let listed = list(ctx, &addon).await?;
    Ok((addon, listed))
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

fn finished(mut backups: Vec<Backup>) -> Vec<Backup> {
    backups.retain(|backup| backup.status == BackupStatus::Done);
    backups
}
