//! What a certificate says of itself. Pure; the chain was verified by whoever received it.

use chrono::{DateTime, Utc};
use x509_parser::{extensions::GeneralName, prelude::*};

use super::ProbeError;

/// A server's certificate, shortened to what tells one from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Host names it is good for, as written.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// From when it is good.
    pub not_before: Option<DateTime<Utc>>,
    /// Until when it is good.
    pub not_after: Option<DateTime<Utc>>,
    /// Its number at the issuer, hexadecimal.
    pub serial: String,
}

impl CertificateSummary {
    /// Reads a certificate as DER.
    pub fn read(der: &[u8]) -> Result<Self, ProbeError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| ProbeError::Certificate)?;
        let alternative = certificate.subject_alternative_name().map_err(|_| ProbeError::Certificate)?;
        let names = alternative.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let names = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let validity = certificate.validity();
        let date = |time: ASN1Time| DateTime::from_timestamp(time.timestamp(), 0);
        Ok(Self {
            names: names.collect(),
            issuer: super::super::http::message::line(&certificate.issuer().to_string()),
            not_before: date(validity.not_before),
            not_after: date(validity.not_after),
            serial: hex::encode(certificate.raw_serial()),
        })
    }

    /// Whether exactly this name is in it: not a wildcard of the platform that happens to fit.
    pub fn names_exactly(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}
