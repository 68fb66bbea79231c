//! The HTTP side: paths, credentials, rate limits, status codes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::{LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::{Identity, identify};
use super::model::Record;
use super::store::{Accepted, Refusal, Store};
use crate::http::{Caller, Resource};
use crate::window::Window;
use crate::world::{Fault, World};

const MINUTE: Duration = Duration::from_mins(1);

/// What the handlers share.
#[derive(Debug)]
pub struct Service {
    world: Arc<World>,
    store: Arc<Store>,
    account: String,
    token: String,
    limits: Mutex<Limits>,
}

/// Requests per minute of world time.
#[derive(Debug)]
struct Limits {
    nobody: Window,
    safe: Window,
    write: Window,
}

impl Service {
    /// The one account of this world behind its one token.
    pub fn new(world: &Arc<World>, store: &Arc<Store>, account: &str, token: &str) -> Arc<Self> {
        let limits = Limits {
            nobody: Window::new(10, MINUTE),
            safe: Window::new(250, MINUTE),
            write: Window::new(50, MINUTE),
        };
        Arc::new(Self {
            world: Arc::clone(world),
            store: Arc::clone(store),
            account: account.to_owned(),
            token: token.to_owned(),
            limits: Mutex::new(limits),
        })
    }

    fn admit(&self, identity: &Identity, method: &Method) -> bool {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let window = match identity {
            Identity::Nobody => &mut limits.nobody,
            Identity::Profile { .. } if method.is_safe() => &mut limits.safe,
            Identity::Profile { .. } => &mut limits.write,
        };
        window.take(1, self.world.clock.elapsed())
    }

    /// A fault of ours that the shared layer does not know: a creation that does not say what it created.
    fn forgets_location(&self) -> bool {
        let fault = self.world.faults.take("alwaysdata", "location", "/v1/record/");
        matches!(fault, Some(Fault::Reject { .. }))
    }
}

/// All routes.
pub fn router(service: Arc<Service>) -> Router {
    let record = get(show_record).put(put_record).patch(patch_record).delete(delete_record);
    Router::new()
        .route("/v1/domain/", get(list_domains))
        .route("/v1/domain/{id}/", get(show_domain))
        .route("/v1/domain/{id}/whois/", post(whois))
        .route("/v1/record/", get(list_records).post(create_record))
        .route("/v1/record/{id}/", record)
        .fallback(elsewhere)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&service), guard))
        .with_state(service)
}

type Shared = State<Arc<Service>>;
type Filter = Query<HashMap<String, String>>;

/// Credentials and limits, before anything else.
async fn guard(State(service): Shared, mut request: axum::extract::Request, next: Next) -> Response {
    let identity = identify(request.headers(), &service.token, &service.account);
    if !service.admit(&identity, request.method()) {
        let mut refused = StatusCode::TOO_MANY_REQUESTS.into_response();
        refused.extensions_mut().insert(crate::http::Limited);
        return refused;
    }
    let Identity::Profile { sees } = identity else {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"alwaysdata API\"")])
            .into_response();
    };
    request.extensions_mut().insert(InView(sees));
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Caller(service.account.clone()));
    response
}

/// Whether the chosen account is the one whose resources exist.
#[derive(Debug, Clone, Copy)]
struct InView(bool);

type View = axum::Extension<InView>;

async fn list_domains(State(service): Shared, view: View, Query(filter): Filter) -> Json<Vec<Value>> {
    let name = filter.get("name").map_or("", String::as_str);
    let domains = if view.0.0 { service.store.domains(name) } else { Vec::new() };
    Json(domains.iter().map(super::model::Domain::to_json).collect())
}

async fn show_domain(State(service): Shared, view: View, Path(id): Path<String>) -> Response {
    let found = service.store.domains("").into_iter().find(|domain| view.0.0 && domain.id.to_string() == id);
    found.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |domain| Json(domain.to_json()).into_response(),
    )
}

async fn whois(State(service): Shared, view: View, Path(id): Path<String>) -> Response {
    let found = service.store.domains("").into_iter().find(|domain| view.0.0 && domain.id.to_string() == id);
    found.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |domain| format!("domain: {}\nstatus: active\n", domain.name).into_response(),
    )
}

