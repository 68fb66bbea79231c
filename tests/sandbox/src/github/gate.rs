//! What happens around every call: identity, version, limits, conditional requests, headers.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, SERVER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::Github;
use super::access::{Caller, Refusal, VERSIONS, identify};
use super::json::error;
use super::limits::Decision;

/// Longest answer that is hashed for its `ETag`; pages of a hundred runs are well below.
const MAX_ANSWER: usize = 16 << 20;

/// Rights that a call needs of a fine-grained token.
const ACCEPTED: HeaderName = HeaderName::from_static("x-accepted-github-permissions");

/// What the handlers learn of a request that may go on.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    /// Who calls.
    pub(super) caller: Caller,
    /// By which API version.
    pub(super) version: &'static str,
    /// The base of the URLs that they are told.
    pub(super) api: String,
}

/// An error in the vendor's shape.
pub(super) fn failure(status: StatusCode, message: &str) -> Response {
    (status, Json(error(status.as_u16(), message))).into_response()
}

/// The layer around all routes.
pub(super) async fn gate(State(github): State<Arc<Github>>, mut request: Request, next: Next) -> Response {
    let identified = {
        let tokens = github.tokens.read().unwrap_or_else(PoisonError::into_inner);
        identify(request.headers(), &tokens)
    };
    let (caller, version) = match identified {
        Ok(known) => known,
        Err(refusal) => {
            let mut response = refused(refusal);
            if refusal != Refusal::NoUserAgent {
                decorate(&github, &Caller::Anonymous, VERSIONS[0], response.headers_mut());
            }
            return response;
        }
    };
    let free = request.uri().path() == "/rate_limit";
    let decision = if free {
        Decision::Go
    } else {
        let now = github.world.clock.elapsed();
        github.limits().take(&caller, request.method().is_safe(), now)
    };
    let condition = request.headers().get(IF_NONE_MATCH).cloned();
    let (readable, safe) = (*request.method() == Method::GET, request.method().is_safe());
    let api = github.base_for(request.headers());
    request.extensions_mut().insert(Admitted { caller: caller.clone(), version, api });
    let mut response = match limited(&github, decision) {
        Some(response) => response,
        None => next.run(request).await,
    };
    if readable && response.status() == StatusCode::OK {
        response = conditional(&github, &caller, response, condition.as_ref()).await;
    }
    decorate(&github, &caller, version, response.headers_mut());
    let needs = if safe { "actions=read" } else { "actions=write" };
    response.headers_mut().insert(ACCEPTED, HeaderValue::from_static(needs));
    response.extensions_mut().insert(crate::http::Caller(caller.label().to_owned()));
    response
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoUserAgent => (
            StatusCode::FORBIDDEN,
            "\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header.\n",
        )
            .into_response(),
        Refusal::Version => failure(StatusCode::BAD_REQUEST, "The requested API version is not supported."),
        Refusal::BadCredentials => failure(StatusCode::UNAUTHORIZED, "Bad credentials"),
    }
}

fn limited(github: &Github, decision: Decision) -> Option<Response> {
    match decision {
        Decision::Go => None,
        Decision::Primary => Some(too_many("API rate limit exceeded")),
        Decision::Secondary(wait) => {
            let seconds = wait.div_f64(github.world.clock.speed()).as_secs() + 1;
            let mut response = too_many("You have exceeded a secondary rate limit");
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            Some(response)
        }
    }
}

/// The vendor says 403, not 429.
fn too_many(message: &str) -> Response {
    let mut response = failure(StatusCode::FORBIDDEN, message);
    response.extensions_mut().insert(crate::http::Limited);
    response
}

/// Adds the `ETag`, or answers 304 without a body to who already has it.
async fn conditional(
    github: &Github,
    caller: &Caller,
    response: Response,
    condition: Option<&HeaderValue>,
) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_ANSWER).await else {
        return failure(StatusCode::BAD_GATEWAY, "Server Error");
    };
    let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(&bytes)));
    let known = condition.and_then(|value| value.to_str().ok()).is_some_and(|given| matches(given, &tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(ETAG, value);
    }
    if !known {
        return Response::from_parts(parts, Body::from(bytes));
    }
    if matches!(caller, Caller::User(_)) {
        github.limits().give_back(caller);
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(axum::http::header::CONTENT_TYPE);
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

/// Weak comparison over the list that `If-None-Match` may be.
fn matches(given: &str, tag: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches("W/").to_owned();
    given.split(',').any(|one| one.trim() == "*" || bare(one) == bare(tag))
}

fn decorate(github: &Github, caller: &Caller, version: &'static str, headers: &mut HeaderMap) {
    let shown = github.limits().shown(caller, github.world.clock.elapsed());
    let left = shown.resets_in.div_f64(github.world.clock.speed());
    let reset = github.world.clock.wall().timestamp().unsigned_abs() + left.as_secs() + 1;
    let numbers = [
        ("x-ratelimit-limit", u64::from(shown.limit)),
        ("x-ratelimit-remaining", u64::from(shown.limit.saturating_sub(shown.used))),
        ("x-ratelimit-used", u64::from(shown.used)),
        ("x-ratelimit-reset", reset),
    ];
    for (name, number) in numbers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
    }
    let texts = [
        ("x-ratelimit-resource", "core"),
        ("x-github-media-type", "github.v3; format=json"),
        ("x-github-api-version-selected", version),
    ];
    for (name, text) in texts {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(text));
    }
    headers.insert(SERVER, HeaderValue::from_static("github.com"));
    if headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    if let Ok(id) = HeaderValue::from_str(&github.world.ids.hex(32)) {
        headers.insert(HeaderName::from_static("x-github-request-id"), id);
    }
}
