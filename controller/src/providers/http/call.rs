//! One exchange with a vendor: built from path segments, metered, bounded, and told apart by what it may have done.
//!
//! [`Call::send`] does exactly one exchange for a mutating call. Calls that may be repeated are tried up to three times with short
//! pauses; anything longer belongs to the queue above, where it survives a restart.
//!
//! Past 400 lines: one type, whose parts (build, send, follow, read, tell apart) are read together.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use tracing::Instrument as _;
use url::Url;

use super::{Effect, Http, Outcome, ProviderError, TransportKind, message::ErrorBody, observe::CallReport};
use crate::runtime::class::{Class, Classified};
use crate::runtime::tenure::Tenure;

/// Largest answer that is held in memory unless a call says otherwise, in bytes.
pub const BODY_LIMIT: usize = 8 << 20;
/// Exchanges of one call that may be repeated.
const ATTEMPTS: u32 = 3;
/// Exchanges of which all but the last were answered with a redirect.
const MOST_HOPS: usize = 6;
/// Longest pause between them; a vendor that asks for more gets it from the queue.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// A vendor that asks for more than this is not believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// A complete answer with a status that the call accepts.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body, within the call's limit.
    pub body: Bytes,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The last segment of `Location`: the id of what was created or started.
    pub fn location_id(&self) -> Option<String> {
        let location = self.header("location")?;
        let path = location.split(['?', '#']).next().unwrap_or_default();
        path.trim_end_matches('/').rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned)
    }
}

/// One call, before it is sent. Errors of its making are kept until then.
#[derive(Debug, Clone)]
pub struct Call {
    http: Http,
    name: &'static str,
    method: Method,
    url: Url,
    wrong: Option<&'static str>,
    headers: HeaderMap,
    body: Option<Bytes>,
    effect: Effect,
    limit: usize,
    awaits_redirect: bool,
    follows: Option<fn(&Url) -> bool>,
}

impl Call {
    /// A call named `resource.verb`, a literal: it becomes a span field, a metric label and part of error texts. `GET` and `HEAD`
    /// may be repeated, everything else is mutating unless [`Call::repeatable`] says otherwise.
    pub fn new(http: &Http, name: &'static str, method: Method) -> Self {
        let effect = if method.is_safe() { Effect::Repeatable } else { Effect::Mutating };
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self {
            url: http.base.clone(),
            http: http.clone(),
            name,
            method,
            wrong: None,
            headers,
            body: None,
            effect,
            limit: BODY_LIMIT,
            awaits_redirect: false,
            follows: None,
        }
    }

