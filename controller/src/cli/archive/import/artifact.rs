//! What a workflow run left, fetched from the code host: what it says of its date and digest is nobody's typing.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::Opened;
use crate::archive::ArchiveError;
use crate::providers::github::{Artifact, Github};
use crate::runtime::chain::Chain;

/// A zip, and what the code host says of it.
pub(super) struct Fetched {
    pub zip: PathBuf,
    /// `sha256:…`; older uploads have none.
    pub digest: Option<String>,
    pub taken_at: DateTime<Utc>,
}

/// Fetches the newest artifact of the plan's name that workflow run `run` left, into `folder`. Safe to repeat.
pub(super) async fn fetch(opened: &Opened, run: u64, folder: &Path) -> Result<Fetched, ArchiveError> {
    let source = opened.plan.source.objects.iter().find_map(|source| source.artifact.as_ref());
    let source = source.ok_or_else(|| {
        refused("the plan names no artifact in source.objects", "add it to the plan, and apply it")
    })?;
    let setup = |error: &(dyn std::error::Error + 'static)| {
        refused(&Chain(error).to_string(), "see docs/plan.md, `source.objects`")
    };
    let github = opened.tools.github(source).map_err(|error| setup(&error))?;
    let name = opened.tools.setting(&source.name, "the artifact's name").map_err(|error| setup(&error))?;
    let artifact = newest(&github, run, &name).await?;
    let taken_at =
        artifact.created_at.ok_or_else(|| told("it does not say when it was uploaded", &artifact))?;
    let zip = folder.join("artifact.zip");
    save(&github, &artifact, &zip).await?;
    Ok(Fetched { zip, digest: artifact.digest, taken_at })
}

async fn newest(github: &Github, run: u64, name: &str) -> Result<Artifact, ArchiveError> {
    let listed = github.artifacts(run).await;
    let listed = listed.map_err(|error| asking(&format!("listing the artifacts of run {run}"), &error))?;
    let ours = listed.into_iter().filter(|artifact| artifact.name == name).max_by_key(|artifact| artifact.id);
    let ours = ours.ok_or_else(|| {
        refused(&format!("run {run} left no artifact {name}"), "see the workflow's runs at the code host")
    })?;
    if ours.expired { Err(told("its content is gone by now", &ours)) } else { Ok(ours) }
}

async fn save(github: &Github, artifact: &Artifact, to: &Path) -> Result<(), ArchiveError> {
    let doing = format!("downloading artifact {}", artifact.id);
    let download = github.download(artifact.id).await.map_err(|error| asking(&doing, &error))?;
    let (mut body, length, mut received) = (download.body, download.length, 0_u64);
    let local = ArchiveError::file("writing the artifact");
    let mut file = tokio::fs::File::create(to).await.map_err(&local)?;
    while let Some(piece) = body.try_next().await.map_err(|error| asking(&doing, &error))? {
        file.write_all(&piece).await.map_err(&local)?;
        received += piece.len() as u64;
    }
    file.flush().await.map_err(&local)?;
    match length {
        Some(length) if length != received => {
            let what = format!("only {received} of {length} bytes arrived");
            Err(told(&what, artifact))
        }
        _ => Ok(()),
    }
}

fn asking(doing: &str, error: &(dyn std::error::Error + 'static)) -> ArchiveError {
    refused(&format!("{doing}: {}", Chain(error)), "nothing was imported: try again, or name another run")
}

fn told(what: &str, artifact: &Artifact) -> ArchiveError {
    refused(
        &format!("artifact {}: {what}", artifact.id),
        "nothing was imported: try again, or name another run",
    )
}

fn refused(why: &str, advice: &'static str) -> ArchiveError {
    ArchiveError::Refused { why: why.to_owned(), advice }
}
