//! The HTTP front that every simulated service stands behind: it binds, plays the world's faults around the handler, and
//! writes what changed something into the journal.
//!
//! It knows no vendor's rules; it only borrows their way of saying an error ([`vendor`]). Cutting a connection needs to be
//! below a router (a handler can only answer), which is why this is an accept loop of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::world::journal::Draft;
use crate::world::{Fault, World};

pub mod spoil;
pub mod vendor;

/// Who asked, put by a handler into the *response* extensions for the journal: a user or key id, never a secret.
#[derive(Debug, Clone)]
pub struct Caller(pub String);

/// What the request was about, put by a handler into the *response* extensions for the journal.
#[derive(Debug, Clone)]
pub struct Resource(pub String);

/// What was asked in the service's own words (`PutObject`), where the method and path would not say it. Optional.
#[derive(Debug, Clone)]
pub struct Call(pub String);

/// Serves `router` as `service` (the journal's name) on a free port of 127.0.0.1 until the world stops.
pub async fn serve(world: &Arc<World>, service: &'static str, router: Router) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let site = Arc::new(Site { world: Arc::clone(world), service, router });
    world.tasks.spawn("http", accept(listener, site));
    Ok(addr)
}

/// One service.
struct Site {
    world: Arc<World>,
    service: &'static str,
    router: Router,
}

/// The connection ends here, without another byte.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
struct Cut;

async fn accept(listener: TcpListener, site: Arc<Site>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                site.world.tasks.spawn("http_connection", connection(stream, Arc::clone(&site)));
            }
            Err(error) => {
                tracing::warn!(service = site.service, %error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, site: Arc<Site>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not switch off nagle");
    }
    let service = hyper::service::service_fn(|request| exchange(&site, request));
    let http = hyper::server::conn::http1::Builder::new();
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await {
        tracing::debug!(service = site.service, %error, "connection ended");
    }
}

/// One request with what is played on it.
async fn exchange(site: &Site, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // The control API is how faults are taken back: it never suffers from them.
    let fault = match site.service {
        "control" => None,
        service => site.world.faults.take(service, method.as_str(), &path),
    };
    let answer = play(site, fault.clone(), request).await;
    if !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS) {
        site.record(&method, &path, fault.as_ref(), answer.as_ref().ok());
    }
    match (answer, fault) {
        (Ok(_), Some(Fault::DropAfter)) | (Err(Cut), _) => Err(Cut),
        (Ok(response), _) => Ok(response),
    }
}

