//! What is not as it should be in a restored database. [`compare`] is pure.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Observed;
use crate::backup::contents::{Counts, RelationName};
use crate::backup::toc::{Entry, Toc, on_one_line};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// So it was in the source: to be told, no fault of the restore.
    Notice,
    /// The restore is not whole.
    Failure,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Finding {
    /// A table of the dump is not there.
    TableAbsent {
        /// Which.
        table: RelationName,
        /// Rows that the dump has for it.
        rows: u64,
    },
    /// A table has other rows than the dump.
    RowsDiffer {
        /// Which.
        table: RelationName,
        /// Rows in the dump.
        expected: u64,
        /// Rows found.
        found: u64,
    },
    /// A sequence stands elsewhere than the dump says, or is not there.
    SequenceDiffers {
        /// Which.
        sequence: RelationName,
        /// Last value in the dump.
        expected: i64,
        /// Last value found.
        found: Option<i64>,
    },
    /// A sequence would hand out a value that its column has already.
    SequenceBehind {
        /// Which.
        sequence: RelationName,
        /// The table and column that it feeds.
        column: String,
        /// Its last value.
        last_value: i64,
        /// The next value that it would hand out.
        next: i64,
        /// The furthest value in the column.
        furthest: i64,
    },
    /// An index is not usable.
    IndexInvalid {
        /// Which.
        index: RelationName,
    },
    /// An index does not hold what its table does, or holds it in no order: it answers wrong.
    IndexDamaged {
        /// Which.
        index: RelationName,
        /// What is wrong inside.
        fault: String,
    },
    /// The pages of a table are not as they should be.
    TableDamaged {
        /// Which.
        table: RelationName,
        /// What is wrong inside.
        fault: String,
    },
    /// A constraint is not known to hold for all rows.
    ConstraintNotValidated {
        /// `SCHEMA TABLE NAME`.
        constraint: String,
    },
    /// The dump makes a table and has no entry for its data, not even an empty one: it was left out when the dump was
    /// made.
    DataNotInDump {
        /// Which.
        table: RelationName,
    },
    /// The source had no encoding, and its text is no UTF-8: a server takes it, and programs that read it fail.
    TextForeign,
    /// Large objects are missing, or there are others.
    LargeObjectsDiffer {
        /// Number and bytes in the dump.
        expected: (u64, u64),
        /// Number and bytes found.
        found: (u64, u64),
    },
}

