//! `reprise evidence NAME`: what can be shown of one request, backup or archive run, to be kept or handed on. Of a request that has
//! ended it is what was written then.

use chrono::{DateTime, Utc};
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
    /// Of a backup or run: as the last look at or before this moment (RFC 3339) left it
    #[arg(long, value_name = "TIME", conflicts_with = "all")]
    at: Option<DateTime<Utc>>,
    /// Of a backup or run: every look at it that is on record, the last one first
    #[arg(long)]
    all: bool,
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
    if args.all || args.at.is_some() {
        return looks(common, &store, args).await;
    }
    if store.request(&args.name).await?.is_none()
        && let Some((plan, row)) = known(&store, &args.name).await?
    {
        let verification = Verification::of(&plan, &row);
        let (markdown, html) = (|| verification.markdown(), || verification.html());
        return show(common.output, args.page, &verification, markdown, html);
    }
    let request = store.request(&args.name).await?;
    let Some(request) = request else { return Err(cancel::not_found(&store, &args.name).await?) };
    let evidence = shown(&store, &request).await?;
    let (markdown, html) = (|| evidence::markdown(&evidence), || evidence::html(&evidence));
    show(common.output, args.page, &evidence, markdown, html)
}

/// What each look found that is asked for.
async fn looks(common: &Common, store: &Store, args: &Args) -> Result<u8, CliError> {
    let found = match known(store, &args.name).await? {
        Some((plan, row)) => {
            let reports = store.verification_reports(&plan, &row.kind, &row.backup).await?;
            reports.iter().map(|report| Verification::of(&plan, report)).collect::<Vec<_>>()
        }
        None => Vec::new(),
    };
    let nothing = || CliError::NotFound {
        kind: "verification",
        name: args.name.clone(),
        names: found.iter().map(|one| one.checked_at.to_rfc3339()).collect(),
    };
    let Some(at) = args.at else {
        if found.is_empty() {
            return Err(nothing());
        }
        let (markdown, html) =
            (|| Verification::markdown_of(&found), || Verification::html_of(&args.name, &found));
        return show(common.output, args.page, &found, markdown, html);
    };
    let one = found.iter().find(|one| one.checked_at <= at).ok_or_else(nothing)?;
    show(common.output, args.page, one, || one.markdown(), || one.html())
}

/// What is known of the backup or archive run of that name, and whose it is; of several plans' the one that was looked at last.
async fn known(store: &Store, name: &str) -> Result<Option<(String, Verdict)>, CliError> {
    let mut found: Option<(String, Verdict)> = None;
    let run = format!("archive:{name}");
    for plan in store.plans().await? {
        let verdicts = store.verdicts_with_counts(&plan.name).await?.into_iter();
        let meant = verdicts.filter(|row| row.backup == name || row.backup == run || row.label() == name);
        let newest = meant.max_by_key(|row| row.checked_at).map(|row| (plan.name, row));
        found = found.into_iter().chain(newest).max_by_key(|(_, row)| row.checked_at);
    }
    Ok(found)
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
