//! The layers, one inside the other, each told by its magic; at the bottom a sink that counts and hashes.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read, Write};

use sha2::{Digest as _, Sha256};

use super::Packing;
use super::gunzip::Gunzip;
use super::sniff::{DumpHeader, Looks, WINDOW};
use super::tarball::Tarball;
use crate::backup::refusal::{Layer, Refusal};

const BUFFER: usize = 128 << 10;
const WANTED: &str = "a gzipped tar with a PostgreSQL dump in custom format";

/// What was found on the way down.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) packing: Packing,
    pub(super) member: Option<String>,
    pub(super) header: DumpHeader,
    pub(super) dump_bytes: u64,
    pub(super) dump_sha256: String,
}

/// Where the dump goes, and the most of it there is room for.
#[derive(Debug)]
pub(super) struct Sink<W> {
    pub(super) out: W,
    pub(super) limit: u64,
}

/// Reads `download` to its very end and writes the dump inside to `sink`.
pub(super) fn unpack<W: Write>(download: impl BufRead, sink: &mut Sink<W>) -> Result<Unpacked, Refusal> {
    let (head, download) = peek(download)?;
    match Looks::of(&head) {
        Looks::Gzip => unpack_gzip(download, sink),
        Looks::Tar => unpack_tar(download, Packing::Tar, sink),
        Looks::Dump => write_dump(download, sink).map(|dump| dump.packed(Packing::Bare, None)),
        Looks::Nothing => Err(Refusal::Empty),
        found => Err(Refusal::Foreign { layer: Layer::Download, found, wanted: WANTED }),
    }
}

fn unpack_gzip<W: Write>(packed: impl BufRead, sink: &mut Sink<W>) -> Result<Unpacked, Refusal> {
    let (head, content) = peek(BufReader::with_capacity(BUFFER, Gunzip::new(packed)))?;
    match Looks::of(&head) {
        Looks::Tar => unpack_tar(content, Packing::GzipTar, sink),
        Looks::Dump => write_dump(content, sink).map(|dump| dump.packed(Packing::Gzip, None)),
        Looks::Nothing => Err(Refusal::DumpEmpty),
        found => Err(Refusal::Foreign { layer: Layer::Unpacked, found, wanted: WANTED }),
    }
}

fn unpack_tar<W: Write>(tar: impl Read, packing: Packing, sink: &mut Sink<W>) -> Result<Unpacked, Refusal> {
    let mut tar = Tarball::new(tar);
    let member = tar.next_member()?.ok_or(Refusal::MemberMissing)?;
    if member.size > sink.limit {
        return Err(Refusal::TooLarge { limit: sink.limit });
    }
    let (head, content) = peek(BufReader::with_capacity(BUFFER, tar.content(member.size)))?;
    let dump = match Looks::of(&head) {
        Looks::Dump => write_dump(content, sink)?,
        Looks::Nothing => return Err(Refusal::DumpEmpty),
        found => return Err(Refusal::Foreign { layer: Layer::Member, found, wanted: "a PostgreSQL dump" }),
    };
    tar.end_content(member.size)?;
    if let Some(second) = tar.next_member()? {
        return Err(Refusal::SeveralMembers { first: member.name, second: second.name });
    }
    tar.drain()?;
    Ok(dump.packed(packing, Some(member.name)))
}

/// The dump alone, before its wrapping is told.
struct Dump {
    header: DumpHeader,
    bytes: u64,
    sha256: String,
}

impl Dump {
    fn packed(self, packing: Packing, member: Option<String>) -> Unpacked {
        Unpacked { packing, member, header: self.header, dump_bytes: self.bytes, dump_sha256: self.sha256 }
    }
}

fn write_dump<W: Write>(dump: impl BufRead, sink: &mut Sink<W>) -> Result<Dump, Refusal> {
    let (head, mut dump) = peek(dump)?;
    let header = DumpHeader::parse(&head)?;
    let mut hash = Sha256::new();
    let mut bytes: u64 = 0;
    loop {
        let piece = dump.fill_buf().map_err(unreadable)?;
        if piece.is_empty() {
            return Ok(Dump { header, bytes, sha256: hex::encode(hash.finalize()) });
        }
        let count = piece.len();
        bytes += count as u64;
        if bytes > sink.limit {
            return Err(Refusal::TooLarge { limit: sink.limit });
        }
        hash.update(piece);
        sink.out
            .write_all(piece)
            .map_err(|source| Refusal::Local { doing: "write the dump to disk", source })?;
        dump.consume(count);
    }
}

type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes of `reader`, and a reader that still has them.
fn peek<R: BufRead>(mut reader: R) -> Result<(Vec<u8>, Peeked<R>), Refusal> {
    let mut head = Vec::with_capacity(WINDOW);
    reader.by_ref().take(WINDOW as u64).read_to_end(&mut head).map_err(unreadable)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

fn unreadable(error: io::Error) -> Refusal {
    Refusal::unwrap_io(error, |source| Refusal::Local { doing: "read an archive", source })
}
