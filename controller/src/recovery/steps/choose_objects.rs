//! The newest copy of the documents that is whole: a run of the archive, a workflow's artifact, or a mirror bucket, which is thawed from
//! the first second.

use std::io::ErrorKind;

use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use reprise_crds::Mode;
use reprise_crds::plan::ObjectSource;
use tokio::sync::watch;

use super::{Ctx, Result, StepError};
use crate::recovery::drive::QUIET;
use crate::recovery::outputs::{ChosenObjects, RefusedBackup};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{Severity, SpanKind, Verdict};

/// A source that could not be asked so often in a row keeps nobody from the next one.
const OFTEN: u32 = 2;

mod archive;
pub(super) mod artifact;
pub(super) mod mirror;

/// What became of one source of the plan.
enum Tried {
    Chosen(ChosenObjects),
    Refused(Vec<RefusedBackup>),
}

pub(super) async fn run(ctx: &Ctx) -> Result<ChosenObjects> {
    let (mut refused, mut trouble) = (Vec::new(), None);
    let sources = &ctx.run.plan.source.objects;
    let (turn, turns) = watch::channel(0);
    // What was begun ahead ends with the choice of another.
    let mut answers: FuturesOrdered<_> = sources
        .iter()
        .enumerate()
        .map(|(index, source)| in_turn(ctx, index, source, turns.clone()))
        .collect();
    for (index, source) in sources.iter().enumerate() {
        turn.send_replace(index);
        if source.mirror.is_some() {
            ctx.doing(
                SpanKind::Provider,
                "listing the mirror bucket, and asking for what is cold to be thawed",
            );
        }
        let Some(answer) = answers.next().await else { break };
        match answer {
            Err(error) if error.class() == Class::Cancelled || is_of_this_machine(&error) => {
                return Err(error);
            }
            // A line that breaks once, or one word of whoever stands before it, is no reason to take what is worse.
            Err(error) if !is_passed_over(ctx, index, &error) => return Err(error.may_pass()),
            Err(error) => {
                refused.push(unreachable(ctx, source, &error).await?);
                trouble = trouble.or(Some(error).filter(|error| error.class() != Class::Terminal));
            }
            Ok(Tried::Chosen(mut chosen)) => {
                let (ChosenObjects::Archive { refused: kept, .. }
                | ChosenObjects::Artifact { refused: kept, .. }
                | ChosenObjects::Mirror { refused: kept, .. }) = &mut chosen;
                refused.append(kept);
                *kept = refused;
                return Ok(chosen);
            }
            Ok(Tried::Refused(mut more)) => {
                ctx.patience.answered(&key(index));
                refused.append(&mut more);
            }
        }
    }
    // One that could not be asked may still have what the others lack.
    if let Some(error) = trouble {
        return Err(error);
    }
    let each: Vec<String> =
        refused.iter().map(|one| format!("{} ({}: {})", one.backup, one.reason, one.message)).collect();
    Err(StepError::refused(
        format!("no copy of the documents is whole: {}. Nothing was created", each.join("; ")),
        "add another source under source.objects in the plan, apply it, and resume the request",
    ))
}

/// Tries a source when it is its turn. A mirror in cold storage takes up to a day to thaw: it is asked at once, beside those before it,
/// whether or not it will be needed. Not in drills, which would pay for a thaw of everything each time.
async fn in_turn(
    ctx: &Ctx,
    index: usize,
    source: &ObjectSource,
    mut turns: watch::Receiver<usize>,
) -> Result<Tried> {
    let ahead = source.mirror.is_some() && ctx.run.mode == Mode::Recover;
    if !ahead && turns.wait_for(|turn| *turn >= index).await.is_err() {
        return Err(StepError::Stopped);
    }
    tried(ctx, index, source).await
}

async fn tried(ctx: &Ctx, index: usize, source: &ObjectSource) -> Result<Tried> {
    match (&source.archive, &source.artifact, &source.mirror) {
        (Some(wanted), ..) => archive::choose(ctx, index, wanted).await,
        (None, Some(artifact), _) => artifact::choose(ctx, index, artifact).await,
        (None, None, Some(mirror)) => mirror::choose(ctx, index, mirror).await,
        (None, None, None) => Ok(Tried::Refused(Vec::new())),
    }
}

/// What the failures of a source are counted under.
fn key(index: usize) -> String {
    format!("objects/{index}")
}

/// Counts one more failure of a source, and tells whether it is time to do without it. A refusal has to last for a quiet period.
fn is_passed_over(ctx: &Ctx, index: usize, error: &StepError) -> bool {
    let failing = ctx.patience.failed(&key(index));
    let refused = error.class() == Class::Terminal;
    failing.times >= OFTEN && (!refused || failing.lasted >= ctx.tools.clock.scaled(QUIET))
}

/// Whether our own disk is the trouble, which every source would meet.
fn is_of_this_machine(error: &StepError) -> bool {
    let disk = |error: &std::io::Error| {
        matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
        )
    };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(disk) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A source that could not be asked keeps nobody from the next one.
async fn unreachable(ctx: &Ctx, source: &ObjectSource, error: &StepError) -> Result<RefusedBackup> {
    let name = match (&source.archive, &source.artifact) {
        (Some(_), _) => "the archive",
        (None, Some(_)) => "the workflow's artifacts",
        (None, None) => "the mirror bucket",
    };
    let message = Chain(error).to_string();
    let told = format!("{name} could not be asked, the next source is: {message}");
    ctx.event(Severity::Warning, "SourceUnreachable", &told).await?;
    let (backup, reason) = (name.to_owned(), "unreachable".to_owned());
    Ok(RefusedBackup { backup, taken_at: None, reason, message })
}

/// Stores what was learnt of a copy, and tells people of a refusal.
async fn judged(ctx: &Ctx, verdict: Verdict) -> Result<()> {
    if let (Some(reason), Some(message)) = (&verdict.refused, &verdict.message) {
        let told = format!("{} is not whole ({reason}): {message}", verdict.backup);
        ctx.event(Severity::Warning, "ArchiveRefused", &told).await?;
    }
    Ok(ctx.tools.store.record_verdict(&ctx.run.plan_name, &verdict).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, vendors};

    #[tokio::test]
    async fn a_source_is_passed_over_for_a_refusal_that_lasts_and_not_for_one_word() {
        let bench = Bench::new(Step::ChooseObjects, vendors(|_, _| Err(404))).await;
        let ctx = &bench.ctx;
        let refused = || StepError::refused("the archive says no", "look");
        assert!(!is_passed_over(ctx, 0, &refused()) && !is_passed_over(ctx, 0, &refused()));
        let (doing, source) = ("listing".to_owned(), "the line broke".into());
        let broken = StepError::Failed { doing, class: Class::Transient, in_doubt: false, source };
        assert!(!is_passed_over(ctx, 1, &broken) && is_passed_over(ctx, 1, &broken), "the second time");
        ctx.pause(QUIET).await.expect("nobody stops it");
        assert!(is_passed_over(ctx, 0, &refused()));
        bench.end().await;
    }

    #[test]
    fn a_full_disk_is_told_from_a_line_that_breaks() {
        let error = |kind: ErrorKind| {
            let disk = crate::archive::ArchiveError::file("keeping what was read")(kind.into());
            StepError::failed("choosing")(disk)
        };
        assert!(is_of_this_machine(&error(ErrorKind::StorageFull)));
        assert!(!is_of_this_machine(&error(ErrorKind::ConnectionReset)));
    }
}
