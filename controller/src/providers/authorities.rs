//! Who vouches for others: the system's certification authorities, and one that the operator adds.

use base64::Engine as _;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

/// The certificates of a PEM file, one or several.
pub(super) fn read(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

/// The system's and those of `pem` in one PEM file, for programs that take one file instead of the system's. One that cannot be used, at
/// which our own TLS would stumble, is left out.
pub(crate) fn with_systems(pem: &[u8]) -> String {
    let usable = |one: &&CertificateDer<'_>| RootCertStore::empty().add((*one).clone().into_owned()).is_ok();
    let systems = rustls_native_certs::load_native_certs().certs;
    let mut all: String = systems.iter().filter(usable).map(written).collect();
    all.push_str(&String::from_utf8_lossy(pem));
    all
}

fn written(certificate: &CertificateDer<'_>) -> String {
    /// As long as lines of PEM are.
    const LINE: usize = 64;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> =
        text.as_bytes().chunks(LINE).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let key = rcgen::KeyPair::generate().unwrap();
        let own =
            rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        assert_eq!(read(written(own.der()).as_bytes()).unwrap(), [own.der().clone()]);
        let all = read(with_systems(own.pem().as_bytes()).as_bytes()).unwrap();
        assert_eq!(all.last(), Some(own.der()));
    }
}
