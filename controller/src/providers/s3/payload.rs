//! What is put, with what is known of it already: bytes that were hashed on their way here are not hashed a second time to be signed.

use base64::Engine as _;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use sha2::Sha256;

/// The bytes of an object.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    pub(super) bytes: Bytes,
    sha256: Option<[u8; 32]>,
    md5: Option<[u8; 16]>,
}

impl Payload {
    /// Bytes whose digest somebody else computed. The signature covers it: a store that checks it refuses other bytes.
    pub fn hashed(bytes: Bytes, sha256: [u8; 32]) -> Self {
        Self { bytes, sha256: Some(sha256), md5: None }
    }

    /// The MD5 is known as well.
    #[must_use]
    pub fn with_md5(self, md5: [u8; 16]) -> Self {
        Self { md5: Some(md5), ..self }
    }

    /// The header `Content-MD5`.
    pub(super) fn content_md5(&self) -> String {
        let md5 = self.md5.unwrap_or_else(|| Md5::digest(&self.bytes).into());
        base64::engine::general_purpose::STANDARD.encode(md5)
    }

    /// The digest that is signed, in hexadecimal digits.
    pub(super) fn sha256(&self) -> String {
        match self.sha256 {
            Some(known) => hex::encode(known),
            None => hex::encode(Sha256::digest(&self.bytes)),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Payload {
    fn from(bytes: T) -> Self {
        Self { bytes: bytes.into(), sha256: None, md5: None }
    }
}
