//! `check`: asks a world that is up, or a journal that was left behind, what is wrong with what was done in it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::world::evidence::{self, ALLOWED, Case, Finding};
use crate::world::journal::{self, Observed};

/// How long the world may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The control API of the world.
    #[arg(long, value_name = "URL", env = "CONTROL_URL", required_unless_present = "journal")]
    control: Option<String>,
    /// A journal.jsonl, of a world that is gone: only what the journal itself shows is found.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// What there is must be what there was at the start: whatever is more or less is told, too.
    #[arg(long, conflicts_with = "journal")]
    expect_clean: bool,
    /// How to print.
    #[arg(short, long, value_name = "FORMAT", value_parser = ["text", "json"], default_value = "text")]
    output: String,
}

/// Why nothing was checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The world did not answer.
    #[error("could not ask the control API: is the world up, and is the URL right?")]
    Ask(#[source] reqwest::Error),
    /// The journal could not be read.
    #[error("could not read {file}")]
    Read {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Nobody reads what is printed.
    #[error("could not print")]
    Print(#[source] std::io::Error),
}

/// What was found.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    effects: usize,
    findings: Vec<Finding>,
    /// What cannot be seen in what was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_looked_at: Vec<String>,
}

/// What a journal alone does not show: it has no inventory, no secrets, and nothing of reads.
const NOT_IN_A_JOURNAL: [&str; 5] =
    ["foreign_write", "leak", "secret_in_url and secret_in_journal", "rate_limit", "wrong_host"];

/// Prints the findings; 1 when there are any.
pub(super) async fn run(args: &Check) -> Result<ExitCode, CheckError> {
    let report = match (&args.journal, &args.control) {
        (Some(file), _) => of_file(file)?,
        (None, url) => of_world(url.as_deref().unwrap_or_default(), args.expect_clean).await?,
    };
    let text = if args.output == "json" {
        serde_json::to_string_pretty(&report).unwrap_or_default()
    } else {
        in_words(&report)
    };
    writeln!(std::io::stdout(), "{text}").map_err(CheckError::Print)?;
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn of_world(url: &str, expect_clean: bool) -> Result<Report, CheckError> {
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().map_err(CheckError::Ask)?;
    let url = format!("{}/findings?clean={expect_clean}", url.trim_end_matches('/'));
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    answer.map_err(CheckError::Ask)?.json().await.map_err(CheckError::Ask)
}

fn of_file(file: &PathBuf) -> Result<Report, CheckError> {
    let text =
        std::fs::read_to_string(file).map_err(|source| CheckError::Read { file: file.clone(), source })?;
    let entries = journal::read(&text);
    let (observed, nothing) = (Observed::default(), Value::Null);
    let case = Case {
        entries: &entries,
        observed: &observed,
        baseline: &nothing,
        now: &nothing,
        secrets: &[],
        allowed: &ALLOWED,
    };
    let effects = entries.iter().filter(|entry| entry.had_effect()).count();
    let not_looked_at = NOT_IN_A_JOURNAL.map(str::to_owned).to_vec();
    Ok(Report { effects, findings: evidence::check(&case), not_looked_at })
}

fn in_words(report: &Report) -> String {
    let effects = report.effects;
    let told = match report.findings.len() {
        0 => format!("journal: {effects} effects, nothing wrong"),
        many => format!("journal: {effects} effects, {many} things wrong:"),
    };
    let findings = report.findings.iter().map(|finding| format!("  {finding}"));
    let missing = report.not_looked_at.join(", ");
    let missing =
        (!missing.is_empty()).then(|| format!("a journal alone does not show, so not looked at: {missing}"));
    std::iter::once(told).chain(findings).chain(missing).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_journal_that_was_left_behind_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("journal.jsonl");
        let line = |seq| {
            format!(
                r#"{{"seq":{seq},"at":"2026-11-23T00:00:00Z","service":"s3-source","call":"CreateBucket","caller":"K","resource":"/b","status":200}}"#
            )
        };
        std::fs::write(&file, line(1)).unwrap();
        let said = in_words(&of_file(&file).unwrap());
        assert!(said.starts_with("journal: 1 effects, nothing wrong\n"), "{said}");
        assert!(said.contains("not looked at: foreign_write, leak"), "{said}");
        std::fs::write(&file, format!("{}\n{}\n", line(1), line(2))).unwrap();
        let said = in_words(&of_file(&file).unwrap());
        assert!(said.contains("double_create") && said.contains("(journal 1, 2)"), "{said}");
    }
}
