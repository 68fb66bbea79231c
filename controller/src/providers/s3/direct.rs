//! The few calls that are made for every object, or for every page of a list, sent without the SDK's machinery: signed by the SDK's own
//! signer, over the client that the SDK uses below.
//!
//! An archive makes three calls an object, and that machinery took about half of a run's processor time. All that is rare stays with the
//! SDK. What a run takes beside other tools is shown by `tests/bench/archive`.

mod checked;
mod request;

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::config::Credentials;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response,
    body::{Body as _, Incoming},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use self::request::{Base, Signer};
pub(super) use self::{checked::checked, request::Ask};
use super::{Content, Pressure, S3, S3Config, S3Error, settings};
use crate::{
    providers::authorities,
    providers::http::{Effect, HttpShared, message::line},
    runtime::{
        backoff::{Backoff, Policy, Random},
        class::{Class, Classified as _},
    },
};

/// What is read of a document at most: a page of a list, whose keys are of a thousand letters that are all escaped.
const DOCUMENT: usize = 16 << 20;
/// The largest object, in bytes. Source: S3 API, "Amazon S3 multipart upload limits".
const LARGEST: u64 = 5 << 40;
/// How long the words of an error are waited for: its status is known.
const WORDS: Duration = Duration::from_secs(5);
/// As the SDK rests between its attempts.
const REST: Policy =
    Policy { base: Duration::from_secs(1), cap: settings::LONGEST_REST, floor: Duration::from_millis(20) };

/// One store with one key pair. Cheap to clone: clones share their connections.
#[derive(Clone)]
pub(super) struct Direct {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Arc<Base>,
    signer: Arc<Signer>,
    pressure: Pressure,
    attempts: u32,
    /// Nothing is sent again that may have been done.
    careful: bool,
}

impl Direct {
    pub(super) fn new(config: &S3Config, shared: &HttpShared, pressure: Pressure) -> Result<Self, S3Error> {
        let base = Base::new(&config.endpoint, config.path_style)?;
        let secret = config.secret_key.expose_secret();
        let credentials = Credentials::new(&config.access_key, secret, None, None, "configuration");
        let signer = Signer::new(credentials, &config.region, &shared.user_agent);
        let client = client(base.is_secure(), shared)?;
        let (base, signer) = (Arc::new(base), Arc::new(signer));
        Ok(Self { client, base, signer, pressure, attempts: settings::ATTEMPTS, careful: false })
    }

    /// The same, with a single attempt.
    pub(super) fn once(&self) -> Self {
        Self { attempts: 1, ..self.clone() }
    }

    /// The same; a change whose answer was lost is not sent again.
    pub(super) fn careful(&self) -> Self {
        Self { careful: true, ..self.clone() }
    }

    /// How often a call is tried.
    fn tries(&self, ask: &Ask<'_>) -> Tries {
        let left = if ask.is_patient && self.attempts > 1 { settings::PATIENT } else { self.attempts };
        Tries { left, careful: self.careful, rest: Backoff::new(REST) }
    }

    /// The head of a good answer, whose body is on its way.
    async fn head(&self, ask: &Ask<'_>) -> Result<Response<Incoming>, S3Error> {
        let mut tries = self.tries(ask);
        loop {
            match self.attempt(ask).await {
                Err(error) if tries.another(&error).await => {}
                other => return other,
            }
        }
    }

    /// A document.
    async fn document<T>(&self, ask: &Ask<'_>, parse: Parse<T>) -> Result<T, S3Error> {
        let mut tries = self.tries(ask);
        loop {
            match self.whole(ask, parse).await {
                Err(error) if tries.another(&error).await => {}
                other => return other,
            }
        }
    }

