//! Answers that arrive spoilt: cut short, or with flipped bits. The announced length stays what it was, as on a bad line.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures::StreamExt;
use hyper::body::Body as _;

use crate::seed::corrupt;
use crate::world::faults::Damage;

/// Longer downloads are not damaged.
pub(crate) const LONGEST: usize = 256 << 20;

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

/// The same answer of which only `fraction` of the body arrives.
pub(super) fn part(response: Response<Body>, fraction: f64) -> Response<Body> {
    let announced =
        response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length = response.body().size_hint().exact().or(announced);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of a length, between nothing and the whole"
    )]
    let bytes = length.map_or(0, |length: u64| (length as f64 * fraction) as u64);
    truncated(response, bytes)
}

/// The same answer, sent in pieces of a tenth of a second.
pub(super) fn slow(response: Response<Body>, bytes_per_second: u64) -> Response<Body> {
    let piece = usize::try_from(bytes_per_second.div_ceil(10)).unwrap_or(usize::MAX).max(1);
    reshaped(response, |body| {
        let pieces = body.into_data_stream().flat_map(move |chunk| match chunk {
            Ok(data) => {
                let cuts = (0..data.len()).step_by(piece);
                let pieces: Vec<_> = cuts.map(|at| Ok(data.slice(at..data.len().min(at + piece)))).collect();
                futures::stream::iter(pieces)
            }
            Err(error) => futures::stream::iter(vec![Err(error)]),
        });
        Body::from_stream(pieces.then(|piece| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            piece
        }))
    })
}

/// A whole download damaged in the way `how`; parts and refusals are left alone.
pub(super) async fn damaged(response: Response<Body>, how: Damage) -> Response<Body> {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = axum::body::to_bytes(body, LONGEST).await else {
        return super::vendor::page(502);
    };
    let bytes = damage(&whole, how);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    Response::from_parts(parts, Body::from(bytes))
}

/// `whole` damaged in the way `how`. What is no backup has no inside to be damaged: of it a half is left.
pub(crate) fn damage(whole: &[u8], how: Damage) -> Vec<u8> {
    let damaged = match how {
        Damage::Truncated => Ok(corrupt::truncate(whole)),
        Damage::ShortByOne => Ok(corrupt::short_by_one(whole)),
        Damage::FlippedGzip => Ok(corrupt::flip_gzip(whole)),
        Damage::FlippedData => corrupt::flip_data(whole),
        Damage::FlippedUncompressed => corrupt::flip_uncompressed(whole),
        Damage::SchemaOnly => corrupt::schema_only(whole),
        Damage::CutDump => corrupt::cut_dump(whole),
        Damage::BadToc => corrupt::bad_toc(whole),
        Damage::TooNew => corrupt::too_new(whole),
        Damage::EmptyDump => corrupt::empty_dump(whole),
        Damage::PlainSql => corrupt::plain_sql(whole),
        Damage::HtmlPage => Ok(corrupt::html_page()),
        Damage::Empty => Ok(corrupt::zero()),
    };
    damaged.unwrap_or_else(|error| {
        tracing::warn!(%error, "what was downloaded is no backup: it is cut in half instead");
        corrupt::truncate(whole)
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
