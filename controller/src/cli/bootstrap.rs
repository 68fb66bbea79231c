//! `reprise bootstrap`: an empty machine learns from an archive what another one knew.

use std::path::PathBuf;

use futures::TryStreamExt as _;
use reprise_crds::plan::S3Credentials;
use reprise_crds::{SecretRef, Setting};
use secrecy::SecretString;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::desk::{Configured, cannot_start};
use super::{CliError, Common, Format, exit, output, serve};
use crate::archive::format::{Extra, Record};
use crate::archive::{ArchiveError, Vault, crypt};
use crate::capture::records;
use crate::providers::s3::Want;
use crate::runtime::chain::Chain;
use crate::store::Store;

/// Arguments of `bootstrap`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The archive: `https://ENDPOINT/BUCKET/PREFIX/`
    #[arg(long, value_name = "URL")]
    from_archive: url::Url,
    /// The age identity that opens what is encrypted; plans that name none will use it
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The store's region, as it is signed
    #[arg(long, env = "AWS_REGION", default_value = "fr-par")]
    region: String,
    /// Reference to the access key's id, `env:NAME` or `file:PATH`
    #[arg(long, value_name = "REF", default_value = "env:S3_ARCHIVE_ACCESS_KEY_ID", value_parser = reference)]
    access_key: SecretRef,
    /// Reference to the secret key
    #[arg(long, value_name = "REF", default_value = "env:S3_ARCHIVE_SECRET_ACCESS_KEY", value_parser = reference)]
    secret_key: SecretRef,
    #[command(flatten)]
    configured: Configured,
}

fn reference(text: &str) -> Result<SecretRef, String> {
    SecretRef::try_from(text.to_owned()).map_err(|error| error.to_string())
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    // Nobody may have run a daemon at this database yet.
    store.migrate().await?;
    let identity_file = std::fs::canonicalize(&args.identity).map_err(|error| cannot_start(error.into()))?;
    let identity = std::fs::read_to_string(&identity_file).map_err(|error| cannot_start(error.into()))?;
    let stop = serve::stop_on_signals().map_err(|error| cannot_start(error.into()))?;
    let vault = vault(common, args, store.clone(), &stop)?;
    let failed = |source| CliError::Archive { plan: args.from_archive.path().to_owned(), source };
    let (record, text) = newest_records(&vault, SecretString::from(identity)).await.map_err(failed)?;
    let lines: Vec<String> =
        text.lines().map(|line| with_identity(line, &identity_file.display().to_string())).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let rows = store.take_in(&lines).await.map_err(|error| cannot_start(error.into()))?;
    find_runs(&store, &vault, &args.from_archive).await?;
    tell(common, &store, &record, rows).await
}

/// The records were taken before their own run was complete: what lies in the archive beyond them is found there.
async fn find_runs(store: &Store, vault: &Vault, url: &url::Url) -> Result<(), CliError> {
    let failed = |source| CliError::Archive { plan: url.path().to_owned(), source };
    for run in vault.runs().await.map_err(failed)? {
        match vault.record(&run).await {
            Ok((record, _)) if store.plan(&record.plan).await?.is_some() => {
                let end = crate::archive::take::ended(&record);
                store.archive_found(&record.plan, &run, record.started_at, &end).await?;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(run, %error, "a run of the archive cannot be read"),
        }
    }
    Ok(())
}

async fn tell(common: &Common, store: &Store, record: &Record, rows: usize) -> Result<u8, CliError> {
    let plans: Vec<String> = store.plans().await?.into_iter().map(|plan| plan.name).collect();
    match common.output {
        Format::Json => {
            output::json(&serde_json::json!({ "run": record.run, "rows": rows, "plans": plans }))?;
        }
        Format::Text => {
            output::line(format!(
                "{rows} records were taken in from run {} of {}",
                record.run, record.finished_at
            ))?;
            for plan in plans {
                output::line(format!(
                    "plan {plan}: see `reprise archive list {plan}`, then `reprise file {plan}`"
                ))?;
            }
        }
    }
    Ok(exit::OK)
}

fn vault(common: &Common, args: &Args, store: Store, stop: &CancellationToken) -> Result<Vault, CliError> {
    let tools = args.configured.tools(common, store)?;
    let url = &args.from_archive;
    let wrong = || CliError::Start {
        what: format!("reading {url}"),
        source: "it should be https://ENDPOINT/BUCKET/PREFIX/".into(),
    };
    let (bucket, prefix) = url.path().trim_start_matches('/').split_once('/').ok_or_else(wrong)?;
    if bucket.is_empty() || !(prefix.is_empty() || prefix.ends_with('/')) {
        return Err(wrong());
    }
    let endpoint = url.origin().ascii_serialization();
    let pair =
        S3Credentials { access_key_id: args.access_key.clone(), secret_access_key: args.secret_key.clone() };
    let s3 = tools
        .object_store(&Setting::from(endpoint.as_str()), &Setting::from(args.region.as_str()), &pair)
        .map_err(CliError::Setup)?;
    let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
    let s3 = s3.with_cancel(stop.clone());
    Ok(Vault { s3, endpoint, bucket, prefix, storage_class: None, lock: None })
}

/// The newest run that has our records, and what they say.
async fn newest_records(vault: &Vault, identity: SecretString) -> Result<(Record, String), ArchiveError> {
    let mut told = None;
    for run in vault.runs().await?.into_iter().rev() {
        let record = match vault.record(&run).await {
            Ok((record, _)) => record,
            Err(error @ ArchiveError::Damaged { .. }) => {
                told.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let Some(extra) = record.extras.iter().find(|extra| extra.kind == records::KIND) else { continue };
        match opened(vault, extra, identity.clone()).await {
            Ok(text) => return Ok((record, text)),
            // The one before it is older, and better than none.
            Err(error @ ArchiveError::Damaged { .. }) => {
                tracing::error!(run, error = %Chain(&error), "Reprise's own records in a run of the archive cannot be read");
                told.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(told.unwrap_or(ArchiveError::Refused {
        why: "the archive has no run with Reprise's own records".to_owned(),
        advice: "check the URL and its prefix; records are archived where the plan names a recipient",
    }))
}

/// Our records as one run keeps them.
async fn opened(vault: &Vault, extra: &Extra, identity: SecretString) -> Result<String, ArchiveError> {
    let key = format!("{}{}", vault.prefix, extra.key);
    let damaged = |how: String| ArchiveError::Damaged { what: key.clone(), how };
    let found = match vault.s3.read(&vault.bucket, &key, Want::default()).await {
        Err(error) if error.is_not_found() => return Err(damaged("the archive does not hold it".to_owned())),
        found => found.map_err(ArchiveError::inside("reading the records"))?,
    };
    let pieces: Result<Vec<_>, _> = crypt::open(found.body, identity).try_collect().await;
    let pieces = pieces.map_err(|error| damaged(Chain(&error).to_string()))?;
    String::from_utf8(pieces.concat()).map_err(|error| damaged(error.to_string()))
}

/// A plan that does not say how to open its archive is told now: on the machine that took it, nothing had to open it.
fn with_identity(line: &str, file: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    let archive = value.pointer_mut("/row/spec/archive").and_then(Value::as_object_mut);
    if let Some(archive) = archive
        && !archive.contains_key("identity")
    {
        archive.insert("identity".to_owned(), Value::from(format!("file:{file}")));
    }
    value.to_string()
}
