//! Zip archives as the artifact service stores them, and the ways in which one can be bad. Pure.

use std::io::{Cursor, Write};

use zip::CompressionMethod;
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;

/// A zip of these entries (a name that ends with `/` is a folder), as the upload action writes it.
pub fn zip_of<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> ZipResult<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).unix_permissions(0o644);
    for (name, bytes) in entries {
        if name.ends_with('/') {
            writer.add_directory(name, options)?;
            continue;
        }
        writer.start_file(name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// The same archive with bits flipped in the middle of its data: the length and the directory are whole.
pub fn damaged(archive: &[u8]) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    let middle = bytes.len() / 2;
    bytes.iter_mut().skip(middle).take(64).for_each(|byte| *byte ^= 0x5a);
    bytes
}

/// The same archive, cut after `part` of its bytes: the directory at the end is missing.
pub fn cut(archive: &[u8], part: f64) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rough place to cut"
    )]
    let length = (archive.len() as f64 * part.clamp(0.0, 1.0)) as usize;
    archive[..length].to_vec()
}

/// The same archive in which every recorded CRC of its largest entry is wrong, in the local header and in the directory: the
/// bytes inflate, the check fails.
pub fn wrong_crc(archive: &[u8]) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    let largest = directory(&bytes).into_iter().max_by_key(|at| word(&bytes, at + 20));
    if let Some(entry) = largest {
        let local = word(&bytes, entry + 42) as usize;
        for crc in [entry + 16, local + 14] {
            if let Some(byte) = bytes.get_mut(crc) {
                *byte ^= 0xff;
            }
        }
    }
    bytes
}

/// Where the entries of the central directory begin.
fn directory(bytes: &[u8]) -> Vec<usize> {
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06");
    let mut at = end.map_or(bytes.len(), |end| word(bytes, end + 16) as usize);
    let mut entries = Vec::new();
    while bytes.get(at..at + 4) == Some(b"PK\x01\x02") {
        entries.push(at);
        let (name, extra_and_comment) = (word(bytes, at + 28) & 0xffff, word(bytes, at + 30));
        at += 46 + (name + (extra_and_comment & 0xffff) + (extra_and_comment >> 16)) as usize;
    }
    entries
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn read(archive: &[u8]) -> Result<Vec<u8>, String> {
        let mut zip = zip::ZipArchive::new(Cursor::new(archive)).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(|error| error.to_string())?;
            entry.read_to_end(&mut all).map_err(|error| error.to_string())?;
        }
        Ok(all)
    }

    fn noise(length: usize) -> Vec<u8> {
        (0..length).map(|n| u8::try_from((n * 7_919 + n / 13) % 251).unwrap()).collect()
    }

    #[test]
    fn each_way_of_being_bad_is_seen_by_a_reader() {
        let content = noise(50_000);
        let good =
            zip_of([("documents/", &b""[..]), ("documents/a.pdf", &content), ("é.txt", b"x")]).unwrap();
        assert_eq!(read(&good).unwrap().len(), 50_001);
        assert!(read(&wrong_crc(&good)).unwrap_err().to_lowercase().contains("checksum"));
        assert!(read(&damaged(&good)).is_err());
        assert!(read(&cut(&good, 0.5)).is_err());
        assert_eq!(damaged(&good).len(), good.len());
    }
}
