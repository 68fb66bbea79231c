//! One configured HTTP client per vendor account: time-outs, bounded bodies, no automatic redirects, one limiter.
//!
//! What every vendor's module builds on. It knows no vendor: no paths, no tokens, no meaning of a status beyond HTTP's own.
//! Credentials are put on a call by the vendor's module and can only travel to the origin that was configured here.

pub mod call;
pub mod download;
pub mod error;
pub mod limiter;
pub mod message;
pub mod observe;
pub mod origin;

pub use call::{Answer, Call};
pub use download::{Download, Turn};
pub use error::{Effect, ProviderError, TransportKind};
pub use limiter::{Budget, Limiter, Rate};
pub use observe::{CallObserver, CallReport, Outcome};
pub use origin::{OriginError, base_url};
pub use reqwest::{Method, StatusCode};

use std::time::Duration;

use reqwest::{Certificate, Client, redirect};
use tokio_util::sync::CancellationToken;
use url::Url;

/// What all providers of one process share.
#[derive(Clone)]
pub struct HttpShared {
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Time to reach a peer (name, TCP and TLS). Default 10 s.
    pub connect_timeout: Duration,
    /// Silence after which an exchange or a download is given up. Default 30 s.
    pub read_timeout: Duration,
    /// Whole time of one API exchange; downloads are bounded by silence only. Default 60 s.
    pub call_timeout: Duration,
    /// Certification authorities beside the system's, PEM, one or several.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Is told of every exchange; never of a URL, an id or a body.
    pub observer: CallObserver,
    /// Ends every wait of these providers.
    pub cancel: CancellationToken,
}

impl Default for HttpShared {
    fn default() -> Self {
        Self {
            user_agent: concat!("reprise/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_mins(1),
            extra_ca_pem: None,
            observer: CallObserver::silent(),
            cancel: CancellationToken::new(),
        }
    }
}

impl std::fmt::Debug for HttpShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpShared")
            .field("user_agent", &self.user_agent)
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("call_timeout", &self.call_timeout)
            .finish_non_exhaustive()
    }
}

/// A client could not be made from what was configured.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The base URL is not usable.
    #[error("cannot use the configured address of {provider}")]
    Origin {
        /// Which provider.
        provider: &'static str,
        /// Why.
        #[source]
        source: OriginError,
    },
    /// The extra certification authority or the TLS set-up was refused.
    #[error("cannot set up the HTTP client of {provider}")]
    Client {
        /// Which provider.
        provider: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// One vendor's HTTP endpoint: a base URL, a client, the account's limiter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    pub(crate) provider: &'static str,
    pub(crate) base: Url,
    pub(crate) client: Client,
    pub(crate) limiter: Limiter,
    pub(crate) shared: HttpShared,
}

impl Http {
    /// A client for `base`, which must be https unless it is this machine.
    pub fn new(
        provider: &'static str,
        base: &str,
        limiter: Limiter,
        shared: HttpShared,
    ) -> Result<Self, HttpSetupError> {
        let base = base_url(base).map_err(|source| HttpSetupError::Origin { provider, source })?;
        let client = client(&shared).map_err(|source| HttpSetupError::Client { provider, source })?;
        Ok(Self { provider, base, client, limiter, shared })
    }

    /// The same client and limiter towards another base, for a vendor with several services.
    pub fn at(&self, base: &str) -> Result<Self, HttpSetupError> {
        let base =
            base_url(base).map_err(|source| HttpSetupError::Origin { provider: self.provider, source })?;
        Ok(Self { base, ..self.clone() })
    }

    /// The same, ending with `cancel`. A mutating call that is cut off this way has an unknown outcome.
    #[must_use]
    pub fn with_cancel(&self, cancel: CancellationToken) -> Self {
        let shared = HttpShared { cancel, ..self.shared.clone() };
        Self { shared, ..self.clone() }
    }

    /// Where calls go.
    pub fn base(&self) -> &Url {
        &self.base
    }
}

/// A client that follows no redirect by itself, keeps no cookies and takes no proxy from the environment unless told.
pub(crate) fn client(shared: &HttpShared) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        .user_agent(&shared.user_agent)
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(shared.connect_timeout)
        .read_timeout(shared.read_timeout)
        .pool_idle_timeout(Duration::from_secs(20))
        .tcp_keepalive(Duration::from_secs(30));
    if let Some(pem) = &shared.extra_ca_pem {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem)?);
    }
    builder.build()
}
