//! Our SSH key.

use std::{fmt, io::Read as _, path::Path, sync::Arc};

use russh::keys::{
    Algorithm, HashAlg, PrivateKey,
    key::safe_rng,
    ssh_key::{self, LineEnding},
};
use secrecy::SecretString;

use super::SshError;

/// Largest key file that is read, in bytes.
const FILE_LIMIT: u64 = 64 << 10;

/// A private key. Shown by its fingerprint only. Cheap to clone.
#[derive(Clone)]
pub struct ClientKey(pub(super) Arc<PrivateKey>);

impl ClientKey {
    /// A new Ed25519 key that lives as long as this value and what was written from it.
    pub fn generate(comment: &str) -> Result<Self, SshError> {
        let wrong = |source| SshError::Key { from: "made for this request".to_owned(), source };
        let mut key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(wrong)?;
        key.set_comment(comment);
        Ok(Self(Arc::new(key)))
    }

    /// Reads a key in OpenSSH's format without a passphrase.
    pub fn load(path: &Path) -> Result<Self, SshError> {
        let file = |source| SshError::File { doing: "read the private key", path: path.to_owned(), source };
        let mut text = String::new();
        std::fs::File::open(path).map_err(file)?.take(FILE_LIMIT).read_to_string(&mut text).map_err(file)?;
        let from = path.display().to_string();
        let key =
            PrivateKey::from_openssh(&text).map_err(|source| SshError::Key { from: from.clone(), source })?;
        if key.is_encrypted() {
            return Err(SshError::KeyLocked { from });
        }
        Ok(Self(Arc::new(key)))
    }

    /// The line to register: algorithm, key, comment.
    pub fn public_line(&self) -> Result<String, SshError> {
        self.0.public_key().to_openssh().map_err(|source| SshError::Key { from: self.fingerprint(), source })
    }

    /// `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The private key in OpenSSH's format.
    pub(super) fn to_openssh(&self) -> Result<SecretString, ssh_key::Error> {
        self.0.to_openssh(LineEnding::LF).map(|text| SecretString::from(text.as_str()))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_made_key_can_be_registered_and_read_back() {
        let key = ClientKey::generate("reprise-drill").unwrap();
        let line = key.public_line().unwrap();
        assert!(line.starts_with("ssh-ed25519 AAAA") && line.ends_with(" reprise-drill"), "{line}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, key.to_openssh().unwrap().expose_secret()).unwrap();
        assert_eq!(ClientKey::load(&path).unwrap().fingerprint(), key.fingerprint());
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n").unwrap();
        let error = ClientKey::load(&path).unwrap_err();
        assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
    }
}
