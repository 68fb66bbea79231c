//! Single cases against a small server; the dialect as a whole is tested against the sandbox's stores.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes as Body_,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::any,
};
use futures::TryStreamExt as _;

use super::*;
use crate::{
    providers::http::call::tests::serve,
    runtime::class::{Class, Classified as _},
};

/// Status, headers, body.
type Answer = (u16, &'static [(&'static str, &'static str)], &'static str);
type Seen = Arc<Mutex<Vec<(Method, String, HeaderMap, Body_)>>>;

/// A store that answers each request in turn, the last answer for ever.
async fn store(answers: Vec<Answer>) -> (S3, Seen, tokio::task::JoinSet<()>) {
    let seen = Seen::default();
    let answer = move |State(seen): State<Seen>,
                       method: Method,
                       uri: Uri,
                       headers: HeaderMap,
                       body: Body_| async move {
        let mut seen = seen.lock().unwrap();
        let (status, extra, text) = answers[seen.len().min(answers.len() - 1)];
        seen.push((method, uri.to_string(), headers, body));
        let mut response: Response = (StatusCode::from_u16(status).unwrap(), text).into_response();
        for (name, value) in extra {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    };
    let (base, server) = serve(Router::new().fallback(any(answer)).with_state(Arc::clone(&seen))).await;
    let config = S3Config {
        endpoint: base.replace("/v1", ""),
        region: "fr-par".into(),
        access_key: "SCWKEY".into(),
        secret_key: SecretString::from("s3cret"),
        path_style: true,
    };
    (S3::new(&config, HttpShared::default()).unwrap(), seen, server)
}

#[tokio::test]
async fn a_bucket_is_created_private_in_its_region() {
    let (s3, seen, _server) = store(vec![(200, &[], "")]).await;
    s3.create_bucket("agence-documents").await.unwrap();
    let (method, path, headers, body) = seen.lock().unwrap().remove(0);
    assert_eq!((method, path.trim_end_matches('/')), (Method::PUT, "/agence-documents"));
    assert_eq!(headers["x-amz-acl"], "private");
    assert!(String::from_utf8_lossy(&body).contains("<LocationConstraint>fr-par</LocationConstraint>"));
}

#[tokio::test]
async fn a_put_is_plain_and_its_tag_comes_without_quotes() {
    let (s3, seen, _server) = store(vec![(200, &[("etag", "\"abc\"")], "")]).await;
    let metadata = Metadata { content_type: Some("text/plain".into()), ..Metadata::default() };
    let etag = s3.put("b", "dossier/é.txt", Body::Bytes("hello".into()), &metadata).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "from a file").unwrap();
    s3.put("b", "k", Body::File(folder.path().join("f")), &metadata).await.unwrap();
    assert_eq!(etag, "abc");
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].3, "hello");
    assert_eq!(seen[1].3, "from a file");
    for (_, _, headers, _) in seen.iter() {
        assert!(
            !headers.contains_key("content-encoding") && !headers.contains_key("x-amz-trailer"),
            "{headers:?}"
        );
        assert!(!headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum")), "{headers:?}");
    }
}

#[tokio::test]
async fn every_page_is_listed() {
    let (s3, seen, _server) = store(vec![
        (200, &[], "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>\
                    <Contents><Key>a</Key><Size>1</Size><ETag>&quot;e&quot;</ETag></Contents></ListBucketResult>"),
        (200, &[], "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>b</Key><Size>2</Size>\
                    <StorageClass>GLACIER</StorageClass></Contents></ListBucketResult>"),
    ])
    .await;
    let all: Vec<_> = s3.list("b", "").try_collect().await.unwrap();
    assert_eq!(
        all.iter().map(|object| (object.key.as_str(), object.size)).collect::<Vec<_>>(),
        [("a", 1), ("b", 2)]
    );
    assert_eq!((all[0].etag.as_str(), all[1].storage_class.as_deref()), ("e", Some("GLACIER")));
    assert!(seen.lock().unwrap()[1].1.contains("continuation-token=t"));
}

#[tokio::test]
async fn a_list_that_never_ends_is_refused() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    let (s3, _seen, _server) = store(vec![(200, &[], page)]).await;
    let error = s3.list("b", "").try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, S3Error::Incomplete { .. }), "{error:?}");
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_not_passed_over() {
    for entry in ["<Size>5</Size>", "<Key>k</Key>", "<Key>k</Key><Size>-5</Size>"] {
        let page: &'static str =
            format!("<ListBucketResult><Contents>{entry}</Contents></ListBucketResult>").leak();
        let (s3, _seen, _server) = store(vec![(200, &[], page)]).await;
        let error = s3.list("b", "").try_collect::<Vec<_>>().await.unwrap_err();
        assert!(matches!(error, S3Error::Incomplete { .. }), "{entry}: {error:?}");
    }
}

#[tokio::test]
async fn too_many_requests_are_tried_again() {
    let busy = "<Error><Code>TooManyRequests</Code><Message>slow</Message></Error>";
    let (s3, seen, _server) = store(vec![(429, &[], busy), (200, &[], "")]).await;
    assert!(s3.bucket_exists("b").await.unwrap());
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn errors_keep_the_stores_code() {
    let frozen = "<Error><Code>InvalidObjectState</Code><Message>frozen</Message></Error>";
    let (s3, _seen, _server) = store(vec![(403, &[], frozen)]).await;
    let error = s3.get("b", "k").await.unwrap_err();
    assert!(error.is_frozen(), "{error:?}");
    assert_eq!(error.class(), Class::Terminal);
    let taken = "<Error><Code>BucketAlreadyExists</Code></Error>";
    let (s3, _seen, _server) = store(vec![(409, &[], taken)]).await;
    assert!(s3.create_bucket("b").await.unwrap_err().is_bucket_taken());
    let (s3, _seen, _server) = store(vec![(404, &[], "")]).await;
    assert!(!s3.bucket_exists("b").await.unwrap());
    assert!(s3.head("b", "k").await.unwrap().is_none());
}

#[tokio::test]
async fn an_object_is_streamed_and_a_public_bucket_is_seen() {
    let (s3, _seen, _server) = store(vec![(200, &[("x-amz-meta-sha256", "ff")], "content")]).await;
    let object = s3.get("b", "k").await.unwrap();
    assert_eq!((object.size, object.metadata.user["sha256"].as_str()), (Some(7), "ff"));
    let body: Vec<_> = object.body.try_collect().await.unwrap();
    assert_eq!(body.concat(), b"content");
    let grant = "<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi=\"x\" xsi:type=\"Group\">\
                 <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>\
                 </AccessControlList></AccessControlPolicy>";
    let (s3, _seen, _server) = store(vec![(200, &[], grant)]).await;
    assert!(!s3.is_private("b").await.unwrap());
    let none = "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>";
    let (s3, _seen, _server) = store(vec![(200, &[], none)]).await;
    assert!(s3.is_private("b").await.unwrap());
}
