//! Printing: aligned columns for people, JSON for programs, errors on standard error.

use std::io::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::{CliError, Format};
use crate::runtime::chain::Chain;

/// Prints one JSON document, pretty.
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Prints one JSON document on one line: of commands that print several, one after the other.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

/// Prints a line.
pub(super) fn line(text: impl AsRef<str>) -> Result<(), CliError> {
    Ok(writeln!(std::io::stdout().lock(), "{}", text.as_ref())?)
}

/// Prints what came of a command: a document for programs, a sentence for people.
pub(super) fn outcome(format: Format, document: &Value, text: impl AsRef<str>) -> Result<(), CliError> {
    match format {
        Format::Json => json(document),
        Format::Text => line(text),
    }
}

/// Prints rows in columns as wide as they need; the last column is not padded.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> Result<(), CliError> {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let width =
        |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..header.len()).map(|column| width(column).unwrap_or(0)).collect();
    for row in all {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Tells what went wrong: a sentence with its causes, then every problem of a document on a line of its own.
pub(super) fn complain(format: Format, error: &CliError) {
    let problems = match error {
        CliError::Invalid { problems, .. } => problems.as_slice(),
        _ => &[],
    };
    let mut text = match format {
        Format::Json => json!({ "error": Chain(error).to_string(), "problems": problems }).to_string(),
        Format::Text => format!("reprise: {}", Chain(error)),
    };
    if format == Format::Text {
        for problem in problems {
            text.extend(["\n  ".to_owned(), problem.to_string()]);
        }
    }
    // Where standard error is closed there is nobody left to tell; the exit code still says it.
    if writeln!(std::io::stderr().lock(), "{text}").is_err() {
        tracing::debug!("standard error is closed");
    }
}
