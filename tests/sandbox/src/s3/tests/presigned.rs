use super::signing::presign;
use super::support::{Setup, start};

#[tokio::test]
async fn parameters_that_a_signer_moved_into_the_query_are_heeded() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let pairs = [
        ("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-acl", "public-read"),
        ("x-amz-meta-who", "a browser"),
        ("x-amz-storage-class", "ONEZONE_IA"),
        ("x-id", "PutObject"),
    ];
    let address = presign(&setup, "PUT", "/bucket/k", &pairs);
    let sent = Setup::http().put(&address).body("x").send().await.unwrap();
    assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap());
    let got = reqwest::get(format!("{}/bucket/k", setup.s3.endpoint())).await.unwrap();
    assert_eq!(got.status(), 200, "anybody may read it");
    assert_eq!(got.headers()["x-amz-meta-who"], "a browser");
    assert_eq!(got.headers()["x-amz-storage-class"], "ONEZONE_IA");
}

#[tokio::test]
async fn a_header_that_the_address_does_not_sign_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let address = presign(&setup, "PUT", "/bucket/k", &[]);
    let put = |name: &'static str| Setup::http().put(&address).header(name, "public-read").body("x").send();
    let refused = put("x-amz-acl").await.unwrap();
    assert_eq!(refused.status(), 403);
    let text = refused.text().await.unwrap();
    assert!(text.contains("There were headers present in the request which were not signed"), "{text}");
    assert_eq!(put("x-other").await.unwrap().status(), 200);
}