async fn play(site: &Site, fault: Option<Fault>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    match fault {
        None | Some(Fault::DropAfter) => Ok(site.answer(request).await),
        Some(Fault::Latency { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(site.answer(request).await)
        }
        Some(Fault::Status { status, body, retry_after }) => {
            Ok(vendor::refusal(site.service, status, body, retry_after))
        }
        Some(Fault::DropBefore) => Err(Cut),
        Some(Fault::Truncate { bytes }) => Ok(spoil::truncated(site.answer(request).await, bytes)),
        Some(Fault::ExpireToken) => Ok(vendor::expired(site.service)),
        Some(Fault::Corrupt) => Ok(spoil::corrupted(site.answer(request).await)),
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Reject { reason }) => Ok(vendor::rejected(site.service, &reason)),
    }
}

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let answer = self.router.clone().oneshot(request.map(Body::new));
        // The control API is how the world is replaced: it answers meanwhile.
        let answer = match self.service {
            "control" => Some(answer.await),
            _ => self.world.gate.pass(answer).await,
        };
        let Some(answer) = answer else { return vendor::refusal(self.service, 503, None, Some(1)) };
        match answer {
            Ok(mut response) => {
                let id = uuid::Uuid::new_v4().to_string();
                if let Ok(value) = HeaderValue::from_str(&id) {
                    response
                        .headers_mut()
                        .entry(header::HeaderName::from_static("x-request-id"))
                        .or_insert(value);
                }
                response
            }
            Err(never) => match never {},
        }
    }

    fn record(&self, method: &Method, path: &str, fault: Option<&Fault>, answer: Option<&Response<Body>>) {
        let extensions = answer.map(Response::extensions);
        let call = extensions.and_then(|e| e.get::<Call>()).map(|call| call.0.clone());
        self.world.journal.record(Draft {
            service: self.service,
            call: call.unwrap_or_else(|| format!("{method} {path}")),
            caller: extensions
                .and_then(|e| e.get::<Caller>())
                .map_or_else(String::new, |caller| caller.0.clone()),
            resource: extensions
                .and_then(|e| e.get::<Resource>())
                .map_or_else(String::new, |what| what.0.clone()),
            status: answer.map_or(0, |response| response.status().as_u16()),
            fault: fault.map(vendor::name),
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};

    use super::*;
    use crate::world::faults::Rule;

    async fn site(service: &'static str) -> (Arc<World>, tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path(), 1.0, 7).unwrap();
        let router = Router::new()
            .route("/things", post(|| async { (axum::Extension(Resource("thing-1".into())), "made") }))
            .route("/text", get(|| async { "0123456789" }));
        let addr = serve(&world, service, router).await.unwrap();
        (world, dir, format!("http://{addr}"))
    }

    fn once(fault: Fault) -> Rule {
        Rule { service: None, method: None, path: None, skip: 0, times: Some(1), fault }
    }

    fn client() -> reqwest::Client {
        reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap()
    }

    #[tokio::test]
    async fn an_answer_lost_after_the_effect_is_in_the_journal() {
        let (world, _dir, url) = site("scalingo").await;
        world.faults.add(once(Fault::DropAfter));
        assert!(client().post(format!("{url}/things")).send().await.is_err(), "the answer arrived");
        let entries = world.journal.entries();
        assert_eq!((entries.len(), entries[0].status), (1, 200), "{entries:?}");
        assert_eq!((entries[0].call.as_str(), entries[0].resource.as_str()), ("POST /things", "thing-1"));
        assert_eq!(entries[0].fault.as_deref(), Some("drop_after"));
    }

    #[tokio::test]
    async fn a_request_dropped_before_has_no_status() {
        let (world, _dir, url) = site("scalingo").await;
        world.faults.add(once(Fault::DropBefore));
        assert!(client().post(format!("{url}/things")).send().await.is_err(), "the answer arrived");
        assert_eq!(world.journal.entries()[0].status, 0);
    }

    #[tokio::test]
    async fn a_truncated_body_keeps_its_announced_length() {
        let (world, _dir, url) = site("scalingo").await;
        world.faults.add(once(Fault::Truncate { bytes: 4 }));
        let answer = client().get(format!("{url}/text")).send().await.unwrap();
        assert_eq!(answer.content_length(), Some(10));
        assert!(answer.bytes().await.is_err(), "the whole body arrived");
    }

    #[tokio::test]
    async fn a_corrupted_body_differs_but_is_as_long() {
        let (world, _dir, url) = site("scalingo").await;
        world.faults.add(once(Fault::Corrupt));
        let body = client().get(format!("{url}/text")).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(body.len(), 10);
        assert_ne!(&body[..], b"0123456789");
    }

    #[tokio::test]
    async fn too_many_requests_are_refused_in_plain_text() {
        let (world, _dir, url) = site("scalingo").await;
        world.faults.add(once(Fault::Status { status: 429, body: None, retry_after: Some(3) }));
        let answer = client().post(format!("{url}/things")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "3"));
        assert_eq!(answer.text().await.unwrap(), "Retry later");
    }

    #[tokio::test]
    async fn the_control_api_never_suffers() {
        let (world, _dir, url) = site("control").await;
        world.faults.add(once(Fault::DropBefore));
        assert_eq!(client().get(format!("{url}/text")).send().await.unwrap().status().as_u16(), 200);
    }
}
