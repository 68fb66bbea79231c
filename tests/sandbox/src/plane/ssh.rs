//! The SSH server: tunnels to databases, git over SSH.
//!
//! Keys are the platform's to know; passwords, shells, terminals and forwarding to anywhere else are not offered. Algorithms are
//! those that the vendor documents.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, HashAlg, PrivateKey};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};
use serde_json::Value;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::databases::Databases;
use super::platform::{Branch, Platform};
use super::redis::RedisServers;
use crate::world::World;
use crate::world::journal::Evidence;

mod bytes;
mod fetch;
mod git;
mod handler;
mod line;
mod push;
mod repository;
mod strain;
mod tunnel;

use handler::Session;
use line::Scissors;

/// Forgets what was pushed to `app`, at once, and says where it lies until somebody removes it. The name is the platform's, and
/// safe as a file's.
pub fn forget(world: &World, app: &str) -> std::io::Result<Option<PathBuf>> {
    repository::set_aside(world, app)
}

/// What was pushed to `old` is `new`'s from now on. That there is none is fine.
pub fn rename(world: &World, old: &str, new: &str) -> std::io::Result<()> {
    repository::rename(world, old, new)
}

/// Whether a branch of `repository` still is where its pusher saw it.
pub async fn is_as_seen(world: &World, repository: &Path, branch: &Branch) -> std::io::Result<bool> {
    let now = repository::commit_of(world, repository, &branch.reference).await?;
    let nowhere = branch.seen.bytes().all(|b| b == b'0');
    Ok(now.as_deref() == (!nowhere).then_some(branch.seen.as_str()))
}

/// How long an RSA host key is: with the system's tool its making is a matter of a moment.
const RSA_BITS: &str = "2048";
/// A peer that vanished is noticed after three of these.
const KEEPALIVE: Duration = Duration::from_secs(15);

const KEX: &[kex::Name] = &[
    kex::CURVE25519_PRE_RFC_8731,
    kex::CURVE25519,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
const CIPHERS: &[cipher::Name] = &[cipher::AES_256_CTR, cipher::CHACHA20_POLY1305, cipher::AES_128_GCM];
const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA256];
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    // What clients may log in with, beside these.
    Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP521 },
];

/// Why the SSH server could not start.
#[derive(Debug, Error)]
pub enum SshError {
    /// No port, folder or file.
    #[error("setting up the SSH server")]
    Setup(#[source] std::io::Error),
    /// `ssh-keygen` did not make a key.
    #[error("making a host key with ssh-keygen, which ended with {0}")]
    Keygen(std::process::ExitStatus),
    /// A host key that cannot be read.
    #[error("reading a host key")]
    Key(#[source] russh::keys::Error),
}

/// The SSH server of one sandbox.
#[derive(Debug)]
pub struct SshServer {
    addr: SocketAddr,
    fingerprint: String,
}

/// What every connection needs.
#[derive(Debug)]
struct Site {
    world: Arc<World>,
    platform: Arc<dyn Platform>,
    databases: Arc<Databases>,
    redis: Arc<RedisServers>,
}

/// Who speaks, for the journal.
#[derive(Debug, Clone, Default)]
struct Who {
    /// The user whose key was proven.
    user: String,
    /// `SHA256:…` of that key.
    key: String,
    /// How the client names itself: `SSH-2.0-OpenSSH_9.2`.
    client: String,
}

impl Who {
    /// What is known of something that they changed.
    fn evidence(&self, before: Option<Value>, after: Option<Value>) -> Evidence {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let (credential, agent) = (some(&self.key), some(&self.client));
        Evidence { agent, credential, before, after, ..Evidence::default() }
    }
}

impl SshServer {
    /// Listens on a port of 127.0.0.1, with the host keys kept in the world's folder.
    pub async fn start(
        world: &Arc<World>,
        platform: Arc<dyn Platform>,
        databases: &Arc<Databases>,
        redis: &Arc<RedisServers>,
    ) -> Result<Self, SshError> {
        let folder = world.folder("ssh").map_err(SshError::Setup)?;
        let (ed25519, rsa) = tokio::try_join!(
            host_key(&folder, "ssh_host_ed25519_key", &["-t", "ed25519"]),
            host_key(&folder, "ssh_host_rsa_key", &["-t", "rsa", "-b", RSA_BITS])
        )?;
        let fingerprint = ed25519.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config = Arc::new(config(vec![ed25519, rsa]));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(SshError::Setup)?;
        let addr = listener.local_addr().map_err(SshError::Setup)?;
        let site = Arc::new(Site {
            world: Arc::clone(world),
            platform,
            databases: Arc::clone(databases),
            redis: Arc::clone(redis),
        });
        world.tasks.spawn("ssh", accept(listener, config, site));
        Ok(Self { addr, fingerprint })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `SHA256:…` of the Ed25519 host key.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

fn config(keys: Vec<PrivateKey>) -> Config {
    Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-sandbox")),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_millis(200),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys,
        window_size: 16 << 20,
        maximum_packet_size: 65_535,
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE),
        nodelay: true,
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Borrowed(KEYS),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::default()
        },
        ..Config::default()
    }
}

/// The host key in `folder`, made by OpenSSH's own tool if there is none.
async fn host_key(folder: &Path, name: &str, kind: &[&str]) -> Result<PrivateKey, SshError> {
    let path = folder.join(name);
    if !path.exists() {
        let mut keygen = Command::new("ssh-keygen");
        keygen.arg("-q").args(kind).args(["-N", "", "-C", "", "-f"]).arg(&path);
        keygen.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = keygen.status().await.map_err(SshError::Setup)?;
        if !status.success() {
            return Err(SshError::Keygen(status));
        }
    }
    russh::keys::load_secret_key(&path, None).map_err(SshError::Key)
}

async fn accept(listener: TcpListener, config: Arc<Config>, site: Arc<Site>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (config, site) = (Arc::clone(&config), Arc::clone(&site));
                let tasks = site.world.tasks.clone();
                tasks.spawn("ssh connection", converse(stream, config, site));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting an SSH connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, config: Arc<Config>, site: Arc<Site>) {
    stream.set_nodelay(true).ok();
    let scissors = Scissors::default();
    let thread = scissors.around(stream);
    let ended =
        async { russh::server::run_stream(config, thread, Session::new(site, scissors)).await?.await };
    if let Err(error) = ended.await {
        tracing::debug!(%error, "an SSH connection broke");
    }
}

#[cfg(test)]
mod tests;