async fn list_records(State(service): Shared, view: View, Query(filter): Filter) -> Json<Vec<Value>> {
    let records = if view.0.0 { service.store.records() } else { Vec::new() };
    let kept = records.iter().filter(|(record, _)| passes(record, &filter));
    Json(kept.map(|(record, active)| record.to_json(*active)).collect())
}

/// Texts match where they are contained, as with domains; the rest must be equal.
fn passes(record: &Record, filter: &HashMap<String, String>) -> bool {
    filter.iter().all(|(field, wanted)| match field.as_str() {
        "domain" => record.domain.to_string() == *wanted,
        "type" => record.kind == *wanted,
        "ttl" => record.ttl.to_string() == *wanted,
        "name" => record.name.contains(wanted.as_str()),
        "value" => record.value.contains(wanted.as_str()),
        "annotation" => record.annotation.contains(wanted.as_str()),
        _ => true,
    })
}

async fn show_record(State(service): Shared, view: View, Path(id): Path<String>) -> Response {
    let records = service.store.records();
    match records.iter().find(|(record, _)| view.0.0 && record.id.to_string() == id) {
        Some((record, active)) => Json(record.to_json(*active)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn create_record(State(service): Shared, view: View, headers: HeaderMap, body: Bytes) -> Response {
    if !view.0.0 {
        return invalid(&json!({"domain": ["Select a valid choice: that domain is not one of yours."]}));
    }
    match service.store.create(&body, is_synchronous(&headers)) {
        Ok(accepted) => {
            let location = format!("/v1/record/{}/", accepted.id);
            let mut response = finish(accepted, &headers, StatusCode::CREATED).await;
            if !service.forgets_location()
                && let Ok(value) = location.parse()
            {
                response.headers_mut().insert(LOCATION, value);
            }
            response
        }
        Err(refusal) => refused(refusal),
    }
}

async fn put_record(
    State(service): Shared,
    view: View,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change(&service, view, &id, &headers, &body, true).await
}

async fn patch_record(
    State(service): Shared,
    view: View,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change(&service, view, &id, &headers, &body, false).await
}

async fn change(
    service: &Service,
    view: View,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
    whole: bool,
) -> Response {
    let Some(id) = in_view(view, id) else { return StatusCode::NOT_FOUND.into_response() };
    match service.store.change(id, body, whole, is_synchronous(headers)) {
        Ok(accepted) => finish(accepted, headers, StatusCode::NO_CONTENT).await,
        Err(refusal) => refused(refusal),
    }
}

async fn delete_record(
    State(service): Shared,
    view: View,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(id) = in_view(view, &id) else { return StatusCode::NOT_FOUND.into_response() };
    match service.store.delete(id, is_synchronous(&headers)) {
        Ok(accepted) => finish(accepted, &headers, StatusCode::NO_CONTENT).await,
        Err(refusal) => refused(refusal),
    }
}

fn in_view(view: View, id: &str) -> Option<u64> {
    id.parse().ok().filter(|_| view.0.0)
}

/// An empty answer, after the effect if the caller wants to wait for it.
async fn finish(accepted: Accepted, headers: &HeaderMap, status: StatusCode) -> Response {
    let resource = Resource(accepted.label.clone());
    if is_synchronous(headers) {
        accepted.executed().await;
    }
    let mut response = (status, Body::empty()).into_response();
    response.extensions_mut().insert(resource);
    response
}

/// Clients send `yes` or `true`; the default is to return before the effect.
fn is_synchronous(headers: &HeaderMap) -> bool {
    let said = headers.get("alwaysdata-synchronous").and_then(|value| value.to_str().ok()).unwrap_or("no");
    matches!(said.to_ascii_lowercase().as_str(), "yes" | "true" | "1")
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Unknown => StatusCode::NOT_FOUND.into_response(),
        Refusal::Invalid(complaints) => invalid(&json!(complaints)),
    }
}

fn invalid(complaints: &Value) -> Response {
    (StatusCode::BAD_REQUEST, Json(complaints)).into_response()
}

/// A reader who forgot the trailing slash is sent there; a writer is told that there is nothing.
async fn elsewhere(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    if method.is_safe() && !path.ends_with('/') && path.starts_with("/v1/") {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return (StatusCode::MOVED_PERMANENTLY, [(LOCATION, format!("{path}/{query}"))]).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}
