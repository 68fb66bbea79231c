//! The configuration as written, and how it becomes a [`Config`].

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;
use std::time::Duration;

use reprise_crds::Reference;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{
    AlwaysdataSettings, Config, ConfigError, DevSettings, DnsSettings, GithubSettings, References,
    ScalingoSettings,
};

/// The file. Every key also has a name in the environment, which wins.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    #[serde(rename = "ca_file")]
    ca_path: Option<String>,
    heartbeat_url: Option<String>,
    scalingo: Scalingo,
    github: Github,
    alwaysdata: Alwaysdata,
    dns: Dns,
    dev: Dev,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Scalingo {
    auth_url: Option<String>,
    api_url: Option<String>,
    db_url: Option<String>,
    ssh_host: Option<String>,
    ssh_fingerprint: Option<String>,
    token: Option<String>,
    ssh_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Github {
    api_url: Option<String>,
    token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Alwaysdata {
    api_url: Option<String>,
    account: Option<String>,
    api_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Dns {
    authoritative: Option<String>,
    resolvers: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Dev {
    time_scale: Option<Number>,
    requests_per_minute: Option<Number>,
    lease_seconds: Option<Number>,
    ingress_http: Option<String>,
    ingress_https: Option<String>,
}

/// A number as TOML has it, or in quotes: then it may be a reference.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number, or one in quotes")]
enum Number {
    Whole(i64),
    Decimal(f64),
    Text(String),
}

impl Number {
    fn text(self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Decimal(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// The shortest that a rehearsed lease may be.
const SHORTEST_LEASE: Duration = Duration::from_secs(12);
/// The public resolvers that are asked when none is named.
const RESOLVERS: &str = "9.9.9.9:53,1.1.1.1:53";

impl File {
    pub(super) fn validated(self, dev: bool, references: &References) -> Result<Config, ConfigError> {
        let read = Reader { references };
        Ok(Config {
            scalingo: read.scalingo(self.scalingo)?,
            github: GithubSettings {
                api_url: read
                    .url(self.github.api_url, "GITHUB_API_URL")?
                    .unwrap_or_else(|| "https://api.github.com".to_owned()),
                token: read.secret(self.github.token, "GITHUB_TOKEN")?,
            },
            alwaysdata: read.alwaysdata(self.alwaysdata)?,
            dns: DnsSettings {
                authoritative: read.addresses(self.dns.authoritative, "DNS_AUTHORITATIVE", "")?,
                resolvers: read.addresses(self.dns.resolvers, "DNS_RESOLVER", RESOLVERS)?,
            },
            heartbeat_url: read.secret_url(self.heartbeat_url, "REPRISE_HEARTBEAT_URL")?,
            ca_file: read.text(self.ca_path, "CA_CERT")?.map(Into::into),
            dev: read.dev(self.dev, dev)?,
        })
    }
}

struct Reader<'a> {
    references: &'a References,
}

impl Reader<'_> {
    fn text(&self, file: Option<String>, name: &'static str) -> Result<Option<String>, ConfigError> {
        if let Some(value) = self.references.environment(name) {
            return Ok(Some(value.to_owned()));
        }
        let Some(value) = file else { return Ok(None) };
        if !is_reference(&value) {
            return Ok(Some(value));
        }
        let reference: Reference = value
            .parse()
            .map_err(|error| ConfigError::Value { name, problem: format!("the reference {error}") })?;
        self.references
            .resolve(&reference)
            .map(Some)
            .map_err(|source| ConfigError::Reference { name, source })
    }

    fn secret(&self, file: Option<String>, name: &'static str) -> Result<Option<SecretString>, ConfigError> {
        if file.as_deref().is_some_and(|value| !is_reference(value)) {
            let problem =
                "a secret is never written in the configuration file: use env:NAME or file:/path".to_owned();
            return Err(ConfigError::Value { name, problem });
        }
        Ok(self.text(file, name)?.map(SecretString::from))
    }

    /// An address that is asked over HTTP. It is not quoted when it is none: some are secrets.
    fn url(&self, file: Option<String>, name: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(file, name)? else { return Ok(None) };
        http_url(&text, name)?;
        Ok(Some(text))
    }

    fn secret_url(
        &self,
        file: Option<String>,
        name: &'static str,
    ) -> Result<Option<SecretString>, ConfigError> {
        let Some(text) = self.secret(file, name)? else { return Ok(None) };
        http_url(text.expose_secret(), name)?;
        Ok(Some(text))
    }

    fn addresses(
        &self,
        file: Option<String>,
        name: &'static str,
        default: &str,
    ) -> Result<Vec<SocketAddr>, ConfigError> {
        let text = self.text(file, name)?.unwrap_or_else(|| default.to_owned());
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| address(part, name)).collect()
    }

    fn parsed<T: FromStr>(
        &self,
        file: Option<String>,
        name: &'static str,
        wanted: &str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(file, name)? else { return Ok(None) };
        let problem = || ConfigError::Value { name, problem: format!("`{text}` is not {wanted}") };
        text.parse().map(Some).map_err(|_| problem())
    }

    fn scalingo(&self, file: Scalingo) -> Result<Option<ScalingoSettings>, ConfigError> {
        let Some(token) = self.secret(file.token, "SCALINGO_API_TOKEN")? else { return Ok(None) };
        Ok(Some(ScalingoSettings {
            auth_url: self
                .url(file.auth_url, "SCALINGO_AUTH_URL")?
                .unwrap_or_else(|| "https://auth.scalingo.com".to_owned()),
            api_url: self.url(file.api_url, "SCALINGO_API_URL")?,
            db_url: self.url(file.db_url, "SCALINGO_DB_URL")?,
            ssh_host: self.text(file.ssh_host, "SCALINGO_SSH_HOST")?,
            ssh_fingerprint: self.text(file.ssh_fingerprint, "SCALINGO_SSH_FINGERPRINT")?,
            ssh_key: self.text(file.ssh_key, "SCALINGO_SSH_KEY")?.map(Into::into),
            token,
        }))
    }

    fn alwaysdata(&self, file: Alwaysdata) -> Result<Option<AlwaysdataSettings>, ConfigError> {
        let Some(api_key) = self.secret(file.api_key, "ALWAYSDATA_API_KEY")? else { return Ok(None) };
        Ok(Some(AlwaysdataSettings {
            api_url: self
                .url(file.api_url, "ALWAYSDATA_API_URL")?
                .unwrap_or_else(|| "https://api.alwaysdata.com/v1".to_owned()),
            account: self.text(file.account, "ALWAYSDATA_ACCOUNT")?,
            api_key,
        }))
    }

    fn dev(&self, file: Dev, dev: bool) -> Result<DevSettings, ConfigError> {
        let default = DevSettings::default();
        let found = DevSettings {
            time_scale: self
                .parsed(file.time_scale.map(Number::text), "REPRISE_TIME_SCALE", "a number")?
                .unwrap_or(default.time_scale),
            requests_per_minute: self
                .parsed(
                    file.requests_per_minute.map(Number::text),
                    "REPRISE_REQUESTS_PER_MINUTE",
                    "a whole number above 0",
                )?
                .unwrap_or(default.requests_per_minute),
            lease: self
                .parsed(file.lease_seconds.map(Number::text), "REPRISE_LEASE_SECONDS", "a whole number")?
                .map_or(default.lease, Duration::from_secs),
            http_port: self.port(file.ingress_http, "INGRESS_HTTP", default.http_port)?,
            https_port: self.port(file.ingress_https, "INGRESS_HTTPS", default.https_port)?,
        };
        if !dev && found != default {
            let problem =
                "time scale, request budget, lease and ingress ports can only be changed with --dev"
                    .to_owned();
            return Err(ConfigError::Value { name: "--dev", problem });
        }
        if !(0.01..=100_000.0).contains(&found.time_scale) || found.requests_per_minute == 0 {
            let problem = "must be between 0.01 and 100000, and the request budget above 0".to_owned();
            return Err(ConfigError::Value { name: "REPRISE_TIME_SCALE", problem });
        }
        // Below that what works under a lease has no time to stop before its end.
        if !(SHORTEST_LEASE..=default.lease).contains(&found.lease) {
            let problem = "must be between 12 and 60".to_owned();
            return Err(ConfigError::Value { name: "REPRISE_LEASE_SECONDS", problem });
        }
        Ok(found)
    }

    fn port(&self, file: Option<String>, name: &'static str, default: u16) -> Result<u16, ConfigError> {
        let Some(base) = self.parsed::<url::Url>(file, name, "a URL with a port")? else {
            return Ok(default);
        };
        Ok(base.port_or_known_default().unwrap_or(default))
    }
}

fn is_reference(value: &str) -> bool {
    value.starts_with("env:") || value.starts_with("file:")
}

fn http_url(text: &str, name: &'static str) -> Result<(), ConfigError> {
    let url = url::Url::parse(text).ok();
    if url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Ok(());
    }
    let problem = "it is not a URL that begins with https:// or http:// and names a host".to_owned();
    Err(ConfigError::Value { name, problem })
}

fn address(text: &str, name: &'static str) -> Result<SocketAddr, ConfigError> {
    let with_port = if text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        text.to_owned()
    } else {
        format!("{text}:53")
    };
    let found = with_port.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| ConfigError::Value {
        name,
        problem: format!("`{text}` is not the address of a name server"),
    })
}
