//! A workflow's artifact: of the successful runs of the branch, the newest whose zip is whole.

use std::path::PathBuf;

use futures::StreamExt as _;
use reprise_crds::plan::ArtifactSource;
use tokio::io::AsyncWriteExt as _;

use super::{Tried, judged};
use crate::backup::Refusal;
use crate::backup::doubt::SECOND_LOOK;
use crate::backup::objects::{ArtifactIndex, Limits, check};
use crate::providers::github::{Artifact, Github, Run, Runs};
use crate::providers::http::{Download, ProviderError};
use crate::recovery::outputs::{ChosenObjects, RefusedBackup};
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::runtime::chain::Chain;
use crate::store::{Rung, Severity, SpanKind, Verdict};

/// How many of the branch's newest good runs are looked at.
const ENOUGH: usize = 100;

/// Where an artifact is: its id belongs to a repository.
pub(in crate::recovery::steps) fn place(ctx: &Ctx, source: &ArtifactSource) -> Result<String> {
    ctx.tools.setting(&source.repository, "the artifact's repository")
}

pub(super) async fn choose(ctx: &Ctx, index: usize, source: &ArtifactSource) -> Result<Tried> {
    let github = client(ctx, source)?;
    let mut refused = Vec::new();
    let name = ctx.tools.setting(&source.name, "the artifact's name")?;
    let runs = candidates(ctx, &github, source).await?;
    for run in &runs.wanted {
        let Some(artifact) = newest(&github, run, &name).await? else { continue };
        match fetch(ctx, &github, &artifact).await? {
            Ok((_, found)) => {
                let taken_at = run.created_at.unwrap_or_default();
                judged(
                    ctx,
                    verdict(ctx, run, &artifact, Rung::Readable, Some(found.zip_sha256.clone()), None),
                )
                .await?;
                return Ok(Tried::Chosen(ChosenObjects::Artifact {
                    source: index,
                    place: Some(place(ctx, source)?),
                    run: run.id,
                    artifact: artifact.id,
                    taken_at,
                    size_bytes: found.zip_bytes,
                    sha256: found.zip_sha256.clone(),
                    objects: found.entries.len() as u64,
                    bytes: found.total_bytes(),
                    refused,
                }));
            }
            Err((reason, message)) => {
                judged(
                    ctx,
                    verdict(ctx, run, &artifact, Rung::Listed, None, Some((reason, message.clone()))),
                )
                .await?;
                refused.push(RefusedBackup {
                    backup: format!("artifact {} of run {}", artifact.id, run.id),
                    taken_at: run.created_at,
                    reason: reason.to_owned(),
                    message,
                });
            }
        }
    }
    if refused.is_empty() {
        refused.push(RefusedBackup {
            backup: format!("artifact of {}", source.workflow.as_str()),
            taken_at: None,
            reason: "none-listed".to_owned(),
            message: none(&runs, &source.branch),
        });
    }
    Ok(Tried::Refused(refused))
}

/// The chosen zip as a file of ours: there and whole, or downloaded again.
pub(in crate::recovery::steps) async fn obtain(
    ctx: &Ctx,
    source: &ArtifactSource,
    artifact: u64,
    sha256: &str,
) -> Result<(PathBuf, ArtifactIndex)> {
    let file = path(ctx, artifact)?;
    if file.exists()
        && let Ok(index) = check(&file, None, limits(ctx)?, beat(ctx)).await
        && index.zip_sha256 == sha256
    {
        return Ok((file, index));
    }
    let github = client(ctx, source)?;
    let again = Artifact {
        id: artifact,
        name: String::new(),
        size_in_bytes: None,
        expired: false,
        digest: None,
        created_at: None,
        expires_at: None,
    };
    match fetch(ctx, &github, &again).await? {
        Ok(found) if found.1.zip_sha256 == sha256 => Ok(found),
        Ok(_) => Err(changed(artifact)),
        Err((_, message)) => Err(StepError::refused(
            format!("artifact {artifact} cannot be read any more: {message}"),
            "file a new request: it chooses anew",
        )),
    }
}

fn changed(artifact: u64) -> StepError {
    StepError::refused(
        format!("artifact {artifact} is not what it was when it was chosen"),
        "file a new request: it chooses anew",
    )
}

