//! Ways in which a downloaded backup is bad, each made from a good `<name>.tar.gz` with one custom-format dump inside. Where a
//! dump is damaged the tar and gzip around it are whole, so that only a look into the dump finds it. Pure.

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::dump::Dump;

/// Why there is nothing to damage.
#[derive(Debug, thiserror::Error)]
pub enum CorruptError {
    /// Not a gzip tar with one member.
    #[error("reading the backup that is to be damaged")]
    Read(#[source] io::Error),
    /// No bytes could be packed.
    #[error("packing the damaged backup")]
    Pack(#[source] io::Error),
}

/// A backup as the platform packs it: gzip tar with one member.
pub fn pack(member: &str, dump: &[u8]) -> Result<Vec<u8>, CorruptError> {
    let mut header = tar::Header::new_gnu();
    header.set_size(dump.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1_760_000_000);
    // A custom dump is compressed already.
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    builder.append_data(&mut header, member, dump).map_err(CorruptError::Pack)?;
    builder.into_inner().and_then(GzEncoder::finish).map_err(CorruptError::Pack)
}

/// The member's name and bytes.
pub fn unpack(archive: &[u8]) -> Result<(String, Vec<u8>), CorruptError> {
    let mut tar = tar::Archive::new(GzDecoder::new(archive));
    let none = || io::Error::new(io::ErrorKind::UnexpectedEof, "no member");
    let entry = tar.entries().map_err(CorruptError::Read)?.next();
    let mut entry = entry.ok_or_else(none).and_then(|entry| entry).map_err(CorruptError::Read)?;
    let name = entry.path().map_err(CorruptError::Read)?.to_string_lossy().into_owned();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(CorruptError::Read)?;
    Ok((name, bytes))
}

fn around(archive: &[u8], damage: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, CorruptError> {
    let (name, mut dump) = unpack(archive)?;
    damage(&mut dump);
    pack(&name, &dump)
}

/// The download stopped half way: gzip says so.
pub fn truncate(archive: &[u8]) -> Vec<u8> {
    archive[..archive.len() / 2].to_vec()
}

/// The last byte is missing: gzip says so, but only at the end.
pub fn short_by_one(archive: &[u8]) -> Vec<u8> {
    archive[..archive.len().saturating_sub(1)].to_vec()
}

/// Bytes of the outer gzip are changed: the length is right, unpacking fails.
pub fn flip_gzip(archive: &[u8]) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    let middle = bytes.len() / 2;
    bytes.iter_mut().skip(middle).take(16).for_each(|byte| *byte ^= 0xa5);
    bytes
}

/// Three bytes of compressed table data are changed: the table of contents still lists, a full pass fails.
pub fn flip_data(archive: &[u8]) -> Result<Vec<u8>, CorruptError> {
    around(archive, |dump| {
        let at = dump.len() * 17 / 20;
        dump.iter_mut().skip(at).take(3).for_each(|byte| *byte ^= 0xff);
    })
}

/// Three bits of table data are flipped in a dump without compression (`pg_dump -Z0`), one of them in the end of a row: every
/// reader of the file is content, only a server refuses that table.
pub fn flip_uncompressed(archive: &[u8]) -> Result<Vec<u8>, CorruptError> {
    rewritten(archive, |dump| {
        let Some(data) = dump.largest() else { return };
        let length = data.len();
        let mut flip = |from: usize, bit: u8, is_meant: fn(&u8) -> bool| {
            if let Some(byte) = data.iter_mut().skip(from).find(|byte| is_meant(byte)) {
                *byte ^= bit;
            }
        };
        flip(length / 4, 1, u8::is_ascii_alphanumeric);
        flip(length / 2, 0x40, |byte| *byte == b'\n');
        flip(length * 3 / 4, 1, u8::is_ascii_alphanumeric);
    })
}

/// A whole dump of the schema and of no row (`pg_dump --schema-only`): every reader of the file is content, and so is a server.
pub fn schema_only(archive: &[u8]) -> Result<Vec<u8>, CorruptError> {
    rewritten(archive, Dump::forget_data)
}

fn rewritten(archive: &[u8], change: impl FnOnce(&mut Dump)) -> Result<Vec<u8>, CorruptError> {
    let (name, dump) = unpack(archive)?;
    let mut dump = Dump::of(&dump).map_err(CorruptError::Read)?;
    change(&mut dump);
    pack(&name, &dump.uncompressed())
}

/// `pg_dump` died while it wrote data: the table of contents still lists, a full pass fails.
pub fn cut_dump(archive: &[u8]) -> Result<Vec<u8>, CorruptError> {
    around(archive, |dump| dump.truncate(dump.len() * 9 / 10))
}

/// The table of contents is unreadable.
pub fn bad_toc(archive: &[u8]) -> Result<Vec<u8>, CorruptError> {
    around(archive, |dump| dump.iter_mut().skip(60).take(600).for_each(|byte| *byte = 0xa5))
}

/// A dump whose header says that a newer `pg_dump` wrote it.
pub fn too_new(archive: &[u8]) -> Result<Vec<u8>, CorruptError> {
    around(archive, |dump| {
        if let Some(version) = dump.get_mut(5..8) {
            version.copy_from_slice(&[1, 99, 0]);
        }
    })
}

/// `pg_dump` was refused, its redirected output is empty.
pub fn empty_dump(archive: &[u8]) -> Result<Vec<u8>, CorruptError> {
    around(archive, Vec::clear)
}

/// SQL text where a custom dump is expected.
pub fn plain_sql(archive: &[u8]) -> Result<Vec<u8>, CorruptError> {
    around(archive, |dump| {
        *dump = b"--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n".to_vec();
    })
}

/// An error page that was saved as a backup.
pub fn html_page() -> Vec<u8> {
    b"<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head><body><h1>Maintenance</h1></body></html>\n".to_vec()
}

/// Nothing at all.
pub fn zero() -> Vec<u8> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Vec<u8> {
        let mut dump = b"PGDMP\x01\x0e\x00".to_vec();
        dump.extend((0..20_000_u32).map(|n| (n * 31 % 251) as u8));
        pack("20261120010000_base.pgsql", &dump).unwrap()
    }

    #[test]
    fn what_surrounds_a_damaged_dump_is_whole() {
        let (_, before) = unpack(&good()).unwrap();
        for damage in [flip_data, cut_dump, bad_toc, too_new, empty_dump, plain_sql] {
            let (name, after) = unpack(&damage(&good()).unwrap()).unwrap();
            assert_eq!(name, "20261120010000_base.pgsql");
            assert_ne!(after, before);
        }
    }

    #[test]
    fn a_short_download_does_not_unpack() {
        for bad in [truncate(&good()), html_page(), zero()] {
            assert!(unpack(&bad).is_err());
        }
        let flipped = flip_gzip(&good());
        assert_eq!(flipped.len(), good().len());
        assert!(GzDecoder::new(&flipped[..]).read_to_end(&mut Vec::new()).is_err());
        let short = short_by_one(&good());
        assert!(GzDecoder::new(&short[..]).read_to_end(&mut Vec::new()).is_err());
    }
}