    /// Appends path segments, each escaped as a whole. A segment that would change the path is an error of this call.
    #[must_use]
    pub fn segments<S: AsRef<str>>(mut self, segments: impl IntoIterator<Item = S>) -> Self {
        let segments: Vec<S> = segments.into_iter().collect();
        if segments.iter().any(|segment| matches!(segment.as_ref(), "" | "." | "..")) {
            self.wrong = Some("an id is empty or a relative path");
            return self;
        }
        match self.url.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(segments);
            }
            Err(()) => self.wrong = Some("the base address has no path"),
        }
        self
    }

    /// Ends the path with a slash, for a vendor who wants that.
    #[must_use]
    pub fn trailing_slash(mut self) -> Self {
        if let Ok(mut path) = self.url.path_segments_mut() {
            path.pop_if_empty().push("");
        }
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sends `body` as JSON.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body = Some(bytes.into()),
            Err(_) => self.wrong = Some("the body is not JSON"),
        }
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// Adds a header that is not secret.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(HeaderName::from_static(name), value);
            }
            Err(_) => self.wrong = Some("a header value has characters that cannot be sent"),
        }
        self
    }

    /// Authenticates with a bearer token.
    #[must_use]
    pub fn bearer(self, token: &SecretString) -> Self {
        self.authorization(&format!("Bearer {}", token.expose_secret()))
    }

    /// Authenticates with a user and a password.
    #[must_use]
    pub fn basic(self, user: &str, password: &SecretString) -> Self {
        use base64::Engine as _;
        let pair = format!("{user}:{}", password.expose_secret());
        self.authorization(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
    }

    fn authorization(mut self, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.insert(reqwest::header::AUTHORIZATION, value);
            }
            Err(_) => self.wrong = Some("the credentials have characters that cannot be sent"),
        }
        self
    }

    /// Declares that sending this twice does no more than sending it once.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.effect = Effect::Repeatable;
        self
    }

    /// Largest answer, in bytes.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// A redirect is the answer, such as one to a signed URL.
    #[must_use]
    pub fn accept_redirect(mut self) -> Self {
        self.awaits_redirect = true;
        self
    }

    /// A read follows redirects to addresses of which `moved` holds, and which are of the origin that its credentials are for.
    #[must_use]
    pub fn follow(mut self, moved: fn(&Url) -> bool) -> Self {
        self.follows = Some(moved);
        self
    }

    /// What this call may do.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// This call's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Sends and reads the answer as JSON. Unknown fields are allowed.
    pub async fn send<T: DeserializeOwned>(self) -> Result<T, ProviderError> {
        let (name, effect) = (self.name, self.effect);
        decode(name, effect, &self.answer().await?.body)
    }

    /// Sends and returns the answer unread.
    pub async fn answer(self) -> Result<Answer, ProviderError> {
        if let Some(what) = self.wrong {
            return Err(ProviderError::Request { call: self.name, what });
        }
        let mut attempt = 1;
        loop {
            let error = match self.exchange().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = self.pause(attempt, &error) else { return Err(error) };
            tracing::debug!(call = self.name, attempt, pause_ms = pause.as_millis(), "trying a read again");
            self.unless_cancelled(false, tokio::time::sleep(pause)).await?;
            attempt += 1;
        }
    }

    /// How long to wait before trying again inside this call; `None` leaves it to the caller.
    fn pause(&self, attempt: u32, error: &ProviderError) -> Option<Duration> {
        if attempt >= ATTEMPTS || self.effect == Effect::Mutating {
            return None;
        }
        let own = Duration::from_millis(200 * 2_u64.pow(attempt - 1)).mul_f64(rand::random_range(0.5..1.0));
        match error.class() {
            Class::Transient => Some(own),
            Class::Throttled(Some(asked)) if asked <= LONGEST_PAUSE => Some(asked.max(own)),
            Class::Throttled(_) | Class::Terminal | Class::Cancelled => None,
        }
    }

    /// One exchange, and those that its redirects lead to.
    async fn exchange(&self) -> Result<Answer, ProviderError> {
        let mut url = self.url.clone();
        for _ in 0..MOST_HOPS {
            match self.hop(&url).await? {
                Hop::Answer(answer) => return Ok(answer),
                Hop::To(next) => url = next,
            }
        }
        let (call, effect) = (self.name, self.effect);
        Err(ProviderError::Incomplete { call, what: "an end of its redirects", effect })
    }

    async fn hop(&self, url: &Url) -> Result<Hop, ProviderError> {
        let span = tracing::info_span!(
            "provider_call",
            provider = self.http.provider,
            call = self.name,
            status = tracing::field::Empty
        );
        let waited = self.unless_cancelled(false, self.http.limiter.acquire()).await?;
        if !self.method.is_safe() && !Tenure::stands().await {
            return Err(ProviderError::Cancelled { call: self.name, in_doubt: false });
        }
        let sent = Instant::now();
        let result = self.sent(url).instrument(span.clone()).await;
        let status = match &result {
            Ok(Hop::Answer(answer)) => Some(answer.status),
            Ok(Hop::To(_)) => None,
            Err(error) => error.status(),
        };
        if let Some(status) = status {
            span.record("status", status.as_u16());
        }
        if let Err(ProviderError::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after, .. }) = &result
        {
            self.http.limiter.hold(*retry_after).await;
        }
        self.http.shared.observer.tell(CallReport {
            provider: self.http.provider,
            call: self.name,
            outcome: result.as_ref().map_or_else(ProviderError::outcome, |_| Outcome::Ok),
            waited,
            took: sent.elapsed(),
        });
        result
    }

    async fn sent(&self, url: &Url) -> Result<Hop, ProviderError> {
        let exchange = async {
            let response = self.request(url).send().await.map_err(|source| self.transport(source))?;
            let (status, headers) = (response.status(), response.headers().clone());
            if let Some(next) = self.next(url, status, &headers) {
                return Ok(Hop::To(next));
            }
            let body = self.body(response, status).await?;
            if status.is_success() || (self.awaits_redirect && leads_elsewhere(status)) {
                return Ok(Hop::Answer(Answer { status, headers, body }));
            }
            Err(ProviderError::Status {
                call: self.name,
                status,
                effect: self.effect,
                body: Box::new(ErrorBody::read(&body)),
                retry_after: retry_after(&headers, chrono::Utc::now()),
            })
        };
        self.unless_cancelled(self.effect == Effect::Mutating, exchange).await?
    }

    /// Where a redirect leads, if that is followed: the credentials are for one origin only.
    fn next(&self, from: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
        let moved = self.follows.filter(|_| leads_elsewhere(status) && self.method == Method::GET)?;
        let to = from.join(headers.get(LOCATION)?.to_str().ok()?).ok()?;
        (to.origin() == self.http.base.origin() && moved(&to)).then_some(to)
    }

    fn request(&self, url: &Url) -> RequestBuilder {
        let request = self
            .http
            .client
            .request(self.method.clone(), url.clone())
            .headers(self.headers.clone())
            .timeout(self.http.shared.call_timeout);
        match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }

    /// Reads the body up to the limit. Of an error only its beginning matters, and a lost rest does not hide its status.
    async fn body(&self, mut response: Response, status: StatusCode) -> Result<Bytes, ProviderError> {
        let failed = !status.is_success();
        let limit = if failed { self.limit.min(64 << 10) } else { self.limit };
        let too_large = ProviderError::TooLarge { call: self.name, limit, effect: self.effect };
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                    return if failed { Ok(body.freeze()) } else { Err(too_large) };
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body.freeze()),
                Err(_) if failed => return Ok(body.freeze()),
                Err(source) => return Err(self.transport(source)),
            }
        }
    }

    fn transport(&self, source: reqwest::Error) -> ProviderError {
        transport(self.name, self.effect, source)
    }

    /// Waits for `work` unless this provider is told to stop.
    async fn unless_cancelled<T>(
        &self,
        in_doubt: bool,
        work: impl Future<Output = T>,
    ) -> Result<T, ProviderError> {
        tokio::select! {
            biased;
            () = self.http.shared.cancel.cancelled() => Err(ProviderError::Cancelled { call: self.name, in_doubt }),
            done = work => Ok(done),
        }
    }
}

