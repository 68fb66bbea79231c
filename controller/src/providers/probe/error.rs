//! How a look from outside can fail: classes that are reported apart.

use std::{fmt, io, net::SocketAddr};

use chrono::{DateTime, Utc};
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::Target;
use crate::runtime::class::{Class, Classified};

/// What is wrong with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// The certificate is for other names.
    WrongName,
    /// Nobody we trust issued it.
    UnknownIssuer,
    /// No longer good, since then, where that is told.
    Expired(Option<DateTime<Utc>>),
    /// Not yet good.
    NotYetValid,
    /// The server refused our greeting: it may not know the name.
    Alert,
    /// Anything else.
    Other,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongName => "its certificate is for another name",
            Self::UnknownIssuer => "its certificate is from an unknown issuer",
            Self::Expired(_) => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::Alert => "it refuses the connection for this name",
            Self::Other => "its TLS is not acceptable",
        })
    }
}

/// Why nothing was seen.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Not a public name and a path.
    #[error("`{name}` cannot be looked at")]
    Target {
        /// The name.
        name: String,
    },
    /// The client could not be made.
    #[error("cannot set up the probe")]
    Setup {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Nobody listens there, or the network is in between.
    #[error("cannot connect to {name} at {address}")]
    Connect {
        /// The name.
        name: String,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Somebody listens, but not as this name.
    #[error("{name} at {address} is not served over TLS: {fault}")]
    Tls {
        /// The name.
        name: String,
        /// Where.
        address: SocketAddr,
        /// What is wrong.
        fault: TlsFault,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// No answer in time.
    #[error("{name} at {address} did not answer in time")]
    Timeout {
        /// The name.
        name: String,
        /// Where.
        address: SocketAddr,
    },
    /// The answer broke off.
    #[error("no complete answer of {name} at {address}")]
    Broken {
        /// The name.
        name: String,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The certificate was accepted, but not readable for us.
    #[error("cannot read the certificate")]
    Certificate,
    /// We were told to stop.
    #[error("the probe was cancelled")]
    Cancelled,
}

impl ProbeError {
    pub(super) fn of(target: &Target<'_>, source: reqwest::Error) -> Self {
        let (name, address, source) = (target.name.to_owned(), target.address, source.without_url());
        if let Some(fault) = tls_fault(&source) {
            return Self::Tls { name, address, fault, source };
        }
        match (source.is_timeout(), source.is_connect()) {
            (true, _) => Self::Timeout { name, address },
            (_, true) => Self::Connect { name, address, source },
            _ => Self::Broken { name, address, source },
        }
    }
}

/// Everything here may mend itself while a name moves and a certificate is made: the caller knows how long to wait for that.
impl Classified for ProbeError {
    fn class(&self) -> Class {
        match self {
            Self::Connect { .. } | Self::Tls { .. } | Self::Timeout { .. } | Self::Broken { .. } => {
                Class::Transient
            }
            Self::Target { .. } | Self::Setup { .. } | Self::Certificate => Class::Terminal,
            Self::Cancelled => Class::Cancelled,
        }
    }
}

/// The error of TLS below an error of HTTP. An `io::Error` hides what it holds from `source`, so it is opened by hand.
fn tls_fault(error: &reqwest::Error) -> Option<TlsFault> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(fault(tls));
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

fn date(time: UnixTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(time.as_secs()).ok()?, 0)
}

fn fault(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::WrongName
            }
            CertificateError::UnknownIssuer => TlsFault::UnknownIssuer,
            CertificateError::Expired => TlsFault::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => TlsFault::Expired(date(*not_after)),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFault::NotYetValid
            }
            _ => TlsFault::Other,
        },
        rustls::Error::AlertReceived(_) => TlsFault::Alert,
        _ => TlsFault::Other,
    }
}
