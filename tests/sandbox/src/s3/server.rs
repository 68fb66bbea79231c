//! HTTP: accepts connections, lets the protocol library answer, and finishes what it leaves open: request ids, error bodies
//! with a message, the status of `RestoreObject`, the journal, and faults that cut connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use s3s::{Body, HttpResponse};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::cors::{self, Foreign};
use super::form;
use super::host::Hosts;
use super::interleave::Order;
use super::inventory;
use super::keys::is_read;
use super::location;
use super::play;
use super::presigned;
use super::store::Store;
use super::tidy::tidy;
use super::trace::{Notes, Peer, Trace};
use crate::http::expect;
use crate::http::line::{Line, Wish};
use crate::world::journal::{Credential, Draft, Evidence, Seen, change};
use crate::world::{Fault, World};

pub(crate) mod words;

/// Put by an operation into its answer where the library would send 200.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status(pub(crate) StatusCode);

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cutting the connection")]
struct Cut;

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Front {
    /// The world.
    pub(crate) world: Arc<World>,
    /// The endpoint's name in the journal.
    pub(crate) service: &'static str,
    /// The region, named in some refusals.
    pub(crate) region: Arc<str>,
    /// What it holds, for the journal.
    pub(crate) store: Arc<Store>,
    /// Which names are a bucket's.
    pub(crate) hosts: Arc<Hosts>,
    /// The protocol.
    pub(crate) protocol: S3Service,
    /// Numbers the requests.
    pub(crate) requests: Arc<AtomicU64>,
}

/// What a request says of its sender.
struct Shown {
    agent: String,
    host: String,
    credential: Option<Credential>,
    query: String,
}

impl Shown {
    fn of(request: &Request<Body>) -> Self {
        let text = |name: HeaderName| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        Self {
            query: request.uri().query().unwrap_or_default().to_owned(),
            agent: text(USER_AGENT).chars().take(512).collect(),
            host: text(HOST).to_owned(),
            credential: Credential::of_header(text(AUTHORIZATION)),
        }
    }
}

/// Binds a port and serves until the sandbox stops.
pub(crate) async fn serve(front: Front) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let world = Arc::clone(&front.world);
    world.tasks.spawn("s3", accept(listener, front));
    Ok(address)
}

async fn accept(listener: TcpListener, front: Front) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                front.world.tasks.spawn("s3-connection", connection(stream, Peer(peer.ip()), front.clone()));
            }
            Err(error) => {
                // Out of descriptors, mostly: others must close first.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: Peer, front: Front) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off delays");
    }
    let wish = Wish::default();
    let asked = wish.clone();
    let service = hyper::service::service_fn(move |request| {
        let (front, wish) = (front.clone(), asked.clone());
        async move { front.answer(request, &wish, peer).await }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new());
    let line = TokioIo::new(Line::new(stream, wish));
    if let Err(error) = builder.serve_connection(line, service).await {
        tracing::debug!(%error, "connection ended early");
    }
}

/// Bucket and key of a resource.
fn place(resource: &str) -> Option<(&str, &str)> {
    resource.strip_prefix('/').and_then(|place| place.split_once('/'))
}

/// While the world is being replaced there is nothing to ask.
fn replaced(resource: &str) -> HttpResponse {
    let escaped = resource.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>ServiceUnavailable</Code><Message>Please reduce your request \
         rate.</Message><Resource>{escaped}</Resource></Error>"
    );
    let mut response = HttpResponse::new(Body::from(body));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/xml"));
    response.headers_mut().insert("retry-after", hyper::header::HeaderValue::from_static("1"));
    response
}

impl Front {
    /// One request. An error cuts the connection.
    async fn answer(&self, request: Request<Incoming>, wish: &Wish, peer: Peer) -> Result<HttpResponse, Cut> {
        if !expect::waits(&request) {
            return self.exchange(request.map(Body::from), wish, peer).await;
        }
        let (head, body) = request.into_parts();
        let (body, asked) = expect::watch(body);
        let request = Request::from_parts(head, Body::http_body_unsync(body));
        let mut response = self.exchange(request, wish, peer).await?;
        expect::settle(&mut response, &asked);
        Ok(response)
    }

