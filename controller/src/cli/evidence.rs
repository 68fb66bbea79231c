//! `reprise evidence NAME`: what can be shown of one request, to be kept or handed on.

use clap::ValueEnum;
use reprise_crds::RecoveryPlanSpec;

use super::{CliError, Common, Format, describe, exit, output};
use crate::recovery::evidence::{self, Record};

/// Arguments of `evidence`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request
    name: String,
    /// As what to print it; `-o json` prints the same for programs
    #[arg(long, value_enum, default_value_t = Page::Markdown)]
    page: Page,
}

/// A form of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Page {
    /// Markdown
    Markdown,
    /// One HTML file that needs nothing else
    Html,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    let records = describe::read(&store, &args.name).await?;
    let plan = store.plan(&records.request.plan).await?;
    let objectives =
        plan.and_then(|row| RecoveryPlanSpec::from_json(row.spec).ok()).map(|plan| plan.objectives);
    let evidence = evidence::of(Record {
        request: &records.request,
        steps: &records.steps,
        events: &records.events,
        verdicts: &records.verdicts,
        objectives,
    });
    match (common.output, args.page) {
        (Format::Json, _) => output::json(&evidence)?,
        (Format::Text, Page::Markdown) => output::line(evidence::markdown(&evidence).trim_end())?,
        (Format::Text, Page::Html) => output::line(evidence::html(&evidence).trim_end())?,
    }
    Ok(exit::OK)
}
