use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use serde_json::{Value, json};

use super::support::{Setup, code, start};
use crate::world::Entry;

const HOUR: Duration = Duration::from_hours(1);

async fn set(setup: &Setup, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    let put =
        setup.client("FULL").put_bucket_versioning().bucket("bucket").versioning_configuration(configuration);
    put.send().await.unwrap();
}

async fn put(setup: &Setup, body: &'static str) -> String {
    let put = setup
        .client("FULL")
        .put_object()
        .bucket("bucket")
        .key("k")
        .body(ByteStream::from_static(body.as_bytes()));
    put.send().await.unwrap().version_id().unwrap_or("none").to_owned()
}

#[tokio::test]
async fn versions_live_through_a_delete_marker() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let status = client.get_bucket_versioning().bucket("bucket").send().await.unwrap();
    assert_eq!(status.status(), None);
    assert_eq!(put(&setup, "before").await, "none");
    set(&setup, BucketVersioningStatus::Enabled).await;
    let (first, second) = (put(&setup, "1").await, put(&setup, "2").await);
    assert!(first.len() == 16 && first < second, "microseconds: {first} {second}");
    let marker = client.delete_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(marker.delete_marker(), Some(true));
    assert_eq!(code(client.get_object().bucket("bucket").key("k").send().await), "404 NoSuchKey");
    let get = |version: &str| client.get_object().bucket("bucket").key("k").version_id(version).send();
    assert_eq!(get("null").await.unwrap().body.collect().await.unwrap().into_bytes(), "before");
    assert_eq!(get(&first).await.unwrap().body.collect().await.unwrap().into_bytes(), "1");
    assert_eq!(code(get(marker.version_id().unwrap()).await), "405 MethodNotAllowed");
    assert_eq!(code(get("12").await), "404 NoSuchVersion");
    let listed = client.list_object_versions().bucket("bucket").send().await.unwrap();
    let ids: Vec<&str> = listed.versions().iter().filter_map(|version| version.version_id()).collect();
    assert_eq!(ids, [&second, &first, "null"]);
    assert_eq!(listed.delete_markers()[0].is_latest(), Some(true));
    assert_eq!(code(client.delete_bucket().bucket("bucket").send().await), "409 BucketNotEmpty");
    let undelete = client.delete_object().bucket("bucket").key("k").version_id(marker.version_id().unwrap());
    assert_eq!(undelete.send().await.unwrap().delete_marker(), Some(true));
    assert_eq!(
        client.head_object().bucket("bucket").key("k").send().await.unwrap().version_id(),
        Some(&*second)
    );
}

#[tokio::test]
async fn a_suspended_bucket_overwrites_the_null_version_only() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", true, false).await.unwrap();
    let kept = put(&setup, "kept").await;
    set(&setup, BucketVersioningStatus::Suspended).await;
    assert_eq!((put(&setup, "a").await, put(&setup, "b").await), ("null".into(), "null".into()));
    let client = setup.client("FULL");
    let marker = client.delete_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!((marker.version_id(), marker.delete_marker()), (Some("null"), Some(true)));
    let listed = client.list_object_versions().bucket("bucket").send().await.unwrap();
    assert_eq!(listed.versions()[0].version_id(), Some(&*kept));
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (1, 1));
}

#[tokio::test]
async fn versions_are_listed_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", true, false).await.unwrap();
    for key in ["a", "b", "b", "b", "c/1", "c/2"] {
        setup.s3.put("bucket", key, "x".into(), "text/plain", "STANDARD").await.unwrap();
    }
    let client = setup.client("FULL");
    let (mut found, mut key, mut version) = (Vec::new(), None, None);
    loop {
        let list = client.list_object_versions().bucket("bucket").delimiter("/").max_keys(1);
        let page = list.set_key_marker(key).set_version_id_marker(version).send().await.unwrap();
        found.extend(page.versions().iter().filter_map(|entry| entry.key().map(str::to_owned)));
        found.extend(page.common_prefixes().iter().filter_map(|entry| entry.prefix().map(str::to_owned)));
        if page.is_truncated() != Some(true) {
            break;
        }
        key = page.next_key_marker().map(str::to_owned);
        version = page.next_version_id_marker().map(str::to_owned);
    }
    assert_eq!(found, ["a", "b", "b", "b", "c/"]);
}

#[tokio::test]
async fn versions_and_markers_are_listed_as_they_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", true, false).await.unwrap();
    let client = setup.client("FULL");
    for key in ["a", "b"] {
        for _ in 0..2 {
            setup.s3.put("bucket", key, "x".into(), "text/plain", "STANDARD").await.unwrap();
            client.delete_object().bucket("bucket").key(key).send().await.unwrap();
        }
    }
    let signed = client.list_object_versions().bucket("bucket");
    let address = signed.presigned(PresigningConfig::expires_in(HOUR).unwrap()).await.unwrap();
    let text = reqwest::get(address.uri()).await.unwrap().text().await.unwrap();
    let mut found: Vec<(usize, &str)> = text.match_indices("<Version>").collect();
    found.extend(text.match_indices("<DeleteMarker>"));
    found.sort_unstable();
    let kinds: Vec<&str> = found.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["<DeleteMarker>", "<Version>"].repeat(4), "{text}");
    assert_eq!(text.matches("<IsLatest>true</IsLatest>").count(), 2);
}

/// What an entry says of before and after; the dates of objects are left out.
pub(super) fn changed(entry: &Entry) -> (Option<Value>, Option<Value>) {
    let undated = |side: &Option<Value>| {
        let mut side = side.clone()?;
        for one in side.as_object_mut().unwrap().values_mut().flat_map(|list| list.as_array_mut().unwrap()) {
            one.as_object_mut().unwrap().remove("written");
        }
        Some(side)
    };
    (undated(&entry.evidence.before), undated(&entry.evidence.after))
}

#[tokio::test]
async fn the_journal_tells_what_was_under_a_key_before_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", true, false).await.unwrap();
    let client = setup.client("FULL");
    let (first, second) = (put(&setup, "1").await, put(&setup, "two").await);
    let marker = client.delete_object().bucket("bucket").key("k").send().await.unwrap();
    let tags = aws_sdk_s3::types::Tagging::builder().set_tag_set(Some(Vec::new())).build().unwrap();
    client
        .put_object_tagging()
        .bucket("bucket")
        .key("k")
        .version_id(&first)
        .tagging(tags)
        .send()
        .await
        .unwrap();
    let entries = setup.world.journal.entries();
    let told: Vec<_> = entries.iter().map(changed).collect();
    let object = |version: &str, etag: &str, size: u64| {
        let one = json!({"bucket": "bucket", "key": "k", "version": version, "etag": etag, "size": size});
        Some(json!({"objects": [one]}))
    };
    let (one, two) = (
        object(&first, "c4ca4238a0b923820dcc509a6f75849b", 1),
        object(&second, "b8a9f715dbb64fd5c56e7783c6820a61", 3),
    );
    let gone =
        json!({"objects": [{"bucket": "bucket", "key": "k", "version": marker.version_id().unwrap()}]});
    let wanted = [(None, one.clone()), (one, two.clone()), (two, Some(gone)), (None, None)];
    assert_eq!(told, wanted, "{entries:?}");
}
