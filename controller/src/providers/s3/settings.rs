//! The SDK's settings for stores that are not Amazon's.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder as ConfigBuilder, Credentials, Region, RequestChecksumCalculation,
        ResponseChecksumValidation, SharedHttpClient, StalledStreamProtectionConfig,
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction, RetryConfig},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use secrecy::ExposeSecret;

use super::{Pressure, S3Config, S3Error};
use crate::providers::http::{HttpShared, base_url};

/// Time until an answer begins, for calls that move no large body.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);
/// A body that stands still for so long is given up.
pub(super) const STALL: Duration = Duration::from_mins(1);
/// Slowest transfer that is waited for, in bytes a second.
const SLOWEST: u64 = 128 << 10;

/// How often a call is sent that can be sent again.
pub(super) const ATTEMPTS: u32 = 4;
/// The same of one page of a list that took hours to come to it: half a minute.
pub(super) const PATIENT: u32 = 8;
/// Longest rest before it is sent again.
pub(super) const LONGEST_REST: Duration = Duration::from_secs(10);

/// 429 with a code that Amazon does not have; and whatever asks for less is counted, though the SDK then asks again by itself.
///
/// Source: Scaleway's troubleshooting page: "Too Many Requests".
#[derive(Debug)]
struct TooManyRequests(Pressure);

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let status = context.response().map(|response| response.status().as_u16());
        if matches!(status, Some(429 | 503)) {
            self.0.feel();
        }
        match status {
            Some(429) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "too many requests"
    }
}

pub(super) fn client(config: &S3Config, shared: &HttpShared, pressure: Pressure) -> Result<Client, S3Error> {
    let endpoint = base_url(&config.endpoint).map_err(|source| S3Error::Endpoint { source })?;
    let secret = config.secret_key.expose_secret();
    let stalls = StalledStreamProtectionConfig::enabled().grace_period(STALL).build();
    let builder = if endpoint.scheme() == "http" {
        // On this machine: it needs no certificates, which the SDK's own client reads all the same, and panics where there are none.
        aws_sdk_s3::Config::builder().http_client(Builder::new().build_http())
    } else if let Some(pem) = &shared.extra_ca_pem {
        aws_sdk_s3::Config::builder().http_client(trusting(pem)?)
    } else {
        aws_sdk_s3::Config::builder()
    };
    let config = builder
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint.as_str().trim_end_matches('/'))
        .region(Region::new(config.region.clone()))
        .credentials_provider(Credentials::new(&config.access_key, secret, None, None, "configuration"))
        .force_path_style(config.path_style)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(LONGEST_REST))
        .retry_classifier(TooManyRequests(pressure))
        .stalled_stream_protection(stalls)
        .timeout_config(timeouts(shared).read_timeout(ANSWER_LIMIT).build())
        .build();
    Ok(Client::from_conf(config))
}

/// The SDK's client as it is by default, with one more authority.
fn trusting(pem: &[u8]) -> Result<SharedHttpClient, S3Error> {
    let trusted = TrustStore::default().with_native_roots(true).with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| S3Error::Tls { source: error.into() })?;
    let tls = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context);
    Ok(tls.build_https())
}

fn timeouts(shared: &HttpShared) -> aws_sdk_s3::config::timeout::TimeoutConfigBuilder {
    TimeoutConfig::builder().connect_timeout(shared.connect_timeout)
}

/// Time until an answer begins, of a call that moves `bytes` before, here or inside the store.
pub(super) fn limit(bytes: u64) -> Duration {
    ANSWER_LIMIT + Duration::from_secs(bytes / SLOWEST)
}

/// Time limits for a call that moves `bytes`, here or inside the store.
pub(super) fn limits(shared: &HttpShared, bytes: u64) -> ConfigBuilder {
    aws_sdk_s3::Config::builder().timeout_config(timeouts(shared).read_timeout(limit(bytes)).build())
}
