use std::io::Write as _;

use aws_sdk_s3::primitives::ByteStream;

use super::support::{code, start};

#[tokio::test]
async fn a_restart_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", true, false).await.unwrap();
    let large = vec![9; 1_000_000];
    for (key, body) in [("small", vec![1; 10]), ("large", large.clone()), ("empty", Vec::new())] {
        setup.s3.put("bucket", key, body.into(), "text/plain", "STANDARD").await.unwrap();
    }
    let client = setup.client("FULL");
    client.delete_object().bucket("bucket").key("small").send().await.unwrap();
    let upload = client.create_multipart_upload().bucket("bucket").key("m").send().await.unwrap();
    let part =
        client.upload_part().bucket("bucket").key("m").upload_id(upload.upload_id().unwrap()).part_number(1);
    part.body(ByteStream::from_static(b"part")).send().await.unwrap();
    let before = setup.s3.inventory();
    setup.stop().await;
    // What a crash in the middle of a write leaves behind.
    let mut log = std::fs::OpenOptions::new().append(true).open(dir.path().join("s3/index.log")).unwrap();
    log.write_all(b"12345678 {\"Version\":{\"buck").unwrap();
    std::fs::write(dir.path().join("s3/incoming/0000000000000099"), b"half").unwrap();
    std::fs::create_dir_all(dir.path().join("s3/blobs/77")).unwrap();
    std::fs::write(dir.path().join("s3/blobs/77/0000000000000077"), b"nobody's").unwrap();
    let setup = start(dir.path()).await;
    assert_eq!(setup.s3.inventory(), before);
    let client = setup.client("FULL");
    let got = client.get_object().bucket("bucket").key("large").send().await.unwrap();
    assert!(got.body.collect().await.unwrap().into_bytes() == large);
    assert_eq!(code(client.get_object().bucket("bucket").key("small").send().await), "404 NoSuchKey");
    let parts = client.list_parts().bucket("bucket").key("m").upload_id(upload.upload_id().unwrap());
    assert_eq!(parts.send().await.unwrap().parts().len(), 1);
    assert!(!dir.path().join("s3/blobs/77/0000000000000077").exists());
    assert!(!dir.path().join("s3/incoming/0000000000000099").exists());
}

#[tokio::test]
async fn bytes_that_nobody_refers_to_leave_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    for size in [10, 1_000_000] {
        setup.s3.put("bucket", &size.to_string(), vec![1; size].into(), "x/y", "STANDARD").await.unwrap();
    }
    assert_eq!(files(dir.path()), 2);
    setup.s3.empty("bucket").await.unwrap();
    // The next commit is written after the deletions of the one before.
    setup.s3.make_bucket("other", false, false).await.unwrap();
    assert_eq!(files(dir.path()), 0);
    assert_eq!(setup.s3.inventory()["bucket"]["objects"], 0);
    setup.s3.remove_all().await.unwrap();
    assert_eq!(setup.s3.inventory(), serde_json::json!({}));
}

#[tokio::test]
async fn a_body_that_goes_to_the_disk_in_several_spans_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let body = (0..=250).collect::<Vec<u8>>().repeat(300_000);
    setup.s3.put("bucket", "long", body.clone().into(), "x/y", "STANDARD").await.unwrap();
    setup.stop().await;
    let setup = start(dir.path()).await;
    let client = setup.client("FULL");
    let got = client.get_object().bucket("bucket").key("long").send().await.unwrap();
    assert!(got.body.collect().await.unwrap().into_bytes() == body);
}

fn files(dir: &std::path::Path) -> usize {
    let list = |path: std::path::PathBuf| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let blobs = list(dir.join("s3/blobs")).flat_map(list).count();
    blobs + list(dir.join("s3/packs")).count()
}

#[tokio::test]
async fn a_name_is_taken_in_the_whole_world() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let config = crate::s3::S3Config {
        name: "s3-archive",
        region: "fr-par".into(),
        keys: Vec::new(),
        thaw: std::time::Duration::ZERO,
    };
    let other = crate::s3::S3::start(&setup.world, &dir.path().join("archive"), config).await.unwrap();
    let crate::s3::S3Error::Refused { source, .. } =
        other.make_bucket("bucket", false, false).await.unwrap_err()
    else {
        panic!("refused for another reason")
    };
    assert_eq!(*source.code(), s3s::S3ErrorCode::BucketAlreadyExists);
    setup.s3.remove_all().await.unwrap();
    other.make_bucket("bucket", false, false).await.unwrap();
}

#[tokio::test]
async fn an_answered_write_was_synced_with_its_names_before_the_log_that_tells_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    let asked = || setup.s3.store.disk.syncs.asked();
    let begun = asked();
    for folder in ["s3", dir.path().file_name().unwrap().to_str().unwrap()] {
        assert!(begun.iter().any(|one| one == folder), "{folder} was not kept: {begun:?}");
    }
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    assert_eq!(asked(), ["log"]);
    let put = async |key: &str, size: usize| {
        setup.s3.put("bucket", key, vec![1; size].into(), "x/y", "STANDARD").await.unwrap();
        asked()
    };
    // The folder's name, then the bytes, then the file's name: all of it before the log.
    assert_eq!(put("large", 1_000_000).await, ["blobs", "body", "01", "log"]);
    assert_eq!(put("small", 10).await, ["packs", "pack", "log"]);
    assert_eq!(put("again", 10).await, ["pack", "log"]);
}
