//! What became of an object that was to be copied.

use crate::archive::format::Entry;
use crate::store::{Pending, Stored};

/// An object that is in the archive.
#[derive(Debug)]
pub struct Done {
    /// Its line.
    pub entry: Entry,
    /// How the archive holds its content.
    pub kept: Kept,
    /// It was another one than the listing showed.
    pub replaced: bool,
    /// Its entity tag looks like an MD5, and is not that of the bytes that the source sends, twice.
    pub is_odd: bool,
}

/// What became of an object that was to be copied.
#[derive(Debug)]
pub enum Outcome {
    /// It is in the archive.
    Copied(Box<Done>),
    /// It is the same, with the tags and the access control list that it has by now.
    Refreshed(Box<Entry>),
    /// It is gone.
    Vanished,
    /// The source lists it, and does not give it; why.
    Unreadable(String),
}

/// How the archive holds a content.
#[derive(Debug)]
pub enum Kept {
    /// Under its digest.
    Hashed(Stored),
    /// Where the store copied it by itself.
    Pending(Pending),
}
