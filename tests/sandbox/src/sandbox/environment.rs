//! The env file: where everything is and what opens it. Names are stable: operators, tests and foreign clients rely on them.

use std::net::SocketAddr;

use super::Parts;
use crate::estate;
use crate::paas::REGION;
use crate::s3::Key;
use crate::world::Ids;

/// Credentials that exist from the start.
#[derive(Clone)]
pub struct Secrets {
    /// API key of the DNS provider.
    pub alwaysdata: String,
    /// Token of the code host: may read and write actions.
    pub github: String,
    /// Another, which may read them.
    pub github_reader: String,
    /// Another, which sees what everybody sees.
    pub github_stranger: String,
    /// Access key id and secret of the source store.
    pub source: (String, String),
    /// Access key id and secret of the archive store.
    pub archive: (String, String),
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Credentials in the vendors' shapes.
    pub fn draw(ids: &Ids) -> Self {
        let pair = || (format!("SCW{}", ids.hex(17).to_uppercase()), ids.uuid().to_string());
        Self {
            alwaysdata: ids.hex(32),
            github: format!("ghp_{}", ids.secret(36)),
            source: pair(),
            archive: pair(),
            github_reader: format!("ghp_{}", ids.secret(36)),
            github_stranger: format!("ghp_{}", ids.secret(36)),
        }
    }
}

