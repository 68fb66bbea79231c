//! The HTTP server: `/metrics`, `/livez`, `/readyz`.
//!
//! It must not serve anything that needs a permission: whoever reaches the address may ask.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::{Bounded, Limits};
use super::health::Health;
use crate::metrics::Metrics;
use crate::runtime::chain::Chain;

/// Where the server listens unless told otherwise: on this machine only.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

const CONNECTIONS: usize = 64;
const LIMITS: Limits = Limits { asking: Duration::from_secs(10), silence: Duration::from_mins(1) };
const NEVER_CACHED: (HeaderName, &str) = (CACHE_CONTROL, "no-store");
const PLAIN: (HeaderName, &str) = (CONTENT_TYPE, "text/plain; charset=utf-8");

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: Bounded,
    address: SocketAddr,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Takes the address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener: Bounded::new(listener, CONNECTIONS, LIMITS), address })
    }

    /// The address that was taken.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` fires; then accepts nothing more, answers what was asked, and returns.
    pub async fn run(self, routes: Router, stop: CancellationToken) {
        tracing::info!(address = %self.address, "serving http");
        let served = axum::serve(self.listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(error = %Chain(&error), "http server failed");
        }
    }
}

/// What this module serves.
pub fn routes(metrics: Arc<Metrics>, health: Health) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics)
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .with_state(health)
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, Metrics::CONTENT_TYPE), NEVER_CACHED], text).into_response(),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "metrics cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// That this is answered is the answer: a critical task that ends stops the process anyway.
async fn live() -> impl IntoResponse {
    ([PLAIN, NEVER_CACHED], "ok\n")
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let now = health.readiness();
    let status = if now.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [PLAIN, NEVER_CACHED], now.report)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::{Bounded, Limits, Server, routes};
    use crate::http::health::Health;
    use crate::metrics::{Labels, Metrics};
    use crate::runtime::tasks::Tasks;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn served(health: &Health) -> (SocketAddr, Tasks) {
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let (address, tasks) = (server.address(), Tasks::new());
        let routes = routes(Arc::new(Metrics::new(Labels::default()).unwrap()), health.clone());
        tasks.critical("http", |stop| server.run(routes, stop));
        (address, tasks)
    }

    async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(LIMIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_follows_the_conditions_and_tells_why() {
        let health = Health::new();
        let store = health.condition("store");
        let (address, tasks) = served(&health).await;
        let before = ask(address, "GET", "/readyz").await;
        assert!(before.starts_with("HTTP/1.1 503 ") && before.contains("[-]store: starting"), "{before}");
        store.holds();
        let after = ask(address, "GET", "/readyz").await;
        assert!(after.starts_with("HTTP/1.1 200 ") && after.contains("[+]store ok"), "{after}");
        assert!(tasks.shut_down(LIMIT).await);
    }

    #[tokio::test]
    async fn metrics_and_liveness_are_served_and_nothing_else() {
        let (address, tasks) = served(&Health::new()).await;
        let metrics = ask(address, "GET", "/metrics").await;
        assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.contains("\nreprise_build_info{version="), "{metrics}");
        assert!(ask(address, "GET", "/livez").await.starts_with("HTTP/1.1 200 "));
        assert!(ask(address, "POST", "/metrics").await.starts_with("HTTP/1.1 405 "));
        assert!(ask(address, "GET", "/debug").await.starts_with("HTTP/1.1 404 "));
        assert!(tasks.shut_down(LIMIT).await);
        assert!(TcpStream::connect(address).await.is_err(), "it still listens");
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_an_error() {
        let taken = Server::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let refused = Server::bind(taken.address()).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("cannot listen on {}", taken.address()));
    }

    /// A server with one place.
    async fn narrow(limits: Limits) -> (SocketAddr, Tasks) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server { listener: Bounded::new(listener, 1, limits), address };
        let routes = routes(Arc::new(Metrics::new(Labels::default()).unwrap()), Health::new());
        let tasks = Tasks::new();
        tasks.critical("http", |stop| server.run(routes, stop));
        (address, tasks)
    }

    #[tokio::test]
    async fn a_silent_client_is_hung_up_on_and_its_place_is_free_again() {
        let (address, tasks) = narrow(Limits { asking: LIMIT, silence: Duration::from_millis(50) }).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET /livez HTTP/1.1\r\nhost:").await.unwrap();
        let answer = ask(address, "GET", "/livez").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut rest = Vec::new();
        timeout(LIMIT, silent.read_to_end(&mut rest)).await.unwrap().ok();
        assert!(tasks.shut_down(LIMIT).await);
    }

    /// Sends what never becomes a request, byte by byte, until the other side has had enough.
    async fn trickle(stream: &mut TcpStream) {
        let mut answer = [0; 64];
        while stream.write_all(b"x").await.is_ok() {
            if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_millis(5), stream.read(&mut answer)).await {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_trickles_is_hung_up_on_at_its_first_request_and_at_a_later_one() {
        let (address, tasks) = narrow(Limits { asking: Duration::from_millis(50), silence: LIMIT }).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET /livez HTTP/1.1\r\nhost:").await.unwrap();
        timeout(LIMIT, trickle(&mut first)).await.expect("it is hung up on");
        let mut later = TcpStream::connect(address).await.unwrap();
        later.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut begun = [0; 12];
        timeout(LIMIT, later.read_exact(&mut begun)).await.unwrap().unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200");
        later.write_all(b"GET /livez HTTP/1.1\r\nhost:").await.unwrap();
        timeout(LIMIT, trickle(&mut later)).await.expect("it is hung up on");
        assert!(ask(address, "GET", "/livez").await.starts_with("HTTP/1.1 200 "));
        assert!(tasks.shut_down(LIMIT).await);
    }
}
