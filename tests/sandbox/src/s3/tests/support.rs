//! A world with one endpoint, and clients of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    retry::RetryConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::s3::{Key, Policy, S3, S3Config};
use crate::world::World;

/// Minutes of world time that GLACIER takes here.
pub(super) const THAW: Duration = Duration::from_mins(10);

/// One endpoint in a folder.
pub(super) struct Setup {
    pub(super) world: Arc<World>,
    pub(super) s3: Arc<S3>,
}

/// Starts (or starts again) the endpoint in `dir`.
pub(super) async fn start(dir: &Path) -> Setup {
    start_at(dir, 1.0).await
}

pub(super) async fn start_at(dir: &Path, speed: f64) -> Setup {
    let world = World::new(dir, speed, 1).unwrap();
    let key = |id: &str, policy| Key {
        access_key_id: id.into(),
        secret_access_key: format!("{id}-secret"),
        policy,
    };
    let keys = vec![key("FULL", Policy::Full), key("READ", Policy::ReadOnly), key("ADD", Policy::AppendOnly)];
    let config = S3Config { name: "s3-source", region: "fr-par".into(), keys, thaw: THAW };
    let s3 = S3::start(&world, &dir.join("s3"), config).await.unwrap();
    Setup { world, s3 }
}

impl Setup {
    /// A client with that key, checksums on as the SDK has them by default.
    pub(super) fn client(&self, key: &str) -> Client {
        Client::from_conf(self.config(key, key).build())
    }

    /// A client that sends and checks no checksums unless it must.
    pub(super) fn plain(&self) -> Client {
        let config = self
            .config("FULL", "FULL")
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        Client::from_conf(config.build())
    }

    /// A client of no vendor's, for what theirs would not send.
    pub(super) fn http() -> reqwest::Client {
        reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap()
    }

    pub(super) fn config(&self, key: &str, secret: &str) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.s3.endpoint())
            .region(Region::new("fr-par"))
            .credentials_provider(Credentials::new(key, format!("{secret}-secret"), None, None, "test"))
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
    }

    /// Lets go of the folder, as the end of the process would.
    pub(super) async fn stop(self) {
        assert!(self.world.tasks.shut_down(Duration::from_secs(10)).await);
    }
}

/// The code of a refusal, or the status where there is no body.
pub(super) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> String {
    let error = result.unwrap_err();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(str::to_owned);
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
    match code {
        Some(code) => {
            assert!(
                message.is_some_and(|text| !text.is_empty()) || code == "NotFound",
                "{code} has no message"
            );
            format!("{} {code}", status.unwrap_or(0))
        }
        None => status.map_or_else(|| format!("{error:?}"), |status| status.to_string()),
    }
}
