//! What is wrong with a document, told to the person who wrote it.
//!
//! A [`Problem`] never carries the offending value: a value may be a secret that was pasted into the wrong place.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that is wrong with a document, and where.
///
/// ```
/// # use reprise_crds::Problem;
/// let problem = Problem::new("spec.apps[1].domains", "names no domain").hint("give at least one host name");
/// assert_eq!(problem.to_string(), "spec.apps[1].domains: names no domain (give at least one host name)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where: member names joined by dots, list positions in brackets (`spec.apps[1].domains`); empty for the whole.
    pub path: String,
    /// What is wrong, as the end of a sentence whose subject is the path.
    pub message: String,
    /// What to do about it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: None }
    }

    /// The same problem, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// A place in a document, extended on the way down.
#[derive(Clone, Debug)]
pub(crate) struct At(String);

impl At {
    /// The place called `path`.
    pub(crate) fn root(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// A member. Odd names are quoted and shortened, so that a path stays one readable line whatever the input was.
    pub(crate) fn member(&self, name: &str) -> Self {
        const LONGEST: usize = 64;
        let plain = !name.is_empty()
            && name.len() <= LONGEST
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !plain {
            let short: String = name.chars().take(LONGEST).collect();
            return Self(format!("{}[{short:?}]", self.0));
        }
        Self(if self.0.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0) })
    }

    /// An item of a list, counted from zero.
    pub(crate) fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The problems found so far, and what of the document is only a stand-in.
///
/// A part that is missing or of the wrong type is reported once and replaced by a placeholder, so that everything else
/// can still be judged in the same pass; what the rules would say of the placeholder itself is dropped here.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    placeholders: Vec<String>,
    incomplete: Vec<String>,
}

impl Report {
    /// Records a problem, unless it speaks of a placeholder.
    pub(crate) fn push(&mut self, problem: Problem) {
        if !self.is_placeholder(&problem.path) && !self.incomplete.contains(&problem.path) {
            self.problems.push(problem);
        }
    }

    /// Records a problem at a place.
    pub(crate) fn add(&mut self, at: &At, message: impl Into<String>) {
        self.push(Problem::new(at.as_str(), message));
    }

    /// Records a problem at a place, with what to do about it.
    pub(crate) fn add_with_hint(&mut self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Problem::new(at.as_str(), message).hint(hint));
    }

    /// Records a problem of a member that is taken out.
    pub(crate) fn take_out(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Records a problem and marks its place as a placeholder from now on.
    pub(crate) fn replace(&mut self, problem: Problem) {
        self.placeholders.push(problem.path.clone());
        self.problems.push(problem);
    }

    /// Says that a member was probably meant to be `meant`: that it is absent, or that `parent` lacks something, is then
    /// the same mistake and not told twice.
    pub(crate) fn mistyped(&mut self, parent: &At, meant: &str) {
        self.incomplete.push(parent.as_str().to_owned());
        self.placeholders.push(parent.member(meant).as_str().to_owned());
    }

    /// Whether `path` is a placeholder or lies inside one.
    pub(crate) fn is_placeholder(&self, path: &str) -> bool {
        self.placeholders.iter().any(|held| {
            path.strip_prefix(held.as_str())
                .is_some_and(|rest| held.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// `value` if nothing was found, else every problem, ordered by place.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(value);
        }
        self.problems.sort_by(|a, b| a.path.cmp(&b.path));
        self.problems.dedup();
        Err(self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_not_blamed_again() {
        let mut report = Report::default();
        report.replace(Problem::new("spec.target", "is missing"));
        report.push(Problem::new("spec.target.region", "is blank"));
        report.push(Problem::new("spec.targets", "is something else"));
        let paths: Vec<_> = report.finish(()).unwrap_err().into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["spec.target", "spec.targets"]);
    }

    #[test]
    fn an_odd_member_name_cannot_break_the_path() {
        let at = At::root("spec").member("a\nb").member("");
        assert_eq!(at.as_str(), "spec[\"a\\nb\"][\"\"]");
        assert!(At::root("").member(&"x".repeat(9000)).as_str().len() < 80);
    }
}
