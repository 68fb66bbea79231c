//! `reprise archive import PLAN`.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{Desk, Opened, failed};
use crate::archive::folder::{Folder, Purpose};
use crate::archive::format::Record;
use crate::archive::{ArchiveError, Place};
use crate::backup::objects::{ArtifactRefusal, Limits, check};
use crate::cli::{CliError, exit};
use crate::runtime::chain::Chain;

mod artifact;

/// Arguments of `archive import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    #[command(flatten)]
    what: What,
    /// What the code host says of the zip: `sha256:…`
    #[arg(long, requires = "zip")]
    digest: Option<String>,
    /// When the zip was taken, for example 2026-11-23T02:00:00Z: the run is one of that time
    #[arg(long, value_name = "TIME", requires = "zip")]
    taken_at: Option<DateTime<Utc>>,
}

/// One of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A zip file that a workflow left
    #[arg(long, value_name = "FILE", requires = "taken_at")]
    zip: Option<PathBuf>,
    /// What this workflow run left, by the first artifact of the plan's `source.objects`: fetched, and held against the digest that
    /// the code host tells. The run is one of the time of its upload
    #[arg(long, value_name = "RUN")]
    artifact_of: Option<u64>,
    /// The first mirror of the plan's `source.objects`; what is cold is thawed first
    #[arg(long)]
    mirror: bool,
}

pub(super) async fn run(desk: &Desk<'_>, args: &Args) -> Result<u8, CliError> {
    let opened = desk.open(&args.plan).await?;
    let record = match (&args.what, args.taken_at) {
        (What { zip: Some(zip), .. }, Some(taken_at)) => {
            import(&opened, &args.plan, (zip, args.digest.as_deref()), taken_at).await?
        }
        (What { artifact_of: Some(run), .. }, _) => {
            let folder =
                Folder::below(&opened.archiver.work, Purpose::Capture).map_err(failed(&args.plan))?;
            let fetched = artifact::fetch(&opened, *run, folder.path()).await.map_err(failed(&args.plan))?;
            let claimed = (fetched.zip.as_path(), fetched.digest.as_deref());
            import(&opened, &args.plan, claimed, fetched.taken_at).await?
        }
        _ => Box::pin(opened.archiver.import_mirror(mirror(&opened, &args.plan)?))
            .await
            .map_err(failed(&args.plan))?,
    };
    super::take::show(desk.format(), &record)?;
    Ok(exit::OK)
}

async fn import(
    opened: &Opened,
    plan: &str,
    (zip, digest): (&Path, Option<&str>),
    taken_at: DateTime<Utc>,
) -> Result<Record, CliError> {
    let limits = Limits { entries: 5_000_000, total_bytes: u64::MAX, ratio: 1_100 };
    let index = check(zip, digest, limits, |_, _| {}).await;
    let index = index.map_err(|error| damaged(zip, &error)).map_err(failed(plan))?;
    opened.archiver.import_zip(zip, &index, taken_at).await.map_err(failed(plan))
}

fn damaged(zip: &Path, error: &ArtifactRefusal) -> ArchiveError {
    ArchiveError::Damaged { what: zip.display().to_string(), how: Chain(error).to_string() }
}

fn mirror(opened: &Opened, plan: &str) -> Result<Place, CliError> {
    let wrong = |why: &str, advice| failed(plan)(ArchiveError::Refused { why: why.to_owned(), advice });
    let found = opened.plan.source.objects.iter().find_map(|source| source.mirror.as_ref());
    let spec = found.ok_or_else(|| {
        wrong("the plan names no mirror in source.objects", "add it to the plan, and apply it")
    })?;
    if spec.prefix.is_some() {
        return Err(wrong(
            "the mirror has a prefix, its keys would differ from the bucket's",
            "name in source.objects a mirror that has the keys of the bucket",
        ));
    }
    let s3 = opened.tools.mirror(spec).map_err(CliError::Setup)?.with_cancel(opened.archiver.cancel.clone());
    let endpoint = opened.tools.setting(&spec.endpoint, "the mirror's endpoint").map_err(CliError::Setup)?;
    let bucket = opened.tools.setting(&spec.bucket, "the mirror's bucket").map_err(CliError::Setup)?;
    Ok(Place { s3, endpoint, bucket })
}
