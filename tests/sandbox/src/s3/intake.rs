//! Receives a body: hashes it on the way, keeps a small one in memory and streams a large one to a file, and holds it against
//! what the client said of it. Memory is bounded whatever the size.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::stream::ByteStream;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders};
use tokio::sync::mpsc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::digest::{Algorithm, Digest, Hasher, Sums};
use super::disk::{Disk, Loose, SMALL};
use super::errors;
use super::store::Arrived;

/// The provider's limit for one request.
const MAX_BODY: u64 = 5 << 30;
/// How many pieces may wait for the disk.
const QUEUE: usize = 32;
/// Pieces below this are gathered before they are written.
const GATHERED: usize = 32 << 10;
/// After so many bytes the disk is told to begin: it would else begin when the last byte has come, and everybody would wait.
const SPAN: u64 = 32 << 20;

/// What a client says of a body it sends.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// `Content-Length` of the decoded body.
    pub(crate) length: Option<u64>,
    /// `Content-MD5`.
    pub(crate) md5: Option<String>,
    /// Checksums in headers.
    pub(crate) checksums: Vec<(Algorithm, String)>,
    /// A checksum that is announced without a value yet, or wanted by an upload.
    pub(crate) algorithm: Option<Algorithm>,
    /// Where trailing checksums will be found.
    pub(crate) trailers: Option<TrailingHeaders>,
}

impl Claims {
    /// Whether the body is protected by MD5 or a checksum.
    pub(crate) fn is_protected(&self) -> bool {
        self.md5.is_some() || !self.checksums.is_empty() || self.trailers.is_some()
    }

    /// The algorithms to compute; the first is the one that is kept.
    fn algorithms(&self) -> Vec<Algorithm> {
        let mut all: Vec<Algorithm> = self.algorithm.into_iter().collect();
        for (algorithm, _) in &self.checksums {
            if !all.contains(algorithm) {
                all.push(*algorithm);
            }
        }
        if all.is_empty() {
            all.push(Algorithm::Crc64Nvme);
        }
        all
    }

    fn check(&self, digest: &Digest) -> S3Result<()> {
        if let Some(claimed) = &self.md5 {
            let claimed = BASE64.decode(claimed).ok().filter(|sum| sum.len() == 16).ok_or_else(|| {
                S3Error::with_message(
                    S3ErrorCode::InvalidDigest,
                    "The Content-MD5 you specified was invalid.",
                )
            })?;
            if claimed != digest.md5 {
                let message = "The Content-MD5 you specified did not match what we received.";
                return Err(S3Error::with_message(S3ErrorCode::BadDigest, message));
            }
        }
        let trailing = self.trailers.as_ref().and_then(|trailers| trailers.read(trailing_checksums));
        let claimed = self.checksums.iter().cloned().chain(trailing.unwrap_or_default());
        claimed.into_iter().try_for_each(|(algorithm, value)| compare(algorithm, &value, digest))
    }
}

fn compare(algorithm: Algorithm, claimed: &str, digest: &Digest) -> S3Result<()> {
    let Some((_, computed)) = digest.checksums.iter().find(|(found, _)| *found == algorithm) else {
        return Err(errors::bad_request("The trailing checksum was not announced by x-amz-trailer."));
    };
    if computed == claimed {
        return Ok(());
    }
    if BASE64.decode(claimed).map(|sum| sum.len()) != BASE64.decode(computed).map(|sum| sum.len()) {
        let message =
            format!("Value for x-amz-checksum-{} header is invalid.", algorithm.name().to_lowercase());
        return Err(errors::bad_request(message));
    }
    let message = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
    Err(S3Error::with_message(S3ErrorCode::BadDigest, message))
}

fn trailing_checksums(headers: &hyper::HeaderMap) -> Vec<(Algorithm, String)> {
    let pair = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        Some((Algorithm::of_header(name.as_str())?, value.to_str().ok()?.trim().to_owned()))
    };
    headers.iter().filter_map(pair).collect()
}

/// Receives `body` whole.
pub(crate) async fn receive(
    disk: &Arc<Disk>,
    body: Option<StreamingBlob>,
    claims: &Claims,
) -> S3Result<(Arrived, u64, Digest)> {
    let hasher = Hasher::new(&claims.algorithms());
    let Some(body) = body else { return finish(Arrived::Small(Bytes::new()), hasher.finish(), claims) };
    let length = claims.length.or_else(|| body.remaining_length().exact().map(|length| length as u64));
    if length.is_some_and(|length| length > MAX_BODY) {
        return Err(errors::too_large());
    }
    let (arrived, digest) = match length {
        Some(length) if length <= SMALL => small(body, length, hasher).await?,
        _ => large(disk, body, hasher).await?,
    };
    finish(arrived, digest, claims)
}

/// Takes bytes that are at hand.
pub(crate) async fn take(disk: &Arc<Disk>, body: Bytes) -> S3Result<(Arrived, u64, Digest)> {
    let size = body.len() as u64;
    if size > SMALL {
        let claims = Claims { length: Some(size), ..Claims::default() };
        return receive(disk, Some(StreamingBlob::from(s3s::Body::from(body))), &claims).await;
    }
    let mut hasher = Hasher::new(&Claims::default().algorithms());
    hasher.update(&body);
    Ok((Arrived::Small(body), size, hasher.finish()))
}

