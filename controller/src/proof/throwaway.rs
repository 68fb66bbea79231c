//! The throwaway database: a server of our own in a private folder, never the daemon's, with one empty database at a time
//! whose owner is an ordinary user. A dump is somebody else's program: what it runs, it runs as him.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use reprise_cluster::{Cluster, ClusterError, Settings};
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::ProofError;
use crate::backup::restore::Target;

/// The throwaway database, and its owner.
const NAME: &str = "throwaway";

/// What is lost in a crash of the machine is made anew; what is not waited for is time.
const OPTIONS: [(&str, &str); 13] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("archive_mode", "off"),
    ("autovacuum", "off"),
    // Short questions to a new database, planned without statistics: compiling them costs more than asking.
    ("jit", "off"),
    ("max_connections", "40"),
    ("maintenance_work_mem", "128MB"),
    ("max_wal_size", "2GB"),
    ("checkpoint_timeout", "30min"),
    // Rows that a statement fails on are personal data, and the log outlives the database.
    ("log_error_verbosity", "terse"),
];

/// A running throwaway server.
#[derive(Debug)]
pub(super) struct Throwaway {
    cluster: Cluster,
    folder: PathBuf,
}

/// The database that a backup is restored into.
#[derive(Debug)]
pub(super) struct Place {
    /// As its owner.
    pub owner: Target,
    /// As the superuser.
    pub superuser: Target,
}

impl Throwaway {
    /// Starts a server in `folder`, which is ours alone; what a killed predecessor left there is wiped first.
    pub(super) async fn start(folder: &Path) -> Result<Self, ProofError> {
        wipe(folder).await?;
        let file = |source| ProofError::File { doing: "make the folder of the throwaway database", source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file)?;
        let settings = OPTIONS
            .iter()
            .fold(Settings::new(server(folder)), |settings, (name, value)| settings.option(*name, *value));
        let cluster = Cluster::start(settings).await?;
        Ok(Self { cluster, folder: folder.to_owned() })
    }

    /// Where a dump is received.
    pub(super) fn dump(&self) -> PathBuf {
        self.folder.join("dump.pgsql")
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's version.
    pub(super) fn version(&self) -> &str {
        self.cluster.version()
    }

    /// An empty database; the former one is gone, and the dump with it.
    pub(super) async fn fresh(&self) -> Result<Place, ProofError> {
        remove_file(&self.dump())?;
        let password = format!("{:032x}", rand::random::<u128>());
        let mut connection = self.connect().await.map_err(ProofError::Database)?;
        for statement in [
            format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)"),
            format!("DROP ROLE IF EXISTS {NAME}"),
            format!("CREATE ROLE {NAME} LOGIN PASSWORD '{password}'"),
            format!("CREATE DATABASE {NAME} OWNER {NAME} TEMPLATE template0 ENCODING 'UTF8'"),
        ] {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
                .map_err(ProofError::Database)?;
        }
        connection.close().await.ok();
        let place = |user: &str, password: String| Target {
            socket_dir: self.cluster.socket_dir().to_owned(),
            port: self.cluster.port(),
            database: NAME.to_owned(),
            user: user.to_owned(),
            password: SecretString::from(password),
        };
        Ok(Place { owner: place(NAME, password), superuser: place(self.cluster.superuser(), String::new()) })
    }

    /// Stops the server and wipes everything.
    pub(super) async fn end(self) -> Result<(), ProofError> {
        remove_file(&self.dump())?;
        self.cluster.abandon().await;
        wipe(&self.folder).await
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let options = PgConnectOptions::from_str(&self.cluster.url("postgres"))?;
        options.application_name("reprise-proof").disable_statement_logging().connect().await
    }
}

fn server(folder: &Path) -> PathBuf {
    folder.join("server")
}

fn remove_file(path: &Path) -> Result<(), ProofError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ProofError::File { doing: "delete a dump", source })
        }
        _ => Ok(()),
    }
}

/// Deletes a throwaway database that nobody runs.
async fn wipe(folder: &Path) -> Result<(), ProofError> {
    Cluster::erase(&server(folder)).await?;
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ProofError::File { doing: "delete the folder of a throwaway database", source })
        }
        _ => Ok(()),
    }
}

/// Wipes what killed predecessors left below `root`. One that is in use, by a command beside the daemon, is left alone.
pub async fn sweep(root: &Path) -> Result<(), ProofError> {
    let file = |source| ProofError::File { doing: "look for left throwaway databases", source };
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file(error)),
    };
    for entry in entries {
        match wipe(&entry.map_err(file)?.path()).await {
            Err(ProofError::Server(ClusterError::Owned { .. })) => {
                tracing::info!("a throwaway database is in use and stays");
            }
            wiped => wiped?,
        }
    }
    Ok(())
}
