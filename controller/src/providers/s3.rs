//! Object storage that speaks S3, at any vendor's endpoint.
//!
//! The vendor's SDK does signing, retries and XML; its behaviour version is pinned and what only Amazon understands (default checksums,
//! chunked trailers) is switched off. What is called for every object goes around its machinery: `direct`. Whether a bucket is ours is the caller's business; tags are where it can be marked.

pub mod acl;
pub mod buckets;
mod direct;
pub mod error;
mod listing;
pub mod marks;
pub mod objects;
mod order;
pub mod parts;
pub mod payload;
pub mod proof;
mod rows;
pub mod settings;
mod spelling;
pub mod transfer;
pub mod versions;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    config::{http::HttpResponse, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use futures::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use secrecy::SecretString;
use tokio::time::Instant;
use tracing::Instrument as _;

pub use self::{
    acl::{Acl, Grant, Grantee},
    error::S3Error,
    objects::{ObjectHead, ObjectSummary, Thaw},
    parts::{PartError, Sent},
    payload::Payload,
    proof::Proof,
    transfer::{Content, Found, Headers, Keeping, Lock, Want},
    versions::{Upload, Version, VersionToken},
};
use super::http::{
    Effect, HttpShared, Outcome,
    observe::{CallObserver, CallReport},
};
use crate::runtime::tenure::Tenure;

/// The provider's name in spans and metrics.
pub const NAME: &str = "s3";

/// Where the store is and how to enter it.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// Base URL of the endpoint.
    pub endpoint: String,
    /// Region to sign for, and to create buckets in.
    pub region: String,
    /// Access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: SecretString,
    /// `endpoint/bucket/key` instead of `bucket.endpoint/key`: every vendor of ours understands both, and a local server only this.
    pub path_style: bool,
}

/// A client of one store with one key pair. Cheap to clone.
#[derive(Clone)]
pub struct S3 {
    client: Client,
    direct: direct::Direct,
    region: String,
    shared: HttpShared,
    pressure: Pressure,
    order: order::Order,
    spelling: spelling::Spelling,
}

/// How often a store asked for less, with the SDK's own attempts. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Pressure(Arc<AtomicU64>);

impl Pressure {
    /// Once more.
    pub fn feel(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn felt(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("region", &self.region).finish_non_exhaustive()
    }
}

impl S3 {
    /// A client; nothing is sent yet.
    pub fn new(config: &S3Config, shared: HttpShared) -> Result<Self, S3Error> {
        let pressure = Pressure::default();
        // First: where no authority vouches for anybody it says so, and the SDK's client would panic.
        let direct = direct::Direct::new(config, &shared, pressure.clone())?;
        let client = settings::client(config, &shared, pressure.clone())?;
        let (order, spelling) = (order::Order::default(), spelling::Spelling::default());
        Ok(Self { client, direct, region: config.region.clone(), shared, pressure, order, spelling })
    }

    /// The same store, with every wait ending at `cancel`.
    #[must_use]
    pub fn with_cancel(&self, cancel: tokio_util::sync::CancellationToken) -> Self {
        Self { shared: HttpShared { cancel, ..self.shared.clone() }, ..self.clone() }
    }

    /// How often this store asked for less.
    pub fn pressure(&self) -> Pressure {
        self.pressure.clone()
    }

    /// The same store; each call that has ended is told to `told` as well, by its name.
    #[must_use]
    pub fn also_told(&self, told: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        let before = self.shared.observer.clone();
        let observer = CallObserver::new(move |report: CallReport| {
            told(report.call);
            before.tell(report);
        });
        Self { shared: HttpShared { observer, ..self.shared.clone() }, ..self.clone() }
    }

    /// The same store; an object whose answer was lost on its way is not written again: for whoever looks first whether it is there.
    /// What goes through the SDK (files, parts) is sent again as ever.
    #[must_use]
    pub fn careful(&self) -> Self {
        Self { direct: self.direct.careful(), ..self.clone() }
    }

    /// The same store; nothing is sent a second time: for whoever repeats on their own, or has only one answer to give.
    #[must_use]
    pub fn sent_once(&self) -> Self {
        let config = self.client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), direct: self.direct.once(), ..self.clone() }
    }

    /// Runs one call of the SDK. Boxed: the SDK's futures are large.
    fn run<'a, T: Send + 'a, E>(
        &'a self,
        call: &'static str,
        effect: Effect,
        work: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, S3Error>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let work = work.map_err(move |error| S3Error::of(call, effect, error)).boxed();
        self.metered(call, effect, work).boxed()
    }

    /// Runs one call: span, metric and cancellation.
    async fn metered<T: Send>(
        &self,
        call: &'static str,
        effect: Effect,
        work: impl Future<Output = Result<T, S3Error>> + Send,
    ) -> Result<T, S3Error> {
        let span =
            tracing::info_span!("provider_call", provider = NAME, call, status = tracing::field::Empty);
        // Asked before each call: there are writes that may be repeated, and within a second the answer costs nothing.
        if !Tenure::stands().await {
            return Err(S3Error::Cancelled { call, in_doubt: false });
        }
        let sent = Instant::now();
        let result = tokio::select! {
            biased;
            () = self.shared.cancel.cancelled() => Err(S3Error::Cancelled { call, in_doubt: effect == Effect::Mutating }),
            result = work.instrument(span.clone()) => result,
        };
        if let Err(S3Error::Status { status, .. }) = &result {
            span.record("status", *status);
        }
        let outcome = result.as_ref().map_or_else(S3Error::outcome, |_| Outcome::Ok);
        let (waited, took) = (Duration::ZERO, sent.elapsed());
        self.shared.observer.tell(CallReport { provider: NAME, call, outcome, waited, took });
        result
    }
}

#[cfg(test)]
pub(crate) mod tests;
