//! Why a cluster could not be started. Every sentence says what was tried and with which folder.

use std::path::{Path, PathBuf};

/// What went wrong. None of these leaves a server of ours running.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither `/usr/lib/postgresql` nor `PATH` holds a server; install the distribution's `postgresql` package.
    #[error("no PostgreSQL server binaries found in {looked}: install the package postgresql")]
    NoBinaries {
        /// Where they were looked for.
        looked: String,
    },
    /// The folder was made by another major version, whose binaries are not installed.
    #[error("the data in {} belongs to PostgreSQL {data}, but only {found} is installed", dir.display())]
    OtherVersion {
        /// The server's data folder.
        dir: PathBuf,
        /// The major version that made it.
        data: String,
        /// The version that was found.
        found: String,
    },
    /// Another live process holds the folder.
    #[error("the cluster in {} is already in use by process {holder}: one owner at a time", dir.display())]
    Owned {
        /// The folder.
        dir: PathBuf,
        /// The process that holds it, or `unknown`.
        holder: String,
    },
    /// A server that was started by somebody else runs on the folder.
    #[error("a PostgreSQL server (process {pid}) that is not ours runs in {}: stop it first", dir.display())]
    Foreign {
        /// The server's data folder.
        dir: PathBuf,
        /// Its postmaster.
        pid: i32,
    },
    /// A server of an earlier owner did not end, even when killed.
    #[error("the server that an earlier owner left in {} does not end", dir.display())]
    Survivor {
        /// The server's data folder.
        dir: PathBuf,
    },
    /// An option that this crate sets itself, or one that is no option name.
    #[error("the server option {name:?} cannot be set here")]
    Option {
        /// The refused name.
        name: String,
    },
    /// A tool of the distribution refused to do its part.
    #[error("{tool} failed with {status}: {message}")]
    Tool {
        /// The tool's name.
        tool: &'static str,
        /// Its exit status.
        status: String,
        /// The end of what it printed.
        message: String,
    },
    /// The server ended while it was starting.
    #[error("the server in {} ended while starting with {status}: {message}", dir.display())]
    Died {
        /// The server's data folder.
        dir: PathBuf,
        /// Its exit status.
        status: String,
        /// The end of its log.
        message: String,
    },
    /// The server did not accept connections in time; it was stopped again.
    #[error("the server in {} was not ready within {seconds} s: {message}", dir.display())]
    Slow {
        /// The server's data folder.
        dir: PathBuf,
        /// How long it was waited for.
        seconds: u64,
        /// The end of its log.
        message: String,
    },
    /// A folder that must be private exists already and others can enter it, or it is not ours.
    #[error("the folder {} exists and is not a private folder of ours", path.display())]
    NotPrivate {
        /// The folder.
        path: PathBuf,
    },
    /// A file or process could not be handled.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What we were doing.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// Adds to an I/O error what we were doing with which path.
pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ClusterError {
    let path = path.to_owned();
    move |source| ClusterError::Io { doing, path, source }
}
