//! The newest copy of the documents that is whole: a run of the archive, a workflow's artifact, or a mirror bucket, which is thawed from the first second.

use super::{Ctx, Result, StepError};
use crate::recovery::outputs::{ChosenObjects, RefusedBackup};
use crate::store::{Severity, Verdict};

mod archive;
pub(super) mod artifact;
pub(super) mod mirror;

/// What became of one source of the plan.
enum Tried {
    Chosen(ChosenObjects),
    Refused(Vec<RefusedBackup>),
}

pub(super) async fn run(ctx: &Ctx) -> Result<ChosenObjects> {
    thaw_ahead(ctx).await;
    let mut refused = Vec::new();
    for (index, source) in ctx.run.plan.source.objects.iter().enumerate() {
        let tried = match (&source.archive, &source.artifact, &source.mirror) {
            (Some(wanted), ..) => archive::choose(ctx, index, wanted).await?,
            (None, Some(artifact), _) => artifact::choose(ctx, index, artifact).await?,
            (None, None, Some(mirror)) => mirror::choose(ctx, index, mirror).await?,
            (None, None, None) => Tried::Refused(Vec::new()),
        };
        match tried {
            Tried::Chosen(mut chosen) => {
                let (ChosenObjects::Archive { refused: kept, .. }
                | ChosenObjects::Artifact { refused: kept, .. }
                | ChosenObjects::Mirror { refused: kept, .. }) = &mut chosen;
                refused.append(kept);
                *kept = refused;
                return Ok(chosen);
            }
            Tried::Refused(mut more) => refused.append(&mut more),
        }
    }
    let each: Vec<String> =
        refused.iter().map(|one| format!("{} ({}: {})", one.backup, one.reason, one.message)).collect();
    Err(StepError::refused(
        format!("no copy of the documents is whole: {}. Nothing was created", each.join("; ")),
        "add another source under source.objects in the plan, apply it, and resume the request",
    ))
}

/// A mirror in cold storage takes up to a day to thaw: it is asked for before anything else, whether or not it will be needed. Where that
/// fails, choosing the mirror itself says why.
async fn thaw_ahead(ctx: &Ctx) {
    let only_one = ctx.run.plan.source.objects.len() == 1;
    for mirror in ctx.run.plan.source.objects.iter().filter_map(|source| source.mirror.as_ref()) {
        if only_one {
            return;
        }
        if let Err(error) = mirror::thaw_all(ctx, mirror).await {
            tracing::warn!(error = %crate::runtime::chain::Chain(&error), "a mirror could not be thawed ahead");
        }
    }
}

/// Stores what was learnt of a copy, and tells people of a refusal.
async fn judged(ctx: &Ctx, verdict: Verdict) -> Result<()> {
    if let (Some(reason), Some(message)) = (&verdict.refused, &verdict.message) {
        let told = format!("{} is not whole ({reason}): {message}", verdict.backup);
        ctx.event(Severity::Warning, "ArchiveRefused", &told).await?;
    }
    Ok(ctx.tools.store.record_verdict(&ctx.run.plan_name, &verdict).await?)
}
