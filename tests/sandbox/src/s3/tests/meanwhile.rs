//! Objects that are replaced or deleted while somebody reads or copies them.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::support::{Setup, start};

const PART: usize = 5 << 20;

async fn put(client: &Client, key: &str, body: Vec<u8>) {
    client.put_object().bucket("bucket").key(key).body(ByteStream::from(body)).send().await.unwrap();
}

/// An object of several files.
async fn put_in_parts(client: &Client, key: &str, count: i32) {
    let created = client.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
    let id = created.upload_id().unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for number in 1..=count {
        let body = ByteStream::from(vec![u8::try_from(number).unwrap(); PART]);
        let part = client.upload_part().bucket("bucket").key(key).upload_id(id).part_number(number);
        let sent = part.body(body).send().await.unwrap();
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
        parts = parts.parts(part.set_checksum_crc32(sent.checksum_crc32).build());
    }
    let complete = client.complete_multipart_upload().bucket("bucket").key(key).upload_id(id);
    complete.multipart_upload(parts.build()).send().await.unwrap();
}

fn files(setup: &Setup) -> usize {
    let list = |path: std::path::PathBuf| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    list(setup.s3.store.disk.dir().join("blobs")).flat_map(list).count()
}

#[tokio::test]
async fn a_read_goes_on_when_its_object_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    put_in_parts(&client, "k", 8).await;
    let mut got = client.get_object().bucket("bucket").key("k").send().await.unwrap().body;
    let mut size = got.next().await.unwrap().unwrap().len();
    client.delete_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(files(&setup), 8, "the reader holds them");
    while let Some(piece) = got.next().await {
        size += piece.unwrap().len();
    }
    assert_eq!(size, 8 * PART);
    for _ in 0..500 {
        if files(&setup) == 0 {
            return;
        }
        tokio::task::yield_now().await;
        put(&client, "other", Vec::new()).await;
    }
    panic!("they stay behind the last reader");
}

#[tokio::test]
async fn what_is_brought_back_does_not_go_with_its_last_reader() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    put_in_parts(&client, "k", 8).await;
    let saved = dir.path().join("saved");
    setup.s3.save(&saved).await.unwrap();
    let mut got = client.get_object().bucket("bucket").key("k").send().await.unwrap().body;
    got.next().await.unwrap().unwrap();
    client.delete_object().bucket("bucket").key("k").send().await.unwrap();
    setup.s3.bring_back(&saved).await.unwrap();
    drop(got);
    for _ in 0..20 {
        put(&client, "other", Vec::new()).await;
    }
    let got = client.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes().len(), 8 * PART);
}

#[tokio::test]
async fn a_copy_is_of_what_its_source_was() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    for _ in 0..4 {
        put_in_parts(&client, "k", 2).await;
        let copy = client.copy_object().bucket("bucket").key("copy").copy_source("bucket/k").send();
        let (copied, ()) = tokio::join!(copy, put(&client, "k", vec![9; 1 << 20]));
        copied.unwrap();
        let got = client.get_object().bucket("bucket").key("copy").send().await.unwrap();
        let size = got.body.collect().await.unwrap().into_bytes().len();
        assert!([2 * PART, 1 << 20].contains(&size), "{size}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_object_can_be_read_at_any_moment_of_its_replacement() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    put(&client, "k", vec![1; 100]).await;
    let writer = async {
        for number in 0..100 {
            put(&client, "k", vec![number; 100]).await;
        }
    };
    let reader = async {
        loop {
            let got = client.get_object().bucket("bucket").key("k").send().await.unwrap();
            assert_eq!(got.body.collect().await.unwrap().into_bytes().len(), 100);
        }
    };
    tokio::select! {
        () = writer => {}
        () = reader => {}
    }
}
