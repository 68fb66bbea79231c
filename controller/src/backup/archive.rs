//! One archive as it comes down the line: `gzip` → `tar` → one member → a custom-format dump, in a single pass.
//!
//! The bytes are hashed as received, unpacked, hashed again and written, all while they arrive; memory is bounded by
//! the pieces in flight, whatever the size. The decoders are synchronous ones on a blocking thread fed by a channel:
//! they are the fast ones (zlib-rs), errors keep their exact place, and a dropped future closes the channel, which
//! ends the thread. A bare dump, a gzipped dump and a bare tar are taken too, told apart by magic alone.
//!
//! What passes here is *intact*, no more: damage after the table of contents of an uncompressed download shows in
//! [`super::contents`] only, and a dump that was bad when it was made shows after a restore only.

mod feed;
mod file;
mod gunzip;
pub mod sniff;
mod tarball;
mod unpack;

use std::fs::File;
use std::path::Path;
use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::feed::{Feed, Piece};
use self::sniff::DumpHeader;
use super::refusal::{BodyError, Refusal};

/// Pieces of the body in flight between the line and the decoder.
const PIECES_IN_FLIGHT: usize = 16;

/// What the caller knows and allows beforehand.
#[derive(Debug, Clone, Copy)]
pub struct Expect {
    /// Length of the download, if the server announced one (`Content-Length`). A listing's size may be another thing.
    pub download_bytes: Option<u64>,
    /// The largest dump there is room for: the disk's budget, which also stops a decompression bomb.
    pub max_dump_bytes: u64,
}

/// How the dump was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// In a tar, in gzip: what the platform serves.
    GzipTar,
    /// In gzip.
    Gzip,
    /// In a tar.
    Tar,
    /// As it is.
    Bare,
}

/// What was received, after every byte of it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Bytes of the download.
    pub download_bytes: u64,
    /// SHA-256 of the download, in hex.
    pub download_sha256: String,
    /// Bytes of the dump.
    pub dump_bytes: u64,
    /// SHA-256 of the dump, in hex.
    pub dump_sha256: String,
    /// Name of the member in the tar, for the eye only: it is never used as a path.
    pub member: Option<String>,
    /// How it was packed.
    pub packing: Packing,
    /// The dump's first fields.
    pub header: DumpHeader,
}

/// Receives `body` and leaves its dump at `into` (mode 0600), or nothing there at all.
///
/// `progress` is told the bytes received so far. Dropping the future stops the work and removes what was written.
/// *Repeat*: safe, a former file is replaced. *Errors*: [`Refusal`], the line's own fault before the content's.
pub async fn receive<S, E>(
    body: S,
    expect: Expect,
    into: &Path,
    progress: impl Fn(u64),
) -> Result<Received, Refusal>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BodyError>,
{
    receive_and_hand_on(body, expect, into, Vec::new(), progress).await
}

/// The same, and the dump is written to each of `also` as it comes, for as long as somebody reads there.
pub(super) async fn receive_and_hand_on<S, E>(
    body: S,
    expect: Expect,
    into: &Path,
    also: Vec<File>,
    progress: impl Fn(u64),
) -> Result<Received, Refusal>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BodyError>,
{
    let (pieces, feed) = mpsc::channel(PIECES_IN_FLIGHT);
    let path = into.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        file::unpack_to(Feed::new(feed), &path, also, expect.max_dump_bytes)
    });
    let pumped = pump(body, expect.download_bytes, pieces, progress).await;
    let unpacked = work.await.map_err(|join| Refusal::Local {
        doing: "wait for the check of an archive",
        source: std::io::Error::other(join),
    })?;
    pumped.and(unpacked)
}

/// Hands the body to the decoder until either ends. A decoder that went away has its own refusal to tell.
async fn pump<S, E>(
    body: S,
    announced: Option<u64>,
    pieces: mpsc::Sender<Piece>,
    progress: impl Fn(u64),
) -> Result<(), Refusal>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BodyError>,
{
    let mut body = pin!(body);
    let mut received: u64 = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|source| Refusal::Transfer { at: received, source: source.into() })?;
        received += piece.len() as u64;
        if let Some(expected) = announced.filter(|expected| received > *expected) {
            return Err(Refusal::Overlong { expected });
        }
        if pieces.send(Piece::Bytes(piece)).await.is_err() {
            return Ok(());
        }
        progress(received);
    }
    if let Some(expected) = announced.filter(|expected| received < *expected) {
        return Err(Refusal::CutShort { received, expected });
    }
    // Only a body that ended in good order is told to be at its end: a closed channel alone means "stopped".
    drop(pieces.send(Piece::End).await);
    Ok(())
}

#[cfg(test)]
mod tests;
