//! Manifests as files: written sorted, compressed and hashed in one pass; read line by line, whatever their size.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::error::{ArchiveError, Result};
use super::format::Entry;

/// The longest line that is read: keys, metadata and tags have limits far below.
const LONGEST_LINE: u64 = 1 << 20;
/// Most of a line are digests, which no level shortens: of 20,000 lines, level 1 makes 1.14 MB and level 3 makes 1.28 MB in twice the time.
const LEVEL: i32 = 1;
/// Lines that travel together between threads.
const BATCH: usize = 512;

/// Writes a manifest. Lines must come in the order of their keys.
pub struct Writer {
    out: zstd::Encoder<'static, Hashed>,
    last: String,
    objects: u64,
    bytes: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("objects", &self.objects).finish_non_exhaustive()
    }
}

/// A finished manifest.
#[derive(Debug, Clone)]
pub struct Written {
    /// Digest of the file.
    pub sha256: String,
    /// Lines.
    pub objects: u64,
    /// Bytes of the objects that it names.
    pub bytes: u64,
}

struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
}

impl std::io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Writer {
    /// A new file at `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = ArchiveError::file("writing the manifest");
        let file = BufWriter::new(File::create(path).map_err(&failed)?);
        let out = zstd::Encoder::new(Hashed { file, hash: Sha256::new() }, LEVEL).map_err(&failed)?;
        Ok(Self { out, last: String::new(), objects: 0, bytes: 0 })
    }

    /// Adds the line of `key`, which is `size` bytes long.
    pub fn line(&mut self, key: &str, size: u64, line: &str) -> Result<()> {
        if self.last.as_str() >= key {
            let how = format!("`{key}` is listed out of order, or twice");
            return Err(ArchiveError::Damaged { what: "the listing".to_owned(), how });
        }
        key.clone_into(&mut self.last);
        self.objects += 1;
        self.bytes += size;
        let mut put = |bytes: &[u8]| self.out.write_all(bytes);
        put(line.as_bytes()).and_then(|()| put(b"\n")).map_err(ArchiveError::file("writing the manifest"))
    }

    /// Ends the file and waits until it is on disk.
    pub fn finish(self) -> Result<Written> {
        let failed = ArchiveError::file("writing the manifest");
        let mut inner = self.out.finish().map_err(&failed)?;
        inner.flush().map_err(&failed)?;
        inner.file.get_ref().sync_all().map_err(&failed)?;
        Ok(Written { sha256: hex::encode(inner.hash.finalize()), objects: self.objects, bytes: self.bytes })
    }
}

/// The lines of a manifest at `path`, whose digest was compared before; read ahead on a thread of its own.
pub fn lines(path: PathBuf) -> mpsc::Receiver<Result<Vec<Line>>> {
    let (send, receive) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let mut batch = Vec::with_capacity(BATCH);
        let sent = each_line(&path, |line| {
            batch.push(line);
            let full = batch.len() == BATCH;
            !full || send.blocking_send(Ok(std::mem::take(&mut batch))).is_ok()
        });
        let last = if let Err(error) = sent { Err(error) } else { Ok(batch) };
        // A reader that went away does not want the rest.
        drop(send.blocking_send(last));
    });
    receive
}

/// A line, and what it says.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it says.
    pub entry: Entry,
    /// Letter for letter, so that it can be kept as it is.
    pub text: String,
}

fn each_line(path: &Path, mut take: impl FnMut(Line) -> bool) -> Result<()> {
    let name = || path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let damaged = |how: String| ArchiveError::Damaged { what: name(), how };
    let failed = ArchiveError::file("reading a manifest");
    let reader = zstd::Decoder::new(File::open(path).map_err(&failed)?).map_err(&failed)?;
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let mut last = String::new();
    loop {
        let mut text = String::new();
        let read = reader.by_ref().take(LONGEST_LINE).read_line(&mut text);
        if read.map_err(|error| damaged(format!("it cannot be unpacked: {error}")))? == 0 {
            return Ok(());
        }
        let line = text.trim_end_matches('\n').len();
        text.truncate(line);
        let entry: Entry = serde_json::from_str(&text)
            .map_err(|error| damaged(format!("a line cannot be read: {error}")))?;
        if entry.key <= last {
            return Err(damaged(format!("`{}` is out of order", entry.key)));
        }
        last.clone_from(&entry.key);
        if !take(Line { entry, text }) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> Entry {
        let text =
            serde_json::json!({"key": key, "size": 3, "sha256": "00", "etag": "e", "last_modified": null});
        serde_json::from_value(text).unwrap()
    }

    fn write(path: &Path, keys: &[&str]) -> Result<Written> {
        let mut writer = Writer::create(path)?;
        for key in keys {
            let line = serde_json::to_string(&entry(key)).unwrap();
            writer.line(key, 3, &line)?;
        }
        writer.finish()
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_its_digest_is_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        let keys: Vec<String> = (0..2_000).map(|n| format!("dossier/{n:05} é+%")).collect();
        let written = write(&path, &keys.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert_eq!((written.objects, written.bytes), (2_000, 6_000));
        assert_eq!(written.sha256, super::super::format::digest(&std::fs::read(&path).unwrap()));
        let mut seen = Vec::new();
        let mut lines = lines(path);
        while let Some(batch) = lines.recv().await {
            seen.extend(batch.unwrap().into_iter().map(|line| line.entry.key));
        }
        assert_eq!(seen, keys);
    }

    #[tokio::test]
    async fn a_cut_or_flipped_manifest_is_an_error_and_never_a_short_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        write(&path, &["a", "b", "c"]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 4]).unwrap();
        let mut lines = lines(path);
        let mut failed = false;
        while let Some(batch) = lines.recv().await {
            failed |= batch.is_err();
        }
        assert!(failed);
    }

    #[test]
    fn a_listing_out_of_order_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("m"), &["b", "a"]).is_err());
        assert!(write(&folder.path().join("m"), &["a", "a"]).is_err());
    }
}
