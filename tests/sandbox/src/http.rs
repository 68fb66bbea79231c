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
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::world::World;

mod around;
pub(crate) mod expect;
pub(crate) mod line;
mod memory;
mod play;
pub mod spoil;
pub mod vendor;

use around::{Ending, Place};
use line::{Line, Wish};

/// Who asked, put by a handler into the *response* extensions for the journal: a user or key id, never a secret.
#[derive(Debug, Clone)]
pub struct Caller(pub String);

/// What the request was about, put by a handler into the *response* extensions for the journal.
#[derive(Debug, Clone)]
pub struct Resource(pub String);

/// What was asked in the service's own words (`PutObject`), where the method and path would not say it. Optional.
#[derive(Debug, Clone)]
pub struct Call(pub String);

/// The service itself refused the request for the number of requests, put into the *response* extensions for the journal. A store's
/// `SlowDown` is not marked: clients find a store's rate by it, and a good one meets it.
#[derive(Debug, Clone, Copy)]
pub struct Limited;

/// The host that a request asks for: the name alone, in lower case, without port or final dot.
pub(crate) fn host(headers: &axum::http::HeaderMap) -> Option<String> {
    headers.get(axum::http::header::HOST)?.to_str().ok().map(bare)
}

/// The name of `host` alone.
pub(crate) fn bare(host: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Serves `router` as `service` (the journal's name) on a free port of 127.0.0.1 until the world stops.
pub async fn serve(world: &Arc<World>, service: &'static str, router: Router) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let place = Arc::new(Place { world: Arc::clone(world), service, memory: memory::Memory::default() });
    let router = router.layer(axum::middleware::from_fn_with_state(place, around::around));
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
    let wish = Wish::default();
    let service = hyper::service::service_fn(|request| exchange(&site, &wish, request));
    let http = hyper::server::conn::http1::Builder::new();
    let line = TokioIo::new(Line::new(stream, wish.clone()));
    if let Err(error) = http.serve_connection(line, service).with_upgrades().await {
        tracing::debug!(service = site.service, %error, "connection ended");
    }
}

/// One request.
async fn exchange(site: &Site, wish: &Wish, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (request, asked) = if expect::waits(&request) {
        let (head, body) = request.into_parts();
        let (body, asked) = expect::watch(body);
        (Request::from_parts(head, Body::new(body)), Some(asked))
    } else {
        (request.map(Body::new), None)
    };
    let answer = site.router.clone().oneshot(request);
    // The control API is how the world is replaced: it answers meanwhile.
    let answer = match site.service {
        "control" => Some(answer.await),
        _ => site.world.gate.pass(answer).await,
    };
    let Some(Ok(mut response)) = answer else { return Ok(vendor::refusal(site.service, 503, None, Some(1))) };
    if let Some(asked) = asked {
        expect::settle(&mut response, &asked);
    }
    match response.extensions().get::<Ending>() {
        None => Ok(response),
        Some(Ending::Cut) => Err(Cut),
        Some(Ending::Reset) => {
            wish.reset();
            Err(Cut)
        }
    }
}

#[cfg(test)]
mod tests;
