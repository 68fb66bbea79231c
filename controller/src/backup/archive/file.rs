//! The dump's file: written beside its place with mode 0600, moved into place when all is well, else removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Received;
use super::feed::Feed;
use super::unpack::{Sink, unpack};
use crate::backup::Refusal;

/// Unpacks all of `feed` into a file at `into`. A half file never stands there, not even after a crash of ours; after
/// one of the machine nothing on disk is trusted without its hash, so none is forced out here.
///
/// Each of `also` gets the same bytes, until nobody reads there any more: what it makes of them is its own business.
pub(super) fn unpack_to(
    mut feed: Feed,
    into: &Path,
    also: Vec<File>,
    limit: u64,
) -> Result<Received, Refusal> {
    let part =
        Part::create(into).map_err(|source| Refusal::Local { doing: "make a file for the dump", source })?;
    let mut sink = Sink { out: Both { file: &part.file, also }, limit };
    let unpacked = unpack(&mut feed, &mut sink)?;
    drop(sink);
    part.keep(into).map_err(|source| Refusal::Local { doing: "move the dump into its place", source })?;
    let (download_bytes, download_sha256) = feed.finish();
    Ok(Received {
        download_bytes,
        download_sha256,
        dump_bytes: unpacked.dump_bytes,
        dump_sha256: unpacked.dump_sha256,
        member: unpacked.member,
        packing: unpacked.packing,
        header: unpacked.header,
    })
}

/// The dump's file, and whoever else wants the bytes.
struct Both<'a> {
    file: &'a File,
    also: Vec<File>,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.also.retain_mut(|also| also.write_all(&bytes[..written]).is_ok());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file that is removed unless it is kept: it holds personal data.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn create(beside: &Path) -> io::Result<Self> {
        let mut name = beside.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = beside.with_file_name(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file })
    }

    fn keep(self, into: &Path) -> io::Result<()> {
        fs::rename(&self.path, into)
        // The drop that follows finds nothing to remove.
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, "a partial dump could not be removed");
            }
            _ => {}
        }
    }
}
