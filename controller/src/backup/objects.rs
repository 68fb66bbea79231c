//! The workflow's artifact: a zip with a bucket's documents. Checked whole before it is trusted, then read entry by entry.
//!
//! The central directory is the zip crate's work; names, limits and the entries' bytes are ours: an entry is read from
//! its own range of the file, so that many can be read at once without parsing the directory again for each.
//! What passes has every CRC right and, where GitHub gave one, the digest of the whole. Nothing here writes a file.

mod check;
mod directory;
mod entry;
mod names;
mod refill;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use check::check;
pub use entry::read_entry;
pub use refill::{Listed, RefillPlan, Wanted, plan_refill};

use super::archive::sniff::Looks;
use crate::runtime::class::{Class, Classified};

/// The most that is taken from an artifact: what stops a decompression bomb.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Entries, directories included.
    pub entries: u64,
    /// Bytes of all entries, unpacked.
    pub total_bytes: u64,
    /// Unpacked bytes per packed byte of one entry. Deflate reaches 1032 at most; documents stay below 20.
    pub ratio: u64,
}

/// How an entry is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Not at all.
    Stored,
    /// By deflate.
    Deflated,
}

/// Where an entry's bytes lie in the zip file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Offset of the first one.
    pub offset: u64,
    /// Packed bytes.
    pub packed_bytes: u64,
    /// How they are packed.
    pub method: Method,
}

/// One object in the artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactEntry {
    /// Its key, relative to whatever prefix it is put under: it cannot leave it.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// CRC-32, as the zip states and its bytes have.
    pub crc32: u32,
    /// MD5 in hex, which a store shows as `ETag` of a plain upload.
    pub md5: String,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Where it lies.
    pub location: Location,
}

/// What a whole artifact holds, every byte of it read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactIndex {
    /// The objects, by key.
    pub entries: Vec<ArtifactEntry>,
    /// Bytes of the zip file.
    pub zip_bytes: u64,
    /// SHA-256 of the zip file, in hex.
    pub zip_sha256: String,
    /// Whether that was the digest that was given. If none was, only the CRCs speak for the content.
    pub digest_matched: bool,
}

impl ArtifactIndex {
    /// Bytes of all objects.
    pub fn total_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }
}

/// Why an artifact, or an entry of it, is not taken.
#[derive(Debug, Error)]
pub enum ArtifactRefusal {
    /// It is something else.
    #[error("the artifact is {found}, not a zip archive")]
    Foreign {
        /// What it looks like.
        found: Looks,
    },
    /// Its directory cannot be read.
    #[error("the zip archive's directory cannot be read")]
    Directory {
        /// Why.
        #[source]
        source: zip::result::ZipError,
    },
    /// Its bytes are not those that the digest was made of.
    #[error("the artifact's digest is {found}, {expected} was announced")]
    Digest {
        /// What was announced.
        expected: String,
        /// What the bytes have.
        found: String,
    },
    /// A name would leave the prefix, or be no key.
    #[error("the zip archive holds {name:?}: {why}")]
    Name {
        /// The name, for the eye only.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two entries have one name.
    #[error("the zip archive holds two entries of one name")]
    Duplicate,
    /// Two entries share bytes, as honest ones never do.
    #[error("entries of the zip archive overlap")]
    Overlap,
    /// An entry is encrypted, packed in an unusual way, or no ordinary file.
    #[error("{name:?} in the zip archive is {what}")]
    Unsupported {
        /// Its name, for the eye only.
        name: String,
        /// What it is.
        what: String,
    },
    /// It holds more than there is room for.
    #[error("the zip archive holds {found} {what}, {limit} at most are taken")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes of an entry are not what the directory says.
    #[error("{key:?} in the zip archive is damaged at byte {at}: {what}")]
    Damaged {
        /// Its key.
        key: String,
        /// Unpacked bytes before it was noticed.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Our own disk failed us: nothing is known of the artifact.
    #[error("could not {doing}")]
    Local {
        /// What we were doing.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The work was stopped from outside.
    #[error("the check was stopped")]
    Cancelled,
}

impl ArtifactRefusal {
    /// The stable label of this fault. Labels are added to, never renamed.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Foreign { found } => found.reason(),
            Self::Directory { .. } => "zip-directory",
            Self::Digest { .. } => "digest-differs",
            Self::Name { .. } => "zip-name",
            Self::Duplicate => "zip-duplicate",
            Self::Overlap => "zip-overlap",
            Self::Unsupported { .. } => "zip-unsupported",
            Self::TooLarge { .. } => "too-large",
            Self::Damaged { .. } => "zip-entry-damaged",
            Self::Local { .. } => "local-failure",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether this says something about the artifact. If not, it is to be tried again.
    pub fn blames_artifact(&self) -> bool {
        !matches!(self, Self::Local { .. } | Self::Cancelled | Self::TooLarge { .. })
    }
}

impl Classified for ArtifactRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Local { .. } => Class::Transient,
            Self::Cancelled => Class::Cancelled,
            Self::Foreign { .. }
            | Self::Directory { .. }
            | Self::Digest { .. }
            | Self::Name { .. }
            | Self::Duplicate
            | Self::Overlap
            | Self::Unsupported { .. }
            | Self::TooLarge { .. }
            | Self::Damaged { .. } => Class::Terminal,
        }
    }
}

#[cfg(test)]
mod tests;
