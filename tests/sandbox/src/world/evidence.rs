//! The checker: reads what happened and lists what is wrong with it. Pure: the journal, what was noted of all requests, and two
//! inventories go in; findings come out.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::journal::{Entry, Observed};

mod credentials;
mod effects;
mod items;
mod leaks;
#[cfg(test)]
mod tests;

pub use leaks::traces;

/// What is looked at.
#[derive(Debug)]
pub struct Case<'a> {
    /// The journal.
    pub entries: &'a [Entry],
    /// What was noted of all requests.
    pub observed: &'a Observed,
    /// What there was before anybody came, by kind.
    pub baseline: &'a Value,
    /// What there is now.
    pub now: &'a Value,
    /// What must not appear anywhere in the journal.
    pub secrets: &'a [String],
    /// Kinds of what was there before that may be changed.
    pub allowed: &'a [&'a str],
}

/// What may be changed although it was there before: a recovery switches the records of the names that apps had (of the others
/// none), and a name that moves is taken from the app that had it.
pub const ALLOWED: [&str; 2] = ["dns_records", "domains"];

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of which sort.
    pub kind: Kind,
    /// In words.
    pub what: String,
    /// The entries that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seqs: Vec<u64>,
}

/// Sorts of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The same thing was created twice.
    DoubleCreate,
    /// The same change was made twice.
    DoubleEffect,
    /// Something that is only of use for a while was left behind.
    Leak,
    /// Something that was there before was changed or deleted.
    ForeignWrite,
    /// A secret was in an address.
    SecretInUrl,
    /// A secret is in the journal.
    SecretInJournal,
    /// The vendor had to refuse requests for their number.
    RateLimit,
    /// A credential of one service was shown to another.
    WrongHost,
}

impl Finding {
    fn new(kind: Kind, what: String, seqs: Vec<u64>) -> Self {
        Self { kind, what, seqs }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = serde_json::to_value(self.kind).unwrap_or_default();
        write!(f, "{}: {}", kind.as_str().unwrap_or_default(), self.what)?;
        let seqs: Vec<String> = self.seqs.iter().map(u64::to_string).collect();
        if seqs.is_empty() { Ok(()) } else { write!(f, " (journal {})", seqs.join(", ")) }
    }
}

/// Everything that is wrong, the worst first.
pub fn check(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = effects::double_creates(case.entries);
    findings.extend(effects::repeated_moves(case.entries));
    findings.extend(effects::two_addons(case.baseline, case.now));
    findings.extend(effects::foreign_writes(case));
    findings.extend(credentials::wrong_hosts(case.observed));
    findings.extend(credentials::in_urls(case.observed));
    findings.extend(credentials::in_journal(case.entries, case.secrets));
    findings.extend(credentials::rate_limits(case.observed));
    findings.extend(leaks::left_behind(case));
    findings
}
