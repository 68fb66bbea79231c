use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketCannedAcl, ChecksumType, Delete, MetadataDirective, ObjectIdentifier, ServerSideEncryption, Tag,
    Tagging,
};
use std::time::Duration;

use super::support::{code, start};

#[tokio::test]
async fn what_is_put_is_got_with_its_headers_in_both_checksum_modes() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    for client in [setup.client("FULL"), setup.plain()] {
        let bucket = format!("b-{}", setup.s3.inventory().as_object().unwrap().len());
        client.create_bucket().bucket(&bucket).send().await.unwrap();
        for size in [0, 5, 100_000, 3_000_000] {
            let body: Vec<u8> = (0..size).map(|at: usize| u8::try_from(at % 253).unwrap()).collect();
            let put =
                client.put_object().bucket(&bucket).key("dossier/é à.pdf").content_type("application/pdf");
            let put = put.metadata("sha", "1").body(ByteStream::from(body.clone())).send().await.unwrap();
            let got = client.get_object().bucket(&bucket).key("dossier/é à.pdf").send().await.unwrap();
            assert_eq!((got.e_tag(), got.content_type()), (put.e_tag(), Some("application/pdf")));
            assert_eq!(got.metadata().unwrap()["sha"], "1");
            assert_eq!(got.version_id(), None, "the bucket keeps no versions");
            assert!(
                got.body.collect().await.unwrap().into_bytes() == body,
                "{size} bytes came back different"
            );
        }
    }
}

#[tokio::test]
async fn a_file_is_streamed_with_its_trailing_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("b", false, false).await.unwrap_err();
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let path = dir.path().join("source");
    std::fs::write(&path, vec![7; 2_000_000]).unwrap();
    for client in [setup.client("FULL"), setup.plain()] {
        let body = ByteStream::from_path(&path).await.unwrap();
        client.put_object().bucket("bucket").key("k").body(body).send().await.unwrap();
        let got = client.get_object().bucket("bucket").key("k").range("bytes=1999990-").send().await.unwrap();
        assert_eq!(got.content_range(), Some("bytes 1999990-1999999/2000000"));
        assert_eq!(got.content_encoding(), None, "the encoding of the transfer is not the object's");
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), vec![7; 10]);
    }
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.plain();
    let put = || client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"abc"));
    assert_eq!(code(put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await), "400 BadDigest");
    assert_eq!(code(put().checksum_crc32("AAAAAA==").send().await), "400 BadDigest");
    assert_eq!(code(client.get_object().bucket("bucket").key("k").send().await), "404 NoSuchKey");
}

#[tokio::test]
async fn conditions_guard_reads_and_writes() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let put = || client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"abc"));
    let etag = put().if_none_match("*").send().await.unwrap().e_tag().unwrap().to_owned();
    assert_eq!(code(put().if_none_match("*").send().await), "412 PreconditionFailed");
    assert_eq!(code(put().if_match("\"other\"").send().await), "412 PreconditionFailed");
    put().if_match(&etag).send().await.unwrap();
    let get = || client.get_object().bucket("bucket").key("k");
    assert_eq!(code(get().if_none_match(&etag).send().await), "304");
    assert_eq!(code(get().if_match("\"other\"").send().await), "412 PreconditionFailed");
    assert_eq!(code(get().range("bytes=3-").send().await), "416 InvalidRange");
}

#[tokio::test]
async fn a_bucket_has_one_owner_and_must_be_empty_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    let client = setup.client("FULL");
    let create = || client.create_bucket().bucket("bucket").acl(BucketCannedAcl::Private).send();
    create().await.unwrap();
    assert_eq!(code(create().await), "409 BucketAlreadyOwnedByYou");
    assert_eq!(code(client.head_bucket().bucket("absent").send().await), "404 NotFound");
    assert_eq!(code(client.get_object().bucket("absent").key("k").send().await), "404 NoSuchBucket");
    setup.s3.put("bucket", "k", "x".into(), "text/plain", "STANDARD").await.unwrap();
    assert_eq!(code(client.delete_bucket().bucket("bucket").send().await), "409 BucketNotEmpty");
    client.delete_object().bucket("bucket").key("k").send().await.unwrap();
    client.create_multipart_upload().bucket("bucket").key("m").send().await.unwrap();
    client.delete_bucket().bucket("bucket").send().await.unwrap();
    assert_eq!(setup.s3.inventory(), serde_json::json!({}));
}