    async fn whole<T>(&self, ask: &Ask<'_>, parse: Parse<T>) -> Result<T, S3Error> {
        let answer = self.attempt(ask).await?;
        let text = text(ask, answer.into_body()).await?;
        // A store that took its time may have said that all is well before it failed.
        match fault(&text) {
            Some(Fault { code, message }) => Err(ask.refused(500, &code.unwrap_or_default(), &message)),
            None => parse(&text).map_err(|error| ask.broken(error)),
        }
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<Response<Incoming>, S3Error> {
        let request = ask.signed(&self.base, &self.signer)?;
        let answer = timeout(settings::limit(ask.moves), self.client.request(request)).await;
        let answer = answer.map_err(|silent| ask.broken(silent))?.map_err(|error| ask.broken(error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if matches!(status.as_u16(), 429 | 503) {
            self.pressure.feel();
        }
        // Of an error its status matters most: one whose words are lost is an error all the same.
        let said = timeout(WORDS, text(ask, answer.into_body())).await;
        let said = said.ok().and_then(Result::ok).unwrap_or_default();
        let Fault { code, message } = fault(&said).unwrap_or_default();
        Err(ask.refused(status.as_u16(), code.as_deref().unwrap_or_default(), &message))
    }
}

impl S3 {
    /// The head of an answer, and its body. Metered as all calls are.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<(http::HeaderMap, Content), S3Error> {
        let call = ask.call;
        let answer = self.metered(call, ask.effect, Box::pin(self.direct.head(&ask))).await?;
        let (head, body) = answer.into_parts();
        // One of no length has the time of the largest that comes in one request.
        let size = body.size_hint().exact().unwrap_or(LARGEST);
        Ok((head.headers, self.content(call, body, settings::limit(size))))
    }

    /// A call whose answer says nothing but in its head.
    pub(super) async fn told(&self, ask: Ask<'_>) -> Result<http::HeaderMap, S3Error> {
        let (head, mut body) = self.ask(ask).await?;
        // A connection whose answer is not read to its end cannot be used again.
        while body.try_next().await?.is_some() {}
        Ok(head)
    }

    /// A call that is answered with a document.
    pub(super) async fn document<T: Send>(&self, ask: Ask<'_>, parse: Parse<T>) -> Result<T, S3Error> {
        self.metered(ask.call, ask.effect, Box::pin(self.direct.document(&ask, parse))).await
    }

    /// A body that ends when it stands still, when it was waited for longer than `patience` in all, or when we are told to stop.
    fn content(&self, call: &'static str, body: Incoming, patience: Duration) -> Content {
        let cancel = self.shared.cancel.clone();
        futures::stream::unfold(Some((body.into_data_stream(), patience)), move |state| {
            let cancel = cancel.clone();
            async move {
                let (mut body, left) = state?;
                let asked = Instant::now();
                let next = tokio::select! {
                    biased;
                    () = cancel.cancelled() => Err(S3Error::Cancelled { call, in_doubt: false }),
                    next = timeout(settings::STALL.min(left), body.next()) => match next {
                        Ok(next) => next.transpose().map_err(|error| cut(call, error)),
                        Err(silent) => Err(cut(call, silent)),
                    },
                };
                // What whoever reads takes to do with it does not count.
                let left = left.saturating_sub(asked.elapsed());
                match next {
                    Ok(bytes) => bytes.map(|bytes| (Ok(bytes), Some((body, left)))),
                    Err(error) => Some((Err(error), None)),
                }
            }
        })
        .boxed()
    }
}

/// How often something is tried: until it works, cannot work, or was tried often enough.
struct Tries {
    left: u32,
    careful: bool,
    rest: Backoff,
}

impl Tries {
    /// Whether to try again, after a rest.
    async fn another(&mut self, error: &S3Error) -> bool {
        self.left = self.left.saturating_sub(1);
        let again = matches!(error.class(), Class::Transient | Class::Throttled(_));
        let again = again && !(self.careful && may_be_done(error));
        if self.left == 0 || !again {
            return false;
        }
        tokio::time::sleep(self.rest.next_delay(&Random::system())).await;
        true
    }
}

/// Whether a change was sent whose answer was lost. Nothing is sent where there is no connection.
fn may_be_done(error: &S3Error) -> bool {
    let S3Error::Transport { effect: Effect::Mutating, source, .. } = error else { return false };
    !source
        .downcast_ref::<hyper_util::client::legacy::Error>()
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

/// How a document is understood.
type Parse<T> = fn(&str) -> Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A document whose blanks mean nothing.
pub(super) fn serde<T: DeserializeOwned>(text: &str) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    Ok(quick_xml::de::from_str(text)?)
}

/// The error that a document is, if it is one.
fn fault(text: &str) -> Option<Fault> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let root = if text.starts_with("<?") { text.split_once("?>")?.1.trim_start() } else { text };
    root.starts_with("<Error").then(|| quick_xml::de::from_str(text).unwrap_or_default())
}

/// What a store says of an error.
#[derive(Debug, Default, serde::Deserialize)]
struct Fault {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "Message", default)]
    message: String,
}

impl Ask<'_> {
    fn broken(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> S3Error {
        S3Error::Transport { call: self.call, effect: self.effect, source: source.into() }
    }

    fn refused(&self, status: u16, code: &str, message: &str) -> S3Error {
        let (code, message) = (line(code), line(message));
        S3Error::Status { call: self.call, status, code, message, effect: self.effect }
    }
}

/// The content of an answer broke off.
fn cut(call: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> S3Error {
    S3Error::Transport { call, effect: Effect::Repeatable, source: source.into() }
}

async fn text(ask: &Ask<'_>, body: Incoming) -> Result<String, S3Error> {
    let (mut whole, mut body) = (BytesMut::new(), body.into_data_stream());
    loop {
        let next = timeout(settings::STALL, body.try_next()).await.map_err(|silent| ask.broken(silent))?;
        match next.map_err(|error| ask.broken(error))? {
            Some(bytes) if whole.len() + bytes.len() > DOCUMENT => {
                return Err(S3Error::Incomplete { call: ask.call, what: "an end within reason" });
            }
            Some(bytes) => whole.extend_from_slice(&bytes),
            None => return Ok(String::from_utf8_lossy(&whole).into_owned()),
        }
    }
}

fn client(
    secure: bool,
    shared: &HttpShared,
) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, S3Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(shared.connect_timeout));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls(secure, shared)?);
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(20));
    Ok(builder.build(connector))
}

/// The system's authorities and the operator's, as the SDK has them. A store on this machine without TLS needs none, and reading them
/// takes a while.
fn tls(secure: bool, shared: &HttpShared) -> Result<ClientConfig, S3Error> {
    let setup = |source: Box<dyn std::error::Error + Send + Sync>| S3Error::Tls { source };
    let mut roots = RootCertStore::empty();
    if secure {
        let found = rustls_native_certs::load_native_certs();
        let own = shared.extra_ca_pem.as_deref().map(authorities::read).transpose();
        let own = own.map_err(|error| setup(error.into()))?.unwrap_or_default();
        let (added, _) = roots.add_parsable_certificates(found.certs.into_iter().chain(own));
        if added == 0 {
            let none =
                found.errors.into_iter().next().map_or_else(|| "this machine has none".into(), Into::into);
            return Err(setup(none));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| setup(error.into()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
