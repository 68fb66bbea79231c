//! `reprise prove PLAN`: backups up the ladder by hand. The work is done by this process and is safe beside a running daemon:
//! one process at a time takes up the backups of a plan.

use std::path::{Path, PathBuf};

use reprise_crds::RecoveryPlanSpec;

use super::desk::{Configured, cannot_start};
use super::{CliError, Common, Format, desk, exit, output, serve};
use crate::proof::{KeyList, ProofError, Prover, Summary, Taken, Which};

/// Arguments of `prove`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    /// This backup, by id or name, whatever is known of it [default: those that are due, newest first]
    #[arg(long, conflicts_with = "all")]
    backup: Option<String>,
    /// Every backup that the platform lists, whatever is known of it
    #[arg(long)]
    all: bool,
    /// List every key of `objectKeys` that has no counterpart in this new file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
}

impl Args {
    fn which(&self) -> Which {
        match &self.backup {
            Some(backup) => Which::One(backup.clone()),
            None if self.all => Which::All,
            None => Which::Due,
        }
    }
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    let spec = desk::plan(&store, &args.plan).await?;
    let tools = args.configured.tools(common, store)?;
    let stop = serve::stop_on_signals().map_err(|error| cannot_start(error.into()))?;
    let keys = args.keys.as_deref().map(|path| listed_in(path, &spec)).transpose()?;
    let by = "proof by hand";
    let prover = Prover { tools: &tools, plan: &args.plan, spec: &spec, by, keys: keys.as_ref() };
    let shown = |taken: &Taken| {
        // A line that cannot be printed is no reason to leave a backup unproven.
        let printed = if common.output == Format::Text { output::line(taken.to_string()) } else { Ok(()) };
        if let Err(error) = printed {
            tracing::debug!(%error, "nobody reads what is printed");
        }
    };
    let failed = |source: ProofError| CliError::Proof { plan: args.plan.clone(), source };
    let summary = Box::pin(prover.run(&args.which(), &stop, shown)).await.map_err(failed)?;
    if let (Some(keys), Some(path)) = (&keys, &args.keys) {
        keys.finish().map_err(|source| CliError::Write { path: path.clone(), source })?;
    }
    match common.output {
        Format::Json => output::json(&summary)?,
        Format::Text => output::line(ending(&summary))?,
    }
    Ok(if good(&summary) { exit::OK } else { exit::FAILED })
}

fn listed_in(path: &Path, spec: &RecoveryPlanSpec) -> Result<KeyList, CliError> {
    if spec.object_keys.is_empty() {
        return Err(CliError::Answer(
            "the plan names no objectKeys, so there are no keys to list".to_owned(),
        ));
    }
    KeyList::create(path).map_err(|source| CliError::Write { path: path.to_owned(), source })
}

fn ending(summary: &Summary) -> String {
    let Summary { listed, taken, left, postponed } = summary;
    let left = match left {
        0 => String::new(),
        left => format!(", {left} are left: run it again"),
    };
    let postponed = if *postponed { "; a recovery is at work, which comes first" } else { "" };
    format!("{listed} backups are listed, {} were taken up{left}{postponed}", taken.len())
}

/// Something was learnt of each, and of none that it is bad.
fn good(summary: &Summary) -> bool {
    !summary.postponed && summary.taken.iter().all(|one| one.refused.is_none() && one.trouble.is_none())
}
