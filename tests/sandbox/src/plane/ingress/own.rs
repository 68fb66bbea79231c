//! Certificates that customers bring themselves: read, checked against their key, their host and the date.

use chrono::{DateTime, Utc};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::parse_x509_certificate;
use x509_parser::public_key::PublicKey;

/// Why a certificate cannot be shown for a host. Nothing of the key is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OwnCertificateError {
    /// No PEM certificate.
    #[error("is not a valid PEM certificate")]
    Certificate,
    /// No PEM private key that TLS can use.
    #[error("is not a valid PEM private key")]
    Key,
    /// The key belongs to another certificate.
    #[error("does not match the certificate")]
    Mismatch,
    /// The certificate is for other hosts.
    #[error("is not valid for this domain")]
    Host,
    /// Its time is over, or has not come.
    #[error("is expired")]
    Expired,
}

/// A certificate that can be shown, and what is told of it.
#[derive(Debug)]
pub struct OwnCertificate {
    /// `CN=www.exemple.fr`.
    pub subject: String,
    /// `RSA 2048 bits`.
    pub key: String,
    /// The end of its time.
    pub not_after: DateTime<Utc>,
    pub(super) certified: CertifiedKey,
}

impl OwnCertificate {
    /// The certificate of this PEM chain and key for `host`, which may be a wildcard.
    pub fn parse(
        host: &str,
        chain: &str,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, OwnCertificateError> {
        let unreadable = |_| OwnCertificateError::Certificate;
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().map_err(unreadable)?;
        let leaf = chain.first().cloned().ok_or(OwnCertificateError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| OwnCertificateError::Key)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let signer = provider.key_provider.load_private_key(key).map_err(|_| OwnCertificateError::Key)?;
        let certified = CertifiedKey::new(chain, signer);
        certified.keys_match().map_err(|_| OwnCertificateError::Mismatch)?;
        refuse_other_host(&leaf, host)?;
        let (_, parsed) = parse_x509_certificate(&leaf).map_err(|_| OwnCertificateError::Certificate)?;
        let valid = parsed.validity();
        let within =
            valid.not_before.timestamp() <= now.timestamp() && now.timestamp() < valid.not_after.timestamp();
        if !within {
            return Err(OwnCertificateError::Expired);
        }
        let kind = parsed.public_key().parsed().map_or_else(|_| "unknown".to_owned(), |key| kind(&key));
        let not_after = DateTime::from_timestamp(valid.not_after.timestamp(), 0);
        Ok(Self {
            subject: parsed.subject().to_string(),
            key: kind,
            not_after: not_after.ok_or(OwnCertificateError::Certificate)?,
            certified,
        })
    }
}

/// A wildcard is asked about by one of its names.
fn refuse_other_host(leaf: &CertificateDer<'_>, host: &str) -> Result<(), OwnCertificateError> {
    let parsed = ParsedCertificate::try_from(leaf).map_err(|_| OwnCertificateError::Certificate)?;
    let one = host.strip_prefix("*.").map_or_else(|| host.to_owned(), |parent| format!("any-name.{parent}"));
    let name = ServerName::try_from(one).map_err(|_| OwnCertificateError::Host)?;
    rustls::client::verify_server_name(&parsed, &name).map_err(|_| OwnCertificateError::Host)
}

fn kind(key: &PublicKey<'_>) -> String {
    let name = match key {
        PublicKey::RSA(_) => "RSA",
        PublicKey::EC(_) => "EC",
        _ => return "Ed25519".into(),
    };
    format!("{name} {} bits", key.key_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_must_be_for_its_host_and_its_key() {
        let (now, (cert, key), (_, other)) =
            (Utc::now(), made(&["www.exemple.test", "*.wild.test"]), made(&["x.test"]));
        let read = OwnCertificate::parse("www.exemple.test", &cert, &key, now).unwrap();
        assert_eq!(read.key, "EC 256 bits");
        assert!(OwnCertificate::parse("*.wild.test", &cert, &key, now).is_ok());
        let refused =
            |host: &str, cert: &str, key: &str, now| OwnCertificate::parse(host, cert, key, now).unwrap_err();
        assert_eq!(refused("other.exemple.test", &cert, &key, now), OwnCertificateError::Host);
        assert_eq!(refused("www.exemple.test", &cert, &other, now), OwnCertificateError::Mismatch);
        assert_eq!(refused("www.exemple.test", "nonsense", &key, now), OwnCertificateError::Certificate);
        assert_eq!(refused("www.exemple.test", &cert, "nonsense", now), OwnCertificateError::Key);
        let later = now + chrono::TimeDelta::days(366 * 3_000);
        assert_eq!(refused("www.exemple.test", &cert, &key, later), OwnCertificateError::Expired);
    }
}
