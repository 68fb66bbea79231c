//! `reprise evidence NAME`: what can be shown of one request, backup or archive run, to be kept or handed on. Of a request that has
//! ended it is what was written then.

use clap::ValueEnum;

use super::{CliError, Common, Format, cancel, exit, output};
use crate::recovery::evidence::{self, Verification};
use crate::recovery::shown::shown;
use crate::store::{Store, Verdict};

/// Arguments of `evidence`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request; or a backup, by its name or id, or a run of the archive, of which it shows the last verification
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
    if store.request(&args.name).await?.is_none()
        && let Some(verification) = verification(&store, &args.name).await?
    {
        let (markdown, html) = (|| verification.markdown(), || verification.html());
        return show(common.output, args.page, &verification, markdown, html);
    }
    let request = store.request(&args.name).await?;
    let Some(request) = request else { return Err(cancel::not_found(&store, &args.name).await?) };
    let evidence = shown(&store, &request).await?;
    let (markdown, html) = (|| evidence::markdown(&evidence), || evidence::html(&evidence));
    show(common.output, args.page, &evidence, markdown, html)
}

/// What is known of the backup or archive run of that name; of several plans' the one that was looked at last.
async fn verification(store: &Store, name: &str) -> Result<Option<Verification>, CliError> {
    let mut found: Option<(String, Verdict)> = None;
    let run = format!("archive:{name}");
    for plan in store.plans().await? {
        let verdicts = store.verdicts_with_counts(&plan.name).await?.into_iter();
        let meant = verdicts.filter(|row| row.backup == name || row.backup == run || row.label() == name);
        let newest = meant.max_by_key(|row| row.checked_at).map(|row| (plan.name, row));
        found = found.into_iter().chain(newest).max_by_key(|(_, row)| row.checked_at);
    }
    Ok(found.map(|(plan, row)| Verification::of(&plan, &row)))
}

fn show(
    format: Format,
    page: Page,
    document: &impl serde::Serialize,
    markdown: impl Fn() -> String,
    html: impl Fn() -> String,
) -> Result<u8, CliError> {
    match (format, page) {
        (Format::Json, _) => output::json(document)?,
        (Format::Text, Page::Markdown) => output::line(markdown().trim_end())?,
        (Format::Text, Page::Html) => output::line(html().trim_end())?,
    }
    Ok(exit::OK)
}
