//! One authenticated session with a pinned server.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use russh::keys::HashAlg;
use russh::{
    client::{self, Handle},
    keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate},
};

use super::{Fingerprints, SshConfig, SshError};

/// Time for name, TCP, key exchange and authentication together.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// Silence after which the server is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A session, and the host key that it was made with.
pub(super) struct Session {
    pub(super) handle: Handle<Pinned>,
    pub(super) host_key: PublicKey,
}

/// Accepts the pinned host key only, and remembers what was shown.
pub(super) struct Pinned {
    fingerprints: Fingerprints,
    shown: Arc<OnceLock<PublicKey>>,
}

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        // A certificate has another fingerprint than its key: nobody pinned an authority.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let first = self.shown.get_or_init(|| key.clone());
        Ok(self.fingerprints.accept(key) && first.key_data() == key.key_data())
    }
}

/// Large windows: the default of 2 MiB halves the speed of a restore over a line with some delay.
fn settings() -> client::Config {
    client::Config {
        window_size: 16 << 20,
        maximum_packet_size: 65_535,
        nodelay: true,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 4,
        ..client::Config::default()
    }
}

impl Session {
    /// Connects, checks the host key, authenticates. Repeating it is harmless.
    pub(super) async fn open(config: &SshConfig) -> Result<Self, SshError> {
        let late = |_| SshError::Timeout { addr: config.addr.clone() };
        tokio::time::timeout(CONNECT_LIMIT, Self::connect(config)).await.map_err(late)?
    }

    async fn connect(config: &SshConfig) -> Result<Self, SshError> {
        let mut session = Self::meet(config).await?;
        session.authenticate(config).await?;
        Ok(session)
    }

    /// Connects and checks the host key.
    async fn meet(config: &SshConfig) -> Result<Self, SshError> {
        let address = config.host_and_port()?;
        let shown = Arc::new(OnceLock::new());
        let handler = Pinned { fingerprints: config.fingerprints.clone(), shown: Arc::clone(&shown) };
        let connected = client::connect(Arc::new(settings()), address, handler).await;
        let broken = |source| SshError::Session { addr: config.addr.clone(), source: Box::new(source) };
        let handle = match (connected, shown.get()) {
            (Ok(handle), _) => handle,
            (Err(_), Some(key)) if !config.fingerprints.accept(key) => return Err(stranger(config, key)),
            (Err(error), _) => return Err(broken(error)),
        };
        let host_key = shown.get().cloned().ok_or_else(|| broken(russh::Error::UnknownKey))?;
        Ok(Self { handle, host_key })
    }

    async fn authenticate(&mut self, config: &SshConfig) -> Result<(), SshError> {
        let broken = |source| SshError::Session { addr: config.addr.clone(), source: Box::new(source) };
        let hash = self.handle.best_supported_rsa_hash().await.map_err(broken)?.flatten();
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&config.key.0), hash);
        let result = self.handle.authenticate_publickey(&config.user, key).await.map_err(broken)?;
        if result.success() {
            return Ok(());
        }
        let (addr, user, key) = (config.addr.clone(), config.user.clone(), config.key.fingerprint());
        Err(SshError::Refused { addr, user, key })
    }
}

/// Sees whether the server is the pinned one, and changes nothing there: no key is offered.
pub async fn greet(config: &SshConfig) -> Result<(), SshError> {
    let late = |_| SshError::Timeout { addr: config.addr.clone() };
    tokio::time::timeout(CONNECT_LIMIT, Session::meet(config)).await.map_err(late)?.map(drop)
}

/// Sees whether the pinned server knows our key, and asks it for nothing.
pub async fn is_known(config: &SshConfig) -> Result<(), SshError> {
    Session::open(config).await.map(drop)
}

fn stranger(config: &SshConfig, key: &PublicKey) -> SshError {
    SshError::HostKey {
        addr: config.addr.clone(),
        offered: key.fingerprint(HashAlg::Sha256).to_string(),
        pinned: config.fingerprints.to_string(),
    }
}
