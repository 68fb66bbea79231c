//! The local certificate authority: one CA, kept in the world's folder, and leaf certificates for the ingress.
//!
//! Dates are the wall's, since clients compare them with their own clocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use crate::exec::{BUNDLE_FILE, CA_FILE, SYSTEM_BUNDLE};

const KEY_FILE: &str = "ca-key.pem";
/// As the issuer's at the vendor's: 45 days.
const LEAF_LIFE: Duration = Duration::from_hours(45 * 24);
const CA_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// Clocks differ a little: a certificate is valid since an hour ago.
const BACKDATED: Duration = Duration::from_hours(1);

/// Why a certificate could not be made.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A file of the CA could not be read or written.
    #[error("keeping the authority in {path}", path = .path.display())]
    Keep {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("making a certificate for {name}")]
    Make {
        /// For whom.
        name: String,
        /// What was wrong.
        #[source]
        source: rcgen::Error,
    },
    /// The key that was made does not suit TLS.
    #[error("using the key of {name}")]
    Key {
        /// Whose key.
        name: String,
        /// What was wrong.
        #[source]
        source: rustls::Error,
    },
}

/// The CA of one world.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca_file: PathBuf,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("ca_file", &self.ca_file).finish_non_exhaustive()
    }
}

impl Authority {
    /// The CA kept in `dir` (the world's folder [`crate::exec::CA_FOLDER`]), made if there is none; beside it the bundle that
    /// clients use.
    pub fn new(dir: &Path) -> Result<Arc<Self>, AuthorityError> {
        let authority = Self::named(dir, "Reprise sandbox CA")?;
        let machine = std::fs::read_to_string(SYSTEM_BUNDLE).unwrap_or_default();
        write(&dir.join(BUNDLE_FILE), &format!("{machine}\n{ours}", ours = read(&authority.ca_file)?))?;
        Ok(Arc::new(authority))
    }

    /// A CA of this name kept in `dir`, made if there is none.
    pub fn named(dir: &Path, name: &str) -> Result<Self, AuthorityError> {
        let (ca_file, key_file) = (dir.join(CA_FILE), dir.join(KEY_FILE));
        let make = |source| AuthorityError::Make { name: "the CA".into(), source };
        let params = ca_params(name);
        let key = if ca_file.exists() && key_file.exists() {
            KeyPair::from_pem(&read(&key_file)?).map_err(make)?
        } else {
            let key = KeyPair::generate().map_err(make)?;
            write_secret(&key_file, &key.serialize_pem())?;
            let certificate = params.self_signed(&key).map_err(make)?;
            write(&ca_file, &certificate.pem())?;
            key
        };
        Ok(Self { issuer: Issuer::new(params, key), ca_file })
    }

    /// The CA's certificate (PEM).
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// A new certificate and key for `names` (a leading `*.` is a wildcard).
    pub fn issue(&self, names: &[&str]) -> Result<CertifiedKey, AuthorityError> {
        let name = names.first().copied().unwrap_or_default().to_owned();
        let make = |source| AuthorityError::Make { name: name.clone(), source };
        let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(owned).map_err(make)?;
        params.distinguished_name = called(&name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_life(&mut params, LEAF_LIFE);
        let key = KeyPair::generate().map_err(make)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(make)?;
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signer =
            any_supported_type(&der).map_err(|source| AuthorityError::Key { name: name.clone(), source })?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], signer))
    }
}

/// The same for ever: the issuer's name and key are all that leaves refer to.
fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = called(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, CA_LIFE);
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    // A common name has at most 64 characters; clients look at the alternative names anyway.
    distinguished.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished
}

fn set_life(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + life).into();
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    std::fs::read_to_string(path).map_err(|source| AuthorityError::Keep { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), AuthorityError> {
    std::fs::write(path, text).map_err(|source| AuthorityError::Keep { path: path.to_owned(), source })
}

fn write_secret(path: &Path, text: &str) -> Result<(), AuthorityError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| AuthorityError::Keep { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::new(dir.path()).unwrap();
        let pem = std::fs::read_to_string(first.ca_file()).unwrap();
        let second = Authority::new(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(second.ca_file()).unwrap(), pem);
        assert!(std::fs::read_to_string(dir.path().join(BUNDLE_FILE)).unwrap().contains(pem.trim()));
    }

    #[test]
    fn the_key_of_the_ca_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        Authority::new(dir.path()).unwrap();
        let mode = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "mode {mode:o}");
    }
}
