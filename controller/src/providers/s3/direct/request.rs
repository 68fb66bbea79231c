//! One request: where it goes, what it says, and the signature over it.

use std::time::SystemTime;

use aws_sdk_s3::config::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Host;

use crate::providers::{
    http::{Effect, base_url},
    s3::{Payload, S3Error},
};

/// What a key must not hold as it is. Slashes part it, and nothing in it is resolved: `a/../b` is a key like any other.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// The same for the value of a parameter.
const VALUE: &AsciiSet = &KEY.add(b'/');

/// One call, before it is sent.
#[derive(Debug)]
pub(in crate::providers::s3) struct Ask<'a> {
    pub(in crate::providers::s3) call: &'static str,
    pub(in crate::providers::s3) effect: Effect,
    /// Bytes that are moved before its answer begins, here or inside the store.
    pub(super) moves: u64,
    pub(super) is_patient: bool,
    method: Method,
    bucket: &'a str,
    key: &'a str,
    query: Vec<(&'static str, &'a str)>,
    headers: Vec<(String, String)>,
    payload: Payload,
}

impl<'a> Ask<'a> {
    /// A read, which may be repeated.
    pub(in crate::providers::s3) fn get(call: &'static str, bucket: &'a str, key: &'a str) -> Self {
        Self {
            call,
            effect: Effect::Repeatable,
            moves: 0,
            is_patient: false,
            method: Method::GET,
            bucket,
            key,
            query: Vec::new(),
            headers: Vec::new(),
            payload: Payload::default(),
        }
    }

    /// A look, which may be repeated.
    pub(in crate::providers::s3) fn head(call: &'static str, bucket: &'a str, key: &'a str) -> Self {
        Self { method: Method::HEAD, ..Self::get(call, bucket, key) }
    }

    /// A write, which puts the same again when it is repeated.
    pub(in crate::providers::s3) fn put(
        call: &'static str,
        bucket: &'a str,
        key: &'a str,
        payload: Payload,
    ) -> Self {
        let moves = payload.bytes.len() as u64;
        let get = Self::get(call, bucket, key);
        Self { effect: Effect::Mutating, moves, method: Method::PUT, payload, ..get }
    }

    /// A document that is put, as part of what lies there. Repeating puts the same again. Of all that says whether it came whole, every
    /// store understands its MD5, and older ones ask for it.
    pub(in crate::providers::s3) fn put_document(
        call: &'static str,
        bucket: &'a str,
        key: &'a str,
        part: &'static str,
        document: String,
    ) -> Self {
        let payload = Payload::from(document);
        let md5 = payload.content_md5();
        let put =
            Self::put(call, bucket, key, payload).query(part, Some("")).header("content-md5", Some(md5));
        Self { effect: Effect::Repeatable, ..put.header("content-type", Some("application/xml")) }
    }

    /// A command without a body. Repeating it does it once more.
    pub(in crate::providers::s3) fn post(call: &'static str, bucket: &'a str, key: &'a str) -> Self {
        Self { effect: Effect::Mutating, method: Method::POST, ..Self::get(call, bucket, key) }
    }

    /// Much would be lost with it: it is asked more often than others.
    #[must_use]
    pub(in crate::providers::s3) fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// So many bytes are moved inside the store before its answer begins.
    #[must_use]
    pub(in crate::providers::s3) fn moves(self, bytes: u64) -> Self {
        Self { moves: bytes, ..self }
    }

    /// With a parameter, where it has a value; an empty one is sent as a bare name.
    #[must_use]
    pub(in crate::providers::s3) fn query(mut self, name: &'static str, value: Option<&'a str>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }

    /// With a header, where it has a value.
    #[must_use]
    pub(in crate::providers::s3) fn header(
        mut self,
        name: impl Into<String>,
        value: Option<impl Into<String>>,
    ) -> Self {
        self.headers.extend(value.map(|value| (name.into(), value.into())));
        self
    }

    /// The request as it is sent now: a signature is good for some minutes.
    pub(super) fn signed(&self, base: &Base, signer: &Signer) -> Result<Request<Full<Bytes>>, S3Error> {
        let wrong =
            |source: Box<dyn std::error::Error + Send + Sync>| S3Error::Request { call: self.call, source };
        let uri = base.uri(self.bucket, self.key, &self.query);
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = SignableBody::Precomputed(self.payload.sha256());
        let signable = SignableRequest::new(self.method.as_str(), uri.as_str(), headers, body);
        let signature = signer.sign(signable.map_err(|error| wrong(error.into()))?).map_err(wrong)?;
        let request = Request::builder().method(&self.method).uri(&uri);
        let mut request = request.header(http::header::USER_AGENT, &signer.agent);
        if matches!(self.method, Method::PUT | Method::POST) && self.payload.bytes.is_empty() {
            // Without a body the client names no length, and some stores refuse a write without one.
            request = request.header(http::header::CONTENT_LENGTH, 0);
        }
        let mut request =
            request.body(Full::new(self.payload.bytes.clone())).map_err(|error| wrong(error.into()))?;
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|error| wrong(error.into()))?;
            let value = HeaderValue::try_from(value).map_err(|error| wrong(error.into()))?;
            request.headers_mut().append(name, value);
        }
        signature.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// Who signs, and for where.
