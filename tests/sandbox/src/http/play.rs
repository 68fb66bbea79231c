//! Plays one fault on one request.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, Response};
use axum::middleware::Next;

use super::around::{Ending, Known, Place};
use super::{spoil, vendor};
use crate::world::Fault;

/// Longer requests are not delivered twice.
const LONGEST: usize = 8 << 20;

/// Nothing was done, in the response's extensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undone;

/// The answer of `next` as the fault leaves it.
pub(super) async fn on(
    place: &Arc<Place>,
    known: &Known,
    fault: Option<Fault>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let service = place.service;
    match fault {
        None | Some(Fault::Lie { .. }) => answer(place, known, request, next).await,
        Some(Fault::Latency { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            answer(place, known, request, next).await
        }
        Some(Fault::Status { status, body, retry_after }) => {
            vendor::refusal(service, status, body, retry_after)
        }
        Some(Fault::HtmlPage { status }) => vendor::page(status),
        Some(Fault::ExpireToken) => vendor::expired(service),
        Some(Fault::RevokeKey) => vendor::revoked(service),
        Some(Fault::Reject { reason }) => vendor::rejected(service, &reason),
        Some(Fault::DropBefore) => undone(Ending::Cut),
        Some(Fault::Reset { after: false }) => undone(Ending::Reset),
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::StaleRead) if known.method == Method::GET => match place.memory.stale(&known.key()) {
            Some(stale) => stale,
            None => answer(place, known, request, next).await,
        },
        Some(Fault::Duplicate) => twice(request, next).await,
        Some(fault) => spoilt(answer(place, known, request, next).await, &fault).await,
    }
}

/// What happens to an answer whose effect is there.
async fn spoilt(response: Response<Body>, fault: &Fault) -> Response<Body> {
    match fault {
        Fault::DropAfter => ended(response, Ending::Cut),
        Fault::Reset { .. } => ended(response, Ending::Reset),
        Fault::Truncate { bytes } => spoil::truncated(response, *bytes),
        Fault::HalfBody { fraction } => spoil::part(response, *fraction),
        Fault::SlowBody { bytes_per_second } => spoil::slow(response, *bytes_per_second),
        Fault::Corrupt => spoil::corrupted(response),
        Fault::CorruptBackup { how } => spoil::damaged(response, *how).await,
        // What is drawn is drawn before it comes here.
        _ => response,
    }
}

async fn answer(place: &Arc<Place>, known: &Known, request: Request, next: Next) -> Response<Body> {
    if known.method != Method::GET || place.service == "control" {
        return next.run(request).await;
    }
    let (effects, key) = (place.memory.effects(), known.key());
    place.memory.keep(&key, effects, next.run(request).await).await
}

/// Delivers the request, throws the answer away, and delivers it again.
async fn twice(request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST).await else {
        return vendor::page(413);
    };
    let again = |body: Bytes| Request::from_parts(parts.clone(), Body::from(body));
    let first = next.clone().run(again(body.clone())).await;
    tracing::debug!(status = first.status().as_u16(), "delivered once, and again");
    next.run(again(body)).await
}

fn undone(ending: Ending) -> Response<Body> {
    let mut response = ended(Response::new(Body::empty()), ending);
    // So that nothing is taken for an effect.
    *response.status_mut() = axum::http::StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(Undone);
    response
}

fn ended(mut response: Response<Body>, ending: Ending) -> Response<Body> {
    response.extensions_mut().insert(ending);
    response
}
