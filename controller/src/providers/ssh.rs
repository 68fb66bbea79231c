//! SSH to the platform: a tunnel to databases that are on its private network, and the identity that git pushes with.
//!
//! The server's key is pinned by fingerprint: an unknown one ends the attempt, nothing is ever learned on first use. The client's key
//! is Ed25519, loaded or made for the occasion; it leaves the process only as a file of mode 0600 in a folder of mode 0700 that is
//! removed with its owner.

pub mod client;
pub mod error;
pub mod fingerprint;
pub mod identity;
pub mod key;
pub mod tunnel;

pub use error::SshError;
pub use fingerprint::Fingerprints;
pub use identity::Identity;
pub use key::ClientKey;
pub use tunnel::{Traffic, Tunnel};

/// How to reach and recognise the platform's SSH server, and who we are there.
#[derive(Debug, Clone)]
pub struct SshConfig {
    /// `host:port`; port 22 if there is none.
    pub addr: String,
    /// The user, `git` at the platform.
    pub user: String,
    /// Host keys that are accepted.
    pub fingerprints: Fingerprints,
    /// Our key.
    pub key: ClientKey,
}

impl SshConfig {
    /// Host and port apart, for connecting and for `ssh`'s configuration.
    pub fn host_and_port(&self) -> Result<(String, u16), SshError> {
        let wrong = || SshError::Address { addr: self.addr.clone() };
        let (host, port) = match self.addr.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.starts_with('[') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (self.addr.as_str(), 22),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if host.is_empty() || host.starts_with('-') || !host.chars().all(plain) {
            return Err(wrong());
        }
        Ok((host.to_owned(), port))
    }
}

#[cfg(test)]
pub(crate) mod tests;
