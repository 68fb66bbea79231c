//! `Expect: 100-continue`. Who is refused before its body was asked for may send it all the same, or go on with its next request: what
//! comes on the connection then can be read either way, so the answer ends it (RFC 9110, 10.1.1).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::http::{HeaderValue, Request, Response, header};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A body, and whether somebody asked for it.
#[derive(Debug)]
pub(crate) struct Awaited {
    body: Incoming,
    asked: Arc<AtomicBool>,
}

/// Whether the client waits to be asked for its body.
pub(crate) fn waits(request: &Request<Incoming>) -> bool {
    let expects = request.headers().get(header::EXPECT);
    expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && !request.body().is_end_stream()
}

/// The body of a client that [`waits`], and what tells whether it was asked for.
pub(crate) fn watch(body: Incoming) -> (Awaited, Arc<AtomicBool>) {
    let asked = Arc::new(AtomicBool::new(false));
    (Awaited { body, asked: Arc::clone(&asked) }, asked)
}

/// Ends the connection with this answer if the body never was asked for.
pub(crate) fn settle<B>(response: &mut Response<B>, asked: &AtomicBool) {
    if !asked.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

impl Body for Awaited {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.asked.store(true, Ordering::Relaxed);
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
