//! The embedded default: a private `PostgreSQL` cluster under the data folder, run with the machine's own binaries.
//!
//! One daemon at a time: the cluster refuses a second owner. The daemon leaves the address of its socket in `store.url`, for the
//! command line and for plain psql; there is no password in it, the socket's folder is private.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use reprise_cluster::{Cluster, ClusterError, Settings};
use sqlx::postgres::PgConnectOptions;

/// The database in the private cluster.
const DATABASE: &str = "postgres";

/// Why the private store cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server cannot be started.
    #[error("cannot start the private PostgreSQL")]
    Cluster(#[source] ClusterError),
    /// Its address cannot be read back.
    #[error("the private PostgreSQL has an address that cannot be used")]
    Address(#[source] sqlx::Error),
}

/// A private store that runs until it is stopped.
#[derive(Debug)]
pub struct Embedded {
    cluster: Cluster,
    url_file: PathBuf,
}

/// Where the running store's address is written.
pub fn url_file(data_dir: &Path) -> PathBuf {
    data_dir.join("store.url")
}

impl Embedded {
    /// Starts the cluster under `data_dir`, made private if it is not there.
    pub async fn start(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let folder = |source| EmbeddedError::Folder { path: data_dir.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(folder)?;
        let data_dir = data_dir.canonicalize().map_err(folder)?;
        let cluster =
            Cluster::start(Settings::new(data_dir.join("store"))).await.map_err(EmbeddedError::Cluster)?;
        let url_file = url_file(&data_dir);
        write_private(&url_file, &cluster.url(DATABASE))
            .map_err(|source| EmbeddedError::Folder { path: url_file.clone(), source })?;
        Ok(Self { cluster, url_file })
    }

    /// How to connect.
    pub fn options(&self) -> Result<PgConnectOptions, EmbeddedError> {
        PgConnectOptions::from_str(&self.cluster.url(DATABASE)).map_err(EmbeddedError::Address)
    }

    /// Resolves when the server ends without having been asked to.
    pub async fn ended(&mut self) {
        match self.cluster.ended().await {
            Ok(status) => tracing::error!(%status, "the private PostgreSQL ended"),
            Err(error) => tracing::error!(%error, "the private PostgreSQL cannot be watched"),
        }
    }

    /// Stops the server.
    pub async fn stop(self) {
        if let Err(error) = std::fs::remove_file(&self.url_file) {
            tracing::debug!(%error, "the store's address could not be removed");
        }
        self.cluster.stop().await;
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file =
        std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")
}