    async fn exchange(
        &self,
        mut request: Request<Body>,
        wish: &Wish,
        peer: Peer,
    ) -> Result<HttpResponse, Cut> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let shown = Shown::of(&request);
        let trace = Trace::default();
        presigned::unfold(&mut request);
        tidy(&mut request);
        let foreign = Foreign::of(&request, &self.hosts);
        request.extensions_mut().insert(trace.clone());
        request.extensions_mut().insert(peer);
        let Some(response) = self.world.gate.pass(self.serve(request, &trace)).await else {
            return Ok(replaced(&path));
        };
        let mut response = response?;
        let notes = trace.take();
        if notes.operation == "PostObject"
            && let Some((_, key)) = place(&notes.resource)
        {
            let location = location::inside(&location::of(&shown.host, &path), key);
            words::locate(&mut response, &location);
        }
        self.saw(&method, &path, &shown, &notes, response.status());
        self.record(&method, &path, shown, &notes, response.status());
        let mut response = self.finish(response, &path);
        if let Some(foreign) = foreign.filter(|_| method != Method::OPTIONS) {
            foreign.admit(&self.store, method.as_str(), response.headers_mut());
        }
        if notes.operation != "GetObject" {
            words::escape_controls(&mut response);
        }
        match notes.fault {
            Some(Fault::Reset { .. }) => {
                wish.reset();
                Err(Cut)
            }
            Some(fault) if play::cuts(&fault) => Err(Cut),
            Some(fault) => Ok(play::after(response, &fault).await),
            None => Ok(response),
        }
    }

    /// What the protocol answers, or a browser's question about it.
    async fn serve(&self, request: Request<Body>, trace: &Trace) -> Result<HttpResponse, Cut> {
        if request.method() == Method::OPTIONS {
            trace.identify("Preflight", "anonymous", request.uri().path());
            return Ok(cors::preflight(&request, &self.store, &self.hosts));
        }
        let request = form::expand(request).await;
        self.protocol.call(request).await.map_err(|_| Cut)
    }

    /// Notes the request, whatever it is.
    fn saw(&self, method: &Method, path: &str, shown: &Shown, notes: &Notes, status: StatusCode) {
        let unknown = || "unidentified".to_owned();
        self.world.journal.saw(&Seen {
            service: self.service,
            method: method.to_string(),
            route: if notes.operation.is_empty() { unknown() } else { notes.operation.clone() },
            status: status.as_u16(),
            agent: shown.agent.clone(),
            host: shown.host.clone(),
            caller: notes.caller.clone(),
            credential: shown.credential.clone(),
            limited: false,
            path: path.to_owned(),
            query: shown.query.clone(),
            played: notes.fault.as_ref().is_some_and(|fault| fault.latency().is_none()),
            minute: self.world.clock.elapsed().as_secs() / 60,
        });
    }

    fn record(&self, method: &Method, path: &str, shown: Shown, notes: &Notes, status: StatusCode) {
        let is_identified = !notes.operation.is_empty();
        let reads = if is_identified {
            is_read(&notes.operation)
        } else {
            matches!(*method, Method::GET | Method::HEAD)
        };
        if reads {
            return;
        }
        let or = |text: &str, other: &str| if is_identified { text.to_owned() } else { other.to_owned() };
        let draft = Draft {
            service: self.service,
            call: or(&notes.operation, method.as_str()),
            caller: or(&notes.caller, "unknown"),
            resource: or(&notes.resource, path),
            status: status.as_u16(),
            fault: notes.fault.as_ref().map(play::name),
        };
        let Shown { agent, host, credential, query: _ } = shown;
        let credential = credential.map(|credential| credential.fingerprint);
        let (before, after) = if status.is_success() { self.changed(notes) } else { (None, None) };
        let evidence =
            Evidence { agent: Some(agent), host: Some(host), credential, before, after, route: None };
        self.world.journal.record_with(draft, evidence);
    }

    /// What the request found in its place and what it left there, if that is not the same.
    fn changed(&self, notes: &Notes) -> (Option<Value>, Option<Value>) {
        let after = notes.after.clone().unwrap_or_else(|| inventory::at(&self.store, &notes.resource));
        change::between(&notes.before, &after)
    }

    fn finish(&self, mut response: HttpResponse, resource: &str) -> HttpResponse {
        if let Some(Status(status)) = response.extensions().get().copied() {
            *response.status_mut() = status;
        }
        if let Some(order) = response.extensions_mut().remove::<Order>() {
            order.apply(response.body_mut());
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let id = format!("tx{number:020x}-{:010x}", self.world.clock.wall().timestamp());
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            words::complete_error(&mut response, &self.region, resource, &id);
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(HeaderName::from_static("x-amz-id-2"), id.clone());
            response.headers_mut().insert(HeaderName::from_static("x-amz-request-id"), id);
        }
        response
    }
}
