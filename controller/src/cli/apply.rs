//! `reprise apply -f FILE`: check a plan and store it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use reprise_crds::RecoveryPlan;
use serde_json::json;

use super::{CliError, Common, Format, exit, output};
use crate::store::Applied;

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A `RecoveryPlan` in YAML or JSON; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let text = read(&args.file)?;
    let what = args.file.display().to_string();
    let plan = RecoveryPlan::parse_yaml(&text).map_err(|problems| CliError::Invalid { what, problems })?;
    let name = plan.metadata.name.clone().unwrap_or_default();
    let spec = serde_json::to_value(&plan.spec).map_err(std::io::Error::from)?;
    let applied = match common.store().await?.apply_plan(&name, &spec).await {
        Err(error) if error.constraint() == Some("plan_name_is_a_dns_label") => {
            Err(CliError::BadName(name.clone()))
        }
        other => other.map_err(CliError::from),
    }?;
    let word = match applied {
        Applied::Created => "created",
        Applied::Configured => "configured",
        Applied::Unchanged => "unchanged",
    };
    match common.output {
        Format::Json => output::json(&json!({ "kind": "RecoveryPlan", "name": name, "result": word }))?,
        Format::Text => output::line(format!("recoveryplan {name} {word}"))?,
    }
    Ok(exit::OK)
}

fn read(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::Read { path: path.to_owned(), source };
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(failed)
}
