//! What the journal says of each effect: what was there before, and what is after it.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, Delete, ObjectIdentifier, Tag, Tagging, VersioningConfiguration,
};
use serde_json::{Value, json};

use super::support::{Setup, start};
use super::versions::changed;
use crate::world::Entry;

/// A folder, and an endpoint in it with one bucket.
async fn bucket(versioned: bool) -> (tempfile::TempDir, Setup) {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", versioned, false).await.unwrap();
    (dir, setup)
}

async fn put(setup: &Setup, key: &str, body: &'static str) -> String {
    let body = ByteStream::from_static(body.as_bytes());
    let put = setup.client("FULL").put_object().bucket("bucket").key(key).body(body);
    put.send().await.unwrap().version_id().unwrap_or("null").to_owned()
}

/// Deletes these keys and versions with one request.
async fn delete(setup: &Setup, wanted: &[(&str, Option<&str>)]) {
    let one = |(key, version): &(&str, Option<&str>)| {
        ObjectIdentifier::builder().key(*key).set_version_id(version.map(str::to_owned)).build().unwrap()
    };
    let list = Delete::builder().set_objects(Some(wanted.iter().map(one).collect())).build().unwrap();
    setup.client("FULL").delete_objects().bucket("bucket").delete(list).send().await.unwrap();
}

/// The newest entry.
fn last(setup: &Setup) -> Entry {
    setup.world.journal.entries().pop().unwrap()
}

/// Key and version of each item of a kind.
fn named(side: Option<&Value>, kind: &str) -> Vec<(String, String)> {
    let items = side.into_iter().flat_map(|side| side[kind].as_array().into_iter().flatten());
    let text = |item: &Value, member: &str| item[member].as_str().unwrap().to_owned();
    items.map(|item| (text(item, "key"), text(item, "version"))).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(key, version)| ((*key).to_owned(), (*version).to_owned())).collect()
}

#[tokio::test]
async fn a_mass_deletion_tells_each_key_that_was_there() {
    let (_dir, setup) = bucket(false).await;
    for key in ["a", "b", "kept"] {
        put(&setup, key, "1").await;
    }
    delete(&setup, &[("a", None), ("never", None), ("b", None)]).await;
    let entry = last(&setup);
    let (before, after) = changed(&entry);
    assert_eq!(named(before.as_ref(), "objects"), pairs(&[("a", "null"), ("b", "null")]));
    assert_eq!(before.unwrap()["objects"][0]["size"], 1);
    assert!(after.is_none() && entry.had_effect());
    delete(&setup, &[("a", None), ("never", None)]).await;
    let entry = last(&setup);
    assert_eq!((entry.call.as_str(), entry.status, changed(&entry)), ("DeleteObjects", 200, (None, None)));
    assert!(!entry.had_effect(), "nothing was there");
    setup.client("FULL").delete_object().bucket("bucket").key("a").send().await.unwrap();
    assert!(!last(&setup).had_effect(), "nothing was there");
}

#[tokio::test]
async fn versions_that_are_removed_are_told_by_their_names() {
    let (_dir, setup) = bucket(true).await;
    let (first, second) = (put(&setup, "k", "1").await, put(&setup, "k", "2").await);
    let third = put(&setup, "k", "3").await;
    // The oldest is under nobody's eyes: what is current stays.
    let one = setup.client("FULL").delete_object().bucket("bucket").key("k").version_id(&first);
    one.send().await.unwrap();
    let (before, after) = changed(&last(&setup));
    assert_eq!(named(before.as_ref(), "object_versions"), pairs(&[("k", &first)]));
    assert!(named(before.as_ref(), "objects").is_empty() && after.is_none());
    // The rest of one key in one request.
    delete(&setup, &[("k", Some(&third)), ("k", Some(&second))]).await;
    let (before, after) = changed(&last(&setup));
    assert_eq!(named(before.as_ref(), "object_versions"), pairs(&[("k", &third), ("k", &second)]));
    assert_eq!((named(before.as_ref(), "objects"), after), (pairs(&[("k", &third)]), None));
    delete(&setup, &[("k", None)]).await;
    let (before, after) = changed(&last(&setup));
    assert!(before.is_none() && named(after.as_ref(), "objects").len() == 1, "a delete marker is an effect");
}

#[tokio::test]
async fn an_overwrite_with_the_same_bytes_and_a_tag_are_told() {
    let (_dir, setup) = bucket(false).await;
    put(&setup, "k", "1").await;
    put(&setup, "k", "1").await;
    let evidence = last(&setup).evidence;
    let written = |side: &Option<Value>| side.as_ref().unwrap()["objects"][0]["written"].clone();
    assert_ne!(written(&evidence.before), written(&evidence.after));
    let tag = Tag::builder().key("whose").value("ours").build().unwrap();
    let tags = Tagging::builder().tag_set(tag).build().unwrap();
    let tagged = setup.client("FULL").put_object_tagging().bucket("bucket").key("k").tagging(tags);
    tagged.send().await.unwrap();
    let (before, after) = changed(&last(&setup));
    assert_eq!(before.unwrap()["objects"][0]["tags"], Value::Null);
    assert_eq!(after.unwrap()["objects"][0]["tags"], json!([["whose", "ours"]]));
}

#[tokio::test]
async fn a_buckets_settings_and_uploads_are_told() {
    let (_dir, setup) = bucket(false).await;
    let client = setup.client("FULL");
    client.create_bucket().bucket("another").send().await.unwrap();
    assert_eq!(changed(&last(&setup)).1.unwrap()["buckets"][0]["name"], "another");
    let status = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let put = client.put_bucket_versioning().bucket("bucket").versioning_configuration(status);
    put.send().await.unwrap();
    let (before, after) = changed(&last(&setup));
    let versioning = |side: Option<Value>| side.unwrap()["buckets"][0]["versioning"].clone();
    assert_eq!((versioning(before), versioning(after)), (json!("Off"), json!("Enabled")));
    let begun = client.create_multipart_upload().bucket("bucket").key("big").send().await.unwrap();
    let upload = begun.upload_id().unwrap();
    let (before, after) = changed(&last(&setup));
    assert!(before.is_none() && after.unwrap()["uploads"][0]["id"] == upload);
    client.abort_multipart_upload().bucket("bucket").key("big").upload_id(upload).send().await.unwrap();
    let (before, after) = changed(&last(&setup));
    assert!(after.is_none() && before.unwrap()["uploads"][0]["parts"] == 0);
}
