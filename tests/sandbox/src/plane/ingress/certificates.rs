//! Which certificate is shown for which name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates by host, and the one for all others.
pub(super) struct Certificates {
    fallback: Arc<CertifiedKey>,
    own: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates")
            .field("hosts", &self.own().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Certificates {
    pub(super) fn new(fallback: CertifiedKey) -> Self {
        Self { fallback: Arc::new(fallback), own: Mutex::default() }
    }

    pub(super) fn put(&self, host: &str, certificate: CertifiedKey) {
        self.own().insert(host.to_ascii_lowercase(), Arc::new(certificate));
    }

    pub(super) fn remove(&self, host: &str) {
        self.own().remove(&host.to_ascii_lowercase());
    }

    /// TLS settings that ask us for each handshake. The provider is named: two of them in one program make the default panic.
    pub(super) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The certificate of a host, or of the wildcard above it.
    fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let own = self.own();
        let wildcard = || own.get(&format!("*.{}", name.split_once('.')?.1));
        own.get(name).or_else(wildcard).cloned()
    }

    fn own(&self) -> MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = hello.server_name().and_then(|name| self.of(&name.to_ascii_lowercase()));
        Some(own.unwrap_or_else(|| Arc::clone(&self.fallback)))
    }
}
