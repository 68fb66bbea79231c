//! The error documents of `tests/fixtures/s3`, which the sandbox's are held against too, are read as they are meant.

use super::*;

#[tokio::test]
async fn refusals_keep_their_code_and_class() {
    let no_such_key = include_str!("../../../../../tests/fixtures/s3/no_such_key.xml");
    let cold = include_str!("../../../../../tests/fixtures/s3/invalid_object_state.xml");
    let denied = include_str!("../../../../../tests/fixtures/s3/access_denied.xml");
    for (status, body, code) in
        [(404, no_such_key, "NoSuchKey"), (403, cold, "InvalidObjectState"), (403, denied, "AccessDenied")]
    {
        let (s3, _seen, _server) = store(vec![(status, &[], body)]).await;
        let error = s3.read("b", "k", Want::default()).await.unwrap_err();
        assert_eq!(error.is_frozen(), code == "InvalidObjectState", "{error:?}");
        assert_eq!(error.class(), Class::Terminal, "{error:?}");
        let S3Error::Status { status: told, code: said, .. } = error else { panic!("{error:?}") };
        assert_eq!((told, said.as_str()), (status, code));
    }
}

#[tokio::test]
async fn a_busy_store_is_asked_again() {
    let busy = include_str!("../../../../../tests/fixtures/s3/slow_down.xml");
    let (s3, seen, _server) = store(vec![(503, &[], busy), (200, &[], "")]).await;
    assert!(s3.bucket_exists("b").await.unwrap());
    assert_eq!(seen.lock().unwrap().len(), 2);
}
