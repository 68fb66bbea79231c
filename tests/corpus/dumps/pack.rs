//! Containers, made byte by byte: what the `tar` crate refuses to write is needed too.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

/// The name that the platform gives.
pub(crate) const NAME: &[u8] = b"20261122011500_caisse.pgsql";
const BLOCK: usize = 512;

/// A tar header with any name, of any kind.
pub(crate) fn header(name: &[u8], size: u64, kind: EntryType) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A header and its content, filled up to whole blocks.
pub(crate) fn entry(name: &[u8], kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut entry = header(name, content.len() as u64, kind);
    entry.extend(content);
    entry.resize(entry.len().next_multiple_of(BLOCK), 0);
    entry
}

/// Entries and the end mark.
pub(crate) fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

/// A tar with one ordinary member.
pub(crate) fn tar_of(name: &[u8], content: &[u8]) -> Vec<u8> {
    tar(&[entry(name, EntryType::Regular, content)])
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("into memory");
    encoder.finish().expect("into memory")
}

/// What the platform serves: a dump in a tar in gzip.
pub(crate) fn served(dump: &[u8]) -> Vec<u8> {
    gzip(&tar_of(NAME, dump))
}

/// The gzip of `head` and many zeros after it, without ever holding them.
pub(crate) fn gzip_bomb(head: &[u8], mebibytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(head).expect("into memory");
    let zeros = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        encoder.write_all(&zeros).expect("into memory");
    }
    encoder.finish().expect("into memory")
}
