//! The entries of a tar, one after the other, without ever trusting a name or a length with memory.
//!
//! The `tar` crate decodes the header's fields; the walk is ours, since its own reads extended headers of any length
//! into memory and takes an archive that ends inside an entry for a shorter entry.

use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::backup::Refusal;

const BLOCK: usize = 512;
/// The longest extended header that is read; real ones are a few hundred bytes.
const MAX_EXTENSION: u64 = 1 << 20;

/// An ordinary file in the tar. Its content is what [`Tarball`] reads next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// For the eye only.
    pub(super) name: String,
    /// Length of its content.
    pub(super) size: u64,
}

/// What extended headers said of the entry after them.
#[derive(Debug, Default)]
struct Extension {
    name: Option<String>,
    size: Option<u64>,
}

/// Walks over a tar; its errors carry a [`Refusal`].
#[derive(Debug)]
pub(super) struct Tarball<R> {
    inner: R,
    at: u64,
}

impl<R: Read> Tarball<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, at: 0 }
    }

    /// The next ordinary file, directories passed over. `None` after the last one.
    pub(super) fn next_member(&mut self) -> Result<Option<Member>, Refusal> {
        let mut extension = Extension::default();
        while let Some(header) = self.header()? {
            let size = match extension.size {
                Some(size) => size,
                None => header.entry_size().map_err(|_| self.damaged("the size is no number"))?,
            };
            let kind = header.entry_type();
            let name = extension
                .name
                .clone()
                .unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into());
            match kind {
                EntryType::XHeader => extension.read_pax(&self.small(size)?),
                EntryType::GNULongName => extension.read_name(&self.small(size)?),
                EntryType::XGlobalHeader | EntryType::GNULongLink => drop(self.small(size)?),
                EntryType::Directory => {
                    self.skip(size)?;
                    extension = Extension::default();
                }
                EntryType::Regular | EntryType::Continuous if !name.ends_with('/') => {
                    return Ok(Some(Member { name, size }));
                }
                _ if name.ends_with('/') && size == 0 => extension = Extension::default(),
                _ => return Err(Refusal::MemberOdd { name }),
            }
        }
        Ok(None)
    }

    /// A reader of the next `size` bytes.
    pub(super) fn content(&mut self, size: u64) -> impl Read + '_ {
        Content { tar: self, left: size }
    }

    /// Passes over what fills the last block of a content of `size` bytes.
    pub(super) fn end_content(&mut self, size: u64) -> Result<(), Refusal> {
        self.skip_exactly(padding(size))
    }

    /// Reads on to the very end, so that whatever lies below is checked to its end too.
    pub(super) fn drain(mut self) -> Result<(), Refusal> {
        io::copy(&mut self.inner, &mut io::sink()).map(drop).map_err(refuse)
    }

    fn header(&mut self) -> Result<Option<Header>, Refusal> {
        let mut block = [0; BLOCK];
        let count = self.fill(&mut block)?;
        if count == 0 || block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if count < BLOCK {
            return Err(Refusal::TarCut { at: self.at });
        }
        if !checksum_holds(&block) {
            return Err(self.damaged("the header's checksum is wrong"));
        }
        Ok(Some(Header::from_byte_slice(&block).clone()))
    }

    fn small(&mut self, size: u64) -> Result<Vec<u8>, Refusal> {
        if size > MAX_EXTENSION {
            return Err(self.damaged("an extended header is absurdly long"));
        }
        let mut bytes = Vec::new();
        self.content(size).read_to_end(&mut bytes).map_err(refuse)?;
        self.end_content(size)?;
        Ok(bytes)
    }

    fn skip(&mut self, size: u64) -> Result<(), Refusal> {
        self.skip_exactly(size)?;
        self.end_content(size)
    }

    fn skip_exactly(&mut self, size: u64) -> Result<(), Refusal> {
        io::copy(&mut self.content(size), &mut io::sink()).map(drop).map_err(refuse)
    }

    /// Fills `block` as far as the archive goes.
    fn fill(&mut self, block: &mut [u8]) -> Result<usize, Refusal> {
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => return Err(refuse(error)),
            }
        }
        self.at += filled as u64;
        Ok(filled)
    }

    fn damaged(&self, what: &'static str) -> Refusal {
        Refusal::TarDamaged { at: self.at.saturating_sub(BLOCK as u64), what }
    }
}

fn refuse(error: io::Error) -> Refusal {
    Refusal::unwrap_io(error, local)
}

fn local(source: io::Error) -> Refusal {
    Refusal::Local { doing: "read an archive", source }
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

/// Whether `block` carries its own checksum: the sum of its bytes, those of the sum itself taken for spaces.
pub(super) fn checksum_holds(block: &[u8]) -> bool {
    let Some(block) = block.first_chunk::<BLOCK>() else { return false };
    let sum = |range: &[u8]| range.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let actual = sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..]);
    Header::from_byte_slice(block).cksum().is_ok_and(|told| told == actual)
}

/// The content of one entry. An archive that ends inside it is an error here, not a shorter entry.
struct Content<'a, R> {
    tar: &'a mut Tarball<R>,
    left: u64,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        match self.tar.inner.read(&mut into[..wanted])? {
            0 => Err(Refusal::TarCut { at: self.tar.at }.into()),
            count => {
                self.tar.at += count as u64;
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}

impl Extension {
    /// Records of the form `LENGTH KEY=VALUE\n`.
    fn read_pax(&mut self, mut records: &[u8]) {
        while let Some((record, rest)) = pax_record(records) {
            match record {
                (b"path", value) => self.read_name(value),
                (b"size", value) => {
                    self.size = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                }
                _ => {}
            }
            records = rest;
        }
    }

    fn read_name(&mut self, name: &[u8]) {
        let name = name.strip_suffix(b"\0").unwrap_or(name);
        self.name = Some(String::from_utf8_lossy(name).into_owned());
    }
}

type PaxRecord<'a> = (&'a [u8], &'a [u8]);

fn pax_record(records: &[u8]) -> Option<(PaxRecord<'_>, &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), &records[length..]))
}