#[tokio::test]
async fn a_private_bucket_answers_nobody_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    setup.s3.put("bucket", "k", "x".into(), "text/plain", "STANDARD").await.unwrap();
    let fetch = |path: &str| reqwest::get(format!("{}{path}", setup.s3.endpoint()));
    let refused = fetch("/bucket/k").await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("<Message>"));
    let client = setup.client("FULL");
    client.put_bucket_acl().bucket("bucket").acl(BucketCannedAcl::PublicRead).send().await.unwrap();
    assert_eq!(fetch("/bucket").await.unwrap().status(), 200, "the listing is open now");
    assert_eq!(fetch("/bucket/k").await.unwrap().status(), 403, "the object is not");
}

#[tokio::test]
async fn keys_do_what_their_policy_says() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let (read, add) = (setup.client("READ"), setup.client("ADD"));
    add.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"1")).send().await.unwrap();
    let denied = "403 AccessDenied";
    assert_eq!(code(add.put_object().bucket("bucket").key("k").send().await), denied);
    setup.s3.put("bucket", "other", "x".into(), "x/y", "STANDARD").await.unwrap();
    assert_eq!(
        code(add.copy_object().bucket("bucket").key("other").copy_source("bucket/k").send().await),
        denied
    );
    assert_eq!(code(add.delete_object().bucket("bucket").key("k").send().await), denied);
    assert_eq!(code(read.put_object().bucket("bucket").key("n").send().await), denied);
    let got = read.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "1");
    let stranger = aws_sdk_s3::Client::from_conf(setup.config("NOBODY", "NOBODY").build());
    assert_eq!(code(stranger.list_buckets().send().await), "403 InvalidAccessKeyId");
    let forger = aws_sdk_s3::Client::from_conf(setup.config("FULL", "other").build());
    assert_eq!(code(forger.list_buckets().send().await), "403 SignatureDoesNotMatch");
    let lost = setup.config("FULL", "FULL").region(aws_sdk_s3::config::Region::new("nl-ams")).build();
    let lost = aws_sdk_s3::Client::from_conf(lost);
    assert_eq!(code(lost.list_buckets().send().await), "400 AuthorizationHeaderMalformed");
}

#[tokio::test]
async fn odd_keys_are_listed_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let mut keys =
        ["a b", "a+b", "ü/é", "x//y", "/lead", "%41", "q&a=<b>", "end/", "😀", "a/../b"].map(str::to_owned);
    keys.sort();
    for key in &keys {
        client.put_object().bucket("bucket").key(key).send().await.unwrap();
    }
    let mut pages = client.list_objects_v2().bucket("bucket").max_keys(3).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert_eq!(usize::try_from(page.key_count().unwrap()).unwrap(), page.contents().len());
        found.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(found, keys);
    let folded = client.list_objects_v2().bucket("bucket").delimiter("/").send().await.unwrap();
    let prefixes: Vec<&str> = folded.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!(prefixes, ["/", "a/", "end/", "x/", "ü/"]);
    let first = client.list_objects().bucket("bucket").max_keys(4).send().await.unwrap();
    let rest = client
        .list_objects()
        .bucket("bucket")
        .marker(first.contents()[3].key().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(first.contents().len() + rest.contents().len(), keys.len());
    let delete = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build().unwrap()).collect();
    let delete = Delete::builder().set_objects(Some(delete)).build().unwrap();
    let deleted = client.delete_objects().bucket("bucket").delete(delete).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (keys.len(), 0));
}

#[tokio::test]
async fn a_copy_takes_or_replaces_metadata_and_tags() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let put = client.put_object().bucket("bucket").key("k").metadata("a", "1").tagging("t=1");
    let etag = put.body(ByteStream::from_static(b"abc")).send().await.unwrap().e_tag().unwrap().to_owned();
    let copy = |to: &str| client.copy_object().bucket("bucket").key(to).copy_source("bucket/k");
    copy("same").copy_source_if_match(&etag).send().await.unwrap();
    let head = client.head_object().bucket("bucket").key("same").send().await.unwrap();
    assert_eq!((head.metadata().unwrap()["a"].as_str(), head.e_tag()), ("1", Some(&*etag)));
    copy("other").metadata_directive(MetadataDirective::Replace).metadata("b", "2").send().await.unwrap();
    let head = client.head_object().bucket("bucket").key("other").send().await.unwrap();
    assert_eq!(head.metadata().unwrap().get("a"), None);
    assert_eq!(code(copy("x").copy_source_if_none_match(&etag).send().await), "412 PreconditionFailed");
    assert_eq!(code(copy("k").send().await), "400 InvalidRequest");
    let tags = client.get_object_tagging().bucket("bucket").key("same").send().await.unwrap();
    assert_eq!(tags.tag_set()[0].key(), "t");
    // The bytes are shared: they outlive the first object.
    client.delete_object().bucket("bucket").key("k").send().await.unwrap();
    let got = client.get_object().bucket("bucket").key("same").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "abc");
}

