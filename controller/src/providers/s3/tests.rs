//! Single cases against a small server; the dialect as a whole is tested against the sandbox's stores.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

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

mod dialects;
mod recorded;

/// Status, headers, body.
pub(crate) type Answer = (u16, &'static [(&'static str, &'static str)], &'static str);
pub(crate) type Seen = Arc<Mutex<Vec<(Method, String, HeaderMap, Body_)>>>;

/// A store that answers each request in turn, the last answer for ever.
pub(crate) async fn store(answers: Vec<Answer>) -> (S3, Seen, tokio::task::JoinSet<()>) {
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
    let text = Headers { content_type: Some("text/plain".into()), ..Headers::default() };
    let etag = s3.write("b", "dossier/é.txt", "hello", &text, &Keeping::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "from a file").unwrap();
    let moved = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&moved);
    let told = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    s3.write_file("b", "k", &folder.path().join("f"), &text, told).await.unwrap();
    assert!(moved.load(Ordering::Relaxed) > 0, "a large file would pass in silence");
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
    let error = s3.read("b", "k", Want::default()).await.unwrap_err();
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
    let object = s3.read("b", "k", Want::default()).await.unwrap();
    assert_eq!((object.size, object.headers.user["sha256"].as_str()), (7, "ff"));
    let body: Vec<_> = object.body.try_collect().await.unwrap();
    assert_eq!(body.concat(), b"content");
    let grant = "<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi=\"x\" xsi:type=\"Group\">\
                 <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>\
                 </AccessControlList></AccessControlPolicy>";
    let (s3, _seen, _server) = store(vec![(200, &[], grant)]).await;
    assert_eq!(s3.is_private("b").await.unwrap(), Some(false));
    let none = "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>";
    let (s3, _seen, _server) = store(vec![(200, &[], none)]).await;
    assert_eq!(s3.is_private("b").await.unwrap(), Some(true));
}

#[tokio::test]
async fn what_is_sent_for_every_object_is_sent_again_when_the_store_is_busy() {
    let busy = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
    let (s3, seen, _server) = store(vec![(503, &[], busy), (200, &[("etag", "\"e\"")], "")]).await;
    let put = s3.write("b", "k", "hello", &Headers::default(), &Keeping::default()).await;
    assert_eq!((put.unwrap().as_str(), s3.pressure().felt()), ("e", 1));
    let seen = seen.lock().unwrap();
    assert_eq!((seen.len(), &seen[0].3, &seen[1].3), (2, &"hello".into(), &"hello".into()));
    assert_eq!(seen[1].2["content-type"], "application/octet-stream");
}

