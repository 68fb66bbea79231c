//! What browsers ask a store from pages of other origins.

use aws_sdk_s3::types::{BucketCannedAcl, CorsConfiguration, CorsRule};
use reqwest::{Method, RequestBuilder, Response};

use super::support::{Setup, code, start};

fn rule(origin: &str, method: &str) -> CorsRule {
    let rule = CorsRule::builder().allowed_origins(origin).allowed_methods(method);
    rule.allowed_headers("x-amz-*").expose_headers("ETag").max_age_seconds(60).build().unwrap()
}

async fn allow(setup: &Setup, rule: CorsRule) -> String {
    let rules = CorsConfiguration::builder().cors_rules(rule).build().unwrap();
    let put = setup.client("FULL").put_bucket_cors().bucket("bucket").cors_configuration(rules);
    put.send().await.map_or_else(|error| code::<(), _>(Err(error)), |_| "well".into())
}

fn ask(setup: &Setup, method: Method) -> RequestBuilder {
    Setup::http().request(method, format!("{}/bucket/k", setup.s3.endpoint()))
}

async fn preflight(setup: &Setup, origin: &str, method: &str, headers: &str) -> Response {
    let request = ask(setup, Method::OPTIONS).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    request.header("access-control-request-headers", headers).send().await.unwrap()
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_buckets_rules() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let refused = preflight(&setup, "https://a.test", "PUT", "").await;
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("CORS is not enabled for this bucket"));
    assert_eq!(allow(&setup, rule("https://*.test", "PATCH")).await, "400 InvalidRequest");
    assert_eq!(allow(&setup, rule("https://*.test", "PUT")).await, "well");
    let answer = preflight(&setup, "https://a.test", "PUT", "X-Amz-Date, x-amz-acl").await;
    assert_eq!(answer.status(), 200);
    let said = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(said("access-control-allow-origin"), "https://a.test");
    assert_eq!(said("access-control-allow-methods"), "PUT");
    assert_eq!(said("access-control-allow-headers"), "x-amz-date, x-amz-acl");
    assert_eq!(said("access-control-max-age"), "60");
    assert_eq!(preflight(&setup, "https://a.test", "PUT", "authorization").await.status(), 403);
    assert_eq!(preflight(&setup, "https://a.test", "GET", "").await.status(), 403);
    assert_eq!(ask(&setup, Method::OPTIONS).send().await.unwrap().status(), 400, "no origin");
    assert!(
        setup.world.journal.entries().iter().all(|entry| entry.call != "Preflight"),
        "they change nothing"
    );
}

#[tokio::test]
async fn an_answer_is_shown_to_the_origin_that_the_rules_name() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    allow(&setup, rule("https://a.test", "GET")).await;
    let get = async |origin: &str| ask(&setup, Method::GET).header("origin", origin).send().await.unwrap();
    let shown = get("https://a.test").await;
    assert_eq!(shown.status(), 403, "errors can be read too");
    assert_eq!(shown.headers()["access-control-allow-origin"], "https://a.test");
    assert_eq!(shown.headers()["access-control-expose-headers"], "ETag");
    assert!(shown.headers()["vary"].to_str().unwrap().starts_with("Origin"));
    let hidden = get("https://b.test").await;
    assert!(!hidden.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn that_a_key_is_missing_is_told_to_who_may_list() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let anybody = async |method| ask(&setup, method).send().await.unwrap().status().as_u16();
    assert_eq!(anybody(Method::GET).await, 403);
    let client = setup.client("FULL");
    client.put_bucket_acl().bucket("bucket").acl(BucketCannedAcl::PublicRead).send().await.unwrap();
    assert_eq!((anybody(Method::GET).await, anybody(Method::HEAD).await), (404, 404));
    let policy = |actions: &str, resources: &str| {
        format!(
            r#"{{"Version":"2023-04-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":{actions},"Resource":{resources}}}]}}"#
        )
    };
    let put = async |policy: String| {
        client.put_bucket_policy().bucket("bucket").policy(policy).send().await.unwrap();
    };
    put(policy(r#"["s3:GetObject"]"#, r#""bucket/*""#)).await;
    assert_eq!(anybody(Method::GET).await, 403);
    put(policy(r#"["s3:GetObject","s3:ListBucket"]"#, r#"["bucket","bucket/*"]"#)).await;
    assert_eq!((anybody(Method::GET).await, anybody(Method::HEAD).await), (404, 404));
}

#[tokio::test]
async fn headers_that_have_no_meaning_here_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let setup = start(dir.path()).await;
    setup.s3.make_bucket("bucket", false, false).await.unwrap();
    let client = setup.client("FULL");
    let put = async |body: &'static str| {
        let put = client.put_object().bucket("bucket").key("k").acl("public-read".into());
        let sent = put.body(aws_sdk_s3::primitives::ByteStream::from_static(body.as_bytes())).send().await;
        sent.unwrap().e_tag().unwrap().to_owned()
    };
    let etag = put("0123456789").await;
    let get = async |name: &'static str, value: String| {
        let answer = ask(&setup, Method::GET).header(name, value).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for range in ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2"] {
        assert_eq!(get("range", range.into()).await, (200, "0123456789".into()), "{range}");
    }
    assert_eq!(get("range", "bytes=-3".into()).await, (206, "789".into()));
    assert_eq!(get("if-none-match", format!("\"a\", {etag}")).await.0, 304);
    assert_eq!(get("if-none-match", "\"a\", \"b\"".into()).await.0, 200);
    assert_eq!(get("if-match", "\"a\", \"b\"".into()).await.0, 412);
    put("").await;
    assert_eq!(get("range", "bytes=-3".into()).await.0, 416);
}