#[tokio::test]
async fn settings_of_a_bucket_are_given_back_as_they_were_put() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    assert_eq!(code(client.get_bucket_tagging().bucket("bucket").send().await), "404 NoSuchTagSet");
    let tag = Tag::builder().key("reprise").value("1").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    client.put_bucket_tagging().bucket("bucket").tagging(tagging).send().await.unwrap();
    assert_eq!(client.get_bucket_tagging().bucket("bucket").send().await.unwrap().tag_set().len(), 1);
    assert_eq!(code(client.get_bucket_policy().bucket("bucket").send().await), "404 NoSuchBucketPolicy");
    let policy = r#"{"Version":"2023-04-17","Statement":[]}"#;
    client.put_bucket_policy().bucket("bucket").policy(policy).send().await.unwrap();
    assert_eq!(client.get_bucket_policy().bucket("bucket").send().await.unwrap().policy(), Some(policy));
    // It names nobody, and so locks everybody out of all but itself.
    assert_eq!(code(client.get_bucket_location().bucket("bucket").send().await), "403 AccessDenied");
    client.delete_bucket_policy().bucket("bucket").send().await.unwrap();
    let encryption = client.get_bucket_encryption().bucket("bucket").send().await;
    assert_eq!(code(encryption), "404 ServerSideEncryptionConfigurationNotFoundError");
    let location = client.get_bucket_location().bucket("bucket").send().await.unwrap();
    assert_eq!(location.location_constraint().unwrap().as_str(), "fr-par");
    assert_eq!(code(client.get_bucket_logging().bucket("bucket").send().await), "501 NotImplemented");
}

#[tokio::test]
async fn a_presigned_url_serves_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let (client, hour) = (setup.plain(), PresigningConfig::expires_in(Duration::from_hours(1)).unwrap());
    let put = client.put_object().bucket("bucket").key("a b/é").presigned(hour.clone()).await.unwrap();
    let sent = reqwest::Client::builder().build().unwrap().put(put.uri()).body("x").send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let get = client.get_object().bucket("bucket").key("a b/é").presigned(hour).await.unwrap();
    assert_eq!(reqwest::get(get.uri()).await.unwrap().text().await.unwrap(), "x");
    assert_eq!(reqwest::get(get.uri().replace("%20", "%21")).await.unwrap().status(), 403);
}

#[tokio::test]
async fn an_object_can_be_copied_onto_itself_to_change_its_encryption_or_redirection() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let put = client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"x"));
    put.send().await.unwrap();
    let copy = || client.copy_object().bucket("bucket").key("k").copy_source("bucket/k");
    assert_eq!(code(copy().send().await), "400 InvalidRequest");
    let copied = copy().server_side_encryption(ServerSideEncryption::Aes256).send().await.unwrap();
    assert_eq!(copied.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
    copy().website_redirect_location("/elsewhere").send().await.unwrap();
    let head = client.head_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(head.website_redirect_location(), Some("/elsewhere"));
    client.copy_object().bucket("bucket").key("other").copy_source("bucket/k").send().await.unwrap();
    let head = client.head_object().bucket("bucket").key("other").send().await.unwrap();
    assert_eq!(head.website_redirect_location(), None, "it is the key's");
    let result = copied.copy_object_result().unwrap();
    assert_eq!(result.checksum_type(), Some(&ChecksumType::FullObject));
}

/// The elements of a document, in order.
fn elements(xml: &str) -> Vec<&str> {
    let opened = xml.split('<').filter_map(|part| part.split_once('>')).map(|(name, _)| name);
    opened.filter(|name| !name.starts_with(['/', '?'])).collect()
}

#[tokio::test]
async fn refusals_look_as_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    setup.s3.put("bucket", "cold", vec![1].into(), "x/y", "GLACIER").await.unwrap();
    let client = setup.client("FULL");
    let presigned = async |key: &str| {
        let config = PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
        client.get_object().bucket("bucket").key(key).presigned(config).await.unwrap().uri().to_owned()
    };
    let http = super::support::Setup::http();
    for (file, key, status) in
        [("no_such_key.xml", "nothing", 404), ("invalid_object_state.xml", "cold", 403)]
    {
        let answer = http.get(presigned(key).await).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (status, &"application/xml".parse().unwrap())
        );
        let (ours, theirs) = (answer.text().await.unwrap(), crate::fixtures::text("s3", file));
        let code = |text: &str| text.split_once("<Code>").unwrap().1.split_once('<').unwrap().0.to_owned();
        assert_eq!((code(&ours), elements(&ours)), (code(&theirs), elements(&theirs)));
    }
}
