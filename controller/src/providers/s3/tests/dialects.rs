//! What other people's stores do otherwise: each case was seen at one of them (`tests/conformance/stores`).

use super::*;

#[tokio::test]
async fn a_write_of_nothing_names_its_length() {
    let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let (s3, seen, _server) = store(vec![(200, &[], ""), (200, &[], begun)]).await;
    s3.write("b", "folder/", "", &Headers::default(), &Keeping::default()).await.unwrap();
    s3.begin_parts("b", "k", &Headers::default(), &Keeping::default()).await.unwrap();
    // Ceph answers 411 where there is none.
    assert!(seen.lock().unwrap().iter().all(|(_, _, headers, _)| headers["content-length"] == "0"));
}

#[tokio::test]
async fn the_name_of_a_documents_root_does_not_matter() {
    let begun = "<InitiateMultipartUpload><UploadId>u</UploadId></InitiateMultipartUpload>";
    let versioned = "<GetBucketVersioningResponse><Status>Enabled</Status></GetBucketVersioningResponse>";
    let never = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<GetBucketVersioningResponse/>";
    let (s3, _seen, _server) = store(vec![(200, &[], begun), (200, &[], versioned), (200, &[], never)]).await;
    let upload = s3.begin_parts("b", "k", &Headers::default(), &Keeping::default()).await.unwrap();
    assert_eq!(upload, "u");
    assert!(s3.is_versioned("b").await.unwrap());
    assert!(!s3.is_versioned("b").await.unwrap());
}

#[tokio::test]
async fn a_store_without_versions_keeps_none() {
    let (s3, _seen, _server) = store(vec![(501, &[], "<Error><Code>NotImplemented</Code></Error>")]).await;
    assert!(!s3.is_versioned("b").await.unwrap());
}

#[tokio::test]
async fn an_object_that_is_sent_in_place_of_its_access_control_list_is_none() {
    let said = ["hello", "<html/>", "{\"AccessControlPolicy\": 1}", ""];
    for object in said {
        let (s3, _seen, _server) = store(vec![(200, &[], object)]).await;
        let error = s3.acl("b", "k", None).await.unwrap_err();
        assert!(error.is_incomplete(), "{object}: {error:?}");
    }
}

/// The page that lists these keys, and whether more follow.
fn page(keys: &[&str], more: bool) -> &'static str {
    let entry = |key: &&str| ["<Contents><Key>", *key, "</Key><Size>1</Size></Contents>"].concat();
    let keys: String = keys.iter().map(entry).collect();
    let next = if more { "<NextContinuationToken>t</NextContinuationToken>" } else { "" };
    format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{next}{keys}</ListBucketResult>").leak()
}

#[tokio::test]
async fn a_page_that_is_listed_folder_by_folder_is_put_in_order() {
    let (s3, _seen, _server) = store(vec![(200, &[], page(&["a+b/c", "a/b", "a-b", "a"], false))]).await;
    let all: Vec<_> = s3.list_in_order("b", "").map_ok(|object| object.key).try_collect().await.unwrap();
    assert_eq!(all, ["a", "a+b/c", "a-b", "a/b"]);
}

#[tokio::test]
async fn pages_that_are_not_in_order_are_told_where_order_matters() {
    let pages = || vec![(200, &[][..], page(&["a/b", "c"], true)), (200, &[], page(&["a-b"], false))];
    let (s3, _seen, _server) = store(pages()).await;
    let error = s3.list_in_order("b", "").try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.to_string().contains("lists `a-b` after `c`"), "{error}");
    let (s3, _seen, _server) = store(pages()).await;
    assert_eq!(s3.list("b", "").try_collect::<Vec<_>>().await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_error_without_words_is_told_by_its_status() {
    let (s3, _seen, _server) = store(vec![(403, &[], "")]).await;
    let error = s3.make_private("b").await.unwrap_err();
    assert_eq!(error.to_string(), "buckets.privatise was answered 403");
}

#[tokio::test]
async fn an_upload_that_is_complete_already_is_told_by_what_lies_there() {
    // MD5s of `a` and `b`, and of both of them together.
    let parts = ["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"].map(str::to_owned);
    let gone: Answer = (404, &[], "<Error><Code>NoSuchUpload</Code></Error>");
    let ours: Answer =
        (200, &[("etag", "\"96e024ba2074fe77e8e965ba43a704be-2\""), ("x-amz-version-id", "v1")], "");
    let (s3, _seen, _server) = store(vec![gone, ours]).await;
    let done = s3.complete_parts("b", "k", "u", &parts).await.unwrap();
    assert_eq!(done.version.as_deref(), Some("v1"));
    let theirs: Answer = (200, &[("etag", "\"00000000000000000000000000000000-2\"")], "");
    for there in [theirs, (404, &[], "")] {
        let (s3, _seen, _server) = store(vec![gone, there]).await;
        let error = s3.complete_parts("b", "k", "u", &parts).await.unwrap_err();
        assert_eq!(error.code(), Some("NoSuchUpload"));
    }
}
