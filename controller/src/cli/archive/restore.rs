//! `reprise archive restore PLAN --to-bucket BUCKET`.

use reprise_crds::plan::S3Credentials;
use reprise_crds::{SecretRef, Setting};

use super::{Desk, Opened, WhichArgs, failed};
use crate::archive::Place;
use crate::archive::restore::{RestoreOrder, Restored};
use crate::cli::{CliError, Format, exit, output};

/// Arguments of `archive restore`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    #[command(flatten)]
    which: WhichArgs,
    /// The bucket that is restored into; it must exist
    #[arg(long, value_name = "BUCKET")]
    to_bucket: String,
    /// The base URL of its store [default: the production bucket's]
    #[arg(long, value_name = "URL")]
    to_endpoint: Option<String>,
    /// The store's region [default: the production bucket's]
    #[arg(long, value_name = "REGION")]
    to_region: Option<String>,
    /// Reference to the access key's id, `env:NAME` or `file:PATH` [default: the production bucket's]
    #[arg(long, value_name = "REF", requires = "to_secret_key", value_parser = reference)]
    to_access_key: Option<SecretRef>,
    /// Reference to its secret half
    #[arg(long, value_name = "REF", requires = "to_access_key", value_parser = reference)]
    to_secret_key: Option<SecretRef>,
    /// What is put before each key
    #[arg(long, value_name = "PREFIX", default_value = "")]
    to_prefix: String,
    /// Only keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// Only this key
    #[arg(long, conflicts_with = "prefix")]
    key: Option<String>,
    /// Let the store copy: both sides are at one endpoint, and the key pair may read the archive
    #[arg(long)]
    server_side: bool,
    /// Days for which thawed contents stay readable
    #[arg(long, default_value_t = 7)]
    thaw_days: i32,
}

fn reference(text: &str) -> Result<SecretRef, String> {
    SecretRef::try_from(text.to_owned()).map_err(|error| error.to_string())
}

pub(super) async fn run(desk: &Desk<'_>, args: &Args) -> Result<u8, CliError> {
    let opened = desk.open(&args.plan).await?;
    let order = RestoreOrder {
        which: args.which.which(),
        prefix: args.prefix.clone(),
        key: args.key.clone(),
        to: place(&opened, args)?,
        to_prefix: args.to_prefix.clone(),
        server_side: args.server_side,
        thaw_days: args.thaw_days,
        progress: None,
    };
    let restored = opened.archiver.restore(&order).await.map_err(failed(&args.plan))?;
    match desk.format() {
        Format::Json => output::json(&restored)?,
        Format::Text => print(&restored)?,
    }
    Ok(if restored.differences.is_empty() { exit::OK } else { exit::FAILED })
}

fn place(opened: &Opened, args: &Args) -> Result<Place, CliError> {
    let Some(source) = &opened.plan.source.bucket else { return Ok(opened.archiver.source.clone()) };
    let given = |text: Option<&String>, other: &Setting| {
        text.map_or_else(|| other.clone(), |text| Setting::from(text.as_str()))
    };
    let endpoint = given(args.to_endpoint.as_ref(), &source.endpoint);
    let credentials = match (&args.to_access_key, &args.to_secret_key) {
        (Some(id), Some(secret)) => {
            S3Credentials { access_key_id: id.clone(), secret_access_key: secret.clone() }
        }
        _ => source.credentials.clone(),
    };
    let s3 =
        opened.tools.object_store(&endpoint, &given(args.to_region.as_ref(), &source.region), &credentials);
    let url = opened.tools.setting(&endpoint, "the endpoint").map_err(CliError::Setup)?;
    let s3 = s3.map_err(CliError::Setup)?.with_cancel(opened.archiver.cancel.clone());
    Ok(Place { s3, endpoint: url, bucket: args.to_bucket.clone() })
}

fn print(restored: &Restored) -> Result<(), CliError> {
    for difference in &restored.differences {
        output::line(format!("DIFFERENT: {difference}"))?;
    }
    for note in &restored.notes {
        output::line(format!("NOTE: {note}"))?;
    }
    output::line(format!(
        "run {}: {} objects, {} bytes; {} were copied ({} bytes), {} were right already; {}",
        restored.run,
        restored.objects,
        restored.bytes,
        restored.copied,
        restored.copied_bytes,
        restored.skipped,
        if restored.differences.is_empty() {
            "compared with the manifest: equal"
        } else {
            "compared with the manifest: NOT equal"
        }
    ))
}
