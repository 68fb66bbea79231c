//! TLS of database hosts: certificates of a private CA, which is not the one of the web.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, AuthorityError};
use crate::world::World;

/// The world's folder that holds the CA.
const FOLDER: &str = "database-ca";
const NAME: &str = "Sandbox database CA";

/// Why a database host has no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The CA could not be kept, or did not sign.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The settings of the server side were refused.
    #[error("setting up TLS")]
    Settings(#[source] rustls::Error),
    /// The CA has no folder.
    #[error("keeping the CA of databases")]
    Folder(#[source] std::io::Error),
}

impl From<TlsError> for std::io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}

/// The CA of the database hosts of one world.
#[derive(Debug)]
pub struct DatabaseAuthority(Authority);

impl DatabaseAuthority {
    /// The world's, made if there is none.
    pub fn of(world: &World) -> Result<Self, TlsError> {
        let dir: PathBuf = world.folder(FOLDER).map_err(TlsError::Folder)?;
        Ok(Self(Authority::named(&dir, NAME)?))
    }

    /// Its certificate (PEM): what a client verifies with.
    pub fn file(&self) -> &Path {
        self.0.ca_file()
    }

    /// The server's side of TLS for `host` and the instances below it.
    pub(super) fn acceptor(&self, host: &str) -> Result<TlsAcceptor, TlsError> {
        let key = self.0.issue(&[host, &format!("*.{host}")])?;
        // The provider is named: two of them in one program make the default panic.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Settings)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
