//! How SSH can fail, and when to look again.

use std::{io, path::PathBuf};

use russh::ChannelOpenFailure;

use crate::runtime::class::{Class, Classified};

/// Why the platform's SSH server could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// Not `host:port`.
    #[error("`{addr}` is not the address of an SSH server")]
    Address {
        /// What was configured.
        addr: String,
    },
    /// Not a list of `SHA256:…`.
    #[error("`{text}` is not a SHA256 fingerprint of a host key")]
    Fingerprint {
        /// What was configured.
        text: String,
    },
    /// The private key cannot be used.
    #[error("cannot use the private key {from}")]
    Key {
        /// A path, or how it was made.
        from: String,
        /// Why.
        #[source]
        source: russh::keys::ssh_key::Error,
    },
    /// The private key is protected by a passphrase, which nobody is there to type.
    #[error("the private key {from} is protected by a passphrase")]
    KeyLocked {
        /// Its path.
        from: String,
    },
    /// The server is not the one that was pinned.
    #[error("{addr} shows the host key {offered}, pinned is {pinned}")]
    HostKey {
        /// The server.
        addr: String,
        /// What it showed.
        offered: String,
        /// What was expected.
        pinned: String,
    },
    /// The server does not know our key.
    #[error("{addr} refuses the key {key} of user {user}")]
    Refused {
        /// The server.
        addr: String,
        /// The user.
        user: String,
        /// Our key's fingerprint.
        key: String,
    },
    /// The server cannot be reached or broke off.
    #[error("no SSH session with {addr}")]
    Session {
        /// The server.
        addr: String,
        /// Why.
        #[source]
        source: Box<russh::Error>,
    },
    /// The server did not answer in time.
    #[error("{addr} did not answer in time")]
    Timeout {
        /// The server.
        addr: String,
    },
    /// The server opens no channel to the database.
    #[error("{addr} opens no channel to {target}")]
    Channel {
        /// The server.
        addr: String,
        /// `host:port` of the database.
        target: String,
        /// Why.
        #[source]
        source: Box<russh::Error>,
    },
    /// A folder or file of ours.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What we were doing.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder for the socket is open to others, or too long for a socket's name.
    #[error("{} {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The platform names a git repository in a way that is not passed on to `git`.
    #[error("`{url}` is not the address of a git repository over SSH")]
    Repository {
        /// As the platform said it.
        url: String,
    },
}

impl SshError {
    /// The server is there and said no to this channel.
    pub(super) fn is_refused_channel(&self) -> bool {
        matches!(self, Self::Channel { source, .. } if matches!(**source, russh::Error::ChannelOpenFailure(_)))
    }
}

impl Classified for SshError {
    fn class(&self) -> Class {
        match self {
            Self::Session { .. } | Self::Timeout { .. } => Class::Transient,
            Self::Channel { source, .. } => match **source {
                russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                    Class::Terminal
                }
                _ => Class::Transient,
            },
            // A disk that is full has room again; a file that is not there, or not for us, stays so.
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData => {
                    Class::Terminal
                }
                _ => Class::Transient,
            },
            Self::Address { .. }
            | Self::Fingerprint { .. }
            | Self::Key { .. }
            | Self::KeyLocked { .. }
            | Self::HostKey { .. }
            | Self::Refused { .. }
            | Self::Folder { .. }
            | Self::Repository { .. } => Class::Terminal,
        }
    }
}
