//! A custom-format dump taken apart and put together again, as another `pg_dump` would have written it: without compression
//! (`-Z0`), or without data (`--schema-only`). Versions 1.14 to 1.16 of the format (PostgreSQL 12 to 17), compressed by gzip or not
//! at all. Pure. Source: `pg_backup_archiver.c`, `pg_backup_custom.c`.

use std::io::{self, Read as _};

use flate2::read::ZlibDecoder;

/// The block types.
const DATA: u8 = 1;
const BLOBS: u8 = 3;
/// What stands before an offset: it is one, or there is no data.
const SET: u8 = 2;
const NONE: u8 = 3;
/// Bytes of a row's data that are written at once.
const CHUNK: usize = 8 * 1024;
/// Entries that are about data: a dump of the schema has none of them.
const ABOUT_DATA: [&str; 7] = [
    "TABLE DATA",
    "SEQUENCE SET",
    "BLOB",
    "BLOBS",
    "BLOB METADATA",
    "MATERIALIZED VIEW DATA",
    "STATISTICS DATA",
];

/// A dump, its data uncompressed.
pub(super) struct Dump {
    /// Magic, versions, sizes and format.
    start: Vec<u8>,
    minor: u8,
    int_size: usize,
    off_size: usize,
    /// Time, names and versions.
    about: Vec<u8>,
    entries: Vec<Entry>,
    blocks: Vec<Block>,
}

/// A line of the table of contents.
struct Entry {
    id: i64,
    tag: String,
    what: String,
    /// Everything but the offset.
    text: Vec<u8>,
}

/// The data of one entry.
struct Block {
    kind: u8,
    id: i64,
    /// One of a table; of large objects one each, with their number.
    pieces: Vec<(i64, Vec<u8>)>,
}

impl Dump {
    /// Takes `bytes` apart.
    pub(super) fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut reader = Reader { bytes, at: 0, int_size: 4 };
        let start = reader.take(11)?.to_vec();
        let (minor, int_size, off_size) = (start[6], usize::from(start[8]), usize::from(start[9]));
        if !start.starts_with(b"PGDMP\x01") || !(14..=16).contains(&minor) || start[10] != 1 {
            return Err(wrong("no custom-format dump of versions 1.14 to 1.16"));
        }
        reader.int_size = int_size;
        let compressed = match minor {
            14 => reader.int()? != 0,
            _ => match reader.byte()? {
                0 => false,
                1 => true,
                _ => return Err(wrong("compressed otherwise than by gzip")),
            },
        };
        let before = reader.at;
        for _ in 0..7 {
            reader.int()?;
        }
        for _ in 0..3 {
            reader.text()?;
        }
        let about = bytes.get(before..reader.at).unwrap_or_default().to_vec();
        let count = reader.int()?;
        let entries =
            (0..count).map(|_| Entry::read(&mut reader, minor, off_size)).collect::<io::Result<_>>()?;
        let mut blocks = Vec::new();
        while reader.at < bytes.len() {
            blocks.push(Block::read(&mut reader, compressed)?);
        }
        Ok(Self { start, minor, int_size, off_size, about, entries, blocks })
    }

    /// As `pg_dump --schema-only` has it.
    pub(super) fn forget_data(&mut self) {
        self.entries
            .retain(|one| !ABOUT_DATA.contains(&one.what.as_str()) && !one.tag.starts_with("LARGE OBJECT"));
        self.blocks.clear();
    }

    /// The data of the largest table.
    pub(super) fn largest(&mut self) -> Option<&mut Vec<u8>> {
        let tables = self.blocks.iter_mut().filter(|block| block.kind == DATA);
        tables.flat_map(|block| &mut block.pieces).map(|(_, data)| data).max_by_key(|data| data.len())
    }

    /// As `pg_dump -Z0` writes it.
    pub(super) fn uncompressed(&self) -> Vec<u8> {
        let ints = |value: i64| self.int(value);
        let none = if self.minor == 14 { ints(0) } else { vec![0] };
        let count = i64::try_from(self.entries.len()).unwrap_or_default();
        let mut out = [self.start.as_slice(), &none, &self.about, &ints(count)].concat();
        let contents: usize = self.entries.iter().map(|entry| entry.text.len() + 1 + self.off_size).sum();
        let written: Vec<Vec<u8>> = self.blocks.iter().map(|block| self.block(block)).collect();
        let mut at = out.len() + contents;
        let mut places = Vec::new();
        for (block, bytes) in self.blocks.iter().zip(&written) {
            places.push((block.id, at as u64));
            at += bytes.len();
        }
        for entry in &self.entries {
            let place = places.iter().find(|(id, _)| *id == entry.id).map(|(_, at)| *at);
            out.extend_from_slice(&entry.text);
            out.push(if place.is_some() { SET } else { NONE });
            out.extend(place.unwrap_or_default().to_le_bytes().iter().take(self.off_size));
        }
        out.extend(written.concat());
        out
    }

    fn block(&self, block: &Block) -> Vec<u8> {
        let mut out = vec![block.kind];
        out.extend(self.int(block.id));
        for (number, data) in &block.pieces {
            if block.kind == BLOBS {
                out.extend(self.int(*number));
            }
            for chunk in data.chunks(CHUNK) {
                out.extend(self.int(i64::try_from(chunk.len()).unwrap_or_default()));
                out.extend_from_slice(chunk);
            }
            out.extend(self.int(0));
        }
        if block.kind == BLOBS {
            out.extend(self.int(0));
        }
        out
    }

    fn int(&self, value: i64) -> Vec<u8> {
        let mut out = vec![u8::from(value < 0)];
        out.extend(value.unsigned_abs().to_le_bytes().iter().take(self.int_size));
        out
    }
}

