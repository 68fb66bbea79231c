//! `reprise archive prune PLAN`.

use super::{Desk, failed};
use crate::archive::prune::Pruned;
use crate::cli::{CliError, Format, exit, output};

/// Arguments of `archive prune`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    /// Delete; without it, nothing is
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(desk: &Desk<'_>, args: &Args) -> Result<u8, CliError> {
    let opened = desk.open(&args.plan).await?;
    let pruned = opened.archiver.prune(args.yes).await.map_err(failed(&args.plan))?;
    match desk.format() {
        Format::Json => output::json(&pruned)?,
        Format::Text => print(&pruned, args.yes)?,
    }
    Ok(exit::OK)
}

fn print(pruned: &Pruned, yes: bool) -> Result<(), CliError> {
    let kinds =
        pruned.runs.iter().map(|run| ("run", run)).chain(pruned.dumps.iter().map(|dump| ("dump", dump)));
    for (kind, run) in kinds {
        let fate = match (run.kept_by.is_empty(), yes) {
            (false, _) => format!("kept by {}", run.kept_by.join(", ")),
            (true, true) => "deleted".to_owned(),
            (true, false) => "would be deleted".to_owned(),
        };
        output::line(format!("{kind:4}  {}  {fate}", run.run))?;
    }
    output::line(format!(
        "{} contents ({} bytes) are named by nothing that is kept; {} of them are out of their grace period and of any lock",
        pruned.unreferenced, pruned.unreferenced_bytes, pruned.due
    ))?;
    if pruned.orphans > 0 {
        output::line(format!(
            "{} manifests belong to no run, for longer than the grace period",
            pruned.orphans
        ))?;
    }
    if !yes {
        return output::line("nothing was deleted; --yes does it");
    }
    output::line(format!(
        "{} contents ({} bytes) and {} leftovers of unfinished runs were deleted; {} contents or manifests are locked by the store",
        pruned.deleted, pruned.deleted_bytes, pruned.leftovers, pruned.locked
    ))
}
