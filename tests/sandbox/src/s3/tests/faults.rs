use aws_sdk_s3::primitives::ByteStream;

use super::support::{Setup, code, start};
use crate::world::Fault;
use crate::world::faults::{Damage, Rule};

fn play(setup: &Setup, method: &str, fault: Fault) {
    let (service, method) = (Some("s3-source".to_owned()), Some(method.to_owned()));
    setup.world.faults.add(Rule {
        service,
        method,
        path: Some("/bucket/k".into()),
        skip: 0,
        times: Some(1),
        fault,
    });
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_leaves_the_effect() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let put = || client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"x")).send();
    play(&setup, "PutObject", Fault::DropBefore);
    assert!(put().await.unwrap_err().raw_response().is_none(), "the connection was cut");
    assert_eq!(code(client.get_object().bucket("bucket").key("k").send().await), "404 NoSuchKey");
    play(&setup, "PutObject", Fault::DropAfter);
    assert!(put().await.unwrap_err().raw_response().is_none(), "the connection was cut");
    let got = client.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "x");
    let entries = setup.world.journal.entries();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (&*entry.call, &*entry.caller, &*entry.resource, entry.fault.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("PutObject", "FULL", "/bucket/k", Some("drop_before")),
            ("PutObject", "FULL", "/bucket/k", Some("drop_after")),
        ],
        "reads are not journaled, each attempt is"
    );
}

#[tokio::test]
async fn throttling_says_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let put = || client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"x")).send();
    play(&setup, "PutObject", Fault::Status { status: 503, body: None, retry_after: Some(7) });
    let error = put().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().headers().get("retry-after"), Some("7"));
    assert_eq!(code::<(), _>(Err(error)), "503 SlowDown");
    play(&setup, "PutObject", Fault::Status { status: 429, body: None, retry_after: None });
    assert_eq!(code(put().await), "429 TooManyRequests");
}

#[tokio::test]
async fn a_body_is_cut_or_corrupted() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    setup.s3.put("bucket", "k", vec![1; 1_000].into(), "x/y", "STANDARD").await.unwrap();
    let client = setup.plain();
    let get = || client.get_object().bucket("bucket").key("k").send();
    play(&setup, "GetObject", Fault::Truncate { bytes: 10 });
    assert!(get().await.unwrap().body.collect().await.is_err());
    play(&setup, "GetObject", Fault::Corrupt);
    assert!(get().await.unwrap().body.collect().await.unwrap().into_bytes() != vec![1; 1_000]);
    assert!(get().await.unwrap().body.collect().await.unwrap().into_bytes() == vec![1; 1_000]);
}

#[tokio::test]
async fn a_store_resets_is_full_and_forgets_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let put = || client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"x")).send();
    play(&setup, "PutObject", Fault::Reset { after: true });
    assert!(put().await.unwrap_err().raw_response().is_none(), "the connection was reset");
    play(&setup, "PutObject", Fault::DiskFull);
    assert_eq!(code(put().await), "507 InsufficientStorage");
    play(&setup, "PutObject", Fault::RevokeKey);
    assert_eq!(code(put().await), "403 InvalidAccessKeyId");
    play(&setup, "PutObject", Fault::HtmlPage { status: 502 });
    let error = put().await.unwrap_err();
    let answer = error.raw_response().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("content-type")), (502, Some("text/html")));
    let calls = setup.world.journal.observed().calls;
    let statuses = &calls[&("s3-source", "PUT".to_owned(), "PutObject".to_owned())].statuses;
    assert_eq!(statuses.values().sum::<u64>(), 4, "{statuses:?}");
}

#[tokio::test]
async fn an_object_comes_by_half_or_slowly() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    setup.s3.put("bucket", "k", vec![1; 1_000].into(), "x/y", "STANDARD").await.unwrap();
    let client = setup.plain();
    let get = || client.get_object().bucket("bucket").key("k").send();
    play(&setup, "GetObject", Fault::HalfBody { fraction: 0.5 });
    assert!(get().await.unwrap().body.collect().await.is_err());
    play(&setup, "GetObject", Fault::SlowBody { bytes_per_second: 4_000 });
    let begun = tokio::time::Instant::now();
    assert_eq!(get().await.unwrap().body.collect().await.unwrap().into_bytes().len(), 1_000);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(250), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_download_is_damaged_as_backups_are_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.plain();
    let (service, method, path) = (None, None, Some("/bucket/k".into()));
    let fault = Fault::CorruptBackup { how: Damage::ShortByOne };
    setup.world.faults.add(Rule { service, method, path, skip: 0, times: Some(1), fault });
    let body = ByteStream::from(vec![1; 1_000]);
    client.put_object().bucket("bucket").key("k").body(body).send().await.unwrap();
    let get = || client.get_object().bucket("bucket").key("k").send();
    let length = async || get().await.unwrap().body.collect().await.unwrap().into_bytes().len();
    assert_eq!([length().await, length().await], [999, 1_000]);
}
