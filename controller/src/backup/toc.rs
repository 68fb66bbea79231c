//! A dump's table of contents, as `pg_restore -l` tells it. Parsing is pure; [`read_toc`] runs the program.
//!
//! That a table of contents can be read says nothing of the data behind it: a dump cut anywhere after it still lists.

mod parse;
mod read;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use parse::parse;
pub use read::read_toc;
pub(super) use read::{read_toc_early, refusal};

/// A dump's table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toc {
    /// Name of the database that was dumped.
    pub database: String,
    /// Archive version, such as `1.14-0`.
    pub archive_version: String,
    /// Version of the server that was dumped.
    pub server_version: String,
    /// Version of the `pg_dump` that wrote it.
    pub dump_version: String,
    /// Compression, in the words of the listing.
    pub compression: String,
    /// When the dump was begun, in the words of the listing.
    pub created_at: String,
    /// Entries in the archive, those counted that are never listed (encoding, search path, …).
    pub entries_total: u32,
    /// The entries listed, in the order of the archive.
    pub entries: Vec<Entry>,
}

/// One entry of a table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The dump's own number of it, which its messages name.
    pub id: u32,
    /// Kind, such as `TABLE DATA`.
    pub kind: String,
    /// Schema, if it lives in one.
    ///
    /// The listing separates its fields by single spaces: a schema whose own name has a space in it is told short, and
    /// the rest stands in `name`. [`Entry::path`] joins them again and is right in any case.
    pub schema: Option<String>,
    /// Name, by the rules of its kind: a constraint's is `TABLE NAME`, a function's has its argument types.
    pub name: String,
    /// Owner in the source database.
    pub owner: String,
}

impl Entry {
    /// Schema and name, or the name alone: what identifies it among entries of its kind.
    pub fn path(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema} {}", self.name),
            None => self.name.clone(),
        }
    }

    /// Moves the words of the owner's name that were taken for the end of the entry's.
    fn owned_by_one_of(&mut self, spaced: &BTreeSet<String>) {
        let told = format!("{} {}", self.name, self.owner);
        let fits =
            |owner: &&String| told.strip_suffix(owner.as_str()).is_some_and(|name| name.ends_with(' '));
        if let Some(owner) = spaced.iter().filter(fits).max_by_key(|owner| owner.len()) {
            told[..told.len() - owner.len() - 1].clone_into(&mut self.name);
            self.owner.clone_from(owner);
        }
    }
}

/// A name as a listing tells it, where line ends are spaces.
pub(super) fn on_one_line(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (entry {})", self.kind, self.path(), self.id)
    }
}

impl Toc {
    /// The entry of this number.
    pub fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// The entries of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }

    /// The same table, read by one who knows which owners have a space in their names: the listing alone cannot tell
    /// the end of an entry's name from the beginning of its owner's.
    pub(super) fn with_owners(&self, spaced: &BTreeSet<String>) -> Cow<'_, Self> {
        if spaced.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut toc = self.clone();
        toc.entries.iter_mut().for_each(|entry| entry.owned_by_one_of(spaced));
        Cow::Owned(toc)
    }

    /// Major version of the server that was dumped.
    pub fn server_major(&self) -> Option<u32> {
        major_of(&self.server_version)
    }
}

/// `15.18 (Debian …)` → 15.
pub fn major_of(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests;
