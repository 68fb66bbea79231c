//! Signatures made by hand, for what the client of these tests would not send.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::support::Setup;

const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    assert!(key.len() <= 64);
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// What a key signs with now, and the fields that say so.
pub(super) struct Signer {
    key: [u8; 32],
    pub(super) credential: String,
    pub(super) date: String,
}

impl Signer {
    pub(super) fn new(id: &str) -> Self {
        let now = chrono::Utc::now();
        let day = now.format("%Y%m%d").to_string();
        let key = [&*day, "fr-par", "s3", "aws4_request"]
            .iter()
            .fold(format!("AWS4{id}-secret").into_bytes(), |key, text| hmac(&key, text).to_vec());
        Self {
            key: key.try_into().unwrap(),
            credential: format!("{id}/{day}/fr-par/s3/aws4_request"),
            date: now.format("%Y%m%dT%H%M%SZ").to_string(),
        }
    }

    pub(super) fn sign(&self, text: &str) -> String {
        hex::encode(hmac(&self.key, text))
    }
}

/// An address for `method` with these pairs in its query, which signs nothing but the host.
pub(super) fn presign(setup: &Setup, method: &str, path: &str, pairs: &[(&str, &str)]) -> String {
    let signer = Signer::new("FULL");
    let mut query = vec![
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &signer.credential),
        ("X-Amz-Date", &signer.date),
        ("X-Amz-Expires", "600"),
        ("X-Amz-SignedHeaders", "host"),
    ];
    query.extend(pairs);
    let encode = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let mut encoded: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    encoded.sort_unstable();
    let query = encoded.join("&");
    let host = setup.s3.addr();
    let canonical = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let scope = signer.credential.split_once('/').unwrap().1;
    let sum = hex::encode(Sha256::digest(canonical));
    let signature = signer.sign(&format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{sum}", signer.date));
    format!("http://{host}{path}?{query}&X-Amz-Signature={signature}")
}