impl Finding {
    /// The labels.
    pub const REASONS: &'static [&'static str] = &[
        "table-absent",
        "rows-differ",
        "sequence-differs",
        "sequence-behind",
        "index-invalid",
        "index-damaged",
        "table-damaged",
        "constraint-not-validated",
        "data-not-in-dump",
        "text-foreign",
        "large-objects-differ",
    ];

    /// The stable label.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TableAbsent { .. } => "table-absent",
            Self::RowsDiffer { .. } => "rows-differ",
            Self::SequenceDiffers { .. } => "sequence-differs",
            Self::SequenceBehind { .. } => "sequence-behind",
            Self::IndexInvalid { .. } => "index-invalid",
            Self::IndexDamaged { .. } => "index-damaged",
            Self::TableDamaged { .. } => "table-damaged",
            Self::ConstraintNotValidated { .. } => "constraint-not-validated",
            Self::DataNotInDump { .. } => "data-not-in-dump",
            Self::TextForeign => "text-foreign",
            Self::LargeObjectsDiffer { .. } => "large-objects-differ",
        }
    }

    /// Whether it casts a doubt on the whole backup, although the restore gave back all that the dump held.
    pub const fn is_doubt(&self) -> bool {
        matches!(self, Self::DataNotInDump { .. } | Self::TextForeign)
    }

    /// How bad it is, given what the dump held: what was so in the source is no fault of the restore.
    pub fn severity(&self, counts: &Counts) -> Severity {
        let in_source = match self {
            Self::ConstraintNotValidated { constraint } => counts.not_valid.contains(constraint),
            Self::SequenceBehind { sequence, last_value, .. } => counts
                .sequences
                .iter()
                .any(|value| value.sequence == *sequence && value.last_value == *last_value),
            Self::DataNotInDump { .. } | Self::TextForeign => true,
            Self::TableAbsent { .. }
            | Self::RowsDiffer { .. }
            | Self::SequenceDiffers { .. }
            | Self::IndexInvalid { .. }
            | Self::IndexDamaged { .. }
            | Self::TableDamaged { .. }
            | Self::LargeObjectsDiffer { .. } => false,
        };
        if in_source { Severity::Notice } else { Severity::Failure }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableAbsent { table, rows } => write!(f, "table {table} with {rows} rows is not there"),
            Self::RowsDiffer { table, expected, found } => {
                write!(f, "table {table} has {found} rows, the dump has {expected}")
            }
            Self::SequenceDiffers { sequence, expected, found: Some(found) } => {
                write!(f, "sequence {sequence} stands at {found}, in the dump at {expected}")
            }
            Self::SequenceDiffers { sequence, .. } => write!(f, "sequence {sequence} is not there"),
            Self::SequenceBehind { sequence, column, next, furthest, .. } => {
                write!(f, "sequence {sequence} would hand out {next}, {column} is at {furthest} already")
            }
            Self::IndexInvalid { index } => write!(f, "index {index} is invalid"),
            Self::IndexDamaged { index, fault } => write!(f, "index {index} answers wrong: {fault}"),
            Self::TableDamaged { table, fault } => write!(f, "table {table} is damaged: {fault}"),
            Self::ConstraintNotValidated { constraint } => {
                write!(f, "constraint {constraint} is not validated")
            }
            Self::DataNotInDump { table } => {
                write!(f, "the rows of table {table} were left out when the dump was made")
            }
            Self::TextForeign => {
                f.write_str("there is text that is no UTF-8, from a source without an encoding")
            }
            Self::LargeObjectsDiffer { expected, found } => write!(
                f,
                "{} large objects with {} bytes are there, the dump has {} with {}",
                found.0, found.1, expected.0, expected.1
            ),
        }
    }
}

/// Holds what was seen against what the dump held: every table, every sequence, the large objects.
pub fn compare(counts: &Counts, observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    for count in &counts.tables {
        let (table, expected) = (count.table.clone(), count.rows);
        match observed.rows_of(&table, expected) {
            Some((_, true)) => {}
            Some((found, false)) => findings.push(Finding::RowsDiffer { table, expected, found }),
            None => findings.push(Finding::TableAbsent { table, rows: expected }),
        }
    }
    for value in &counts.sequences {
        let state = observed.sequences.get(&value.sequence);
        if state.is_none_or(|s| (s.last_value, s.is_called) != (value.last_value, value.is_called)) {
            findings.push(Finding::SequenceDiffers {
                sequence: value.sequence.clone(),
                expected: value.last_value,
                found: state.map(|state| state.last_value),
            });
        }
    }
    let expected = (counts.large_objects, counts.large_object_bytes);
    let found = (observed.large_objects, observed.large_object_bytes);
    if expected != found {
        findings.push(Finding::LargeObjectsDiffer { expected, found });
    }
    if counts.foreign_text {
        findings.push(Finding::TextForeign);
    }
    findings
}

/// The tables that the dump makes without any entry for their data. A dump of all has one for each, be it empty.
pub fn undumped(toc: &Toc, observed: &Observed) -> Vec<Finding> {
    let paths = |kind| toc.of_kind(kind).map(Entry::path).collect::<HashSet<_>>();
    let (made, with_data) = (paths("TABLE"), paths("TABLE DATA"));
    let left_out = |table: &&RelationName| {
        let path = on_one_line(&format!("{} {}", table.schema, table.name));
        made.contains(&path) && !with_data.contains(&path) && !observed.partitioned.contains(*table)
    };
    let tables = observed.rows.keys().filter(left_out);
    tables.map(|table| Finding::DataNotInDump { table: table.clone() }).collect()
}