fn client(ctx: &Ctx, source: &ArtifactSource) -> Result<Github> {
    ctx.tools.github(source)
}

/// Unfiltered lists, filtered here: the filtered ones come from an index that may be days behind.
async fn candidates(ctx: &Ctx, github: &Github, source: &ArtifactSource) -> Result<Runs> {
    ctx.doing(SpanKind::Provider, "looking for the archive job's newest run");
    let workflow = ctx.tools.setting(&source.workflow, "the artifact's workflow")?;
    let good = |run: &Run| {
        run.succeeded() && run.is_own() && run.head_branch.as_deref() == Some(source.branch.as_str())
    };
    let listed = github.runs(&workflow, ENOUGH, good).await;
    let mut runs = listed.map_err(StepError::provider(format!("listing the runs of {workflow}")))?;
    runs.wanted.sort_by_key(|run| std::cmp::Reverse(run.created_at));
    Ok(runs)
}

/// The newest artifact of this name that the run left.
async fn newest(github: &Github, run: &Run, name: &str) -> Result<Option<Artifact>> {
    let listed = github.artifacts(run.id).await;
    let artifacts =
        listed.map_err(StepError::provider(format!("listing the artifacts of run {}", run.id)))?;
    Ok(artifacts.into_iter().filter(|artifact| artifact.name == name).max_by_key(|artifact| artifact.id))
}

/// That no run has the artifact, claimed of no more runs than were looked at.
fn none(runs: &Runs, branch: &str) -> String {
    let good = runs.wanted.len();
    if runs.all {
        return format!("none of the {good} successful runs of branch {branch} has the artifact");
    }
    let read = runs.read;
    format!("none of the {good} successful runs of branch {branch} among the newest {read} has the artifact")
}

/// The file and what is in it; or the class of the refusal and its sentence.
type Fetched = std::result::Result<(PathBuf, ArtifactIndex), Bad>;
type Bad = (&'static str, String);

/// What may be the transfer's fault is believed when a second download, by a new link, comes the same way.
async fn fetch(ctx: &Ctx, github: &Github, artifact: &Artifact) -> Result<Fetched> {
    let first = match once(ctx, github, artifact).await? {
        Err(bad) if may_be_the_transfer(bad.0) => bad,
        looked => return Ok(looked),
    };
    let told =
        format!("artifact {} is downloaded once more before this is believed: {}", artifact.id, first.1);
    ctx.event(Severity::Warning, "DownloadDoubted", &told).await?;
    ctx.doing(SpanKind::Provider, told);
    ctx.pause(SECOND_LOOK).await?;
    match once(ctx, github, artifact).await? {
        Err(again) if is_unsteady(&first, &again) => {
            let unsteady = Refusal::Unsteady { first: first.0, again: again.0 };
            Err(StepError::failed(format!("downloading artifact {}", artifact.id))(unsteady))
        }
        looked => Ok(looked),
    }
}

/// Whether bytes are not what they should be; what is wrong with names and sizes was not done on the way.
fn may_be_the_transfer(reason: &str) -> bool {
    !matches!(reason, "expired" | "zip-name" | "zip-duplicate" | "zip-overlap" | "zip-unsupported")
}

/// An artifact is bad in one way, with the same digest and at the same byte; a line in any.
fn is_unsteady(first: &Bad, again: &Bad) -> bool {
    may_be_the_transfer(again.0) && first != again
}

/// One download.
async fn once(ctx: &Ctx, github: &Github, artifact: &Artifact) -> Result<Fetched> {
    if artifact.expired {
        return Ok(Err(("expired", "its content is gone".to_owned())));
    }
    ctx.doing(SpanKind::Data, format!("downloading artifact {}", artifact.id));
    let download = match github.download(artifact.id).await {
        Ok(download) => download,
        Err(error) if error.status().is_some_and(|status| status.as_u16() == 410) => {
            return Ok(Err(("expired", "its content is gone".to_owned())));
        }
        Err(error) => {
            return Err(StepError::provider(format!("downloading artifact {}", artifact.id))(error));
        }
    };
    let file = path(ctx, artifact.id)?;
    if let Err(cut) = save(ctx, download, &file).await? {
        return Ok(Err(("cut-short", cut)));
    }
    ctx.doing(SpanKind::Data, "checking every member of the archive");
    match check(&file, artifact.digest.as_deref(), limits(ctx)?, beat(ctx)).await {
        Ok(index) => {
            ctx.tools.metrics.bytes_moved("artifact", index.zip_bytes);
            Ok(Ok((file, index)))
        }
        Err(refusal) if refusal.blames_artifact() => Ok(Err((refusal.reason(), Chain(&refusal).to_string()))),
        Err(refusal) => Err(StepError::failed(format!("checking artifact {}", artifact.id))(refusal)),
    }
}

/// Streams the body into a private file. `Err` inside: the body ended before its announced end.
async fn save(
    ctx: &Ctx,
    download: Download,
    path: &std::path::Path,
) -> Result<std::result::Result<(), String>> {
    let doing = || "writing the artifact".to_owned();
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .await
        .map_err(StepError::io(doing()))?;
    let (mut body, length, mut received) = (download.body, download.length, 0_u64);
    while let Some(piece) = body.next().await {
        let piece =
            piece.map_err(|error: ProviderError| StepError::provider("downloading the artifact")(error))?;
        file.write_all(&piece).await.map_err(StepError::io(doing()))?;
        received += piece.len() as u64;
        ctx.pulse.progress(received, length, "bytes");
    }
    file.flush().await.map_err(StepError::io(doing()))?;
    Ok(match length {
        Some(length) if received != length => Err(format!("{received} of {length} bytes arrived")),
        _ => Ok(()),
    })
}

fn path(ctx: &Ctx, artifact: u64) -> Result<PathBuf> {
    ctx.make_dir()?;
    Ok(ctx.run.dir.join(format!("artifact-{artifact}.zip")))
}

fn beat(ctx: &Ctx) -> impl Fn(u64, u64) + Send + 'static {
    let pulse = std::sync::Arc::clone(&ctx.pulse);
    move |done, total| pulse.progress(done, Some(total), "bytes")
}

