//! What became of every entry of a dump. Pure: what `pg_restore` was told and said, and what was then seen in the
//! database, go in; one fate per entry comes out.
//!
//! *Restored* is never concluded from the absence of an error: the entry's object was seen, its rows were counted. An
//! error that no named rule forgives means *missing*, even where the object stands: half a truth is no restore.

mod rules;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use rules::Rule;
pub(super) use rules::skip_rule;

use super::checks::Observed;
use super::contents::{Counts, SequenceValue, TableCount};
use super::restore::{EntryError, Report, Selection};
use super::toc::{Entry, Toc, on_one_line};

/// What a claim of *restored* rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The object was seen in the database; its rows or value were compared.
    Observed,
    /// The server took it without an error, and nothing of its kind can be looked up (a cast, an operator class).
    Accepted,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is there.
    Restored(Evidence),
    /// It is not, and by this rule nothing is lost.
    Benign(Rule),
    /// It is not there, or not whole; why.
    Missing(String),
}

/// An entry with its fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounted {
    /// The entry.
    pub entry: Entry,
    /// Its fate.
    pub fate: Fate,
}

/// The whole account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Every entry of the table of contents, in its order.
    pub entries: Vec<Accounted>,
    /// Errors that belong to no entry and that no rule forgives.
    pub unattributed: Vec<String>,
}

impl Account {
    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.unattributed.is_empty() && self.missing().next().is_none()
    }

    /// The entries that are missing, and why.
    pub fn missing(&self) -> impl Iterator<Item = (&Entry, &str)> {
        self.entries.iter().filter_map(|accounted| match &accounted.fate {
            Fate::Missing(why) => Some((&accounted.entry, why.as_str())),
            Fate::Restored(_) | Fate::Benign(_) => None,
        })
    }

    /// How many entries each rule forgave.
    pub fn benign(&self) -> BTreeMap<Rule, usize> {
        let mut rules = BTreeMap::new();
        for accounted in &self.entries {
            if let Fate::Benign(rule) = &accounted.fate {
                *rules.entry(*rule).or_default() += 1;
            }
        }
        rules
    }

    /// How many entries are there.
    pub fn restored(&self) -> usize {
        self.entries.iter().filter(|accounted| matches!(accounted.fate, Fate::Restored(_))).count()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let benign: usize = self.benign().values().sum();
        let missing = self.missing().count();
        write!(
            f,
            "{} of {} entries restored, {benign} left out by rule, {missing} missing",
            self.restored(),
            self.entries.len()
        )?;
        if let Some((entry, why)) = self.missing().next() {
            write!(f, " (first: {entry}: {why})")?;
        }
        if let Some(error) = self.unattributed.first() {
            write!(f, ", {} errors of no entry (first: {error})", self.unattributed.len())?;
        }
        Ok(())
    }
}

/// Gives every entry of `toc` its one fate.
pub fn account(
    toc: &Toc,
    selection: &Selection,
    report: &Report,
    counts: &Counts,
    observed: &Observed,
) -> Account {
    let toc = &*toc.with_owners(&counts.owners_with_spaces);
    let ids: HashSet<u32> = toc.entries.iter().map(|entry| entry.id).collect();
    let mut errors: HashMap<u32, Vec<&EntryError>> = HashMap::new();
    let mut unattributed = Vec::new();
    for error in &report.errors {
        match error.entry.filter(|id| ids.contains(id)) {
            Some(id) => errors.entry(id).or_default().push(error),
            None if rules::forgives_setting(error) => {}
            None => unattributed.push(error.to_string()),
        }
    }
    unattributed.extend(report.unparsed());
    let expected = Expected::of(counts);
    let entries = toc.entries.iter().map(|entry| {
        let own = errors.get(&entry.id).map_or(&[][..], Vec::as_slice);
        Accounted { entry: entry.clone(), fate: fate(entry, selection, own, &expected, observed) }
    });
    Account { entries: entries.collect(), unattributed }
}

/// What the dump holds, by the paths that its table of contents tells: it may have a hundred thousand tables.
struct Expected<'a> {
    counts: &'a Counts,
    tables: HashMap<String, &'a TableCount>,
    sequences: HashMap<String, &'a SequenceValue>,
}

impl<'a> Expected<'a> {
    fn of(counts: &'a Counts) -> Self {
        let tables = counts.tables.iter().map(|count| (path_of(&count.table), count)).collect();
        let sequences = counts.sequences.iter().map(|value| (path_of(&value.sequence), value)).collect();
        Self { counts, tables, sequences }
    }

