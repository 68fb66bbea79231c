//! YAML into JSON values, hostile until read: duplicates are found, aliases and depth are bounded.
//!
//! Duplicate keys are collected with their place instead of stopping the reader, so that they are listed beside
//! everything else that is wrong. Messages about syntax give line and column and never quote the text.

mod node;

use std::cell::RefCell;

use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::problem::{At, Problem};
use node::Node;

/// The largest text that is read, in bytes; plans are a few KiB.
const LARGEST: usize = 1 << 20;

/// One document of a YAML text, and the problems that only the text shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The document; of a key that appears twice, the first value.
    pub value: Value,
    /// Keys that appear twice.
    pub problems: Vec<Problem>,
}

/// Reads the one document of a text.
///
/// Errors: not YAML, more than one document, too large, nested too deeply, or too many aliases.
///
/// ```
/// let document = reprise_crds::yaml::read("kind: RecoveryPlan\nkind: Other\n").unwrap();
/// assert_eq!(document.value["kind"], "RecoveryPlan");
/// assert_eq!(document.problems[0].path, "kind");
/// assert!(reprise_crds::yaml::read("a: [").is_err());
/// ```
pub fn read(text: &str) -> Result<Document, Problem> {
    if text.len() > LARGEST {
        return Err(Problem::new("", format!("is larger than {LARGEST} bytes")));
    }
    let found = RefCell::new(Vec::new());
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        Node { at: At::root(""), found: &found }.deserialize(deserializer)
    });
    let value = value.map_err(|error| unreadable(&error, text))?;
    Ok(Document { value, problems: found.into_inner() })
}

/// The documents of a text that may hold several, each to be given to [`read`] or a `parse_yaml`. Parts that hold only
/// comments are left out.
///
/// ```
/// let parts: Vec<_> = reprise_crds::yaml::documents("# plans\n---\na: 1\n--- # next\nb: |\n  ---\n...\n").collect();
/// assert_eq!(parts, ["a: 1\n", "b: |\n  ---\n"]);
/// ```
pub fn documents(text: &str) -> impl Iterator<Item = &str> {
    // YAML gives a line that starts like this no other meaning, even inside of quotes.
    let marks = |line: &str| {
        let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
        rest.is_some_and(|rest| rest.trim_start().is_empty() || rest.trim_start().starts_with('#'))
    };
    let mut parts = vec![(0, 0)];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        if marks(line) {
            parts.push((end, end));
        } else if let Some(part) = parts.last_mut() {
            part.1 = end;
        }
        at = end;
    }
    let parts = parts.into_iter().filter_map(|(start, end)| text.get(start..end));
    parts.filter(|part| {
        part.lines().any(|line| !matches!(line.trim_start().chars().next(), None | Some('#' | '%')))
    })
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
        // `no` is a country and `0755` is a text: nothing is guessed that YAML 1.2 does not say.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_nodes: 50_000,
            max_depth: 64,
            max_aliases: 256,
            max_anchors: 256,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_alias_expansions_per_anchor: 256,
        },
    }
}

/// What is wrong with the text. The parser's own message may quote it, so only the kind of mistake and its place are told.
fn unreadable(error: &serde_saphyr::Error, text: &str) -> Problem {
    use serde_saphyr::Error;
    let at = error.location();
    // What goes wrong where something is repeated comes wrapped.
    let error = match error.without_snippet() {
        Error::AliasError { error, .. } => error.as_ref(),
        error => error,
    };
    let message = match error {
        Error::Eof { .. } => "is empty",
        Error::MultipleDocuments { .. } => "holds more than one document",
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "is nested too deeply or repeats itself too often to be read"
        }
        Error::UnknownAnchor { .. } => "repeats something that it does not name before",
        _ if at.and_then(|at| indent(text, at.line())).is_some_and(|indent| indent.contains('\t')) => {
            "is indented by a tab, where YAML wants spaces"
        }
        _ => "is not well-formed YAML",
    };
    let place = at.map_or_else(String::new, |at| format!(" (line {}, column {})", at.line(), at.column()));
    Problem::new("", format!("{message}{place}"))
}

/// What the line begins with, up to its first word. Lines are counted from 1.
fn indent(text: &str, line: impl TryInto<usize>) -> Option<&str> {
    let line = text.lines().nth(line.try_into().ok()?.checked_sub(1)?)?;
    Some(&line[..line.len() - line.trim_start().len()])
}
