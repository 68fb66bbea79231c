//! The parsers of bytes that clients send, as functions of bytes: for `tests/fuzz`, which has no client for them.

use std::path::Path;

use bytes::Bytes;

/// A source archive, laid out below `into`; whether it was one.
pub fn source(archive: &[u8], into: &Path) -> bool {
    crate::plane::runner::lay_out_archive(archive, into).is_ok()
}

/// A form that a browser posts, which comes in `pieces`, with the file's name in its fields.
pub async fn form(pieces: Vec<Bytes>, boundary: &str) -> Vec<u8> {
    crate::s3::form::expanded(pieces, boundary).await
}

/// A document that is put to a bucket: a policy, which is then asked, or the rules for browsers. Whether it was taken.
pub fn document(text: &str) -> bool {
    if text.trim_start().starts_with('{') {
        crate::s3::policy::try_out(text)
    } else {
        crate::s3::cors::is_document(text)
    }
}

/// A question to a name server; whether it is answered or refused, and not dropped as no packet at all.
pub fn question(packet: &[u8]) -> bool {
    crate::dns::wire::is_question(packet)
}

/// What a client sends to a database first, where only TLS is let in: the answer.
pub async fn startup(packet: &[u8]) -> Vec<u8> {
    crate::plane::databases::refusal_of(packet).await
}