    /// What the dump has for an entry of data.
    fn rows(&self, entry: &Entry) -> Option<&'a TableCount> {
        if entry.kind == "TABLE DATA" { self.tables.get(&entry.path()).copied() } else { None }
    }
}

fn fate(
    entry: &Entry,
    selection: &Selection,
    errors: &[&EntryError],
    expected: &Expected<'_>,
    observed: &Observed,
) -> Fate {
    let seen = look(entry, expected, observed);
    if let Some(rule) = selection.skipped(entry.id) {
        // What was left out because it is there already must be seen there.
        return match (rule.needs_sight(), seen) {
            (true, Sight::Seen) => Fate::Restored(Evidence::Observed),
            (true, Sight::Absent(why)) => Fate::Missing(why),
            (true, Sight::Blind) | (false, _) => Fate::Benign(rule),
        };
    }
    let binding = rules::binding(entry, expected.counts, &observed.roles);
    let known =
        rules::Known { rows: expected.rows(entry).map(|count| count.rows), binding: binding.as_deref() };
    let forgiven = errors.iter().map(|error| rules::error_rule(entry, error, known));
    let rule = forgiven.clone().flatten().next_back();
    if let Some((error, _)) = errors.iter().zip(forgiven).find(|(_, rule)| rule.is_none()) {
        let binding = binding.filter(|_| rules::lacks_role(error));
        return Fate::Missing(binding.map_or_else(|| error.to_string(), |why| format!("{error}, and {why}")));
    }
    match (seen, rule) {
        (Sight::Seen, _) => Fate::Restored(Evidence::Observed),
        (Sight::Blind | Sight::Absent(_), Some(rule)) if !rule.needs_sight() => Fate::Benign(rule),
        (Sight::Blind, _) => Fate::Restored(Evidence::Accepted),
        (Sight::Absent(why), _) => Fate::Missing(why),
    }
}

/// What a look at the database shows of an entry.
#[derive(Debug, PartialEq, Eq)]
enum Sight {
    Seen,
    Absent(String),
    Blind,
}

fn look(entry: &Entry, expected: &Expected<'_>, observed: &Observed) -> Sight {
    match entry.kind.as_str() {
        "TABLE DATA" => look_at_rows(entry, expected, observed),
        "SEQUENCE SET" => look_at_value(entry, expected, observed),
        "BLOB" | "BLOBS" | "BLOB METADATA" => look_at_large_objects(expected.counts, observed),
        "COMMENT" if !observed.sees_comment(&entry.name) => Sight::Blind,
        kind if observed.sees(kind) => {
            if observed.has(kind, &entry.path()) {
                Sight::Seen
            } else {
                Sight::Absent("it is not in the database".to_owned())
            }
        }
        _ => Sight::Blind,
    }
}

fn look_at_rows(entry: &Entry, expected: &Expected<'_>, observed: &Observed) -> Sight {
    // Rows that were loaded through a partition's root are compared there.
    let Some(expected) = expected.rows(entry) else { return Sight::Blind };
    match observed.rows_of(&expected.table, expected.rows) {
        Some((_, true)) => Sight::Seen,
        Some((found, false)) => Sight::Absent(format!("{found} of {} rows are there", expected.rows)),
        None => Sight::Absent("its table is not in the database".to_owned()),
    }
}

fn look_at_value(entry: &Entry, expected: &Expected<'_>, observed: &Observed) -> Sight {
    let Some(expected) = expected.sequences.get(&entry.path()) else { return Sight::Blind };
    match observed.sequences.get(&expected.sequence) {
        Some(state) if (state.last_value, state.is_called) == (expected.last_value, expected.is_called) => {
            Sight::Seen
        }
        Some(state) => {
            Sight::Absent(format!("it stands at {} instead of {}", state.last_value, expected.last_value))
        }
        None => Sight::Absent("it is not in the database".to_owned()),
    }
}

fn look_at_large_objects(counts: &Counts, observed: &Observed) -> Sight {
    let expected = (counts.large_objects, counts.large_object_bytes);
    let found = (observed.large_objects, observed.large_object_bytes);
    if expected == found {
        return Sight::Seen;
    }
    Sight::Absent(format!(
        "{} large objects with {} bytes are there, the dump has {} with {}",
        found.0, found.1, expected.0, expected.1
    ))
}

fn path_of(relation: &super::contents::RelationName) -> String {
    on_one_line(&format!("{} {}", relation.schema, relation.name))
}

#[cfg(test)]
mod tests;
