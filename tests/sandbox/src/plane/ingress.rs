//! TLS by the local CA, routing by host name, forced HTTPS.
//!
//! Two listeners, one table. What a request deserves is decided in `routes` without I/O; `proxy` carries it out.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, AuthorityError};
use super::runner::Runner;
use crate::world::World;

mod bodies;
mod certificates;
mod outage;
mod own;
mod proxy;
mod routes;
mod sticky;

use certificates::Certificates;
pub use outage::{Pages, VARIABLES as PAGE_VARIABLES};
pub use own::{OwnCertificate, OwnCertificateError};
use routes::{Scheme, Table};

/// The region's domain, under which every app has a name of its own and a certificate from the start.
pub const DEFAULT_DOMAIN: &str = "osc-fr1.scalingo.test";

/// For the handshake and for the head of a request: a client that says nothing holds nothing.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

/// Why the ingress could not start, or give a certificate.
#[derive(Debug, Error)]
pub enum IngressError {
    /// No port could be listened on.
    #[error("listening for the ingress")]
    Listen(#[source] std::io::Error),
    /// The TLS settings were not accepted.
    #[error("setting up TLS for the ingress")]
    Tls(#[source] rustls::Error),
    /// The CA did not give a certificate.
    #[error("issuing the certificate of {host}")]
    Issue {
        /// For whom.
        host: String,
        /// What the CA said.
        #[source]
        source: AuthorityError,
    },
}

/// The way in for every app of one sandbox.
#[derive(Debug)]
pub struct Ingress {
    world: Arc<World>,
    runner: Arc<Runner>,
    authority: Arc<Authority>,
    certificates: Arc<Certificates>,
    table: Mutex<Table>,
    http: SocketAddr,
    https: SocketAddr,
}

impl Ingress {
    /// Listens for HTTP and HTTPS on two ports of 127.0.0.1.
    pub async fn start(
        world: &Arc<World>,
        runner: &Arc<Runner>,
        authority: Arc<Authority>,
    ) -> Result<Arc<Self>, IngressError> {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let http = listen().await.map_err(IngressError::Listen)?;
        let https = listen().await.map_err(IngressError::Listen)?;
        let wildcard = format!("*.{DEFAULT_DOMAIN}");
        let fallback = authority
            .issue(&[&wildcard, DEFAULT_DOMAIN])
            .map_err(|source| IngressError::Issue { host: wildcard.clone(), source })?;
        let certificates = Arc::new(Certificates::new(fallback));
        let acceptor = TlsAcceptor::from(certificates.server_config().map_err(IngressError::Tls)?);
        let ingress = Arc::new(Self {
            world: Arc::clone(world),
            runner: Arc::clone(runner),
            authority,
            certificates,
            table: Mutex::default(),
            http: http.local_addr().map_err(IngressError::Listen)?,
            https: https.local_addr().map_err(IngressError::Listen)?,
        });
        world.tasks.spawn("ingress http", Arc::clone(&ingress).accept(http, None));
        world.tasks.spawn("ingress https", Arc::clone(&ingress).accept(https, Some(acceptor)));
        Ok(ingress)
    }

    /// Where plain HTTP is answered.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where HTTPS is answered.
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// From now on requests for `host` go to `app`. A default domain also becomes a name of the world; others are the DNS's.
    pub fn attach(&self, host: &str, app: &str) {
        self.table().attach(host, app);
        if is_default_domain(host)
            && let Err(error) = self.world.names.add_front(&host.to_ascii_lowercase())
        {
            tracing::warn!(%error, host, "a default domain has no name in the world");
        }
    }

    /// From now on requests for `host` get 404.
    pub fn detach(&self, host: &str) {
        self.table().detach(host);
        if is_default_domain(host)
            && let Err(error) = self.world.names.remove(&host.to_ascii_lowercase())
        {
            tracing::warn!(%error, host, "a default domain keeps its name in the world");
        }
    }

    /// Whether plain HTTP for `app` answers a redirection to HTTPS.
    pub fn set_force_https(&self, app: &str, on: bool) {
        self.table().settings_of(app).https_only = on;
    }

    /// Whether a client of `app` comes to the same container again.
    pub fn set_sticky(&self, app: &str, on: bool) {
        self.table().settings_of(app).sticky = on;
    }

    /// Whether requests for `app` are told in its log.
    pub fn set_router_logs(&self, app: &str, on: bool) {
        self.table().settings_of(app).logged = on;
    }

    /// What is shown while `app` does not answer, in place of the platform's own pages.
    pub fn set_pages(&self, app: &str, pages: Pages) {
        self.table().set_pages(app, pages);
    }

    /// The one host under which `app` answers; its others redirect there. `None`: all are equal.
    pub fn set_canonical(&self, app: &str, host: Option<&str>) {
        self.table().set_canonical(app, host);
    }

    /// From now on TLS for `host` shows a certificate of its own; before, the wildcard of the region's default domain.
    pub fn issue_certificate(&self, host: &str) -> Result<(), IngressError> {
        let issued = self
            .authority
            .issue(&[host])
            .map_err(|source| IngressError::Issue { host: host.to_owned(), source })?;
        self.certificates.put(host, issued);
        Ok(())
    }

    /// From now on TLS for `host` shows a certificate that its owner brought.
    pub fn install_certificate(&self, host: &str, own: OwnCertificate) {
        self.certificates.put(host, own.certified);
    }

    /// All that was attached to and set for the app `old` is `new`'s from now on.
    pub fn rename(&self, old: &str, new: &str) {
        self.table().rename(old, new);
    }

    /// From now on TLS for `host` shows the wildcard again.
    pub fn forget_certificate(&self, host: &str) {
        self.certificates.remove(host);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: others must end before we can go on.
                    tracing::warn!(%error, "accepting at the ingress");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (ingress, tls) = (Arc::clone(&self), tls.clone());
            self.world
                .tasks
                .spawn("ingress connection", async move { ingress.greet(stream, peer, tls).await });
        }
    }

    async fn greet(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
        // Without it, small answers wait for the client's acknowledgement.
        stream.set_nodelay(true).ok();
        let Some(tls) = tls else { return self.serve(stream, peer, Scheme::Http).await };
        match tokio::time::timeout(CLIENT_PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, peer, Scheme::Https).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn serve<S>(self: Arc<Self>, stream: S, peer: SocketAddr, scheme: Scheme)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request| {
            let ingress = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(ingress.answer(request, peer, scheme).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(CLIENT_PATIENCE)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the ingress broke");
        }
    }
}

fn is_default_domain(host: &str) -> bool {
    host.to_ascii_lowercase().strip_suffix(DEFAULT_DOMAIN).is_some_and(|app| app.ends_with('.'))
}

#[cfg(test)]
mod tests;
