//! A custom-format dump taken apart: where its table of contents ends, where each entry and each data block lies.
//!
//! Source: `ReadHead`, `ReadToc` and the custom format of PostgreSQL's `pg_backup_archiver.c`, archive versions 1.14 to
//! 1.16. Written for dumps that this machine's `pg_dump` has just made: it may trust them.

use std::ops::Range;

/// Flags of a data offset: its place is unknown, or it has data at a place.
const POSITION_UNKNOWN: u8 = 1;
const POSITION_KNOWN: u8 = 2;

/// A dump taken apart.
#[derive(Debug)]
pub(crate) struct Anatomy<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where the number of entries stands.
    count_at: usize,
    pub(crate) entries: Vec<Entry>,
    /// Where the data blocks begin.
    pub(crate) toc_end: usize,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) name: String,
    span: Range<usize>,
    /// Where its offset's flag stands, before the offset itself.
    offset_at: usize,
    /// Where its data block begins.
    block_at: Option<usize>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    int_bytes: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }

    /// A sign and so many bytes, the lowest first.
    fn int(&mut self) -> i64 {
        let negative = self.byte() != 0;
        let value = (0..self.int_bytes).fold(0, |value, place| value | i64::from(self.byte()) << (8 * place));
        if negative { -value } else { value }
    }

    /// A text with its length, or none.
    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.int()).ok()?;
        self.at += length;
        Some(String::from_utf8_lossy(&self.bytes[self.at - length..self.at]).into_owned())
    }

    fn skip_ints(&mut self, count: usize) {
        self.at += count * (1 + self.int_bytes);
    }

    fn skip_texts(&mut self, count: usize) {
        for _ in 0..count {
            self.text();
        }
    }
}

impl<'a> Anatomy<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let (minor, int_bytes, offset_bytes) = (bytes[6], usize::from(bytes[8]), usize::from(bytes[9]));
        let mut cursor = Cursor { bytes, at: 11, int_bytes };
        // The compression is a byte since 1.15; then comes the date in seven numbers.
        cursor.skip_ints(usize::from(minor < 15));
        cursor.at += usize::from(minor >= 15);
        cursor.skip_ints(7);
        cursor.skip_texts(3);
        let count_at = cursor.at;
        let count = cursor.int();
        let entries = (0..count).map(|_| Entry::read(&mut cursor, minor, offset_bytes)).collect();
        Self { bytes, count_at, entries, toc_end: cursor.at }
    }

    /// Where the number of entries stands, its sign included.
    pub(crate) fn count_place(&self) -> Range<usize> {
        self.count_at..self.count_at + 1 + usize::from(self.bytes[8])
    }

    fn entry(&self, kind: &str, name: &str) -> &Entry {
        let found = self.entries.iter().find(|entry| entry.kind == kind && entry.name == name);
        found.unwrap_or_else(|| panic!("no {kind} {name} among {:?}", self.entries))
    }

    /// The data block of an entry, from its mark to the empty chunk that ends it.
    pub(crate) fn block(&self, kind: &str, name: &str) -> Range<usize> {
        let start = self.entry(kind, name).block_at.expect("an entry with data");
        let mut cursor = Cursor { bytes: self.bytes, at: start + 1, int_bytes: usize::from(self.bytes[8]) };
        cursor.int();
        loop {
            match usize::try_from(cursor.int()).expect("a length") {
                0 => return start..cursor.at,
                length => cursor.at += length,
            }
        }
    }

    /// The dump without these entries, their data left where it lies.
    pub(crate) fn without(&self, gone: impl Fn(&Entry) -> bool) -> Vec<u8> {
        let kept: Vec<&Entry> = self.entries.iter().filter(|entry| !gone(entry)).collect();
        assert!(kept.len() < self.entries.len(), "nothing was taken away");
        let mut bytes = self.bytes[..self.count_at].to_vec();
        bytes.push(0);
        let count = (kept.len() as u64).to_le_bytes();
        bytes.extend(&count[..usize::from(self.bytes[8])]);
        for entry in kept {
            bytes.extend(&self.bytes[entry.span.start..entry.offset_at]);
            bytes.extend(self.moved(entry));
        }
        bytes.extend(&self.bytes[self.toc_end..]);
        bytes
    }

    /// The dump without this data block.
    pub(crate) fn without_block(&self, kind: &str, name: &str) -> Vec<u8> {
        let block = self.block(kind, name);
        let mut bytes = self.bytes[..block.start].to_vec();
        bytes.extend(&self.bytes[block.end..]);
        for entry in &self.entries {
            let moved = self.moved(entry);
            bytes[entry.offset_at..entry.span.end].copy_from_slice(&moved);
        }
        bytes
    }

    /// An entry's offset once the blocks have moved: to be looked for.
    fn moved(&self, entry: &Entry) -> Vec<u8> {
        let mut offset = self.bytes[entry.offset_at..entry.span.end].to_vec();
        if offset[0] == POSITION_KNOWN {
            offset.fill(0);
            offset[0] = POSITION_UNKNOWN;
        }
        offset
    }
}

impl Entry {
    fn read(cursor: &mut Cursor<'_>, minor: u8, offset_bytes: usize) -> Self {
        let start = cursor.at;
        cursor.skip_ints(2);
        cursor.skip_texts(2);
        let name = cursor.text().unwrap_or_default();
        let kind = cursor.text().unwrap_or_default();
        cursor.skip_ints(1);
        // Statements to make, drop and fill it, schema, tablespace, access method.
        cursor.skip_texts(6);
        cursor.skip_ints(usize::from(minor >= 16));
        // Owner and a leftover of long ago; then what it depends on.
        cursor.skip_texts(2);
        while cursor.text().is_some() {}
        let offset_at = cursor.at;
        let known = cursor.byte() == POSITION_KNOWN;
        let place = (0..offset_bytes).fold(0, |place, n| place | usize::from(cursor.byte()) << (8 * n));
        Self { kind, name, span: start..cursor.at, offset_at, block_at: known.then_some(place) }
    }
}

/// `bytes` with all places of `from` changed to `to`, which has the same length.
pub(crate) fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "lengths in the file stay right");
    let places: Vec<usize> = memchr::memmem::find_iter(bytes, from).collect();
    assert!(!places.is_empty(), "{:?} is not in the dump", String::from_utf8_lossy(from));
    let mut bytes = bytes.to_vec();
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
    bytes
}

/// `bytes` with one bit changed.
pub(crate) fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 4;
    bytes
}

/// `bytes` with one byte set.
pub(crate) fn set(bytes: &[u8], at: usize, to: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = to;
    bytes
}
