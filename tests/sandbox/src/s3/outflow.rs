//! Sends stored bytes: a stream over segments that reads one piece ahead on the blocking pool.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{Body, S3Result, StdError};
use tokio::task::JoinHandle;

use super::digest::{Algorithm, Digest, Hasher};
use super::disk::{Disk, SMALL};
use super::errors;
use super::holds::Held;
use super::model::{Blob, Segment};
use super::store::Store;

/// How much is read at once.
const PIECE: u64 = 512 << 10;

/// The bytes `from..to` of what `segments` hold.
pub(crate) fn slice(segments: &[Segment], from: u64, to: u64) -> Vec<Segment> {
    let mut start = 0;
    let mut slices = Vec::new();
    for segment in segments {
        let (first, last) = (from.max(start), to.min(start + segment.len));
        if first < last {
            slices.push(Segment { offset: segment.offset + first - start, len: last - first, ..*segment });
        }
        start += segment.len;
    }
    slices
}

/// The bytes of `segments` as a body, or nothing where they were let go of since they were looked up. The first piece is read
/// before this returns, so that a missing file is an error answer; what follows is held until it is sent.
pub(crate) async fn body(store: &Store, segments: Vec<Segment>) -> S3Result<Option<StreamingBlob>> {
    let remaining: u64 = segments.iter().map(|segment| segment.len).sum();
    if remaining == 0 {
        return Ok(Some(StreamingBlob::from(Body::empty())));
    }
    if let [segment @ Segment { blob: Blob::Packed(..), .. }] = segments.as_slice() {
        // Small and most often in memory: cheaper to read here than to hand over to another thread.
        return small(store, segment).await.map(|body| body.map(StreamingBlob::from));
    }
    let Some(held) = store.hold(&segments) else { return Ok(None) };
    let disk = Arc::clone(&store.disk);
    let mut stream =
        Outflow { disk, segments: segments.into(), open: None, next: None, remaining, _held: held };
    let Some(first) = stream.next().await else { return Err(errors::storage()) };
    let first = first.map_err(|error| errors::io(&io::Error::other(error)))?;
    if stream.remaining == 0 {
        return Ok(Some(StreamingBlob::from(Body::from(first))));
    }
    Ok(Some(StreamingBlob::new(Rest { first: Some(first), stream })))
}

/// Reads without holding, which would cost each small read something; only a read that fails asks why.
async fn small(store: &Store, segment: &Segment) -> S3Result<Option<Body>> {
    match packed(&store.disk, segment) {
        Err(error) if is_missing(&error) => {}
        outcome => return outcome.map(Some).map_err(|error| errors::io(&error)),
    }
    // A write that has not come through is told by the read.
    drop(store.disk.settled().await);
    let Some(_held) = store.hold(std::slice::from_ref(segment)) else { return Ok(None) };
    packed(&store.disk, segment).map(Some).map_err(|error| errors::io(&error))
}

fn packed(disk: &Disk, segment: &Segment) -> io::Result<Body> {
    let (file, at) = disk.source(segment)?;
    let mut bytes = BytesMut::zeroed(usize::try_from(segment.len).map_err(io::Error::other)?);
    file.read_exact_at(&mut bytes, at)?;
    Ok(Body::from(bytes.freeze()))
}

/// Reads `segments` through a hasher.
pub(crate) async fn digest(
    disk: &Arc<Disk>,
    segments: Vec<Segment>,
    algorithm: Algorithm,
) -> S3Result<Digest> {
    let disk = Arc::clone(disk);
    let work = move || -> io::Result<Digest> {
        let mut hasher = Hasher::new(&[algorithm]);
        let mut buffer = BytesMut::new();
        for segment in segments {
            let (file, start) = patiently(&disk, segment.blob, || disk.source(&segment))?;
            let mut done = 0;
            while done < segment.len {
                let piece = PIECE.min(segment.len - done);
                buffer.resize(usize::try_from(piece).map_err(io::Error::other)?, 0);
                patiently(&disk, segment.blob, || file.read_exact_at(&mut buffer, start + done))?;
                hasher.update(&buffer);
                done += piece;
            }
        }
        Ok(hasher.finish())
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| errors::storage())?
        .map_err(|error| errors::io(&error))
}

/// Reads from `blob`, once more after what is on its way there has arrived. Blocking.
fn patiently<T>(disk: &Disk, blob: Blob, mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match read() {
        Err(error) if matches!(blob, Blob::Packed(..)) && is_missing(&error) => {
            drop(disk.settled().blocking_recv());
            read()
        }
        outcome => outcome,
    }
}

/// Whether bytes were not where the index says: gone since, or not there yet.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}

type Piece = io::Result<(Arc<File>, u64, Bytes)>;

/// Reads one piece ahead of what is sent.
struct Outflow {
    disk: Arc<Disk>,
    segments: VecDeque<Segment>,
    /// The open file of the first segment, and where its next byte lies.
    open: Option<(Arc<File>, u64)>,
    next: Option<JoinHandle<Piece>>,
    /// Bytes not yet given out.
    remaining: u64,
    _held: Held,
}

impl Outflow {
    /// Starts reading the next piece, if there is one.
    fn begin(&mut self) {
        while self.segments.front().is_some_and(|segment| segment.len == 0) {
            self.segments.pop_front();
            self.open = None;
        }
        let Some(segment) = self.segments.front_mut() else { return };
        let piece = PIECE.min(segment.len);
        let (whole, open, disk) = (*segment, self.open.take(), Arc::clone(&self.disk));
        segment.len -= piece;
        self.next = Some(tokio::task::spawn_blocking(move || {
            let (file, at) = match open {
                Some(open) => open,
                None => patiently(&disk, whole.blob, || disk.source(&whole))?,
            };
            let mut bytes = BytesMut::zeroed(usize::try_from(piece).map_err(io::Error::other)?);
            patiently(&disk, whole.blob, || file.read_exact_at(&mut bytes, at))?;
            Ok((file, at + piece, bytes.freeze()))
        }));
    }
}

impl Stream for Outflow {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.next.is_none() {
            self.begin();
        }
        let Some(next) = self.next.as_mut() else { return Poll::Ready(None) };
        let piece = ready!(Pin::new(next).poll(context));
        self.next = None;
        let (file, at, bytes) = piece.map_err(io::Error::other)??;
        self.open = Some((file, at));
        self.remaining -= bytes.len() as u64;
        if self.remaining > 0 {
            self.begin();
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

/// The first piece, then the others.
struct Rest {
    first: Option<Bytes>,
    stream: Outflow,
}

impl Stream for Rest {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.stream.poll_next_unpin(context),
        }
    }
}

impl ByteStream for Rest {
    fn remaining_length(&self) -> RemainingLength {
        let left = self.stream.remaining + self.first.as_ref().map_or(0, |first| first.len() as u64);
        usize::try_from(left).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

const _: () = assert!(SMALL <= PIECE, "a packed body is one piece");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_over_segments_takes_the_right_ends() {
        let segment = |blob, offset, len| Segment { blob: Blob::File(blob), offset, len };
        let whole = [segment(1, 0, 10), segment(2, 5, 10), segment(3, 0, 10)];
        assert_eq!(slice(&whole, 8, 22), [segment(1, 8, 2), segment(2, 5, 10), segment(3, 0, 2)]);
        assert_eq!(slice(&whole, 12, 13), [segment(2, 7, 1)]);
        assert_eq!(slice(&whole, 30, 31), []);
    }
}
