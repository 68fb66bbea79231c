//! The documents of answers, where the library leaves something to do: refusals with a message and the request's id, control
//! characters, addresses.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use s3s::{Body, HttpResponse};

/// Adds to an error document what the library leaves out.
pub(super) fn complete_error(response: &mut HttpResponse, region: &str, resource: &str, id: &str) {
    response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/xml"));
    let Some(body) = response.body().bytes() else { return };
    let Some(text) = std::str::from_utf8(&body).ok().filter(|text| text.ends_with("</Error>")) else {
        return;
    };
    let code = element(text, "Code").unwrap_or("InternalError");
    let mut added = String::new();
    if element(text, "Message").is_none() {
        added = format!("<Message>{}</Message>", message(code));
    }
    if code == "AuthorizationHeaderMalformed" {
        added = format!("{added}<Region>{region}</Region>");
    }
    let resource = escape(resource);
    let text = text.trim_end_matches("</Error>");
    let whole = format!(
        "{text}{added}<Resource>{resource}</Resource><RequestId>{id}</RequestId><HostId>{id}</HostId></Error>"
    );
    *response.body_mut() = Body::from(Bytes::from(whole));
}

/// Says where the object is that a form has made; a redirection has a place of its own.
pub(super) fn locate(response: &mut HttpResponse, location: &str) {
    if response.status() == StatusCode::CREATED
        && let Some(body) = response.body().bytes()
        && let Ok(text) = std::str::from_utf8(&body)
        && let Some(written) = element(text, "Location")
    {
        let (old, new) = (format!("<Location>{written}<"), format!("<Location>{}<", escape(location)));
        *response.body_mut() = Body::from(text.replacen(&old, &new, 1));
    }
    if response.status().is_success()
        && let Ok(location) = HeaderValue::from_str(location)
    {
        response.headers_mut().insert(LOCATION, location);
    }
}

/// XML 1.0 has no way to write most control characters, but keys may hold them: written as character references, as AWS does,
/// some parsers take them. A carriage return would be read as a line feed otherwise.
pub(super) fn escape_controls(response: &mut HttpResponse) {
    let is_xml = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/xml");
    let Some(body) = response.body().bytes().filter(|_| is_xml) else { return };
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\n' | b'\t');
    if !body.iter().any(is_control) {
        return;
    }
    let mut escaped = Vec::with_capacity(body.len() + 64);
    for byte in &body {
        if is_control(byte) {
            escaped.extend_from_slice(format!("&#x{byte:x};").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(Bytes::from(escaped));
}

pub(super) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
}

pub(crate) fn escape(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).fold(String::new(), |mut escaped, char| {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(other),
        }
        escaped
    })
}

/// The message of errors that the protocol library makes without one.
fn message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied.",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => {
            "The XML you provided was not well-formed or did not validate against our published schema"
        }
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "NotImplemented" => "A header you provided implies functionality that is not implemented",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        }
        _ => "The request could not be carried out.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_of_an_error_document_is_found() {
        assert_eq!(element("<Error><Code>A</Code></Error>", "Code"), Some("A"));
        assert_eq!(element("<Error><Code>A</Code></Error>", "Message"), None);
    }

    #[test]
    fn a_resource_cannot_break_the_document() {
        assert_eq!(escape("/b/<&>\u{1}"), "/b/&lt;&amp;&gt;");
    }
}
