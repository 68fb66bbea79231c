//! The content of the estate: a database, the files that its rows refer to, the application's code, and the ways in which a
//! backup of it can be bad. Deterministic by size and seed; knows no vendor and starts nothing but `git`.

pub mod cache;
pub mod code;
pub mod content;
pub mod corrupt;
pub mod documents;
mod dump;

pub use code::{CodeError, code_repository};
pub(crate) use content::identity;
pub use content::{sql, statements};
pub use documents::{Document, documents};

/// How much of it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// About 5,000 rows and 40 files: tests.
    Small,
    /// About 330,000 rows and 600 files: the demo.
    #[default]
    Medium,
    /// A database of 5 GB (about six million rows) and 1,000,000 files: measurements.
    Large,
}

/// Rows of the tables that the others follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) organisations: usize,
    pub(crate) utilisateurs: usize,
    pub(crate) programmes: usize,
    pub(crate) logements: usize,
    pub(crate) conventions: usize,
    pub(crate) evenements: usize,
    /// Attachments that a row of `evenements` speaks of: what makes it wide.
    pub(crate) pieces: usize,
    pub(crate) scans: usize,
    pub(crate) documents: usize,
}

impl Size {
    /// The size with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "small" => Some(Self::Small),
            "medium" => Some(Self::Medium),
            "large" => Some(Self::Large),
            _ => None,
        }
    }

    pub(crate) const fn counts(self) -> Counts {
        match self {
            Self::Small => Counts {
                organisations: 25,
                utilisateurs: 80,
                programmes: 100,
                logements: 900,
                conventions: 240,
                evenements: 2_400,
                pieces: 0,
                scans: 20,
                documents: 40,
            },
            Self::Medium => Counts {
                organisations: 400,
                utilisateurs: 2_000,
                programmes: 3_000,
                logements: 60_000,
                conventions: 8_000,
                evenements: 230_000,
                pieces: 0,
                scans: 40,
                documents: 600,
            },
            Self::Large => Counts {
                organisations: 4_000,
                utilisateurs: 20_000,
                programmes: 30_000,
                logements: 900_000,
                conventions: 80_000,
                evenements: 3_600_000,
                // Four rows fill a page; one more, and they would be compressed out of line.
                pieces: 36,
                scans: 400,
                documents: 1_000_000,
            },
        }
    }
}

#[cfg(test)]
mod tests;
