//! Faults of the world, played on S3 requests. Asked with the endpoint's name, the operation's name and `/bucket/key`.
//!
//! What happens *before* the effect is played at the gate; what happens after it (cut, truncate, corrupt) in the HTTP layer.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use hyper::HeaderMap;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use s3s::{Body, HttpResponse, S3Error, S3ErrorCode, S3Result, StdError};

use super::trace::Trace;
use crate::http::spoil;
use crate::world::faults::{Asked, Damage};
use crate::world::journal::credential::fingerprint;
use crate::world::{Fault, World};

/// Between the last bytes of a truncated body and the cut.
const PAUSE: Duration = Duration::from_millis(20);

/// Plays what comes before the effect; an error ends the request without one.
pub(crate) async fn before(
    world: &World,
    service: &str,
    trace: &Trace,
    operation: &str,
    resource: &str,
) -> S3Result<()> {
    let key = trace.caller();
    let asked = Asked {
        service,
        method: operation,
        path: resource,
        calls: [operation, ""],
        credential: [&key, &fingerprint(&key)],
    };
    let Some(fault) = world.faults.take_call(&asked) else { return Ok(()) };
    trace.play(fault.clone());
    match fault {
        Fault::Latency { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(())
        }
        Fault::Status { status, body, retry_after } => Err(refusal(status, body, retry_after)),
        Fault::DropBefore | Fault::Reset { after: false } | Fault::HtmlPage { .. } => {
            Err(S3Error::with_message(S3ErrorCode::InternalError, "cut"))
        }
        Fault::Stall => std::future::pending().await,
        Fault::ExpireToken => {
            Err(S3Error::with_message(S3ErrorCode::ExpiredToken, "The provided token has expired."))
        }
        Fault::Reject { reason } => {
            let code = S3ErrorCode::from_bytes(reason.as_bytes()).unwrap_or(S3ErrorCode::AccessDenied);
            Err(S3Error::with_message(code, reason))
        }
        Fault::RevokeKey => Err(S3Error::with_message(
            S3ErrorCode::InvalidAccessKeyId,
            "The AWS Access Key Id you provided does not exist in our records.",
        )),
        // Played on the answer, or nothing that an object store does.
        _ => Ok(()),
    }
}

/// The name of a fault for the journal.
pub(crate) fn name(fault: &Fault) -> String {
    fault.kind().to_owned()
}

/// Whether the connection is cut instead of answered.
pub(crate) fn cuts(fault: &Fault) -> bool {
    matches!(fault, Fault::DropBefore | Fault::DropAfter | Fault::Reset { .. })
}

/// The answer as the fault leaves it.
pub(crate) async fn after(response: HttpResponse, fault: &Fault) -> HttpResponse {
    match fault {
        Fault::Truncate { bytes } => response.map(|body| Spoilt::body(body, Some(*bytes))),
        Fault::Corrupt => response.map(|body| Spoilt::body(body, None)),
        Fault::HalfBody { fraction } => {
            let bytes = part(&response, *fraction);
            response.map(|body| Spoilt::body(body, Some(bytes)))
        }
        Fault::SlowBody { bytes_per_second } => {
            let rate = *bytes_per_second;
            response.map(|body| slow(body, rate))
        }
        Fault::HtmlPage { status } => page(response, *status),
        Fault::CorruptBackup { how } => damaged(response, *how).await,
        _ => response,
    }
}

/// A whole download damaged in the way `how`; parts and refusals are left alone.
async fn damaged(response: HttpResponse, how: Damage) -> HttpResponse {
    if response.status() != hyper::StatusCode::OK {
        return response;
    }
    let (mut parts, mut body) = response.into_parts();
    match body.store_all_limited(spoil::LONGEST).await {
        Ok(whole) => {
            let bytes = spoil::damage(&whole, how);
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            HttpResponse::from_parts(parts, Body::from(Bytes::from(bytes)))
        }
        Err(_) => page(HttpResponse::from_parts(parts, Body::empty()), 502),
    }
}

