//! What other people's stores do otherwise: each case was seen at one of them (`tests/conformance/stores`).

use futures::StreamExt as _;

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

/// A page whose keys are escaped, as the store says.
fn said_to_be_escaped(keys: &[&str]) -> &'static str {
    page(keys, false).replace("<IsTruncated>", "<EncodingType>url</EncodingType><IsTruncated>").leak()
}

#[tokio::test]
async fn a_store_that_says_that_it_escapes_keys_and_does_not_is_found_out() {
    let found: Answer = (200, &[], "");
    let gone: Answer = (404, &[], "");
    let list = |keys: &[&str]| (200, &[][..], said_to_be_escaped(keys));
    // The key that is asked for first is the one that it would be, were it escaped.
    for (looks, keys, meant) in [
        (vec![found], ["a+b", "c"], ["a b", "c"]),
        (vec![gone, found], ["a+b", "c"], ["a+b", "c"]),
        (vec![gone, gone], ["a+b", "c"], ["a b", "c"]),
        (vec![], ["a+b", "é"], ["a+b", "é"]),
        (vec![], ["a-b", "c"], ["a-b", "c"]),
    ] {
        let answers = [vec![list(&keys)], looks.clone()].concat();
        let (s3, seen, _server) = store(answers).await;
        let all: Vec<_> = s3.list("b", "").map_ok(|object| object.key).try_collect().await.unwrap();
        assert_eq!(all, meant, "{looks:?}");
        assert_eq!(seen.lock().unwrap().len(), 1 + looks.len(), "{keys:?}");
    }
    // It is asked once.
    let (s3, seen, _server) = store(vec![list(&["a+b"]), gone, found, list(&["100%41"])]).await;
    for raw in ["a+b", "100%41"] {
        assert!(s3.is_listed("b", raw).await.unwrap(), "{raw}");
    }
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_bucket_is_made_at_stores_that_know_no_lists_of_access() {
    let words = "<Error><Code>InvalidBucketAclWithObjectOwnership</Code></Error>";
    let (s3, seen, _server) =
        store(vec![(400, &[], words), (200, &[], ""), (400, &[], words), (200, &[], "")]).await;
    s3.create_bucket("b").await.unwrap();
    s3.create_lockable_bucket("b").await.unwrap();
    let seen = seen.lock().unwrap();
    let said =
        |name: &str| seen.iter().map(|(_, _, headers, _)| headers.contains_key(name)).collect::<Vec<_>>();
    assert_eq!(said("x-amz-acl"), [true, false, true, false]);
    assert_eq!(said("x-amz-bucket-object-lock-enabled"), [false, false, true, true]);
}

#[tokio::test]
async fn what_a_store_has_no_room_for_is_no_failure() {
    let (s3, _seen, _server) = store(vec![(501, &[], "<Error><Code>NotImplemented</Code></Error>")]).await;
    assert_eq!((s3.bucket_tags("b").await.unwrap(), s3.is_private("b").await.unwrap()), (None, None));
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

#[tokio::test]
async fn a_list_that_is_not_in_order_is_sorted_when_it_is_begun_again() {
    let pages = || [(200, &[][..], page(&["c", "a/b"], true)), (200, &[], page(&["a-b"], false))];
    let (s3, _seen, _server) = store([pages(), pages()].concat()).await;
    let list = || s3.list_in_order("b", "").map_ok(|object| object.key).try_collect::<Vec<_>>();
    assert!(list().await.is_err_and(|error| error.is_disordered()));
    assert_eq!(list().await.unwrap(), ["a-b", "a/b", "c"]);
}

#[tokio::test]
async fn in_a_list_without_order_a_key_may_be_on_any_page() {
    let last = page(&["a-b"], false);
    let (s3, _seen, _server) = store(vec![
        (200, &[], page(&["c"], true)),
        (200, &[], last),
        (200, &[], page(&["c"], true)),
        (200, &[], last),
    ])
    .await;
    assert!(s3.list_in_order("b", "").try_collect::<Vec<_>>().await.is_err());
    assert!(s3.is_listed("b", "a-b").await.unwrap());
}

#[tokio::test]
async fn an_empty_token_is_none() {
    let more = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken/></ListBucketResult>";
    let last =
        "<ListBucketResult><IsTruncated>false</IsTruncated><NextContinuationToken/></ListBucketResult>";
    let (s3, seen, _server) = store(vec![(200, &[], last), (200, &[], more)]).await;
    assert!(s3.is_empty("b", "").await.unwrap());
    assert!(s3.is_empty("b", "").await.is_err());
    assert_eq!(seen.lock().unwrap().len(), 2, "the list was begun again");
}

#[tokio::test]
async fn versions_are_told_whatever_the_document_is_called() {
    let versions = "<ListBucketVersionsResult><IsTruncated>false</IsTruncated><NextKeyMarker/>\
        <Version><Key> k </Key><VersionId>v1</VersionId><LastModified>2026-11-29T10:00:00Z</LastModified></Version>\
        <DeleteMarker><Key>k</Key><VersionId>v2</VersionId></DeleteMarker></ListBucketVersionsResult>";
    let (s3, _seen, _server) = store(vec![(200, &[], versions), (200, &[], page(&["k"], false))]).await;
    let ask = || s3.versions_page("b", "k", VersionToken::default());
    let (found, next) = ask().await.unwrap();
    let told: Vec<_> = found.iter().map(|one| (one.key.as_str(), one.id.as_str(), one.is_marker)).collect();
    assert_eq!((told, next), (vec![(" k ", "v1", false), ("k", "v2", true)], None));
    assert!(found[0].modified.is_some());
    // A store that has never heard of versions sends its objects.
    assert_eq!(ask().await.unwrap().0, [Version::only("k")]);
}

#[tokio::test]
async fn a_store_that_cannot_tell_its_uploads_has_none() {
    let (s3, _seen, _server) = store(vec![(200, &[], page(&["k"], true))]).await;
    assert_eq!(s3.uploads("b", "k").await.unwrap(), []);
    let uploads = "<Any><Upload><Key>k</Key><UploadId>u</UploadId><Initiated>2026-11-29T10:00:00.5Z</Initiated></Upload></Any>";
    let (s3, _seen, _server) = store(vec![(200, &[], uploads)]).await;
    let found = s3.uploads("b", "k").await.unwrap();
    assert_eq!((found[0].id.as_str(), found[0].begun.is_some()), ("u", true));
}

#[tokio::test]
async fn a_bucket_is_made_where_nobody_knows_access_control_lists() {
    let (s3, seen, _server) =
        store(vec![(501, &[], "<Error><Code>NotImplemented</Code></Error>"), (200, &[], "")]).await;
    s3.create_bucket("b").await.unwrap();
    let seen = seen.lock().unwrap();
    let lists: Vec<_> = seen.iter().map(|(_, _, headers, _)| headers.contains_key("x-amz-acl")).collect();
    assert_eq!(lists, [true, false]);
}

#[tokio::test]
async fn documents_that_are_put_bear_their_md5() {
    let owner = "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList/></AccessControlPolicy>";
    let (s3, seen, _server) = store(vec![(200, &[], owner)]).await;
    let until = "2027-01-01T00:00:00.5Z".parse().unwrap();
    s3.lock("b", "k", Lock { compliance: true, until }).await.unwrap();
    s3.set_tags("b", "k", &[("a & b".to_owned(), "<c>".to_owned())].into()).await.unwrap();
    s3.enable_versioning("b").await.unwrap();
    let user = Grant { permission: "READ".into(), to: Grantee::User("some&body".into()) };
    s3.set_acl("b", "k", &Acl::Grants(vec![user])).await.unwrap();
    s3.set_acl("b", "k", &Acl::Canned("public-read".into())).await.unwrap();
    let seen = seen.lock().unwrap();
    let put = |part: &str| {
        let mut found =
            seen.iter().filter(|(method, path, ..)| method == Method::PUT && path.ends_with(part));
        let (_, _, headers, body) = found.next().unwrap_or_else(|| panic!("{part} was not put"));
        assert!(
            headers.contains_key("content-md5") && !headers.contains_key("x-amz-checksum-crc32"),
            "{headers:?}"
        );
        String::from_utf8_lossy(body).into_owned()
    };
    assert!(put("?retention").contains("<Mode>COMPLIANCE</Mode><RetainUntilDate>2027-01-01T00:00:00Z<"));
    assert!(put("?tagging").contains("<Key>a &amp; b</Key><Value>&lt;c&gt;</Value>"));
    assert!(put("?versioning").contains("<Status>Enabled</Status>"));
    assert!(put("?acl").contains("<ID>some&amp;body</ID></Grantee><Permission>READ</Permission>"));
    assert_eq!(seen.last().unwrap().2["x-amz-acl"], "public-read");
}

#[tokio::test]
async fn what_a_header_says_is_read_as_it_was_meant() {
    let head = [("etag", "W/\"abc\""), ("content-encoding", "gzip, aws-chunked"), ("content-length", "0")];
    let (s3, seen, _server) = store(vec![(200, head.to_vec().leak(), "")]).await;
    let found = s3.read("b", "k", Want::default()).await.unwrap();
    assert_eq!((found.etag.as_str(), found.headers.content_encoding.as_deref()), ("abc", Some("gzip")));
    // And it is not sent back, from older manifests either.
    let sent = Headers { content_encoding: Some("aws-chunked".into()), ..Headers::default() };
    s3.write("b", "k", "", &sent, &Keeping::default()).await.unwrap();
    assert!(!seen.lock().unwrap()[1].2.contains_key("content-encoding"));
    let old = http::HeaderValue::from_bytes(b"attachment; filename=\"\xe9t\xe9.pdf\"").unwrap();
    assert_eq!(super::transfer::said(&old), "attachment; filename=\"été.pdf\"");
}

#[tokio::test]
async fn an_object_without_tags_has_none() {
    let (s3, _seen, _server) = store(vec![(404, &[], "<Error><Code>NoSuchTagSet</Code></Error>")]).await;
    assert!(s3.tags("b", "k", None).await.unwrap().is_empty());
}

#[tokio::test]
async fn keys_are_asked_for_in_a_way_that_can_spell_them_and_twice_the_same_is_one() {
    let twice = page(&["a", "b", "a"], false);
    let (s3, seen, _server) = store(vec![(200, &[], twice)]).await;
    let all: Vec<_> = s3.list_in_order("b", "").map_ok(|object| object.key).try_collect().await.unwrap();
    assert_eq!(all, ["a", "b"]);
    assert!(seen.lock().unwrap()[0].1.contains("encoding-type=url"));
}

#[tokio::test]
async fn a_first_page_that_is_empty_is_not_the_end_of_a_list() {
    let (s3, _seen, _server) =
        store(vec![(200, &[], page(&[], true)), (200, &[], page(&["k"], false))]).await;
    assert!(s3.is_listed("b", "k").await.unwrap());
}

#[tokio::test]
async fn uploads_below_another_prefix_are_nobody_elses_to_end() {
    let uploads = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>\
        <Upload><Key>mine/1</Key><UploadId>u</UploadId></Upload>\
        <Upload><Key>theirs/1</Key><UploadId>v</UploadId></Upload></ListMultipartUploadsResult>";
    let (s3, _seen, _server) = store(vec![(200, &[], uploads)]).await;
    let keys: Vec<_> = s3.uploads("b", "mine/").await.unwrap().into_iter().map(|one| one.key).collect();
    assert_eq!(keys, ["mine/1"]);
}

#[tokio::test]
async fn a_part_whose_md5_is_known_goes_with_it() {
    let (s3, seen, _server) =
        store(vec![(200, &[("etag", "\"0cc175b9c0f1b6a831c399e269772661\"")], "")]).await;
    let content = futures::stream::iter([Ok(bytes::Bytes::from("a"))]).boxed();
    let md5 = md5::Digest::finalize(<md5::Md5 as md5::Digest>::new_with_prefix("a")).into();
    let sent = s3.put_part("b", "k", "u", 2, (1, Some(md5)), content).await.unwrap();
    assert_eq!((sent.etag.as_str(), sent.is_encrypted), ("0cc175b9c0f1b6a831c399e269772661", false));
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].2["content-md5"], "DMF1ucDxtqgxw5niaXcmYQ==");
    assert!(seen[0].1.contains("partNumber=2") && seen[0].1.contains("uploadId=u"), "{}", seen[0].1);
}

