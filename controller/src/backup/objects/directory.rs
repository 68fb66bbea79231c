//! The zip's central directory: which entries there are, and whether each may be read at all. No entry is unpacked here.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::names::key_of;
use super::{ArtifactRefusal, Limits, Location, Method};
use crate::backup::archive::sniff::{Looks, WINDOW};

/// An entry as the directory tells it: nothing of it is proven yet.
#[derive(Debug)]
pub(super) struct Stated {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) crc32: u32,
    pub(super) location: Location,
}

/// The ordinary files of the zip at `path`, by key.
pub(super) fn stated_entries(path: &Path, limits: Limits) -> Result<Vec<Stated>, ArtifactRefusal> {
    let mut file =
        File::open(path).map_err(|source| ArtifactRefusal::Local { doing: "open the artifact", source })?;
    look(&mut file, limits)?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(directory)?;
    if zip.has_duplicate_names() {
        return Err(ArtifactRefusal::Duplicate);
    }
    if zip.has_overlapping_entries().map_err(directory)? {
        return Err(ArtifactRefusal::Overlap);
    }
    let mut entries = Vec::with_capacity(zip.len());
    let mut total: u64 = 0;
    for index in 0..zip.len() {
        let Some(entry) = stated(&mut zip, index, limits)? else { continue };
        total = total.saturating_add(entry.size);
        if total > limits.total_bytes {
            return Err(ArtifactRefusal::TooLarge { what: "bytes", found: total, limit: limits.total_bytes });
        }
        entries.push(entry);
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(entries)
}

fn directory(error: zip::result::ZipError) -> ArtifactRefusal {
    match error {
        // The file ends where the directory says that there is more: the archive's fault, not the disk's.
        zip::result::ZipError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            ArtifactRefusal::Local { doing: "read the artifact", source }
        }
        source => ArtifactRefusal::Directory { source },
    }
}

/// Magic and number of entries, before the directory is read into memory.
fn look(file: &mut File, limits: Limits) -> Result<(), ArtifactRefusal> {
    let local = |source| ArtifactRefusal::Local { doing: "read the artifact", source };
    let mut head = Vec::new();
    file.take(WINDOW as u64).read_to_end(&mut head).map_err(local)?;
    match Looks::of(&head) {
        Looks::Zip => {}
        found => return Err(ArtifactRefusal::Foreign { found }),
    }
    let found = stated_count(file).map_err(local)?.unwrap_or(0);
    if found > limits.entries {
        return Err(ArtifactRefusal::TooLarge { what: "entries", found, limit: limits.entries });
    }
    file.rewind().map_err(local)
}

/// The number of entries that the end of the zip states, if it has an end.
fn stated_count(file: &mut File) -> io::Result<Option<u64>> {
    /// Length of the end record, and of the longest comment behind it.
    const END: u64 = 22;
    const TAIL: u64 = END + 0xffff + 20;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let Some(at) = memchr::memmem::rfind(&tail, b"PK\x05\x06") else { return Ok(None) };
    let count = tail.get(at + 10..at + 12).map(|bytes| u64::from(bytes[0]) | u64::from(bytes[1]) << 8);
    let locator =
        at.checked_sub(20).and_then(|at| tail.get(at..at + 20)).filter(|l| l.starts_with(b"PK\x06\x07"));
    let Some(offset) = locator.and_then(|locator| number(&locator[8..16])) else { return Ok(count) };
    file.seek(SeekFrom::Start(offset))?;
    let mut record = Vec::new();
    file.take(40).read_to_end(&mut record)?;
    Ok(record.get(32..40).and_then(number).or(count))
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().copied().map(u64::from_le_bytes)
}

/// One entry, or `None` for a directory.
fn stated(
    zip: &mut ZipArchive<BufReader<File>>,
    index: usize,
    limits: Limits,
) -> Result<Option<Stated>, ArtifactRefusal> {
    let entry = zip.by_index_raw(index).map_err(directory)?;
    let raw = entry.name_raw();
    let shown = || String::from_utf8_lossy(raw).into_owned();
    let refused = |why| ArtifactRefusal::Name { name: shown(), why };
    if let Some(folder) = raw.strip_suffix(b"/") {
        key_of(folder).map_err(refused)?;
        return Ok(None);
    }
    let key = key_of(raw).map_err(refused)?;
    let unsupported = |what: String| ArtifactRefusal::Unsupported { name: shown(), what };
    if entry.encrypted() {
        return Err(unsupported("encrypted".to_owned()));
    }
    if entry.is_symlink() {
        return Err(unsupported("a symbolic link".to_owned()));
    }
    let method = match entry.compression() {
        CompressionMethod::Stored => Method::Stored,
        CompressionMethod::Deflated => Method::Deflated,
        other => return Err(unsupported(format!("packed by {other}"))),
    };
    let (size, packed_bytes) = (entry.size(), entry.compressed_size());
    if size / limits.ratio.max(1) > packed_bytes {
        return Err(ArtifactRefusal::TooLarge {
            what: "bytes in one entry",
            found: size,
            limit: packed_bytes * limits.ratio,
        });
    }
    let offset = entry.data_start().ok_or_else(|| unsupported("without a place in the file".to_owned()))?;
    Ok(Some(Stated { key, size, crc32: entry.crc32(), location: Location { offset, packed_bytes, method } }))
}