/// So many bytes of the answer are `fraction` of it.
fn part(response: &HttpResponse, fraction: f64) -> u64 {
    let announced =
        response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length: Option<u64> = hyper::body::Body::size_hint(response.body()).exact().or(announced);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of a length, between nothing and the whole"
    )]
    length.map_or(0, |length| (length as f64 * fraction) as u64)
}

/// The same body in pieces of a tenth of a second.
fn slow(body: Body, bytes_per_second: u64) -> Body {
    let piece = usize::try_from(bytes_per_second.div_ceil(10)).unwrap_or(usize::MAX).max(1);
    let pieces = body.flat_map(move |chunk| {
        let cut = |data: Bytes| {
            let cuts = (0..data.len()).step_by(piece);
            cuts.map(|at| Ok(data.slice(at..data.len().min(at + piece)))).collect::<Vec<_>>()
        };
        futures::stream::iter(chunk.map_or_else(|error| vec![Err(std::io::Error::other(error))], cut))
    });
    let slowly = pieces.then(|piece| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        piece
    });
    Body::from(s3s::dto::StreamingBlob::wrap(slowly))
}

/// A proxy's page in place of the answer.
fn page(mut response: HttpResponse, status: u16) -> HttpResponse {
    let status = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    *response.status_mut() = status;
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response.map(|_| Body::from(Bytes::from(crate::world::faults::page(status.as_u16()))))
}

fn refusal(status: u16, body: Option<String>, retry_after: Option<u64>) -> S3Error {
    let (code, message) = match status {
        507 => (
            S3ErrorCode::from_bytes(b"InsufficientStorage").unwrap_or(S3ErrorCode::InternalError),
            "There is not enough space left for the object.",
        ),
        503 => (S3ErrorCode::SlowDown, "Please reduce your request rate."),
        429 => (
            S3ErrorCode::from_bytes(b"TooManyRequests").unwrap_or(S3ErrorCode::SlowDown),
            "Too Many Requests",
        ),
        403 => (S3ErrorCode::AccessDenied, "Access Denied."),
        404 => (S3ErrorCode::NoSuchKey, "The specified key does not exist."),
        _ => (S3ErrorCode::InternalError, "We encountered an internal error. Please try again."),
    };
    let mut error = S3Error::with_message(code, message);
    if let Some(body) = body {
        error.set_message(body);
    }
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        error.set_status_code(status);
    }
    if let Some(seconds) = retry_after {
        error.set_headers(HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from(seconds))]));
    }
    error
}

/// A body that is cut after some bytes, or whose bytes are turned over.
struct Spoilt {
    body: Body,
    /// Bytes until the cut; `None` to corrupt instead.
    left: Option<u64>,
    /// Lets the last bytes reach the client before the cut.
    pause: Pin<Box<tokio::time::Sleep>>,
}

impl Spoilt {
    fn body(body: Body, left: Option<u64>) -> Body {
        let pause = Box::pin(tokio::time::sleep(Duration::ZERO));
        Body::http_body(Self { body, left, pause })
    }
}

impl hyper::body::Body for Spoilt {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, StdError>>> {
        use std::task::Poll;
        if self.left == Some(0) {
            std::task::ready!(self.pause.as_mut().poll(context));
            return Poll::Ready(Some(Err("cut by a fault".into())));
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context)?);
        let Some(frame) = frame else { return Poll::Ready(None) };
        let Ok(bytes) = frame.into_data() else { return Poll::Ready(None) };
        let bytes = match &mut self.left {
            None => bytes.iter().map(|byte| !byte).collect(),
            Some(left) => {
                let kept = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= kept as u64;
                bytes.slice(..kept)
            }
        };
        if self.left == Some(0) {
            self.pause.as_mut().reset(tokio::time::Instant::now() + PAUSE);
        }
        Poll::Ready(Some(Ok(hyper::body::Frame::data(bytes))))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        // The announced length stays, so that the client notices what is missing.
        hyper::body::Body::size_hint(&self.body)
    }
}
