//! The log that a database's server writes into a file: its end, and what comes after.

use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// How much of a log is shown.
const TAIL: u64 = 64 * 1024;

/// The end of the log.
pub(super) async fn tail(file: &Path) -> std::io::Result<String> {
    let mut log = File::open(file).await?;
    let start = log.metadata().await?.len().saturating_sub(TAIL);
    log.seek(SeekFrom::Start(start)).await?;
    let mut text = Vec::new();
    log.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The whole lines after the first `from` bytes, and where the next begins. From the end where there are not so many.
pub(super) async fn after(file: &Path, from: u64) -> std::io::Result<(String, u64)> {
    let mut log = File::open(file).await?;
    let from = from.min(log.metadata().await?.len());
    log.seek(SeekFrom::Start(from)).await?;
    let mut text = Vec::new();
    log.read_to_end(&mut text).await?;
    text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    let end = from + text.len() as u64;
    Ok((String::from_utf8_lossy(&text).into_owned(), end))
}