/// All variables, in a stable order.
pub(super) fn variables(parts: &Parts, control: SocketAddr) -> Vec<(String, String)> {
    let all = [platform(parts), code_and_names(parts), stores(parts), rest(parts, control)];
    all.concat().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What of them opens something and nobody may repeat, once each: tokens, and the secret halves of key pairs.
pub(crate) fn secrets(parts: &Parts) -> Vec<String> {
    let all = [platform(parts), code_and_names(parts), stores(parts)];
    let secret = all.concat().into_iter().filter(|(name, value)| is_secret(name) && !value.is_empty());
    let mut secrets: Vec<String> = secret.map(|(_, value)| value).collect();
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

/// By its name: new ones are found without anybody remembering them. `SCALINGO_SSH_KEY` is a path.
fn is_secret(name: &str) -> bool {
    ["_TOKEN", "_API_KEY", "_SECRET_ACCESS_KEY"].iter().any(|end| name.ends_with(end))
}

/// The services by the host names that their clients know: this world's, and the vendors' own, so that a client with built-in
/// names rehearses here and cannot touch the real thing.
pub(super) fn hosts(parts: &Parts) -> Vec<(&'static str, SocketAddr)> {
    let urls = parts.paas.urls();
    let named: [(&[&'static str], String); 5] = [
        (&["auth.scalingo.test", "auth.scalingo.com"], urls.auth),
        (&["api.osc-fr1.scalingo.test", "api.osc-fr1.scalingo.com"], urls.api),
        (&["db-api.osc-fr1.scalingo.test", "db-api.osc-fr1.scalingo.com"], urls.database),
        (&crate::github::HOSTS, parts.github.endpoint()),
        (&["api.alwaysdata.test", "api.alwaysdata.com"], parts.alwaysdata.endpoint()),
    ];
    let at = |url: &str| url::Url::parse(url).ok()?.socket_addrs(|| None).ok()?.first().copied();
    let apis = named.into_iter().filter_map(|(names, url)| Some((names, at(&url)?)));
    let ssh: (&[&'static str], _) =
        (&["ssh.osc-fr1.scalingo.test", "ssh.osc-fr1.scalingo.com"], parts.ssh.addr());
    apis.chain([ssh]).flat_map(|(names, addr)| names.iter().map(move |name| (*name, addr))).collect()
}

type Pairs = Vec<(&'static str, String)>;

fn platform(parts: &Parts) -> Pairs {
    let urls = parts.paas.urls();
    let estate = parts.estate.get();
    let of = |value: fn(&estate::Estate) -> String| estate.map(value).unwrap_or_default();
    vec![
        ("SCALINGO_AUTH_URL", urls.auth),
        ("SCALINGO_API_URL", urls.api),
        ("SCALINGO_DB_URL", urls.database),
        ("SCALINGO_SSH_HOST", parts.ssh.addr().to_string()),
        ("SCALINGO_SSH_FINGERPRINT", parts.ssh.fingerprint().to_owned()),
        ("SCALINGO_REGION", REGION.into()),
        ("SCALINGO_API_TOKEN", of(|estate| estate.token.clone())),
        ("SCALINGO_SSH_KEY", of(|estate| estate.ssh_key.display().to_string())),
        ("SCALINGO_COLLABORATOR_EMAIL", estate::COLLABORATOR.into()),
        ("SCALINGO_COLLABORATOR_API_TOKEN", of(|estate| estate.collaborator_token.clone())),
    ]
}

fn code_and_names(parts: &Parts) -> Pairs {
    let [first, second] = parts.plane.dns.authoritative();
    let code =
        parts.estate.get().map(|estate| format!("file://{}", estate.code.display())).unwrap_or_default();
    vec![
        ("GITHUB_API_URL", parts.github.endpoint()),
        ("GITHUB_TOKEN", parts.secrets.github.clone()),
        ("GITHUB_READ_TOKEN", parts.secrets.github_reader.clone()),
        ("GITHUB_STRANGER_TOKEN", parts.secrets.github_stranger.clone()),
        ("GITHUB_REPOSITORY", estate::REPOSITORY.into()),
        ("GITHUB_WORKFLOW", estate::WORKFLOW.into()),
        ("CODE_URL", code),
        ("ALWAYSDATA_API_URL", parts.alwaysdata.endpoint()),
        ("ALWAYSDATA_API_KEY", parts.secrets.alwaysdata.clone()),
        ("ALWAYSDATA_ACCOUNT", estate::ALWAYSDATA_ACCOUNT.into()),
        ("DNS_ZONE", estate::ZONE.into()),
        ("DNS_AUTHORITATIVE", format!("{first},{second}")),
        ("DNS_RESOLVER", parts.plane.dns.resolver().to_string()),
    ]
}

fn stores(parts: &Parts) -> Pairs {
    let (source, archive) = (Key::set(parts.secrets.source.clone()), Key::set(parts.secrets.archive.clone()));
    let [source_full, source_read, source_append] = source;
    let [archive_full, archive_read, archive_append] = archive;
    vec![
        ("S3_SOURCE_ENDPOINT", parts.source.endpoint()),
        ("S3_SOURCE_BUCKET", estate::BUCKET.into()),
        ("S3_SOURCE_PRINCIPAL", source_full.principal()),
        ("S3_SOURCE_ACCESS_KEY_ID", source_full.access_key_id.clone()),
        ("S3_SOURCE_SECRET_ACCESS_KEY", source_full.secret_access_key.clone()),
        ("S3_SOURCE_READ_PRINCIPAL", source_read.principal()),
        ("S3_SOURCE_READ_ACCESS_KEY_ID", source_read.access_key_id),
        ("S3_SOURCE_READ_SECRET_ACCESS_KEY", source_read.secret_access_key),
        ("S3_SOURCE_APPEND_PRINCIPAL", source_append.principal()),
        ("S3_SOURCE_APPEND_ACCESS_KEY_ID", source_append.access_key_id),
        ("S3_SOURCE_APPEND_SECRET_ACCESS_KEY", source_append.secret_access_key),
        ("S3_ARCHIVE_ENDPOINT", parts.archive.endpoint()),
        ("S3_ARCHIVE_BUCKET", estate::MIRROR.into()),
        ("S3_ARCHIVE_PRINCIPAL", archive_full.principal()),
        ("S3_ARCHIVE_ACCESS_KEY_ID", archive_full.access_key_id),
        ("S3_ARCHIVE_SECRET_ACCESS_KEY", archive_full.secret_access_key),
        ("S3_ARCHIVE_READ_PRINCIPAL", archive_read.principal()),
        ("S3_ARCHIVE_READ_ACCESS_KEY_ID", archive_read.access_key_id),
        ("S3_ARCHIVE_READ_SECRET_ACCESS_KEY", archive_read.secret_access_key),
        ("S3_ARCHIVE_APPEND_PRINCIPAL", archive_append.principal()),
        ("S3_ARCHIVE_APPEND_ACCESS_KEY_ID", archive_append.access_key_id),
        ("S3_ARCHIVE_APPEND_SECRET_ACCESS_KEY", archive_append.secret_access_key),
        ("AWS_REGION", estate::S3_REGION.into()),
        ("AWS_ACCESS_KEY_ID", source_full.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", source_full.secret_access_key),
    ]
}

fn rest(parts: &Parts, control: SocketAddr) -> Pairs {
    let ingress = &parts.plane.ingress;
    vec![
        ("INGRESS_HTTP", format!("http://{}", ingress.http())),
        ("INGRESS_HTTPS", format!("https://{}", ingress.https())),
        ("CA_CERT", parts.authority.ca_file().display().to_string()),
        ("CONTROL_URL", format!("http://{control}")),
        ("SANDBOX_SPEED", parts.world.clock.speed().to_string()),
    ]
}
