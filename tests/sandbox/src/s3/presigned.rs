//! Presigned addresses, where the library does less than the protocol: parameters of the request may stand in the query, and
//! what the signer did not sign may not be sent.

use hyper::Request;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// Put into a request that sends headers which its address does not sign.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsigned;

/// What is of the signature itself, and what clients send unsigned: a digest of the body that no signer knew, and the name
/// that a browser's client gives itself.
const APART: [&str; 9] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-user-agent",
];

/// Makes headers of the parameters in the query of a presigned address, as signers move them there. A header that is sent as
/// well stays.
pub(crate) fn unfold<T>(request: &mut Request<T>) {
    let Some(query) = request.uri().query() else { return };
    let is_new = query.contains("X-Amz-Signature=");
    if !is_new && !query.contains("AWSAccessKeyId=") {
        return;
    }
    let mut signed = String::new();
    let mut moved = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let name = name.to_ascii_lowercase();
        if name == "x-amz-signedheaders" {
            signed = value.to_ascii_lowercase();
        } else if is_parameter(&name)
            && let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            moved.push((name, value));
        }
    }
    // The older signature is over all of them.
    if is_new && !all_signed(request.headers(), &signed) {
        request.extensions_mut().insert(Unsigned);
    }
    for (name, value) in moved {
        request.headers_mut().entry(name).or_insert(value);
    }
}

fn is_parameter(name: &str) -> bool {
    name.starts_with("x-amz-") && !APART.contains(&name)
}

fn all_signed(sent: &HeaderMap, signed: &str) -> bool {
    let is_signed = |name: &HeaderName| signed.split(';').any(|one| one == name.as_str());
    sent.keys().all(|name| !is_parameter(name.as_str()) || is_signed(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str, headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::builder().uri(format!("/b/k?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        unfold(&mut request);
        request
    }

    #[test]
    fn parameters_in_the_query_become_headers_but_not_the_signature() {
        let query = "X-Amz-Date=1&x-amz-acl=public-read&X-Amz-Meta-Who=an%20a&X-Amz-SignedHeaders=host&X-Amz-Signature=0";
        let request = request(query, &[]);
        assert_eq!(request.headers()["x-amz-acl"], "public-read");
        assert_eq!(request.headers()["x-amz-meta-who"], "an a");
        assert_eq!(request.headers().len(), 2);
        assert!(request.extensions().get::<Unsigned>().is_none());
    }

    #[test]
    fn only_with_a_signature_in_the_query_parameters_are_moved() {
        let old = "AWSAccessKeyId=A&Expires=1&Signature=0&x-amz-acl=public-read";
        assert_eq!(request(old, &[]).headers()["x-amz-acl"], "public-read");
        assert!(request("x-amz-acl=public-read", &[]).headers().is_empty());
    }

    #[test]
    fn what_was_not_signed_may_not_be_sent() {
        let query = "X-Amz-SignedHeaders=host%3Bx-amz-acl&X-Amz-Signature=0";
        let told = |headers| request(query, headers).extensions().get::<Unsigned>().is_some();
        assert!(!told(&[
            ("x-amz-acl", "private"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("content-type", "a/b")
        ]));
        assert!(told(&[("x-amz-storage-class", "GLACIER")]));
    }
}
