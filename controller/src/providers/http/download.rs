//! Streams from signed URLs: no credentials, no memory, redirects checked by hand.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use reqwest::{Response, StatusCode, header};
use tokio::time::Instant;
use tracing::Instrument as _;
use url::Url;

use super::{
    Effect, Http, Outcome, ProviderError, call::transport, message::ErrorBody, observe::CallReport, origin,
};

/// Hops that are followed before an address counts as a loop.
const MOST_HOPS: usize = 4;

/// A body on its way.
pub struct Download {
    /// Length that the server announced, in bytes.
    pub length: Option<u64>,
    /// The media type, without parameters, lower case.
    pub content_type: Option<String>,
    /// `Content-Disposition`, as sent: hostile until parsed.
    pub disposition: Option<String>,
    /// The body. It ends with an error if it is cut short, stalls, or is cancelled.
    pub body: BoxStream<'static, Result<Bytes, ProviderError>>,
    call: &'static str,
}

/// A place in the account's budget, taken before a signed address is asked for: one that is good for a minute must not wait for it.
#[derive(Debug)]
pub struct Turn(Duration);

impl Turn {
    /// Waits for a place.
    pub async fn take(http: &Http, call: &'static str) -> Result<Self, ProviderError> {
        tokio::select! {
            biased;
            () = http.shared.cancel.cancelled() => Err(ProviderError::Cancelled { call, in_doubt: false }),
            waited = http.limiter.acquire() => Ok(Self(waited)),
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("call", &self.call)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Download {
    /// Starts to fetch `url`, which must be https unless it is this machine, as must every address it redirects to. No credential is
    /// sent. Safe to repeat as long as the URL is valid.
    pub async fn open(http: &Http, turn: Turn, call: &'static str, url: &str) -> Result<Self, ProviderError> {
        let cancelled = ProviderError::Cancelled { call, in_doubt: false };
        let span = tracing::info_span!("provider_call", provider = http.provider, call);
        let work = async {
            let Turn(waited) = turn;
            let sent = Instant::now();
            let result = follow(http, call, url).await;
            let outcome = result.as_ref().map_or_else(ProviderError::outcome, |_| Outcome::Ok);
            let took = sent.elapsed();
            http.shared.observer.tell(CallReport { provider: http.provider, call, outcome, waited, took });
            result
        };
        let response = tokio::select! {
            biased;
            () = http.shared.cancel.cancelled() => return Err(cancelled),
            result = work.instrument(span) => result?,
        };
        Ok(Self::of(http, call, response))
    }

    fn of(http: &Http, call: &'static str, response: Response) -> Self {
        let text =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let content_type = text(header::CONTENT_TYPE)
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let disposition = text(header::CONTENT_DISPOSITION);
        let length = response.content_length();
        let cancel = http.shared.cancel.clone();
        let body = futures::stream::unfold(Some(response), move |response| {
            let cancel = cancel.clone();
            async move {
                let mut response = response?;
                let chunk = tokio::select! {
                    biased;
                    () = cancel.cancelled() => Err(ProviderError::Cancelled { call, in_doubt: false }),
                    chunk = response.chunk() => chunk.map_err(|source| transport(call, Effect::Repeatable, source)),
                };
                match chunk {
                    Ok(Some(bytes)) => Some((Ok(bytes), Some(response))),
                    Ok(None) => None,
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        Self { length, content_type, disposition, body: body.boxed(), call }
    }

    /// The whole body, if it is no larger than `limit` bytes.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, ProviderError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk?;
            if all.len() + chunk.len() > limit {
                return Err(ProviderError::TooLarge { call: self.call, limit, effect: Effect::Repeatable });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

/// Follows redirects without credentials until something else is answered.
async fn follow(http: &Http, call: &'static str, url: &str) -> Result<Response, ProviderError> {
    let refused = |source| ProviderError::Origin { call, source };
    let mut url = Url::parse(url).map_err(|source| refused(origin::OriginError::Syntax(source)))?;
    for _ in 0..MOST_HOPS {
        origin::check(&url).map_err(refused)?;
        let request = http.client.get(url.clone()).header(header::ACCEPT, "*/*");
        let response = request.send().await.map_err(|source| transport(call, Effect::Repeatable, source))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        if !status.is_redirection() {
            return Err(failed(call, response).await);
        }
        let to = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let to =
            to.ok_or(ProviderError::Incomplete { call, what: "a place to go", effect: Effect::Repeatable })?;
        url = url.join(to).map_err(|source| refused(origin::OriginError::Syntax(source)))?;
    }
    Err(ProviderError::Incomplete { call, what: "an end of its redirects", effect: Effect::Repeatable })
}

/// Reads the beginning of an error's body: XML, HTML or JSON, all only for the message.
async fn failed(call: &'static str, mut response: Response) -> ProviderError {
    let status = response.status();
    let beginning = response.chunk().await.ok().flatten().unwrap_or_default();
    let body = Box::new(ErrorBody::read(&beginning));
    // What is refused is the address. That nothing is there, and that it is busy, are other things.
    let of_the_link = !matches!(status.as_u16(), 404 | 408 | 409 | 429);
    if status.is_client_error() && of_the_link {
        return ProviderError::Link { call, status, body };
    }
    ProviderError::Status { call, status, effect: Effect::Repeatable, body, retry_after: None }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::any};

    use super::*;
    use crate::{
        providers::http::{
            HttpShared,
            call::tests::{fast, serve},
        },
        runtime::class::{Class, Classified as _},
    };

    async fn open(http: &Http, url: &str) -> Result<Download, ProviderError> {
        Download::open(http, Turn::take(http, "x.download").await?, "x.download", url).await
    }

    /// As an object store answers a signed address whose time is over.
    #[tokio::test]
    async fn a_link_that_has_expired_says_nothing_of_our_credentials() {
        let xml = "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        let answer =
            any(move || async move { (StatusCode::FORBIDDEN, [("content-type", "application/xml")], xml) });
        let (base, _server) = serve(Router::new().fallback(answer)).await;
        let http = Http::new("test", &base, fast(), HttpShared::default()).unwrap();
        let error = open(&http, &base).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient);
        assert!(!error.is_denied() && error.to_string().contains("Request has expired"), "{error}");
    }

    #[tokio::test]
    async fn what_a_store_refuses_is_the_address_and_what_is_not_there_is_another_thing() {
        for (status, of_the_link) in [(400, true), (405, true), (410, true), (404, false), (503, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = any(move || async move { status });
            let (base, _server) = serve(Router::new().fallback(answer)).await;
            let http = Http::new("test", &base, fast(), HttpShared::default()).unwrap();
            let error = open(&http, &base).await.unwrap_err();
            assert_eq!(matches!(error, ProviderError::Link { .. }), of_the_link, "{error}");
        }
    }

    #[tokio::test]
    async fn a_redirect_to_plain_http_elsewhere_is_not_followed() {
        let to = [("location", "http://198.51.100.7/blob")];
        let (base, _server) =
            serve(Router::new().fallback(any(move || async move { (StatusCode::FOUND, to) }))).await;
        let http = Http::new("test", &base, fast(), HttpShared::default()).unwrap();
        let error = open(&http, &base).await.unwrap_err();
        assert!(matches!(error, ProviderError::Origin { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_body_that_is_cut_short_is_an_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let mut server = tokio::task::JoinSet::new();
        server.spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 64];
            let _read = stream.read(&mut some).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
        });
        let http = Http::new("test", &url, fast(), HttpShared::default()).unwrap();
        let download = open(&http, &url).await.unwrap();
        assert_eq!(download.length, Some(100));
        assert!(download.bytes(1000).await.is_err());
    }
}
