//! Forms that browsers post: `${filename}` in a field stands for the name of the file, and is put in its place before the
//! form's policy is judged and the key is read, which the library leaves out.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{Body, StdError};

/// What stands for the file's name.
const VARIABLE: &str = "${filename}";
/// The fields before the file are looked through up to here; the protocol takes 20 KB of them.
const MOST: usize = 1 << 20;

/// The form with the file's name in its fields; any other request as it is.
pub(crate) async fn expand(request: Request<Body>) -> Request<Body> {
    let Some(delimiter) = delimiter(&request) else { return request };
    let (head, body) = request.into_parts();
    Request::from_parts(head, named(body, &delimiter).await)
}

/// The whole form that comes in `pieces`.
pub(crate) async fn expanded(pieces: Vec<Bytes>, boundary: &str) -> Vec<u8> {
    let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let mut body = named(Body::from(StreamingBlob::wrap(pieces)), &format!("--{boundary}")).await;
    let mut all = Vec::new();
    while let Some(Ok(piece)) = body.next().await {
        all.extend_from_slice(&piece);
    }
    all
}

async fn named(mut body: Body, delimiter: &str) -> Body {
    let (mut read, mut error) = (BytesMut::new(), None);
    let file = loop {
        let file = file(&read, delimiter);
        if file.is_some() || read.len() > MOST {
            break file;
        }
        match body.next().await {
            Some(Ok(piece)) => read.extend_from_slice(&piece),
            Some(Err(broken)) => {
                error = Some(broken);
                break None;
            }
            None => break None,
        }
    };
    let first = match file {
        Some((at, name)) => [&replaced(&read[..at], &name)[..], &read[at..]].concat().into(),
        None => read.freeze(),
    };
    Body::from(StreamingBlob::new(Rest { first: Some(first), error, body }))
}

/// What stands between the parts of a form.
fn delimiter<T>(request: &Request<T>) -> Option<String> {
    let kind = request.headers().get(CONTENT_TYPE).filter(|_| request.method() == Method::POST)?;
    let kind = kind.to_str().ok()?;
    let is_form = kind.get(..19).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"));
    let (_, boundary) = kind.split_once("boundary=").filter(|_| is_form)?;
    let boundary = boundary.split(';').next().unwrap_or_default().trim().trim_matches('"');
    (!boundary.is_empty()).then(|| format!("--{boundary}"))
}

/// Where the part that is the file begins, once its header has come, and the name it has there without its folders.
fn file(form: &[u8], delimiter: &str) -> Option<(usize, String)> {
    let mut at = 0;
    loop {
        let start = at + find(&form[at..], delimiter.as_bytes())?;
        let end = start + find(&form[start..], b"\r\n\r\n")?;
        let header = String::from_utf8_lossy(&form[start..end]);
        if parameter(&header, "name").is_some_and(|name| name.eq_ignore_ascii_case("file")) {
            let name = parameter(&header, "filename").unwrap_or_default();
            return Some((start, name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()));
        }
        at = end;
    }
}

fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("; {name}=\""))?;
    rest.split('"').next()
}

fn replaced(fields: &[u8], name: &str) -> Vec<u8> {
    let (mut rest, mut all) = (fields, Vec::with_capacity(fields.len()));
    while let Some(at) = find(rest, VARIABLE.as_bytes()) {
        all.extend_from_slice(&rest[..at]);
        all.extend_from_slice(name.as_bytes());
        rest = &rest[at + VARIABLE.len()..];
    }
    all.extend_from_slice(rest);
    all
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// What was read, then the others.
struct Rest {
    first: Option<Bytes>,
    error: Option<StdError>,
    body: Body,
}

impl Stream for Rest {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match self.error.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => self.body.poll_next_unpin(context),
        }
    }
}

impl ByteStream for Rest {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::unknown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--B\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nin/${filename}\r\n--B\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"C:\\docs\\é.pdf\"\r\n\r\n${filename}\r\n--B--\r\n";

    async fn posted(kind: &'static str, pieces: Vec<Bytes>) -> String {
        let stream = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let request = Request::post("/b").header(CONTENT_TYPE, kind);
        let request = request.body(Body::from(StreamingBlob::wrap(stream))).unwrap();
        let body = expand(request).await.into_body();
        let pieces: Vec<Bytes> = body.map(Result::unwrap).collect().await;
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[tokio::test]
    async fn the_name_is_put_into_the_fields_but_not_into_the_file() {
        let expected = FORM.replacen("${filename}", "é.pdf", 1);
        let bytes = Bytes::from_static(FORM.as_bytes());
        let bit_by_bit = bytes.chunks(7).map(Bytes::copy_from_slice).collect();
        let kind = "multipart/form-data; boundary=B";
        assert_eq!(posted(kind, bit_by_bit).await, expected);
        assert_eq!(posted(kind, vec![bytes]).await, expected);
    }

    #[tokio::test]
    async fn what_is_no_form_or_ends_early_is_left_alone() {
        let bytes = Bytes::from_static(FORM.as_bytes());
        assert_eq!(posted("text/plain", vec![bytes.clone()]).await, FORM);
        assert_eq!(posted("multipart/form-data; boundary=B", vec![bytes.slice(..60)]).await, FORM[..60]);
    }
}
