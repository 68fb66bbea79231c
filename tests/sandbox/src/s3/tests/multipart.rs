use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum as _, Md5};

use super::support::{code, start};

const PART: usize = 5 << 20;

async fn begin(client: &Client, key: &str) -> String {
    let created = client.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
    created.upload_id().unwrap().to_owned()
}

async fn part(client: &Client, key: &str, id: &str, number: i32, size: usize) -> CompletedPart {
    let body = ByteStream::from(vec![u8::try_from(number).unwrap(); size]);
    let sent = client.upload_part().bucket("bucket").key(key).upload_id(id).part_number(number).body(body);
    let sent = sent.send().await.unwrap();
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(sent.e_tag)
        .set_checksum_crc32(sent.checksum_crc32)
        .build()
}

fn all(parts: Vec<CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

#[tokio::test]
async fn parts_become_one_object_in_both_checksum_modes() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    for client in [setup.client("FULL"), setup.plain()] {
        let id = begin(&client, "k").await;
        let parts = vec![part(&client, "k", &id, 1, PART).await, part(&client, "k", &id, 7, 10).await];
        let listed = client.list_parts().bucket("bucket").key("k").upload_id(&id).send().await.unwrap();
        assert_eq!(
            listed.parts().iter().filter_map(aws_sdk_s3::types::Part::part_number).collect::<Vec<_>>(),
            [1, 7]
        );
        let complete = client.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
        let done = complete.multipart_upload(all(parts)).send().await.unwrap();
        assert!(done.e_tag().unwrap().ends_with("-2\""), "quoted, with the number of parts");
        assert_eq!(done.location(), Some(&*format!("{}/bucket/k", setup.s3.endpoint())));
        let got = client
            .get_object()
            .bucket("bucket")
            .key("k")
            .range("bytes=5242878-5242881")
            .send()
            .await
            .unwrap();
        assert_eq!(got.body.collect().await.unwrap().into_bytes().as_ref(), [1, 1, 7, 7]);
        let whole = client.get_object().bucket("bucket").key("k").send().await.unwrap();
        assert_eq!(whole.body.collect().await.unwrap().into_bytes().len(), PART + 10);
        let copied =
            client.copy_object().bucket("bucket").key("copy").copy_source("bucket/k").send().await.unwrap();
        assert!(!copied.copy_object_result().unwrap().e_tag().unwrap().contains('-'), "a copy is one piece");
    }
    let uploads = setup.client("FULL").list_multipart_uploads().bucket("bucket").send().await.unwrap();
    assert_eq!(uploads.uploads().len(), 0);
}

#[tokio::test]
async fn the_providers_caps_hold_and_keep_the_upload() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let id = begin(&client, "k").await;
    let over = client.upload_part().bucket("bucket").key("k").upload_id(&id).part_number(1_001).send().await;
    assert_eq!(code(over), "400 InvalidArgument");
    let parts = vec![part(&client, "k", &id, 1, 10).await, part(&client, "k", &id, 2, 10).await];
    let complete = || client.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    assert_eq!(code(complete().multipart_upload(all(parts.clone())).send().await), "400 EntityTooSmall");
    assert_eq!(client.list_multipart_uploads().bucket("bucket").send().await.unwrap().uploads().len(), 1);
    let alone = all(vec![parts[1].clone()]);
    setup.s3.put("bucket", "k", "there".into(), "text/plain", "STANDARD").await.unwrap();
    let guarded = complete().if_none_match("*").multipart_upload(alone.clone()).send().await;
    assert_eq!(code(guarded), "412 PreconditionFailed");
    complete().multipart_upload(alone).send().await.unwrap();
    let gone = client.abort_multipart_upload().bucket("bucket").key("k").upload_id(&id).send().await;
    assert_eq!(code(gone), "404 NoSuchUpload");
}

#[tokio::test]
async fn a_part_is_copied_from_a_range_without_moving_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let source: Vec<u8> = (0..PART + 100).map(|at| u8::try_from(at % 251).unwrap()).collect();
    setup.s3.put("bucket", "source", source.clone().into(), "x/y", "STANDARD").await.unwrap();
    let client = setup.client("FULL");
    let id = begin(&client, "k").await;
    let range = format!("bytes=50-{}", PART + 60);
    let copy = client.upload_part_copy().bucket("bucket").key("k").upload_id(&id).part_number(1);
    let copied = copy.copy_source("bucket/source").copy_source_range(range).send().await.unwrap();
    let etag = copied.copy_part_result().unwrap().e_tag().unwrap().to_owned();
    let parts = all(vec![CompletedPart::builder().part_number(1).e_tag(etag).build()]);
    let complete = client.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    complete.multipart_upload(parts).send().await.unwrap();
    client.delete_object().bucket("bucket").key("source").send().await.unwrap();
    let got = client.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert!(got.body.collect().await.unwrap().into_bytes() == source[50..=PART + 60]);
}

#[tokio::test]
async fn a_composite_checksum_is_that_of_the_parts_checksums() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let create = client
        .create_multipart_upload()
        .bucket("bucket")
        .key("k")
        .checksum_algorithm(ChecksumAlgorithm::Sha256);
    let id = create.send().await.unwrap().upload_id().unwrap().to_owned();
    let sent = client.upload_part().bucket("bucket").key("k").upload_id(&id).part_number(1);
    let sent = sent.checksum_algorithm(ChecksumAlgorithm::Sha256).body(ByteStream::from_static(b"abc"));
    let sent = sent.send().await.unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(sent.e_tag)
        .set_checksum_sha256(sent.checksum_sha256);
    let complete = client.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    let done = complete.multipart_upload(all(vec![part.build()])).send().await.unwrap();
    assert!(done.checksum_sha256().unwrap().ends_with("-1"));
    assert_eq!(done.checksum_type().unwrap().as_str(), "COMPOSITE");
}

#[tokio::test]
async fn a_part_that_is_copied_needs_the_uploads_key_as_one_that_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    setup.s3.put("bucket", "source", "x".into(), "text/plain", "STANDARD").await.unwrap();
    let client = setup.client("FULL");
    let (key, sum) = (BASE64.encode([1; 32]), BASE64.encode(Md5::checksum(&[1; 32])));
    let create = client.create_multipart_upload().bucket("bucket").key("k").sse_customer_algorithm("AES256");
    let id =
        create.sse_customer_key(&key).sse_customer_key_md5(&sum).send().await.unwrap().upload_id.unwrap();
    let copy = || {
        let copy = client.upload_part_copy().bucket("bucket").key("k").upload_id(&id).part_number(1);
        copy.copy_source("bucket/source")
    };
    assert_eq!(code(copy().send().await), "400 InvalidRequest");
    let copy = copy().sse_customer_algorithm("AES256").sse_customer_key(&key).sse_customer_key_md5(&sum);
    assert_eq!(copy.send().await.unwrap().sse_customer_key_md5(), Some(&*sum));
}
