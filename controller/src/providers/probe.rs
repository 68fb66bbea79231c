//! Looking at a public name from outside: connect to a given address, say the name (SNI and `Host`), and tell what is there.
//!
//! The address comes from a question to a name server that the caller chose, never from this machine's resolver. No redirect is followed
//! and nothing is judged: status, headers, the beginning of the body and the certificate are for the caller to compare.

pub mod certificate;
pub mod error;

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Response, StatusCode,
    header::{HOST, HeaderMap, HeaderValue},
    redirect,
    tls::TlsInfo,
};
use tokio::time::Instant;
use url::Url;

pub use self::{
    certificate::CertificateSummary,
    error::{ProbeError, TlsFault},
};
use super::http::{HttpShared, Outcome, observe::CallReport};

/// The provider's name in metrics.
pub const NAME: &str = "probe";
/// Bytes of the body that are kept.
const BODY_LIMIT: usize = 64 << 10;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The public name: in the certificate, in SNI, and in `Host` unless told otherwise.
    pub name: &'a str,
    /// Where to connect.
    pub address: SocketAddr,
    /// With TLS.
    pub tls: bool,
    /// Path and query, beginning with `/`.
    pub path: &'a str,
    /// Another `Host`, to see it refused.
    pub host: Option<&'a str>,
}

/// What was there.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Bytes,
    /// The body goes on.
    pub truncated: bool,
    /// The certificate, verified for the name; `None` without TLS.
    pub certificate: Option<CertificateSummary>,
    /// Time until the status was there.
    pub took: Duration,
}

impl Seen {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Looks from outside. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prober {
    shared: HttpShared,
}

impl Prober {
    /// With the time-outs and certification authorities of `shared`.
    pub fn new(shared: HttpShared) -> Self {
        Self { shared }
    }

    /// One `GET`. Safe to repeat. Each look is a new connection: a kept one would show yesterday's server.
    pub async fn look(&self, target: &Target<'_>) -> Result<Seen, ProbeError> {
        let sent = Instant::now();
        let result = tokio::select! {
            biased;
            () = self.shared.cancel.cancelled() => Err(ProbeError::Cancelled),
            result = self.exchange(target) => result,
        };
        let outcome = match &result {
            Ok(_) => Outcome::Ok,
            Err(ProbeError::Cancelled) => Outcome::Cancelled,
            Err(_) => Outcome::Transport,
        };
        let (waited, took) = (Duration::ZERO, sent.elapsed());
        self.shared.observer.tell(CallReport { provider: NAME, call: "probe.get", outcome, waited, took });
        result
    }

    async fn exchange(&self, target: &Target<'_>) -> Result<Seen, ProbeError> {
        let wrong = || ProbeError::Target { name: target.name.to_owned() };
        let url = url(target).ok_or_else(wrong)?;
        let host = HeaderValue::from_str(target.host.unwrap_or(target.name)).map_err(|_| wrong())?;
        let begun = Instant::now();
        let request = self.client(target)?.get(url).header(HOST, host).timeout(self.shared.read_timeout);
        let response = request.send().await.map_err(|source| ProbeError::of(target, source))?;
        let took = begun.elapsed();
        let (status, headers) = (response.status(), response.headers().clone());
        let der =
            response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate).map(<[u8]>::to_vec);
        let certificate = der.map(|der| CertificateSummary::read(&der)).transpose()?;
        let (body, truncated) = beginning(target, response).await?;
        Ok(Seen { status, headers, body, truncated, certificate, took })
    }

    fn client(&self, target: &Target<'_>) -> Result<Client, ProbeError> {
        let setup = |source| ProbeError::Setup { source };
        let mut builder = Client::builder()
            .user_agent(&self.shared.user_agent)
            .redirect(redirect::Policy::none())
            .no_proxy()
            // With HTTP/2 the name would come from the URL, with its port.
            .http1_only()
            .tls_info(true)
            .connect_timeout(self.shared.connect_timeout)
            .resolve(target.name, target.address);
        if let Some(pem) = &self.shared.extra_ca_pem {
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?);
        }
        builder.build().map_err(setup)
    }
}

/// The URL holds the port of the address, the `Host` does not: the peer may be behind a port of its own here, and the public never knows.
fn url(target: &Target<'_>) -> Option<Url> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if target.name.is_empty() || !target.name.chars().all(plain) || !target.path.starts_with('/') {
        return None;
    }
    let scheme = if target.tls { "https" } else { "http" };
    let url =
        Url::parse(&format!("{scheme}://{}:{}{}", target.name, target.address.port(), target.path)).ok()?;
    // A name of digits would be taken for an address, and the given one be passed over.
    matches!(url.host(), Some(url::Host::Domain(_))).then_some(url)
}

async fn beginning(target: &Target<'_>, mut response: Response) -> Result<(Bytes, bool), ProbeError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| ProbeError::of(target, source))? {
        let room = BODY_LIMIT - body.len();
        body.extend_from_slice(chunk.get(..chunk.len().min(room)).unwrap_or_default());
        if chunk.len() > room {
            return Ok((body.freeze(), true));
        }
    }
    Ok((body.freeze(), false))
}

#[cfg(test)]
pub(crate) mod tests;