fn limits(ctx: &Ctx) -> Result<Limits> {
    Ok(Limits {
        entries: 5_000_000,
        total_bytes: ctx.tools.disk_budget(&ctx.run.dir)?.saturating_mul(20),
        ratio: 1_100,
    })
}

fn verdict(
    ctx: &Ctx,
    run: &Run,
    artifact: &Artifact,
    rung: Rung,
    sha256: Option<String>,
    refused: Option<(&str, String)>,
) -> Verdict {
    Verdict {
        kind: "objects".to_owned(),
        backup: format!("artifact-{}", artifact.id),
        taken_at: run.created_at,
        size_bytes: artifact.size_in_bytes.and_then(|size| i64::try_from(size).ok()),
        rung,
        refused: refused.as_ref().map(|(reason, _)| (*reason).to_owned()),
        message: refused.map(|(_, message)| message),
        sha256,
        tools: serde_json::json!({ "reprise": env!("CARGO_PKG_VERSION") }),
        checked_at: ctx.tools.clock.now(),
        checked_by: Some(ctx.run.request.clone()),
        ..Verdict::default()
    }
}

impl std::fmt::Debug for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Chosen(_) => "Chosen",
            Self::Refused(_) => "Refused",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Runs, is_unsteady, may_be_the_transfer, none};

    #[test]
    fn bytes_that_differ_from_download_to_download_say_nothing_of_the_artifact() {
        let bad = |reason, told: &str| (reason, told.to_owned());
        let page = bad("digest-differs", "the digest is a1");
        assert!(may_be_the_transfer(page.0) && !may_be_the_transfer("expired"));
        assert!(!is_unsteady(&page, &page));
        assert!(is_unsteady(&page, &bad("digest-differs", "the digest is b2")));
        assert!(!is_unsteady(&page, &bad("zip-name", "it holds ../x")), "whole bytes are believed");
    }

    #[test]
    fn absence_is_claimed_of_no_more_than_was_looked_at() {
        let runs = |all| Runs { read: 2000, all, ..Runs::default() };
        assert!(!none(&runs(true), "main").contains("newest"));
        assert!(none(&runs(false), "main").contains("among the newest 2000"));
    }
}
