//! What the daemon is told at its start: one optional TOML file, overridden by the environment. The only place that reads it.
//!
//! Whatever weakens a safeguard (time runs faster, other ports) is refused unless `--dev` is said aloud. Values may be references
//! (`env:NAME`, `file:/path`), so that the file itself need not hold a secret.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

mod file;
mod references;

pub use references::{ReferenceError, References};

/// Everything that the daemon needs to know, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// The platform.
    pub scalingo: Option<ScalingoSettings>,
    /// The code host's API, for workflow artifacts.
    pub github: GithubSettings,
    /// The DNS provider.
    pub alwaysdata: Option<AlwaysdataSettings>,
    /// How DNS is observed.
    pub dns: DnsSettings,
    /// An additional certificate authority to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Where signs of life are sent.
    pub heartbeat_url: Option<SecretString>,
    /// What only a rehearsal may change.
    pub dev: DevSettings,
}

/// The platform's addresses and our credentials there.
#[derive(Debug, Clone)]
pub struct ScalingoSettings {
    /// Authentication API.
    pub auth_url: String,
    /// Regional API; asked of the authentication API if absent.
    pub api_url: Option<String>,
    /// Database API; likewise.
    pub db_url: Option<String>,
    /// SSH server, `host:port`; likewise.
    pub ssh_host: Option<String>,
    /// The pinned host key, `SHA256:…`; known ones of the vendor's regions if absent.
    pub ssh_fingerprint: Option<String>,
    /// The API token.
    pub token: SecretString,
    /// A private key that is registered with the account.
    pub ssh_key: Option<PathBuf>,
}

/// The code host.
#[derive(Debug, Clone)]
pub struct GithubSettings {
    /// Base URL of its API.
    pub api_url: String,
    /// A token with `actions: read`.
    pub token: Option<SecretString>,
}

/// The DNS provider.
#[derive(Debug, Clone)]
pub struct AlwaysdataSettings {
    /// Base URL of its API, version included.
    pub api_url: String,
    /// The account that owns the zone.
    pub account: Option<String>,
    /// The API key.
    pub api_key: SecretString,
}

/// How DNS is observed.
#[derive(Debug, Clone, Default)]
pub struct DnsSettings {
    /// The zone's name servers; discovered by NS records if empty.
    pub authoritative: Vec<SocketAddr>,
    /// Recursive resolvers to ask.
    pub resolvers: Vec<SocketAddr>,
}

/// What only a rehearsal may change; all defaults without `--dev`.
#[derive(Debug, Clone, PartialEq)]
pub struct DevSettings {
    /// Divides the daemon's own waits and what it expects of others'.
    pub time_scale: f64,
    /// The platform's request budget.
    pub requests_per_minute: u32,
    /// How long a lease lasts without renewal, in real time. All daemons at one store have to say the same.
    ///
    /// A minute is about as long as a store of more than one machine takes to hand over: hours of work end with a lease. Calls that take longer
    /// are cut off when it ends, and whoever takes over from a dead daemon waits for as long. Not longer than twice the term of the first
    /// releases (30 s): a daemon of theirs takes what lasts longer for the work of a clock that was set back.
    pub lease: Duration,
    /// Where the ingress serves plain HTTP.
    pub http_port: u16,
    /// Where the ingress serves HTTPS.
    pub https_port: u16,
}

impl Default for DevSettings {
    fn default() -> Self {
        Self {
            time_scale: 1.0,
            requests_per_minute: 60,
            lease: Duration::from_mins(1),
            http_port: 80,
            https_port: 443,
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("cannot understand the configuration file {}, line {line}: {problem}", path.display())]
    Parse {
        /// Its path.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Why. Never the line itself: it may hold a secret in the wrong place.
        problem: String,
    },
    /// A value is wrong.
    #[error("{name}: {problem}")]
    Value {
        /// Which: the environment's name for it.
        name: &'static str,
        /// What is wrong and what to do. Never the value of a secret.
        problem: String,
    },
    /// A reference leads nowhere.
    #[error("{name} cannot be resolved")]
    Reference {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: ReferenceError,
    },
}

impl Config {
    /// Reads `file`, if given, and what the environment says over it.
    pub fn load(file: Option<&Path>, dev: bool, references: &References) -> Result<Self, ConfigError> {
        let file = match file {
            None => file::File::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
                toml::from_str(&text).map_err(|error| ConfigError::Parse {
                    path: path.to_owned(),
                    line: line_of(&text, error.span().map_or(0, |span| span.start)),
                    problem: error.message().to_owned(),
                })?
            }
        };
        file.validated(dev, references)
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests;
