//! Answers that arrive spoilt: cut short, or with flipped bits. The announced length stays what it was, as on a bad line.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use futures::StreamExt;
use hyper::body::Body as _;

/// The same answer of which only `bytes` bytes of the body arrive before the connection is cut.
pub(super) fn truncated(response: Response<Body>, bytes: u64) -> Response<Body> {
    reshaped(response, |body| {
        let chunks = body.into_data_stream().scan(bytes, |left, chunk| {
            let next = chunk.map_err(std::io::Error::other).map(|mut data| {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                data
            });
            let over = next.as_ref().is_ok_and(Bytes::is_empty);
            std::future::ready((!over).then_some(next))
        });
        let cut = futures::stream::once(async {
            // What was written is on its way before the connection is cut, as on a real line.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
        });
        Body::from_stream(chunks.chain(cut))
    })
}

/// The same answer with a bit flipped in the middle of each piece of its body.
pub(super) fn corrupted(response: Response<Body>) -> Response<Body> {
    reshaped(response, |body| {
        Body::from_stream(body.into_data_stream().map(|chunk| chunk.map(|data| flip(&data))))
    })
}

fn flip(chunk: &Bytes) -> Bytes {
    let mut data = chunk.to_vec();
    let middle = data.len() / 2;
    if let Some(byte) = data.get_mut(middle) {
        *byte ^= 0x10;
    }
    data.into()
}

/// Replaces the body, which loses its length, and keeps the length in the headers.
fn reshaped(response: Response<Body>, change: impl FnOnce(Body) -> Body) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, change(body))
}
