//! The archive of a backup: a gzip tar of one member, the dump. Blocking; call from a blocking task.
//!
//! The dump is long and the member's name is short: they are compressed one after the other, so that archives of one dump under
//! several names share what was compressed. To a reader it is one stream of one gzip member.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use flate2::Compression;
use flate2::write::DeflateEncoder;

/// Bytes of a tar's block.
const BLOCK: usize = 512;
/// Method, no flags, no date, fastest, system unknown (RFC 1952).
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
const BUFFER: usize = 256 << 10;

/// The sum and length of what was compressed.
#[derive(Debug, Clone)]
struct Sum {
    crc: Hasher,
    length: u64,
}

/// A dump as all archives of it hold it, in a file. Removed with this.
#[derive(Debug)]
pub struct Deflated {
    file: PathBuf,
    dump_size: u64,
    sum: Sum,
}

impl Drop for Deflated {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.file) {
            tracing::debug!(%error, "what was compressed stays behind");
        }
    }
}

impl Deflated {
    /// Compresses `dump` into a file beside it.
    pub(crate) fn of(dump: &Path) -> io::Result<Self> {
        let file = dump.with_extension("deflate");
        let sum = deflate(dump, &mut File::create(&file)?)?;
        Ok(Self { dump_size: std::fs::metadata(dump)?.len(), file, sum })
    }

    /// Writes an archive of it, whole or not at all: its size.
    pub(in crate::paas) fn archive(&self, member: &str, archive: &Path) -> io::Result<u64> {
        write(member, self.dump_size, archive, |target| {
            io::copy(&mut File::open(&self.file)?, target)?;
            Ok(self.sum.clone())
        })
    }
}

/// Writes an archive with `dump` as its one member, whole or not at all: its size.
pub(in crate::paas) fn pack(dump: &Path, member: &str, archive: &Path) -> io::Result<u64> {
    write(member, std::fs::metadata(dump)?.len(), archive, |target| deflate(dump, target))
}

fn write(
    member: &str,
    dump_size: u64,
    archive: &Path,
    rest: impl FnOnce(&mut File) -> io::Result<Sum>,
) -> io::Result<u64> {
    let part = archive.with_extension("part");
    let mut target = File::create(&part)?;
    let block = header(member, dump_size);
    target.write_all(&GZIP)?;
    target.write_all(&flushed(&block)?)?;
    let sum = rest(&mut target)?;
    let mut crc = Hasher::new();
    crc.update(&block);
    crc.combine(&sum.crc);
    target.write_all(&crc.finalize().to_le_bytes())?;
    // Modulo 2^32, as the format has it.
    let [a, b, c, d, ..] = (sum.length + BLOCK as u64).to_le_bytes();
    target.write_all(&[a, b, c, d])?;
    let size = target.metadata()?.len();
    std::fs::rename(part, archive)?;
    Ok(size)
}

/// The tar's first block.
fn header(member: &str, dump_size: u64) -> [u8; BLOCK] {
    let mut header = tar::Header::new_gnu();
    // Not `set_path`: it refuses the leading slash that the vendor writes.
    let name = member.as_bytes();
    let field = &mut header.as_old_mut().name;
    let taken = name.len().min(field.len() - 1);
    field[..taken].copy_from_slice(&name[..taken]);
    header.set_size(dump_size);
    header.set_mode(0o644);
    header.set_cksum();
    *header.as_bytes()
}

/// Compressed up to a whole byte, not ended: more may follow.
fn flushed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.flush()?;
    Ok(encoder.get_ref().clone())
}

/// Compresses what follows the first block: the dump and the end of a tar.
fn deflate(dump: &Path, target: &mut File) -> io::Result<Sum> {
    let mut encoder = DeflateEncoder::new(BufWriter::with_capacity(BUFFER, target), Compression::fast());
    let mut sum = Sum { crc: Hasher::new(), length: 0 };
    let mut put = |bytes: &[u8]| {
        sum.crc.update(bytes);
        sum.length += bytes.len() as u64;
        encoder.write_all(bytes)?;
        Ok::<_, io::Error>(sum.length)
    };
    let (mut source, mut buffer) = (File::open(dump)?, vec![0; BUFFER]);
    let mut length = 0;
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        length = put(&buffer[..read])?;
    }
    let past = usize::try_from(length % BLOCK as u64).unwrap_or(0);
    put(&[0; BLOCK][..(BLOCK - past) % BLOCK])?;
    put(&[0; 2 * BLOCK])?;
    encoder.finish()?.flush()?;
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name and content of the one member, as a strict reader of one gzip member sees them.
    fn member(archive: &Path) -> (Vec<u8>, Vec<u8>) {
        let mut file = flate2::read::GzDecoder::new(File::open(archive).unwrap());
        let mut tar = Vec::new();
        file.read_to_end(&mut tar).unwrap();
        assert_eq!(tar.len() % BLOCK, 0);
        let mut tar = tar::Archive::new(tar.as_slice());
        let mut entries = tar.entries().unwrap();
        let mut one = entries.next().unwrap().unwrap();
        let mut content = Vec::new();
        one.read_to_end(&mut content).unwrap();
        let name = one.path_bytes().into_owned();
        assert!(entries.next().is_none());
        (name, content)
    }

    #[test]
    fn an_archive_holds_one_member_under_the_vendors_name() {
        let dir = tempfile::tempdir().unwrap();
        let (dump, archive) = (dir.path().join("dump"), dir.path().join("x.tar.gz"));
        std::fs::write(&dump, b"PGDMP content").unwrap();
        let size = pack(&dump, "/20260301_app.pgsql", &archive).unwrap();
        assert_eq!(size, std::fs::metadata(&archive).unwrap().len());
        assert_eq!(member(&archive), (b"/20260301_app.pgsql".to_vec(), b"PGDMP content".to_vec()));
    }

    #[test]
    fn archives_of_one_dump_differ_in_the_name_only_at_every_length() {
        let dir = tempfile::tempdir().unwrap();
        let dump = dir.path().join("dump.pgsql");
        for length in [0, 1, 511, 512, 513, 700_001] {
            let content: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            std::fs::write(&dump, &content).unwrap();
            let deflated = Deflated::of(&dump).unwrap();
            for name in ["first.pgsql", "/second.pgsql"] {
                let archive = dir.path().join("x.tar.gz");
                deflated.archive(name, &archive).unwrap();
                assert_eq!(member(&archive), (name.as_bytes().to_vec(), content.clone()), "{length}");
            }
        }
        assert!(!dump.with_extension("deflate").exists());
    }
}