fn finish(arrived: Arrived, digest: Digest, claims: &Claims) -> S3Result<(Arrived, u64, Digest)> {
    let size = match &arrived {
        Arrived::Small(bytes) => bytes.len() as u64,
        Arrived::Large(_, size) => *size,
    };
    if claims.length.is_some_and(|length| length != size) {
        return Err(errors::incomplete());
    }
    claims.check(&digest)?;
    Ok((arrived, size, digest))
}

async fn small(mut body: StreamingBlob, length: u64, mut hasher: Hasher) -> S3Result<(Arrived, Digest)> {
    let mut whole: Option<Bytes> = None;
    let mut pieces = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| body_error(&*error))?;
        hasher.update(&piece);
        if (pieces.len() + whole.as_ref().map_or(0, Bytes::len) + piece.len()) as u64 > length {
            return Err(errors::incomplete());
        }
        match whole.take() {
            None if pieces.is_empty() => whole = Some(piece),
            first => {
                pieces.extend_from_slice(first.as_deref().unwrap_or_default());
                pieces.extend_from_slice(&piece);
            }
        }
    }
    Ok((Arrived::Small(whole.unwrap_or_else(|| pieces.freeze())), hasher.finish()))
}

/// MD5 takes as long as everything else together: it has a thread of its own. So has the wait for the disk.
async fn large(disk: &Arc<Disk>, mut body: StreamingBlob, hasher: Hasher) -> S3Result<(Arrived, Digest)> {
    let (md5, sums) = hasher.apart();
    let (sender, receiver) = mpsc::channel(QUEUE);
    let (spans, begun) = mpsc::channel(1);
    let disk = Arc::clone(disk);
    let syncing = tokio::task::spawn_blocking(move || sync(begun));
    let writer = tokio::task::spawn_blocking(move || write(&disk, receiver, sums, &spans));
    let (hashed, pieces) = mpsc::channel(QUEUE);
    let hashing = tokio::task::spawn_blocking(move || hash(pieces, md5));
    let mut failure = None;
    let mut total = 0;
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                failure = Some(body_error(&*error));
                break;
            }
        };
        total += piece.len() as u64;
        if total > MAX_BODY {
            failure = Some(errors::too_large());
            break;
        }
        // The writer has ended: its error is found below.
        if hashed.send(piece.clone()).await.is_err() || sender.send(Some(piece)).await.is_err() {
            break;
        }
    }
    if failure.is_none() {
        // Says that the body is whole; without it the writer throws the file away.
        drop(sender.send(None).await);
    }
    drop((sender, hashed));
    let md5 = hashing.await.map_err(|_| errors::storage())?;
    let written = writer.await.map_err(|_| errors::storage())?;
    // The kernel tells an error of the disk once: to whoever waited then.
    let synced = syncing.await.map_err(|_| errors::storage())?;
    match (failure, synced.and(written)) {
        (Some(failure), _) => Err(failure),
        (None, Ok(Some((loose, sums)))) => {
            Ok((Arrived::Large(loose, total), Hasher::together(md5, sums).finish()))
        }
        (None, Ok(None)) => Err(errors::incomplete()),
        (None, Err(error)) => Err(errors::io(&error)),
    }
}

fn hash(mut pieces: mpsc::Receiver<Bytes>, mut md5: Md5) -> Md5 {
    while let Some(piece) = pieces.blocking_recv() {
        md5.update(&piece);
    }
    md5
}

/// Brings what is written so far to the disk, each time that it is asked.
fn sync(mut spans: mpsc::Receiver<Arc<File>>) -> std::io::Result<()> {
    while let Some(file) = spans.blocking_recv() {
        file.sync_data()?;
    }
    Ok(())
}

/// Writes, and computes the checksums beside MD5, until the end is announced; nothing is kept if it never is.
fn write(
    disk: &Disk,
    mut pieces: mpsc::Receiver<Option<Bytes>>,
    mut sums: Sums,
    spans: &mpsc::Sender<Arc<File>>,
) -> std::io::Result<Option<(Loose, Sums)>> {
    let (file, incoming) = disk.incoming()?;
    let file = Arc::new(file);
    // Only what is small is gathered: pieces as they come from the network are written from where they are.
    let mut writer = BufWriter::with_capacity(GATHERED, &*file);
    let mut waiting = 0;
    loop {
        match pieces.blocking_recv() {
            Some(Some(piece)) => {
                sums.update(&piece);
                writer.write_all(&piece)?;
                waiting += piece.len() as u64;
            }
            Some(None) => break,
            None => return Ok(None),
        }
        // A disk that is still busy with the last span is not asked: the next one is the longer for it.
        if waiting >= SPAN && disk.is_durable() && spans.try_send(Arc::clone(&file)).is_ok() {
            waiting = 0;
        }
    }
    writer.flush()?;
    drop(writer);
    Ok(Some((disk.settle(&file, incoming)?, sums)))
}

/// The protocol library tells its body errors apart by their text only.
fn body_error(error: &(dyn std::error::Error + 'static)) -> S3Error {
    let (text, status) = (error.to_string(), hyper::StatusCode::BAD_REQUEST);
    if text.contains("Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return errors::other("XAmzContentSHA256Mismatch", status, message);
    }
    if text.contains("SignatureMismatch") {
        let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
        return S3Error::with_message(S3ErrorCode::SignatureDoesNotMatch, message);
    }
    errors::incomplete()
}
