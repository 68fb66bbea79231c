//! The index log on disk: one line per change, each with its CRC. Replayed at start, then rewritten when most of it is history.
//!
//! A line that was being written when the process died is cut off; a broken line *before* whole ones is damage and refused.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::Path;

use super::state::{Record, State};

/// The name inside the endpoint's folder.
const NAME: &str = "index.log";
/// Below this many lines the log is not worth rewriting.
const SMALL: usize = 10_000;

/// `record` as a line of the log, appended to `lines`.
pub(crate) fn encode(record: &Record, lines: &mut Vec<u8>) -> serde_json::Result<()> {
    let start = lines.len();
    lines.extend_from_slice(b"00000000 ");
    serde_json::to_writer(&mut *lines, record)?;
    let crc = format!("{:08x}", crc32fast::hash(&lines[start + 9..]));
    lines[start..start + 8].copy_from_slice(crc.as_bytes());
    lines.push(b'\n');
    Ok(())
}

/// The record of a whole line.
pub(crate) fn decode(line: &[u8]) -> Option<Record> {
    let (crc, json) = line.strip_suffix(b"\n")?.split_at_checked(9)?;
    let crc = u32::from_str_radix(std::str::from_utf8(&crc[..8]).ok()?, 16).ok()?;
    (crc == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok()).flatten()
}

/// Reads the log in `dir`, cuts off a torn end, and opens it for appending.
pub(crate) fn open(dir: &Path, durable: bool) -> io::Result<(State, File)> {
    let path = dir.join(NAME);
    let mut file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path)?;
    let (state, lines, end) = replay(&file)?;
    if lines > SMALL && lines > 2 * state.snapshot().count() {
        file = rewrite(dir, &state, durable)?;
    } else {
        file.set_len(end)?;
    }
    file.seek(io::SeekFrom::End(0))?;
    Ok((state, file))
}

/// The state, the number of lines, and where the last whole line ends.
fn replay(file: &File) -> io::Result<(State, usize, u64)> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut state, mut lines, mut end, mut torn) = (State::default(), 0, 0, false);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        match decode(&line) {
            Some(_) if torn => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "index log is damaged"));
            }
            Some(record) => {
                drop(state.apply(record));
                lines += 1;
                end += line.len() as u64;
            }
            None => torn = true,
        }
        line.clear();
    }
    if torn {
        tracing::warn!(lines, "cut off the torn end of an index log");
    }
    Ok((state, lines, end))
}

fn rewrite(dir: &Path, state: &State, durable: bool) -> io::Result<File> {
    let temporary = dir.join("index.log.new");
    let mut writer = BufWriter::new(File::create(&temporary)?);
    let mut line = Vec::new();
    for record in state.snapshot() {
        line.clear();
        encode(&record, &mut line)?;
        writer.write_all(&line)?;
    }
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    if durable {
        file.sync_all()?;
    }
    std::fs::rename(&temporary, dir.join(NAME))?;
    if durable {
        File::open(dir)?.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(name: &str) -> Vec<u8> {
        let mut lines = Vec::new();
        encode(&Record::BucketGone(name.into()), &mut lines).unwrap();
        lines
    }

    #[test]
    fn a_torn_end_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, torn) = (gone("a"), gone("b"));
        std::fs::write(dir.path().join(NAME), [&whole[..], &torn[..torn.len() / 2]].concat()).unwrap();
        let (_, file) = open(dir.path(), true).unwrap();
        assert_eq!(file.metadata().unwrap().len(), whole.len() as u64);
    }

    #[test]
    fn damage_in_the_middle_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = gone("a");
        first[12] ^= 1;
        std::fs::write(dir.path().join(NAME), [first, gone("b")].concat()).unwrap();
        assert_eq!(open(dir.path(), true).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_line_reads_back() {
        assert!(matches!(decode(&gone("x")), Some(Record::BucketGone(name)) if name == "x"));
    }
}
