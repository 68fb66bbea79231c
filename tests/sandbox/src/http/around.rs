//! What surrounds every handler: the fault that is due is played, what was asked is noted, what changed something is written
//! into the journal. It runs behind the routing, so that a call is known by its route.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use axum::middleware::Next;
use serde_json::Value;

use super::memory::Memory;
use super::{Call, Caller, Limited, Resource, play, vendor};
use crate::world::faults::Asked;
use crate::world::journal::{Credential, Draft, Evidence, Seen, change};
use crate::world::{Fault, World};

/// Said where no route matched.
const UNMATCHED: &str = "unmatched";

/// How the connection ends after this answer, in the response's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Cut, without another byte.
    Cut,
    /// Reset.
    Reset,
}

/// One service.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) world: Arc<World>,
    pub(super) service: &'static str,
    pub(super) memory: Memory,
}

/// What is known of a request before it is answered.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) method: Method,
    path: String,
    query: String,
    /// `POST /v1/apps/x/addons`.
    call: String,
    /// `/v1/apps/{app}/addons`.
    route: String,
    agent: String,
    host: String,
    credential: Option<Credential>,
}

/// The layer.
pub(super) async fn around(State(place): State<Arc<Place>>, request: Request, next: Next) -> Response<Body> {
    let known = Known::of(&request);
    let fault = place.fault(&known);
    let before = place.witness(&known);
    let mut response = play::on(&place, &known, fault.clone(), request, next).await;
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().entry(header::HeaderName::from_static("x-request-id")).or_insert(id);
    }
    place.note(&known, fault.as_ref(), &response);
    if !known.is_read() {
        if response.status().is_success() {
            place.memory.changed();
        }
        place.record(known, fault.as_ref(), before.as_ref(), &response);
    }
    response
}

impl Known {
    fn of(request: &Request) -> Self {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let matched = request.extensions().get::<MatchedPath>();
        let route = matched.map_or_else(|| UNMATCHED.to_owned(), |path| path.as_str().to_owned());
        let headers = request.headers();
        let shown = text(headers, &header::AUTHORIZATION);
        Self {
            call: format!("{method} {path}"),
            query: request.uri().query().unwrap_or_default().to_owned(),
            agent: text(headers, &header::USER_AGENT),
            host: text(headers, &header::HOST),
            credential: Credential::of_header(&shown),
            method,
            path,
            route,
        }
    }

    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// What tells one GET from another: where, with which parameters, by whom.
    pub(super) fn key(&self) -> String {
        let who = self
            .credential
            .as_ref()
            .map_or("", |one| if one.id.is_empty() { &one.fingerprint } else { &one.id });
        format!("{who} {}?{}", self.path, self.query)
    }

    /// The app that the path names.
    fn app(&self) -> Option<&str> {
        let (_, rest) = self.path.split_once("/apps/")?;
        rest.split('/').next().filter(|name| !name.is_empty())
    }
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().chars().take(2_048).collect()
}

impl Place {
    /// The fault that is due. The control API is how faults are taken back: it never suffers from them.
    fn fault(&self, known: &Known) -> Option<Fault> {
        if self.service == "control" {
            return None;
        }
        let by_route = format!("{} {}", known.method, known.route);
        let credential = known.credential.as_ref().map_or(["", ""], |one| [&one.id, &one.fingerprint]);
        self.world.faults.take_call(&Asked {
            service: self.service,
            method: known.method.as_str(),
            path: &known.path,
            calls: [&known.call, &by_route],
            credential,
        })
    }

    /// What the service holds, where the request is going to change it.
    fn witness(&self, known: &Known) -> Option<Value> {
        let mints = known.route.ends_with("/token") || known.route.contains("/tokens");
        if known.is_read() || mints || self.service == "control" {
            return None;
        }
        let all = self.world.journal.witness(self.service)?;
        Some(change::about(all, known.app()))
    }

    fn note(&self, known: &Known, fault: Option<&Fault>, response: &Response<Body>) {
        self.world.journal.saw(&Seen {
            service: self.service,
            method: known.method.to_string(),
            route: known.route.clone(),
            status: status(response),
            agent: known.agent.clone(),
            host: known.host.clone(),
            caller: response.extensions().get::<Caller>().map(|caller| caller.0.clone()).unwrap_or_default(),
            credential: known.credential.clone(),
            limited: response.extensions().get::<Limited>().is_some(),
            path: known.path.clone(),
            query: known.query.clone(),
            played: fault.is_some_and(|fault| fault.latency().is_none()),
            minute: self.world.clock.elapsed().as_secs() / 60,
        });
    }

    fn record(&self, known: Known, fault: Option<&Fault>, before: Option<&Value>, response: &Response<Body>) {
        let extensions = response.extensions();
        let (was, is) = match (before, self.witness(&known)) {
            (Some(before), Some(after)) => change::between(before, &after),
            _ => (None, None),
        };
        let draft = Draft {
            service: self.service,
            call: extensions.get::<Call>().map_or(known.call, |call| call.0.clone()),
            caller: extensions.get::<Caller>().map(|caller| caller.0.clone()).unwrap_or_default(),
            resource: extensions.get::<Resource>().map(|what| what.0.clone()).unwrap_or_default(),
            status: status(response),
            fault: fault.map(vendor::name),
        };
        let some = |text: String| (!text.is_empty()).then_some(text);
        let evidence = Evidence {
            route: Some(format!("{} {}", known.method, known.route)),
            agent: some(known.agent),
            credential: known.credential.map(|credential| credential.fingerprint),
            host: some(known.host),
            before: was,
            after: is,
        };
        self.world.journal.record_with(draft, evidence);
    }
}

/// The status, or 0 where nothing was done and nothing is answered.
fn status(response: &Response<Body>) -> u16 {
    if response.extensions().get::<play::Undone>().is_some() { 0 } else { response.status().as_u16() }
}
