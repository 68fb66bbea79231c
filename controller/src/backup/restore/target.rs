//! The database to restore into, and the way to its server.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// The database to restore into.
#[derive(Debug, Clone)]
pub struct Target {
    /// The way to its server.
    pub host: Host,
    /// Port; of a socket it is part of the name.
    pub port: u16,
    /// Database.
    pub database: String,
    /// User, who will own all that is restored.
    pub user: String,
    /// The user's password. It reaches `pg_restore` in a file of mode 0600.
    pub password: SecretString,
}

/// The way to a server.
#[derive(Debug, Clone)]
pub enum Host {
    /// The folder of a Unix socket: a server on this machine, or a tunnel to one.
    Socket(PathBuf),
    /// A name or an address.
    Name {
        /// Which.
        name: String,
        /// How the line is kept private.
        tls: Tls,
    },
}

/// How a line is kept private.
#[derive(Clone)]
pub enum Tls {
    /// Not at all.
    Off,
    /// From those who listen; whoever answers is believed.
    Unverified,
    /// By a certificate of one of these authorities (PEM), for whichever name.
    Authority(Arc<str>),
    /// By a certificate of one of these authorities (PEM) for the server's very name.
    Full(Arc<str>),
}

impl Tls {
    /// What libpq calls it.
    pub(super) fn mode(&self) -> &'static str {
        match self {
            Self::Off => "disable",
            Self::Unverified => "require",
            Self::Authority(_) => "verify-ca",
            Self::Full(_) => "verify-full",
        }
    }

    /// The authorities that vouch for the server.
    pub(super) fn authorities(&self) -> Option<&str> {
        match self {
            Self::Off | Self::Unverified => None,
            Self::Authority(pem) | Self::Full(pem) => Some(pem),
        }
    }
}

/// The authorities are many, and no secret.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mode())
    }
}

impl Target {
    /// What our own driver needs for a session.
    pub(crate) fn options(&self, application: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .port(self.port)
            .database(&self.database)
            .username(&self.user)
            .password(self.password.expose_secret())
            .application_name(application)
            .disable_statement_logging();
        match &self.host {
            Host::Socket(folder) => options.socket(folder).ssl_mode(PgSslMode::Disable),
            Host::Name { name, tls } => {
                let options = options.host(name).ssl_mode(match tls {
                    Tls::Off => PgSslMode::Disable,
                    Tls::Unverified => PgSslMode::Require,
                    Tls::Authority(_) => PgSslMode::VerifyCa,
                    Tls::Full(_) => PgSslMode::VerifyFull,
                });
                match tls.authorities() {
                    Some(pem) => options.ssl_root_cert_from_pem(pem.as_bytes().to_vec()),
                    None => options,
                }
            }
        }
    }
}
