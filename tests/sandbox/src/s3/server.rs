//! HTTP: accepts connections, lets the protocol library answer, and finishes what it leaves open: request ids, error bodies
//! with a message, the status of `RestoreObject`, the journal, and faults that cut connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use s3s::{Body, HttpResponse};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::interleave::Order;
use super::inventory;
use super::keys::is_read;
use super::play;
use super::presigned;
use super::store::Store;
use super::trace::{Notes, Peer, Trace};
use crate::http::expect;
use crate::http::line::{Line, Wish};
use crate::world::journal::{Credential, Draft, Evidence, Seen, change};
use crate::world::{Fault, World};

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
}

impl Shown {
    fn of(headers: &hyper::HeaderMap) -> Self {
        let text =
            |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self {
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
        let shown = Shown::of(request.headers());
        let trace = Trace::default();
        presigned::unfold(&mut request);
        request.extensions_mut().insert(trace.clone());
        request.extensions_mut().insert(peer);
        let Some(response) = self.world.gate.pass(self.protocol.call(request)).await else {
            return Ok(replaced(&path));
        };
        let response = response.map_err(|_| Cut)?;
        let notes = trace.take();
        self.saw(&method, &shown, &notes, response.status());
        self.record(&method, &path, shown, &notes, response.status());
        let mut response = self.finish(response, &path);
        if notes.operation != "GetObject" {
            escape_controls(&mut response);
        }
        match notes.fault {
            Some(Fault::Reset { .. }) => {
                wish.reset();
                Err(Cut)
            }
            Some(fault) if play::cuts(&fault) => Err(Cut),
            Some(fault) => Ok(play::after(response, &fault)),
            None => Ok(response),
        }
    }

    /// Notes the request, whatever it is.
    fn saw(&self, method: &Method, shown: &Shown, notes: &Notes, status: StatusCode) {
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
            query: String::new(),
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
        let Shown { agent, host, credential } = shown;
        let credential = credential.map(|credential| credential.fingerprint);
        let (before, after) = self.changed(notes);
        let evidence =
            Evidence { agent: Some(agent), host: Some(host), credential, before, after, route: None };
        self.world.journal.record_with(draft, evidence);
    }

    /// What the request found under its key and what it left there, if that is not the same.
    fn changed(&self, notes: &Notes) -> (Option<Value>, Option<Value>) {
        let place = notes.resource.strip_prefix('/').and_then(|place| place.split_once('/'));
        let after = place.map_or(Value::Null, |(bucket, key)| inventory::object(&self.store, bucket, key));
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
            self.complete_error(&mut response, resource, &id);
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(HeaderName::from_static("x-amz-id-2"), id.clone());
            response.headers_mut().insert(HeaderName::from_static("x-amz-request-id"), id);
        }
        response
    }

    /// Adds to an error document what the library leaves out.
    fn complete_error(&self, response: &mut HttpResponse, resource: &str, id: &str) {
        response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/xml"));
        let Some(body) = response.body().bytes() else { return };
        let Some(text) = std::str::from_utf8(&body).ok().filter(|text| text.ends_with("</Error>")) else {
            return;
        };
        let code = element(text, "Code").unwrap_or("InternalError");
        let mut added = String::new();
        if element(text, "Message").is_none() {
            added = format!("<Message>{}</Message>", message(code));
        }
        if code == "AuthorizationHeaderMalformed" {
            added = format!("{added}<Region>{}</Region>", self.region);
        }
        let resource = escape(resource);
        let text = text.trim_end_matches("</Error>");
        let whole = format!(
            "{text}{added}<Resource>{resource}</Resource><RequestId>{id}</RequestId><HostId>{id}</HostId></Error>"
        );
        *response.body_mut() = Body::from(Bytes::from(whole));
    }
}

/// XML 1.0 has no way to write most control characters, but keys may hold them: written as character references, as AWS does,
/// some parsers take them. A carriage return would be read as a line feed otherwise.
fn escape_controls(response: &mut HttpResponse) {
    let is_xml = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/xml");
    let Some(body) = response.body().bytes().filter(|_| is_xml) else { return };
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\n' | b'\t');
    if !body.iter().any(is_control) {
        return;
    }
    let mut escaped = Vec::with_capacity(body.len() + 64);
    for byte in &body {
        if is_control(byte) {
            escaped.extend_from_slice(format!("&#x{byte:x};").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(Bytes::from(escaped));
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
}

fn escape(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).fold(String::new(), |mut escaped, char| {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(other),
        }
        escaped
    })
}

/// The message of errors that the protocol library makes without one.
fn message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied.",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => {
            "The XML you provided was not well-formed or did not validate against our published schema"
        }
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "NotImplemented" => "A header you provided implies functionality that is not implemented",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        }
        _ => "The request could not be carried out.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_of_an_error_document_is_found() {
        assert_eq!(element("<Error><Code>A</Code></Error>", "Code"), Some("A"));
        assert_eq!(element("<Error><Code>A</Code></Error>", "Message"), None);
    }

    #[test]
    fn a_resource_cannot_break_the_document() {
        assert_eq!(escape("/b/<&>\u{1}"), "/b/&lt;&amp;&gt;");
    }
}