#[tokio::test]
async fn of_a_range_it_is_told_of_what_it_is() {
    let part: Answer = (206, &[("content-range", "bytes 8-10/30")], "abc");
    let (s3, _seen, _server) = store(vec![part, (206, &[], "abc"), (200, &[], "abc")]).await;
    let want = Want { range: Some((8, 3)), ..Want::default() };
    assert_eq!(s3.read("b", "k", want).await.unwrap().part_of, Some((8, 30)));
    assert_eq!(s3.read("b", "k", want).await.unwrap().part_of, None);
    assert_eq!(s3.read("b", "k", Want::default()).await.unwrap().part_of, None);
}

#[tokio::test]
async fn what_a_store_put_away_by_itself_is_frozen() {
    let away = [
        ("content-length", "1"),
        ("x-amz-storage-class", "INTELLIGENT_TIERING"),
        ("x-amz-archive-status", "ARCHIVE_ACCESS"),
    ];
    let (s3, _seen, _server) = store(vec![(200, away.as_slice().to_vec().leak(), "")]).await;
    assert_eq!(s3.head("b", "k").await.unwrap().unwrap().thaw, Thaw::Frozen);
}

#[tokio::test]
async fn a_bucket_of_another_region_is_told_with_what_to_do() {
    let elsewhere = "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>";
    let (s3, _seen, _server) = store(vec![(301, &[], elsewhere)]).await;
    let error = s3.head_version("b", "k", None).await.unwrap_err();
    assert!(error.to_string().contains("in another region"), "{error}");
}

#[tokio::test]
async fn the_side_that_failed_is_told_of_a_part() {
    let broken = || S3Error::Incomplete { call: "objects.get", what: "its end" };
    let (s3, _seen, _server) = store(vec![(403, &[], "<Error><Code>AccessDenied</Code></Error>")]).await;
    let content = futures::stream::iter([Ok(bytes::Bytes::from("a")), Err(broken())]).boxed();
    let error = s3.put_part("b", "k", "u", 1, (2, None), content).await.unwrap_err();
    assert!(matches!(&error, PartError::Content(error) if error.is_incomplete()), "{error:?}");
    let content = futures::stream::iter([Ok(bytes::Bytes::from("ab"))]).boxed();
    let error = s3.put_part("b", "k", "u", 1, (2, None), content).await.unwrap_err();
    assert!(matches!(&error, PartError::Store(error) if error.is_denied()), "{error:?}");
}
