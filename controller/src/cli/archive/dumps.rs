//! `reprise archive dumps PLAN`.

use super::{Desk, failed};
use crate::archive::dumps::DumpRecord;
use crate::capture::{Capture, CaptureError};
use crate::cli::get::moment;
use crate::cli::{CliError, Format, exit, output};

/// Arguments of `archive dumps`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    /// Have the platform make one more backup first, as before work that is risky
    #[arg(long, conflicts_with = "list")]
    fresh: bool,
    /// Copy nothing; show the copies that there are
    #[arg(long)]
    list: bool,
}

pub(super) async fn run(desk: &Desk<'_>, args: &Args) -> Result<u8, CliError> {
    let opened = desk.open(&args.plan).await?;
    if args.list {
        let dumps = opened.archiver.dumps().await.map_err(failed(&args.plan))?;
        return show(desk.format(), &dumps);
    }
    let (plan, stop) = (args.plan.as_str(), &opened.archiver.cancel);
    let capture = Capture { tools: &opened.tools, plan, spec: &opened.plan, stop };
    let copies = if args.fresh {
        capture.fresh_dump(&opened.archiver).await
    } else {
        capture.dumps(&opened.archiver).await
    };
    let copies = copies.map_err(|source: CaptureError| CliError::Capture {
        plan: args.plan.clone(),
        source: Box::new(source),
    })?;
    match desk.format() {
        Format::Json => output::json(&copies)?,
        Format::Text => {
            for copy in &copies.copied {
                output::line(format!(
                    "copied {} of {}: {} tables, {} rows",
                    copy.name,
                    moment(copy.taken_at),
                    copy.clear.tables,
                    copy.clear.rows
                ))?;
            }
            for why in &copies.refused {
                output::line(format!("refused {why}"))?;
            }
            for why in &copies.failed {
                output::line(format!("FAILED {why}"))?;
            }
            output::line(format!("{} were there already", copies.kept))?;
        }
    }
    Ok(if copies.failed.is_empty() { exit::OK } else { exit::FAILED })
}

fn show(format: Format, dumps: &[DumpRecord]) -> Result<u8, CliError> {
    match format {
        Format::Json => output::json(&dumps)?,
        Format::Text => output::table(
            &["BACKUP", "TAKEN", "COPIED", "BYTES", "ROWS"],
            &dumps.iter().map(cells).collect::<Vec<_>>(),
        )?,
    }
    Ok(exit::OK)
}

fn cells(dump: &DumpRecord) -> Vec<String> {
    let (taken, copied) = (moment(dump.taken_at), moment(dump.copied_at));
    vec![dump.name.clone(), taken, copied, dump.size.to_string(), dump.clear.rows.to_string()]
}
