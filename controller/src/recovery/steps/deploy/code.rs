//! The code of an app: the commit that the plan's ref means, from its host or, where that does not give it, from the archive.

use std::path::PathBuf;
use std::time::Duration;

use reprise_crds::plan::AppSpec;

use crate::providers::git::{Commit, FETCH_LIMIT, GitError, Repository, Source};
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{Severity, SpanKind};

/// Between the tries to fetch of one attempt. A line that breaks for a moment is no reason to deploy what is older.
const PAUSES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(20), Duration::from_mins(1)];

/// So many of them also where the host itself refuses: a proxy before it answers 403 or 404 for a moment now and then.
const DENIED: usize = 2;

/// The bare repository of ours that holds the app's code. Shared by the apps that are made of the same code.
pub(super) async fn repository(ctx: &Ctx, app: &AppSpec) -> Result<Repository> {
    let dir: PathBuf = ctx.tools.code_dir(&ctx.tools.setting(&app.code.repository, "code.repository")?);
    let _turn = ctx.tools.code_turn.lock().await;
    Repository::open(&dir).await.map_err(StepError::failed("opening the local copy of the code"))
}

/// The commit that the plan's ref means, fetched with its history.
pub(in crate::recovery::steps) async fn commit(ctx: &Ctx, app: &AppSpec) -> Result<Commit> {
    let error = match fetched(ctx, app).await? {
        Ok(commit) => return Ok(commit),
        Err(error) => error,
    };
    ctx.make_dir()?;
    let plan = (ctx.run.plan_name.as_str(), &ctx.run.plan);
    if let GitError::NoSuchRef { .. } = error {
        // The host answered: what the archive keeps is not what the plan asks for.
        return Err(StepError::refused(
            Chain(&error).to_string(),
            format!("correct code.ref of {} in the plan, apply it, and resume the request", app.name),
        ));
    }
    if error.is_of_the_host()
        && (ctx.retry || error.class() == Class::Terminal)
        && let Some(commit) = ctx.tools.kept_commit(plan, app, &ctx.run.dir, &ctx.stop).await?
    {
        let message = format!(
            "the code host does not give the code of {} ({}); {commit}, which the archive keeps, is deployed",
            app.name,
            Chain(&error)
        );
        ctx.event(Severity::Warning, "CodeFromArchive", &message).await?;
        return Ok(commit);
    }
    Err(StepError::failed(format!("fetching {} of the code of {}", app.code.git_ref, app.name))(error))
}

async fn fetched(ctx: &Ctx, app: &AppSpec) -> Result<Result<Commit, GitError>> {
    ctx.doing(SpanKind::Data, "fetching the code");
    let url = ctx.tools.setting(&app.code.repository, "code.repository")?;
    let repository = repository(ctx, app).await?;
    let source = ctx.tools.code_source(url);
    patiently(|| fetch(ctx, &repository, &source, app), |pause| ctx.pause(pause)).await
}

/// Tries again what may pass by itself.
async fn patiently<Fetching, Pausing>(
    fetch: impl Fn() -> Fetching,
    pause: impl Fn(Duration) -> Pausing,
) -> Result<Result<Commit, GitError>>
where
    Fetching: Future<Output = Result<Commit, GitError>>,
    Pausing: Future<Output = Result<()>>,
{
    for (tried, rest) in PAUSES.into_iter().enumerate() {
        match fetch().await {
            Err(error) if error.class() != Class::Terminal || is_denied(&error) && tried < DENIED => {
                tracing::warn!(error = %Chain(&error), "the code is fetched again");
            }
            end => return Ok(end),
        }
        pause(rest).await?;
    }
    Ok(fetch().await)
}

fn is_denied(error: &GitError) -> bool {
    matches!(error, GitError::NoAccess { .. })
}

async fn fetch(
    ctx: &Ctx,
    repository: &Repository,
    source: &Source,
    app: &AppSpec,
) -> Result<Commit, GitError> {
    let _turn = ctx.tools.code_turn.lock().await;
    // It tells nothing while it goes on; a host that sends nothing is given up much earlier.
    ctx.pulse.expect_silence(FETCH_LIMIT);
    repository.fetch(source, &app.code.git_ref).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn broken() -> GitError {
        GitError::Failed { doing: "fetch the code", complaint: "fatal: the line broke".to_owned() }
    }

    /// How often it was tried where the first `times` tries end in `error`, and whether that ended well.
    async fn tried(times: usize, error: fn() -> GitError) -> (usize, bool) {
        let tries = AtomicUsize::new(0);
        let fetch = async || {
            let before = tries.fetch_add(1, Ordering::Relaxed);
            if before < times { Err(error()) } else { Ok(Commit::parse(&"0f".repeat(20)).expect("a commit")) }
        };
        let end = patiently(fetch, async |_| Ok(())).await.expect("nobody stopped it");
        (tries.into_inner(), end.is_ok())
    }

    #[tokio::test]
    async fn a_line_that_breaks_and_a_host_that_denies_are_tried_again_and_what_a_ref_is_is_believed() {
        assert_eq!(tried(1, broken).await, (2, true));
        assert_eq!(tried(9, broken).await, (4, false));
        let refused = || GitError::NoAccess { complaint: "fatal: repository not found".to_owned() };
        assert_eq!(tried(2, refused).await, (3, true));
        assert_eq!(tried(9, refused).await, (3, false));
        let none = || GitError::NoSuchRef { reference: "main".to_owned(), complaint: String::new() };
        assert_eq!(tried(1, none).await, (1, false));
    }
}