impl Entry {
    fn read(reader: &mut Reader<'_>, minor: u8, off_size: usize) -> io::Result<Self> {
        let begin = reader.at;
        let id = reader.int()?;
        reader.int()?;
        reader.text()?;
        reader.text()?;
        let (tag, what) = (reader.text()?.unwrap_or_default(), reader.text()?.unwrap_or_default());
        reader.int()?;
        // Definition, drop, copy, schema, tablespace, access method.
        for _ in 0..6 {
            reader.text()?;
        }
        if minor >= 16 {
            reader.int()?;
        }
        // Owner, OIDs; then what it depends on, up to a missing text.
        reader.text()?;
        reader.text()?;
        while reader.text()?.is_some() {}
        let text = reader.bytes.get(begin..reader.at).unwrap_or_default().to_vec();
        reader.take(1 + off_size)?;
        Ok(Self { id, tag, what, text })
    }
}

impl Block {
    fn read(reader: &mut Reader<'_>, compressed: bool) -> io::Result<Self> {
        let (kind, id, mut pieces) = (reader.byte()?, reader.int()?, Vec::new());
        match kind {
            DATA => pieces.push((0, reader.piece(compressed)?)),
            BLOBS => loop {
                let number = reader.int()?;
                if number == 0 {
                    break;
                }
                pieces.push((number, reader.piece(compressed)?));
            },
            _ => return Err(wrong("a block of an unknown type")),
        }
        Ok(Self { kind, id, pieces })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    int_size: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        let taken = self.bytes.get(self.at..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn int(&mut self) -> io::Result<i64> {
        let negative = self.byte()? != 0;
        let bytes = self.take(self.int_size)?;
        let value = bytes.iter().rev().take(8).fold(0_i64, |value, byte| value << 8 | i64::from(*byte));
        Ok(if negative { -value } else { value })
    }

    fn text(&mut self) -> io::Result<Option<String>> {
        let Ok(length) = usize::try_from(self.int()?) else { return Ok(None) };
        self.take(length).map(|bytes| Some(String::from_utf8_lossy(bytes).into_owned()))
    }

    /// Chunks up to an empty one.
    fn piece(&mut self, compressed: bool) -> io::Result<Vec<u8>> {
        let mut raw = Vec::new();
        loop {
            let length = usize::try_from(self.int()?).map_err(|_| wrong("a chunk of negative length"))?;
            if length == 0 {
                break;
            }
            raw.extend_from_slice(self.take(length)?);
        }
        if !compressed || raw.is_empty() {
            return Ok(raw);
        }
        let mut data = Vec::new();
        ZlibDecoder::new(raw.as_slice()).read_to_end(&mut data)?;
        Ok(data)
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
