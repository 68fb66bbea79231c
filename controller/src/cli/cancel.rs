//! `reprise cancel` and `reprise resume`: what people want of a request, recorded; the daemon does it.

use serde_json::json;

use super::{CliError, Common, Format, exit, output};
use crate::store::{Desired, Store};

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request
    name: String,
    /// Also tear down every resource that the ledger proves to be this request's own, DNS first
    #[arg(long)]
    clean: bool,
}

/// Arguments of `resume`.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// The request
    name: String,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let (desired, told) = if args.clean {
        (Desired::TearDown, "is being torn down")
    } else {
        (Desired::Cancel, "is being cancelled; what it made is kept")
    };
    ask(common, &args.name, desired, told).await
}

pub(super) async fn resume(common: &Common, args: &ResumeArgs) -> Result<u8, CliError> {
    ask(common, &args.name, Desired::Run, "goes on; what is done stays done").await
}

async fn ask(common: &Common, name: &str, desired: Desired, told: &str) -> Result<u8, CliError> {
    let store = common.store().await?;
    if !store.ask(name, desired).await? {
        return Err(not_found(&store, name).await?);
    }
    match common.output {
        Format::Json => output::json(&json!({ "name": name, "result": told }))?,
        Format::Text => output::line(format!("recoveryrequest {name} {told}"))?,
    }
    Ok(exit::OK)
}

/// The error for a request that is not there, with the names of those that are.
pub(super) async fn not_found(store: &Store, name: &str) -> Result<CliError, CliError> {
    let names = store.requests().await?.into_iter().flatten().map(|row| row.name).collect();
    Ok(CliError::NotFound { kind: "request", name: name.to_owned(), names })
}
