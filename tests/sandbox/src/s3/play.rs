//! Faults of the world, played on S3 requests. Asked with the endpoint's name, the operation's name and `/bucket/key`.
//!
//! What happens *before* the effect is played at the gate; what happens after it (cut, truncate, corrupt) in the HTTP layer.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, RETRY_AFTER};
use s3s::{Body, HttpResponse, S3Error, S3ErrorCode, S3Result, StdError};

use super::trace::Trace;
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
    let Some(fault) = world.faults.take(service, operation, resource) else { return Ok(()) };
    trace.play(fault.clone());
    match fault {
        Fault::Latency { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(())
        }
        Fault::Status { status, body, retry_after } => Err(refusal(status, body, retry_after)),
        Fault::DropBefore => Err(S3Error::with_message(S3ErrorCode::InternalError, "cut")),
        Fault::Stall => std::future::pending().await,
        Fault::ExpireToken => {
            Err(S3Error::with_message(S3ErrorCode::ExpiredToken, "The provided token has expired."))
        }
        Fault::Reject { reason } => {
            let code = S3ErrorCode::from_bytes(reason.as_bytes()).unwrap_or(S3ErrorCode::AccessDenied);
            Err(S3Error::with_message(code, reason))
        }
        Fault::DropAfter | Fault::Truncate { .. } | Fault::Corrupt => Ok(()),
    }
}

/// The name of a fault for the journal.
pub(crate) fn name(fault: &Fault) -> String {
    let value = serde_json::to_value(fault).unwrap_or_default();
    value.get("kind").and_then(serde_json::Value::as_str).unwrap_or("fault").to_owned()
}

/// Whether the connection is cut instead of answered.
pub(crate) fn cuts(fault: &Fault) -> bool {
    matches!(fault, Fault::DropBefore | Fault::DropAfter)
}

/// The answer as the fault leaves it.
pub(crate) fn after(response: HttpResponse, fault: &Fault) -> HttpResponse {
    match fault {
        Fault::Truncate { bytes } => response.map(|body| Spoilt::body(body, Some(*bytes))),
        Fault::Corrupt => response.map(|body| Spoilt::body(body, None)),
        _ => response,
    }
}

fn refusal(status: u16, body: Option<String>, retry_after: Option<u64>) -> S3Error {
    let (code, message) = match status {
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
