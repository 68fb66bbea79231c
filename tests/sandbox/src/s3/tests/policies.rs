use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketCannedAcl, BucketLifecycleConfiguration, CompletedMultipartUpload,
    CompletedPart, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    NoncurrentVersionExpiration, StorageClass, Transition, TransitionStorageClass,
};
use std::time::Duration;

use super::support::{Setup, code, start};
use crate::s3::{Key, Policy, Rates};

const DAY: Duration = Duration::from_hours(24);

async fn put(setup: &Setup, key: &str) {
    let body = ByteStream::from_static(b"abc");
    setup.client("FULL").put_object().bucket("bucket").key(key).body(body).send().await.unwrap();
}

fn principal(id: &str, policy: Policy) -> String {
    Key { access_key_id: id.into(), secret_access_key: String::new(), policy }.principal()
}

#[tokio::test]
async fn a_policy_closes_the_bucket_to_whom_it_does_not_name() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    put(&setup, "a/1").await;
    put(&setup, "b/1").await;
    let (full, read) = (setup.client("FULL"), setup.client("READ"));
    let policy = format!(
        r#"{{"Version":"2023-04-17","Statement":[{{"Effect":"Allow","Principal":{{"SCW":"{}"}},"Action":["s3:GetObject"],"Resource":"bucket/a/*"}}]}}"#,
        principal("READ", Policy::ReadOnly)
    );
    full.put_bucket_policy().bucket("bucket").policy(policy).send().await.unwrap();
    read.get_object().bucket("bucket").key("a/1").send().await.unwrap();
    assert_eq!(code(read.get_object().bucket("bucket").key("b/1").send().await), "403 AccessDenied");
    assert_eq!(code(read.list_objects_v2().bucket("bucket").send().await), "403 AccessDenied");
    let copy = full.copy_object().bucket("bucket").key("c").copy_source("bucket/b/1").send().await;
    assert_eq!(code(copy), "403 AccessDenied", "the owner, too, is locked out");
    full.delete_bucket_policy().bucket("bucket").send().await.unwrap();
    full.list_objects_v2().bucket("bucket").send().await.unwrap();
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_slow_down() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.limit(Rates { reads: Some(0.5), writes: None });
    let client = setup.client("FULL");
    client.list_buckets().send().await.unwrap();
    assert_eq!(code(client.list_buckets().send().await), "503 SlowDown");
    setup.world.clock.advance(Duration::from_secs(2));
    client.list_buckets().send().await.unwrap();
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_can_be_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", true, false).await.unwrap();
    let client = setup.client("FULL");
    let upload = client.create_multipart_upload().bucket("bucket").key("k").send().await.unwrap();
    let upload = upload.upload_id().unwrap().to_owned();
    let part = client.upload_part().bucket("bucket").key("k").upload_id(&upload).part_number(1);
    let part = part.body(ByteStream::from_static(b"part")).send().await.unwrap();
    let complete = |client: aws_sdk_s3::Client, etag: String| {
        let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
        let parts = CompletedMultipartUpload::builder().parts(part).build();
        client
            .complete_multipart_upload()
            .bucket("bucket")
            .key("k")
            .upload_id(&upload)
            .multipart_upload(parts)
            .send()
    };
    let etag = part.e_tag().unwrap().to_owned();
    let first = complete(client.clone(), etag.clone()).await.unwrap();
    let again = complete(client, etag.clone()).await.unwrap();
    assert_eq!((again.e_tag(), again.version_id()), (first.e_tag(), first.version_id()));
    setup.stop().await;
    setup = start(dir.path()).await;
    let client = setup.client("FULL");
    let again = complete(client.clone(), etag).await.unwrap();
    assert_eq!(again.version_id(), first.version_id(), "remembered across a restart");
    assert_eq!(code(complete(client, "\"0\"".into()).await), "404 NoSuchUpload", "other parts");
}

fn rule(prefix: &str) -> aws_sdk_s3::types::builders::LifecycleRuleBuilder {
    let filter = LifecycleRuleFilter::builder().prefix(prefix).build();
    LifecycleRule::builder().status(ExpirationStatus::Enabled).filter(filter)
}

#[tokio::test]
async fn lifecycle_rules_are_carried_out_as_the_worlds_days_pass() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", true, false).await.unwrap();
    let client = setup.client("FULL");
    for key in ["logs/1", "logs/1", "cold/1", "kept/1"] {
        put(&setup, key).await;
    }
    client.create_multipart_upload().bucket("bucket").key("never/completed").send().await.unwrap();
    let expire = LifecycleExpiration::builder().days(10).build();
    let old = NoncurrentVersionExpiration::builder().noncurrent_days(3).build();
    let cold = Transition::builder().days(90).storage_class(TransitionStorageClass::Glacier).build();
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(1).build();
    let rules = BucketLifecycleConfiguration::builder()
        .rules(rule("logs/").expiration(expire).noncurrent_version_expiration(old).build().unwrap())
        .rules(rule("cold/").transitions(cold).build().unwrap())
        .rules(rule("").abort_incomplete_multipart_upload(abort).build().unwrap())
        .build()
        .unwrap();
    let configure =
        client.put_bucket_lifecycle_configuration().bucket("bucket").lifecycle_configuration(rules);
    configure.send().await.unwrap();
    let of = |what: &str| setup.s3.inventory()["bucket"][what].as_u64().unwrap();
    let reach = async |what: &str, count: u64| {
        for _ in 0..200 {
            if of(what) == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{what} stays at {}", of(what));
    };
    assert_eq!((of("versions"), of("uploads")), (4, 1));
    setup.world.clock.advance(DAY * 2);
    reach("uploads", 0).await;
    assert_eq!(of("versions"), 4, "not yet");
    setup.world.clock.advance(DAY * 2);
    reach("versions", 3).await;
    setup.world.clock.advance(DAY * 7);
    reach("delete_markers", 1).await;
    assert_eq!(code(client.get_object().bucket("bucket").key("logs/1").send().await), "404 NoSuchKey");
    setup.world.clock.advance(DAY * 80);
    for _ in 0..200 {
        let head = client.head_object().bucket("bucket").key("cold/1").send().await.unwrap();
        if head.storage_class() == Some(&StorageClass::Glacier) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        code(client.get_object().bucket("bucket").key("cold/1").send().await),
        "403 InvalidObjectState"
    );
    client.get_object().bucket("bucket").key("kept/1").send().await.unwrap();
}

#[tokio::test]
async fn many_objects_are_seeded_in_few_writes() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let all = (0..12_000).map(|number| crate::s3::Seeded {
        key: format!("{number:05}"),
        content_type: "text/plain",
        body: format!("body {number}").into(),
    });
    assert_eq!(setup.s3.seed_many("bucket", "STANDARD", all).await.unwrap(), 12_000);
    let client = setup.client("FULL");
    let got = client.get_object().bucket("bucket").key("11999").send().await.unwrap();
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "body 11999");
    assert_eq!(setup.s3.inventory()["bucket"]["objects"], 12_000);
}

#[tokio::test]
async fn a_key_with_control_characters_is_written_as_references() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    put(&setup, "bell\u{7}return\r").await;
    let open = setup.client("FULL").put_bucket_acl().bucket("bucket").acl(BucketCannedAcl::PublicRead);
    open.send().await.unwrap();
    let listing = reqwest::get(format!("{}/bucket?list-type=2", setup.s3.endpoint())).await.unwrap();
    let text = listing.text().await.unwrap();
    assert!(text.contains("<Key>bell&#x7;return&#xd;</Key>"), "{text}");
}