/// What came of one exchange.
enum Hop {
    Answer(Answer),
    To(Url),
}

/// Whether the answer is that the thing is elsewhere.
fn leads_elsewhere(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Tells where an exchange broke off, and drops the URL: it may hold a signature.
pub(super) fn transport(call: &'static str, effect: Effect, source: reqwest::Error) -> ProviderError {
    let kind = if source.is_connect() || source.is_builder() {
        TransportKind::Connect
    } else if source.is_timeout() {
        TransportKind::Timeout
    } else {
        TransportKind::Broken
    };
    ProviderError::Transport { call, kind, effect, source: source.without_url() }
}

/// Parses a JSON answer and says where it went wrong.
pub fn decode<T: DeserializeOwned>(
    call: &'static str,
    effect: Effect,
    body: &[u8],
) -> Result<T, ProviderError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| ProviderError::Decode {
        call,
        at: error.path().to_string(),
        effect,
        source: error.into_inner(),
    })
}

/// How long the peer asks us to wait: `Retry-After` in seconds or as a date, else the time at which a used-up allowance starts anew.
fn retry_after(headers: &HeaderMap, now: chrono::DateTime<chrono::Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let until = |date: chrono::DateTime<chrono::Utc>| (date - now).to_std().unwrap_or_default();
    let asked = if let Some(text) = text("retry-after") {
        match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => until(chrono::DateTime::parse_from_rfc2822(text).ok()?.to_utc()),
        }
    } else {
        text("x-ratelimit-remaining").filter(|left| *left == "0")?;
        until(chrono::DateTime::from_timestamp(text("x-ratelimit-reset")?.parse().ok()?, 0)?)
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
pub(crate) mod tests;
