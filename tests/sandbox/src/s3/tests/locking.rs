use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode};

use super::support::{code, start};

#[tokio::test]
async fn a_locked_version_cannot_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    let client = setup.client("FULL");
    client.create_bucket().bucket("bucket").object_lock_enabled_for_bucket(true).send().await.unwrap();
    let until = DateTime::from(SystemTime::now() + Duration::from_hours(1));
    let put = client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"x"));
    let put = put.object_lock_mode(ObjectLockMode::Governance).object_lock_retain_until_date(until);
    let version = put.send().await.unwrap().version_id().unwrap().to_owned();
    let delete = || client.delete_object().bucket("bucket").key("k").version_id(&version);
    assert_eq!(code(delete().send().await), "403 AccessDenied");
    let retention = client.get_object_retention().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(retention.retention().unwrap().mode().unwrap().as_str(), "GOVERNANCE");
    let hold = |status| {
        let hold = ObjectLockLegalHold::builder().status(status).build();
        client.put_object_legal_hold().bucket("bucket").key("k").legal_hold(hold).send()
    };
    hold(ObjectLockLegalHoldStatus::On).await.unwrap();
    assert_eq!(code(delete().bypass_governance_retention(true).send().await), "403 AccessDenied");
    hold(ObjectLockLegalHoldStatus::Off).await.unwrap();
    // Hiding it is allowed: nothing is lost.
    assert_eq!(
        client.delete_object().bucket("bucket").key("k").send().await.unwrap().delete_marker(),
        Some(true)
    );
    delete().bypass_governance_retention(true).send().await.unwrap();
}

#[tokio::test]
async fn a_bucket_made_without_lock_takes_no_locks() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", true, false).await.unwrap();
    let client = setup.client("FULL");
    let put = client
        .put_object()
        .bucket("bucket")
        .key("k")
        .object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
    assert_eq!(code(put.send().await), "400 InvalidRequest");
    let absent = client.get_object_lock_configuration().bucket("bucket").send().await;
    assert_eq!(code(absent), "404 ObjectLockConfigurationNotFoundError");
}
