//! The backups that there are: those that the platform lists, and the archive's copies of those that it does not.

use std::collections::HashMap;

use crate::archive::dumps::DumpRecord;
use crate::providers::http::ProviderError;
use crate::providers::scalingo::AddonRef;
use crate::providers::scalingo::backups::{Backup, BackupStatus};
use crate::recovery::drive::{Pace, look};
use crate::recovery::outputs::RefusedBackup;
use crate::recovery::steps::dump::{Origin, copies};
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{Severity, SpanKind};

/// What the failures of the platform's list are counted under.
const LISTED: &str = "backups";

/// The backups, and where each is had from.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) backups: Vec<Backup>,
    addon: Option<AddonRef>,
    /// Of what the platform does not list.
    copies: HashMap<String, DumpRecord>,
    /// Of what it lists.
    spare: HashMap<String, DumpRecord>,
    /// The platform's own, where they were done without.
    pub(super) lost: Option<RefusedBackup>,
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
    if listed.is_ok() {
        ctx.patience.answered(LISTED);
    }
    // Where they are all there is, one word against them is no word.
    let copies =
        if listed.is_ok() { copies(ctx).await } else { look(ctx, Pace::PROVIDER, || copies(ctx)).await };
    let copies = match copies {
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
    let (addon, mut backups, lost) = match listed {
        Ok((addon, listed)) => (Some(addon), listed, None),
        Err(error) if error.class() == Class::Cancelled => return Err(error),
        // A region that is away for hours, too.
        Err(error) if !copies.is_empty() => (None, Vec::new(), Some(done_without(ctx, error).await?)),
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
    Ok(Offered { backups, addon, copies: only_copied, spare, lost })
}

/// What is told where the archive's copies take the place of the platform's list. They may be older: what is no word that there is nothing
/// (credentials, an answer of another shape) is asked again until it has been failing for long.
async fn done_without(ctx: &Ctx, error: StepError) -> Result<RefusedBackup> {
    if !says_gone(&error) && !ctx.keeps_failing(LISTED) {
        return Err(error.may_pass());
    }
    let message = format!(
        "the platform's own backups cannot be listed: {}; the archive's copies are used",
        Chain(&error)
    );
    ctx.event(Severity::Warning, "BackupsFromArchive", &message).await?;
    let reason = if says_gone(&error) { "gone" } else { "unreachable" };
    Ok(RefusedBackup {
        backup: "what the platform keeps".to_owned(),
        taken_at: None,
        reason: reason.to_owned(),
        message: Chain(&error).to_string(),
    })
}

/// Whether the platform says that it has no such app, addon or list. Pure.
fn says_gone(error: &StepError) -> bool {
    match error {
        StepError::Refused { .. } => true,
        StepError::Failed { source, .. } => {
            source.downcast_ref::<ProviderError>().is_some_and(ProviderError::is_not_found)
        }
        _ => false,
    }
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

/// Nothing of it is believed before it lasts, nor that there is nothing: what is taken instead may be older.
async fn platform(ctx: &Ctx) -> Result<(AddonRef, Vec<Backup>)> {
    let addon = look(ctx, Pace::PROVIDER, || source_addon(ctx)).await?;
    let some = || async {
        let listed = finished(list(ctx, &addon).await?);
        let none = || StepError::refused("the platform lists no finished backup", "look at the dashboard");
        if listed.is_empty() { Err(none()) } else { Ok(listed) }
    };
    match look(ctx, Pace::PROVIDER, some).await {
        Err(StepError::Refused { .. }) => Ok((addon, Vec::new())),
        listed => Ok((addon, listed?)),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, vendors};

    /// What the platform answers: `odd` to the first looks for the addon, then as it is.
    fn platform(odd: &'static [Result<&'static str, u16>]) -> axum::Router {
        vendors(move |what, before| {
            if what.ends_with("/addons") {
                return match odd.get(before) {
                    Some(Ok(text)) => Ok(serde_json::from_str(text).expect("JSON")),
                    Some(Err(status)) => Err(*status),
                    None => Ok(json!({ "addons": [{
                        "id": "ad-1", "addon_provider": { "id": "postgresql" }, "plan": { "id": "p", "name": "p" },
                        "status": "running",
                    }] })),
                };
            }
            let backup = json!({ "id": "b-1", "status": "done", "created_at": "2026-08-28T01:00:00Z" });
            match what.ends_with("/backups") {
                true if before == 0 => Ok(json!({ "database_backups": [] })),
                true => Ok(json!({ "database_backups": [backup] })),
                false => Err(404),
            }
        })
    }

    #[tokio::test]
    async fn one_odd_answer_does_not_hide_the_platforms_backups() {
        let odd = &[Err(403), Err(404), Ok("{\"addons\": []}"), Ok("{}"), Err(302)];
        let bench = Bench::new(Step::ChooseBackup, platform(odd)).await;
        let offered = offered(&bench.ctx).await.expect("the platform lists them");
        assert_eq!((offered.backups.len(), offered.lost), (1, None));
        bench.end().await;
    }

    #[tokio::test]
    async fn the_archives_copies_are_no_quick_way_round_a_platform_that_does_not_say_that_all_is_gone() {
        let bench = Bench::with(Step::ChooseBackup, platform(&[]), (6000.0, &[])).await;
        let denied = || StepError::Denied { what: "401".into(), advice: "mend it".into(), lasted: true };
        for _ in 0..5 {
            let error = done_without(&bench.ctx, denied()).await.expect_err("it may come back");
            assert_eq!(error.class(), Class::Transient, "{error}");
        }
        bench.ctx.pause(std::time::Duration::from_mins(11)).await.expect("nobody stops it");
        let lost = done_without(&bench.ctx, denied()).await.expect("it has been failing for long");
        assert_eq!((lost.reason.as_str(), lost.taken_at), ("unreachable", None));
        let gone = StepError::refused("it has no such addon", "look");
        assert_eq!(done_without(&bench.ctx, gone).await.expect("its own word").reason, "gone");
        bench.end().await;
    }
}
