//! The bytes of one entry, from its own range of the file. That they all came and are the right ones is part of reading
//! them: the end is only told when length and CRC hold.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Take};
use std::path::Path;

use bytes::Bytes;
use flate2::bufread::DeflateDecoder;
use futures::{Stream, stream};
use tokio::sync::mpsc;

use super::{ArtifactEntry, ArtifactRefusal, Location, Method};

/// A piece of an entry, and the pieces in flight: what one reader holds in memory.
const PIECE: usize = 128 << 10;
const PIECES_IN_FLIGHT: usize = 4;

type Packed = BufReader<Take<File>>;

enum Decoder {
    Stored(Packed),
    Deflated(DeflateDecoder<Packed>),
}

/// Reads one entry and holds it against what is stated of it.
pub(super) struct EntryReader<'a> {
    key: &'a str,
    size: u64,
    crc32: u32,
    decoder: Decoder,
    read: u64,
    crc: crc32fast::Hasher,
}

impl<'a> EntryReader<'a> {
    pub(super) fn open(
        zip: &Path,
        key: &'a str,
        (size, crc32): (u64, u32),
        location: Location,
    ) -> Result<Self, ArtifactRefusal> {
        let mut file = File::open(zip).map_err(local)?;
        file.seek(SeekFrom::Start(location.offset)).map_err(local)?;
        let packed = BufReader::with_capacity(PIECE, file.take(location.packed_bytes));
        let decoder = match location.method {
            Method::Stored => Decoder::Stored(packed),
            Method::Deflated => Decoder::Deflated(DeflateDecoder::new(packed)),
        };
        Ok(Self { key, size, crc32, decoder, read: 0, crc: crc32fast::Hasher::new() })
    }

    /// Fills `piece` as far as the entry goes. `0` comes once, when all is right.
    pub(super) fn read(&mut self, piece: &mut [u8]) -> Result<usize, ArtifactRefusal> {
        let count = match &mut self.decoder {
            Decoder::Stored(packed) => packed.read(piece),
            Decoder::Deflated(decoder) => decoder.read(piece),
        }
        .map_err(|error| self.failed(error))?;
        if count == 0 {
            return self.finish().map(|()| 0);
        }
        self.read += count as u64;
        if self.read > self.size {
            return Err(self.damaged("it is longer than stated"));
        }
        self.crc.update(&piece[..count]);
        Ok(count)
    }

    fn finish(&mut self) -> Result<(), ArtifactRefusal> {
        if self.read < self.size {
            return Err(self.damaged("it is shorter than stated"));
        }
        if std::mem::take(&mut self.crc).finalize() != self.crc32 {
            return Err(self.damaged("its CRC is wrong"));
        }
        let rest = match &mut self.decoder {
            Decoder::Stored(packed) => packed.fill_buf(),
            Decoder::Deflated(decoder) => decoder.get_mut().fill_buf(),
        };
        if rest.map_err(local)?.is_empty() { Ok(()) } else { Err(self.damaged("foreign bytes follow it")) }
    }

    fn failed(&self, error: io::Error) -> ArtifactRefusal {
        match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => self.damaged("it cannot be unpacked"),
            io::ErrorKind::UnexpectedEof => self.damaged("it ends early"),
            _ => local(error),
        }
    }

    fn damaged(&self, what: &'static str) -> ArtifactRefusal {
        ArtifactRefusal::Damaged { key: self.key.to_owned(), at: self.read, what }
    }
}

fn local(source: io::Error) -> ArtifactRefusal {
    ArtifactRefusal::Local { doing: "read the artifact", source }
}

/// The bytes of `entry` out of the zip at `path`, in pieces of bounded number and size.
///
/// A stream that ends without an error was whole, and every byte of it right. Dropping it ends the work. *Repeat*: safe,
/// any number at once.
pub fn read_entry(
    path: &Path,
    entry: &ArtifactEntry,
) -> impl Stream<Item = Result<Bytes, ArtifactRefusal>> + Send + 'static {
    let (pieces, arriving) = mpsc::channel(PIECES_IN_FLIGHT);
    let (path, entry) = (path.to_owned(), entry.clone());
    let work = tokio::task::spawn_blocking(move || send_pieces(&path, &entry, &pieces));
    stream::unfold(Some((arriving, work)), |state| async {
        let (mut arriving, work) = state?;
        if let Some(piece) = arriving.recv().await {
            return Some((Ok(piece), Some((arriving, work))));
        }
        match work.await {
            Ok(Ok(())) => None,
            Ok(Err(refusal)) => Some((Err(refusal), None)),
            Err(join) => Some((Err(local(io::Error::other(join))), None)),
        }
    })
}

fn send_pieces(
    path: &Path,
    entry: &ArtifactEntry,
    pieces: &mpsc::Sender<Bytes>,
) -> Result<(), ArtifactRefusal> {
    let mut reader = EntryReader::open(path, &entry.key, (entry.size, entry.crc32), entry.location)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let piece = Bytes::copy_from_slice(&buffer[..count]);
        if pieces.blocking_send(piece).is_err() {
            return Err(ArtifactRefusal::Cancelled);
        }
    }
}
