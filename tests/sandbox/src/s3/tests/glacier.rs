use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::types::RestoreRequest;

use super::support::{Setup, THAW, code, start};

/// The status of the answer, which only an interceptor sees.
async fn restore(setup: &Setup, days: i32) -> Result<u16, String> {
    let request = RestoreRequest::builder().days(days).build();
    let client = setup.client("FULL");
    let call = client.restore_object().bucket("bucket").key("k").restore_request(request).customize();
    let seen = Arc::new(AtomicU16::new(0));
    match call.interceptor(Status(Arc::clone(&seen))).send().await {
        Ok(_) => Ok(seen.load(Ordering::Relaxed)),
        refused => Err(code(refused)),
    }
}

/// Notes the status of the answer.
#[derive(Debug)]
struct Status(Arc<AtomicU16>);

impl Intercept for Status {
    fn name(&self) -> &'static str {
        "status"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.store(context.response().status().as_u16(), Ordering::Relaxed);
        Ok(())
    }
}

async fn header(setup: &Setup) -> Option<String> {
    let head = setup.client("FULL").head_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(head.storage_class().unwrap().as_str(), "GLACIER", "the class never changes");
    head.restore().map(str::to_owned)
}

#[tokio::test]
async fn a_cold_object_is_read_only_between_thaw_and_expiry() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    setup.s3.put("bucket", "k", "cold".into(), "text/plain", "GLACIER").await.unwrap();
    let client = setup.client("FULL");
    let get = || client.get_object().bucket("bucket").key("k").send();
    let copy = || client.copy_object().bucket("bucket").key("warm").copy_source("bucket/k").send();
    assert_eq!(
        (code(get().await), code(copy().await)),
        ("403 InvalidObjectState".into(), "403 InvalidObjectState".into())
    );
    assert_eq!(header(&setup).await, None);
    assert_eq!(restore(&setup, 2).await, Ok(202));
    assert_eq!(header(&setup).await.as_deref(), Some("ongoing-request=\"true\""));
    assert_eq!(restore(&setup, 2).await, Err("409 RestoreAlreadyInProgress".into()));
    assert_eq!(code(get().await), "403 InvalidObjectState");
    setup.world.clock.advance(THAW);
    assert!(header(&setup).await.unwrap().starts_with("ongoing-request=\"false\", expiry-date=\""));
    assert_eq!(get().await.unwrap().body.collect().await.unwrap().into_bytes(), "cold");
    copy().await.unwrap();
    assert_eq!(restore(&setup, 3).await, Ok(200), "only prolonged");
    setup.world.clock.advance(std::time::Duration::from_hours(73));
    assert_eq!(code(get().await), "403 InvalidObjectState", "cold again");
    assert_eq!(restore(&setup, 1).await, Ok(202));
}

#[tokio::test]
async fn only_a_cold_object_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    setup.s3.put("bucket", "k", "warm".into(), "text/plain", "STANDARD").await.unwrap();
    assert_eq!(restore(&setup, 1).await, Err("403 InvalidObjectState".into()));
    assert!(setup.s3.put("bucket", "k", "x".into(), "text/plain", "DEEP_ARCHIVE").await.is_err());
}