#[tokio::test]
async fn a_careful_store_sends_again_what_was_refused_and_not_what_was_lost() {
    let busy = store(vec![(503, &[], ""), (200, &[("etag", "\"e\"")], "")]).await;
    let put = |s3: S3| async move {
        s3.careful().write("b", "k", "hello", &Headers::default(), &Keeping::default()).await
    };
    assert_eq!((put(busy.0).await.unwrap().as_str(), busy.1.lock().unwrap().len()), ("e", 2));

    // Reads the request and says nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let met = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = Arc::clone(&met);
    let mut silent = tokio::task::JoinSet::new();
    silent.spawn(async move {
        while let Ok((mut line, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let _read = tokio::io::AsyncReadExt::read(&mut line, &mut [0; 4_096]).await;
        }
    });
    let config = S3Config {
        endpoint,
        region: "fr-par".into(),
        access_key: "SCWKEY".into(),
        secret_key: SecretString::from("s3cret"),
        path_style: true,
    };
    let lost = put(S3::new(&config, HttpShared::default()).unwrap()).await.unwrap_err();
    assert!(lost.outcome_unknown(), "{lost}");
    assert_eq!(met.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_sent_once_is_sent_once() {
    let (s3, seen, _server) = store(vec![(500, &[], "")]).await;
    let error = s3.sent_once().read("b", "k", Want::default()).await.unwrap_err();
    assert_eq!((error.class(), seen.lock().unwrap().len()), (Class::Transient, 1));
}

#[tokio::test]
async fn a_copy_that_failed_after_its_good_answer_began_is_tried_again() {
    let failed =
        "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>try again</Message></Error>";
    let copied = "<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>";
    let (s3, seen, _server) = store(vec![(200, &[], failed), (200, &[], copied)]).await;
    let want = Want { version: Some("v+1"), etag: Some("old"), range: None };
    let etag = s3.copy_exactly(("a", "é k"), want, ("b", "k"), 5, &Keeping::default()).await;
    assert_eq!(etag.unwrap(), "e");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].2["x-amz-copy-source"], "a/%C3%A9%20k?versionId=v%2B1");
    assert_eq!(seen[1].2["x-amz-copy-source-if-match"], "\"old\"");
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_stores_checksum_are_an_error() {
    let (s3, seen, _server) = store(vec![(200, &[("x-amz-checksum-crc32", "AAAAAA==")], "content")]).await;
    let whole = s3.read("b", "k", Want::default()).await.unwrap();
    let error = whole.body.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
    let part = s3.read("b", "k", Want { range: Some((0, 7)), ..Want::default() }).await.unwrap();
    assert!(part.body.try_collect::<Vec<_>>().await.is_ok(), "a range has no checksum");
    let seen = seen.lock().unwrap();
    assert_eq!(
        (&seen[0].2["x-amz-checksum-mode"], &seen[1].2["range"]),
        (&"ENABLED".parse().unwrap(), &"bytes=0-6".parse().unwrap())
    );
}

#[tokio::test]
async fn what_travels_with_an_object_is_put_and_read_as_it_is() {
    let sent = Headers {
        content_type: Some("text/plain".into()),
        cache_control: Some("no-store".into()),
        content_disposition: Some("attachment; filename=\"é.txt\"".into()),
        content_encoding: Some("gzip".into()),
        content_language: Some("fr".into()),
        expires: Some("Thu, 01 Jan 2032 00:00:00 GMT".into()),
        website_redirect: Some("/elsewhere".into()),
        user: [("dossier".to_owned(), "12 é".to_owned())].into(),
    };
    let (s3, seen, _server) = store(vec![(200, &[], "")]).await;
    s3.write("b", "k", "", &sent, &Keeping::default()).await.unwrap();
    let (_, _, headers, _) = seen.lock().unwrap().remove(0);
    for (name, value) in [
        ("content-encoding", "gzip"),
        ("content-language", "fr"),
        ("cache-control", "no-store"),
        ("expires", "Thu, 01 Jan 2032 00:00:00 GMT"),
        ("x-amz-website-redirect-location", "/elsewhere"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert_eq!(headers["x-amz-meta-dossier"].as_bytes(), "12 é".as_bytes());
    let (s3, _seen, _server) = store(vec![(
        200,
        &[
            ("content-type", "text/plain"),
            ("cache-control", "no-store"),
            ("content-disposition", "attachment; filename=\"é.txt\""),
            ("content-encoding", "gzip"),
            ("content-language", "fr"),
            ("expires", "Thu, 01 Jan 2032 00:00:00 GMT"),
            ("x-amz-website-redirect-location", "/elsewhere"),
            ("x-amz-meta-dossier", "12 é"),
            ("x-amz-tagging-count", "2"),
            ("x-amz-version-id", "null"),
            ("last-modified", "Sat, 28 Nov 2026 10:00:00 GMT"),
        ],
        "",
    )])
    .await;
    let found = s3.read("b", "k", Want::default()).await.unwrap();
    assert_eq!((found.headers, found.tags, found.version), (sent, 2, None));
    assert_eq!(found.modified.unwrap().to_rfc3339(), "2026-11-28T10:00:00+00:00");
}

#[tokio::test]
async fn who_else_may_do_what_is_read_without_the_owner() {
    let list = "<AccessControlPolicy xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>me</ID></Owner><AccessControlList>\
        <Grant><Grantee xmlns:xsi=\"x\" xsi:type=\"CanonicalUser\"><ID>me</ID><DisplayName>I</DisplayName></Grantee>\
        <Permission>FULL_CONTROL</Permission></Grant><Grant><Grantee xmlns:xsi=\"x\" xsi:type=\"Group\">\
        <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>\
        </AccessControlList></AccessControlPolicy>";
    let (s3, seen, _server) = store(vec![(200, &[], list)]).await;
    assert_eq!(s3.acl("b", "k", Some("v")).await.unwrap(), Acl::Canned("public-read".into()));
    assert_eq!(seen.lock().unwrap()[0].1, "/b/k?acl&versionId=v");
    let none = "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList/></AccessControlPolicy>";
    let (s3, _seen, _server) = store(vec![(200, &[], none)]).await;
    assert!(s3.acl("b", "k", None).await.unwrap().is_private());
}

#[tokio::test]
async fn a_store_that_the_operators_authority_vouches_for_is_trusted_and_no_other() {
    let (address, pem, _server) = crate::providers::probe::tests::server("localhost").await;
    let config = S3Config {
        endpoint: format!("https://localhost:{}", address.port()),
        region: "fr-par".into(),
        access_key: "SCWKEY".into(),
        secret_key: SecretString::from("s3cret"),
        path_style: true,
    };
    let with = |extra_ca_pem| S3::new(&config, HttpShared { extra_ca_pem, ..HttpShared::default() }).unwrap();
    // One call by the SDK, and one around it.
    assert!(with(Some(pem.clone())).bucket_exists("agence").await.unwrap());
    assert!(with(Some(pem)).head("agence", "a.pdf").await.unwrap().is_some());
    let refused = with(None).head("agence", "a.pdf").await.unwrap_err();
    assert!(matches!(refused, S3Error::Transport { .. }), "{refused:?}");
}
