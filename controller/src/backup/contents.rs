//! What is in a dump, learnt by reading every byte of its data: `pg_restore` turns all of it into SQL, a scanner counts
//! rows, sequence values and large objects as they pass, and nothing is stored.
//!
//! This is both the proof that every data block can be read and the manifest that a restore is held against. What it
//! cannot see: a change in uncompressed data that leaves valid text, which only a recorded hash shows.

mod early;
mod encoding;
mod names;
mod read;
mod scanner;
mod schema;
mod statement;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub(super) use early::{EarlyReading, counts as early_counts};
pub(super) use encoding::{DumpEncoding, told_by};
pub use read::read_all;
pub use scanner::{ScanError, Scanner};

/// A relation by its real names, without quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationName {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// The data of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCount {
    /// The table that the rows are loaded into.
    pub table: RelationName,
    /// Rows.
    pub rows: u64,
    /// Bytes of these rows as text.
    pub bytes: u64,
}

/// The state that a dump gives to one sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceValue {
    /// The sequence.
    pub sequence: RelationName,
    /// Its last value.
    pub last_value: i64,
    /// Whether that value was handed out already.
    pub is_called: bool,
}

/// A policy that is for certain roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its table.
    pub table: RelationName,
    /// The roles.
    pub roles: Vec<String>,
}

/// All that a dump holds, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tables with data entries, empty ones included, by name.
    pub tables: Vec<TableCount>,
    /// Sequences, by name.
    pub sequences: Vec<SequenceValue>,
    /// Each partition, with the table that it is a part of.
    #[serde(default)]
    pub partitions: Vec<(RelationName, RelationName)>,
    /// Whether a table inherits from another.
    #[serde(default)]
    pub inherits: bool,
    /// Large objects.
    pub large_objects: u64,
    /// Bytes in them.
    pub large_object_bytes: u64,
    /// The schema that each extension is made in.
    #[serde(default)]
    pub extensions: BTreeMap<String, String>,
    /// The roles that policies and user mappings are for, which no dump holds.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Each policy that is for certain roles, as `SCHEMA TABLE NAME`.
    #[serde(default)]
    pub policies: BTreeMap<String, Policy>,
    /// The tables whose row-level security binds their owner too.
    #[serde(default)]
    pub forced: BTreeSet<RelationName>,
    /// Owners of what is in the dump whose own names have a space in them.
    #[serde(default)]
    pub owners_with_spaces: BTreeSet<String>,
    /// Constraints that the source itself had not validated, as `SCHEMA TABLE NAME`.
    pub not_valid: Vec<String>,
    /// Whether there is text whose encoding nobody knows: the source had none (`SQL_ASCII`), and it is no UTF-8.
    #[serde(default)]
    pub foreign_text: bool,
    /// Bytes of SQL that were read.
    pub text_bytes: u64,
    /// Digest of the statements that make the schema, in their order: no data, no owners, no bodies of functions, no partitions.
    #[serde(default)]
    pub schema_sha256: String,
}

impl Counts {
    /// Whether what one table has is another's as well: its triggers and constraints reach the rows of that one.
    pub fn has_families(&self) -> bool {
        self.inherits || !self.partitions.is_empty()
    }

    /// The data of a table, if the dump has any entry for it.
    pub fn table(&self, schema: &str, name: &str) -> Option<&TableCount> {
        let key = |count: &TableCount| {
            count.table.schema.as_str().cmp(schema).then_with(|| count.table.name.as_str().cmp(name))
        };
        self.tables.binary_search_by(key).ok().map(|index| &self.tables[index])
    }

    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|count| count.rows).sum()
    }
}