#[derive(Debug)]
pub(super) struct Signer {
    identity: Identity,
    region: String,
    settings: SigningSettings,
    agent: String,
}

impl Signer {
    pub(super) fn new(credentials: Credentials, region: &str, agent: &str) -> Self {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        Self { identity: credentials.into(), region: region.to_owned(), settings, agent: agent.to_owned() }
    }

    fn sign(
        &self,
        request: SignableRequest<'_>,
    ) -> Result<aws_sigv4::http_request::SigningInstructions, Box<dyn std::error::Error + Send + Sync>> {
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(self.settings.clone())
            .build()?;
        Ok(sign(request, &params.into())?.into_parts().0)
    }
}

/// Where a store is.
#[derive(Debug)]
pub(super) struct Base {
    scheme: String,
    authority: String,
    path: String,
    path_style: bool,
}

impl Base {
    pub(super) fn new(endpoint: &str, path_style: bool) -> Result<Self, S3Error> {
        let url = base_url(endpoint).map_err(|source| S3Error::Endpoint { source })?;
        let named = matches!(url.host(), Some(Host::Domain(_)));
        Ok(Self {
            scheme: url.scheme().to_owned(),
            authority: url[url::Position::BeforeHost..url::Position::AfterPort].to_owned(),
            path: url.path().trim_end_matches('/').to_owned(),
            path_style: path_style || !named,
        })
    }

    pub(super) fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// The whole address, escaped. A bucket whose name is no label of a host has its place in the path.
    fn uri(&self, bucket: &str, key: &str, query: &[(&str, &str)]) -> String {
        let Self { scheme, authority, path, path_style } = self;
        let key = utf8_percent_encode(key, KEY);
        let mut uri = if *path_style || !is_label(bucket) {
            format!("{scheme}://{authority}{path}/{}/{key}", utf8_percent_encode(bucket, VALUE))
        } else {
            format!("{scheme}://{bucket}.{authority}{path}/{key}")
        };
        for (number, (name, value)) in query.iter().enumerate() {
            uri.push(if number == 0 { '?' } else { '&' });
            uri.push_str(name);
            if !value.is_empty() {
                uri.push('=');
                uri.extend(utf8_percent_encode(value, VALUE));
            }
        }
        uri
    }
}

/// A single label, which a wildcard certificate covers.
fn is_label(bucket: &str) -> bool {
    bucket.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
        && (3..=63).contains(&bucket.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(endpoint: &str, path_style: bool, bucket: &str, key: &str) -> String {
        Base::new(endpoint, path_style).expect("a base").uri(bucket, key, &[])
    }

    #[test]
    fn a_bucket_is_in_the_host_only_where_it_is_a_label_of_one() {
        let store = "https://s3.fr-par.scw.cloud";
        assert_eq!(uri(store, false, "documents", "a"), "https://documents.s3.fr-par.scw.cloud/a");
        assert_eq!(uri(store, true, "documents", "a"), "https://s3.fr-par.scw.cloud/documents/a");
        assert_eq!(uri(store, false, "do.cuments", "a"), "https://s3.fr-par.scw.cloud/do.cuments/a");
        assert_eq!(uri(store, false, "Documents", "a"), "https://s3.fr-par.scw.cloud/Documents/a");
        assert_eq!(uri("http://127.0.0.1:9", false, "documents", "a"), "http://127.0.0.1:9/documents/a");
        assert_eq!(
            uri("https://s3.example:8443/x/", false, "documents", "a"),
            "https://documents.s3.example:8443/x/a"
        );
    }

    #[test]
    fn a_key_is_escaped_once_and_nothing_of_it_is_resolved() {
        let key = |key| uri("http://127.0.0.1:9", true, "b", key).split_off("http://127.0.0.1:9/b/".len());
        assert_eq!(key("a/../b/./c//d/"), "a/../b/./c//d/");
        assert_eq!(key("é +%2F?#&="), "%C3%A9%20%2B%252F%3F%23%26%3D");
        assert_eq!(key("/a"), "/a");
    }

    #[test]
    fn parameters_are_escaped_and_may_have_no_value() {
        let base = Base::new("http://127.0.0.1:9", true).expect("a base");
        let uri = base.uri("b", "k", &[("acl", ""), ("versionId", "a/b+c=")]);
        assert_eq!(uri, "http://127.0.0.1:9/b/k?acl&versionId=a%2Fb%2Bc%3D");
    }

    #[test]
    fn a_secret_is_in_no_text_of_a_signer() {
        let signer = Signer::new(Credentials::new("KEY", "s3cret", None, None, "test"), "fr-par", "agent");
        assert!(!format!("{signer:?}").contains("s3cret"));
    }
}
