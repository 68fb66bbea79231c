//! What stores and lines do: refuse for a while, break in the middle, lie, run out of space; and customers who go on working.

use bytes::Bytes;
use reprise_e2e::depot::{ARCHIVE, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{body, noise, oddities, run_of};

/// A bucket without versions.
const PLAIN: &str = "apilos-plain";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_refuses_and_lines_that_break_only_cost_time() {
    play(&Plan::example(), async |depot| {
        oddities(depot).await;
        let expected = depot.source.whole(PRODUCTION, "").await;
        let slow_down = || Fault::Status { status: 503, body: None, retry_after: None };
        depot.break_archive("PutObject", "/apilos/objects/", Some(12), slow_down());
        depot.break_archive("UploadPart", ARCHIVE, Some(1), slow_down());
        depot.break_archive("CompleteMultipartUpload", ARCHIVE, Some(1), slow_down());
        depot.break_archive("PutObject", "/apilos/manifests/", Some(1), slow_down());
        depot.break_archive("PutObject", "/apilos/runs/", Some(1), Fault::DropAfter);
        depot.break_source("ListObjectsV2", PRODUCTION, Some(1), slow_down());
        // Cut on the way, changed on the way: what arrives is not what the source has.
        depot.break_source("GetObject", "/a-b", Some(1), Fault::Truncate { bytes: 3 });
        depot.break_source("GetObject", "/twice.txt", Some(1), Fault::Corrupt);
        depot.break_source("GetObject", "/dressed/large.bin", Some(1), Fault::HalfBody { fraction: 0.4 });
        let wire = depot.wire_to_archive().await;
        wire.reset(3, 3 << 20);
        let record = depot.take().await;
        assert_eq!(wire.resets_left(), 0, "no connection was reset in the middle of a part");
        assert_eq!(depot.faults_played(), 20, "each of them was met");
        let lines = depot.manifest(&run_of(&record)).await;
        assert_eq!(lines.len(), expected.len());
        for line in &lines {
            let key = line["key"].as_str().expect("a key");
            assert_eq!(line["sha256"].as_str(), Some(&*expected[key].sha256), "{key}");
        }
        depot.mend();
        let verified = depot.must(&["verify", "--depth", "full"]).await;
        assert_eq!(verified["findings"], serde_json::json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_archive_names_wrong_entity_tags_what_it_holds_is_read_again() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        depot.source.put(PRODUCTION, "b", body("b")).await;
        let wire = depot.wire_to_archive().await;
        wire.lie(true);
        // A store whose tags are no digests, since it encrypts: all is well.
        depot.take().await;
        // One that holds something else than it was sent is found out: here it sends something else, which is the same to us.
        depot.source.put(PRODUCTION, "c", body("c")).await;
        depot.break_archive("GetObject", "/apilos/objects/", None, Fault::Corrupt);
        let said = depot.fails(&["run"]).await;
        assert!(
            said.contains("reading a content again at the archive") && said.contains("checksum"),
            "{said}"
        );
        depot.mend();
        assert_eq!(depot.archive.list(ARCHIVE, "apilos/runs/").await.len(), 1);
        wire.lie(false);
        depot.take().await;
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_source_sends_is_held_against_the_checksum_that_it_names() {
    play(&Plan::example(), async |depot| {
        // Sent in parts, so that its entity tag is no digest: the checksum alone tells.
        depot.source.put_in_parts(PRODUCTION, "dossier/a", body("a")).await;
        depot.break_source("GetObject", "/dossier/a", Some(1), Fault::Corrupt);
        depot.take().await;
        assert_eq!(depot.faults_played(), 1);
        depot.source.bucket("back", false, false).await;
        depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!(depot.source.get("back", "dossier/a").await, body("a"));

        // One that goes on lying is not believed: nothing of it is archived, and it is named.
        depot.source.put_in_parts(PRODUCTION, "dossier/b", body("b")).await;
        depot.break_source("GetObject", "/dossier/b", None, Fault::Corrupt);
        let record = depot.take().await;
        let missing = record["missing"].to_string();
        assert!(missing.contains("dossier/b") && missing.contains("checksum"), "{record}");
        assert_eq!(record["manifest"]["objects"], 1, "{record}");
        depot.mend();
        assert_eq!(depot.take().await["manifest"]["objects"], 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_is_held_against_the_digest_of_all_of_it() {
    play(&Plan::example(), async |depot| {
        let large = noise(40 << 20, 11);
        depot.source.put(PRODUCTION, "large.bin", large.clone()).await;
        depot.break_source("GetObject", "/large.bin", Some(1), Fault::Corrupt);
        let record = depot.take().await;
        assert_eq!(depot.faults_played(), 1);
        let lines = depot.manifest(&run_of(&record)).await;
        assert_eq!(lines[0]["sha256"].as_str(), Some(&*hex::encode(Sha256::digest(&large))));
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_tags_are_no_digests_is_read_before_it_is_doubted() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        depot.take().await;
        depot.archive.bucket("back", false, false).await;
        let wire = depot.wire_to_archive().await;
        wire.lie(true);
        let endpoint = wire.endpoint();
        let words = ["restore", "--to-bucket", "back", "--to-endpoint", &endpoint];
        let pair = [
            "--to-access-key",
            "env:S3_ARCHIVE_ACCESS_KEY_ID",
            "--to-secret-key",
            "env:S3_ARCHIVE_SECRET_ACCESS_KEY",
        ];
        let words = [&words[..], &pair].concat();
        assert_eq!(depot.must(&words).await["copied"], 1);
        let again = depot.must(&words).await;
        assert_eq!((&again["copied"], &again["skipped"]), (&0.into(), &1.into()), "{again}");
        // What travels with it counts too; what is somebody else's is told, and left.
        let put = depot.archive.client().put_object().bucket("back").key("a").cache_control("no-store");
        put.body(body("a").into()).send().await.expect("an object");
        depot.archive.put("back", "b", "somebody's").await;
        let again = depot.must(&words).await;
        assert_eq!(again["copied"], 1, "{again}");
        assert!(
            again["notes"].to_string().contains("1 objects lie there that the run does not have: b"),
            "{again}"
        );
        assert_eq!(depot.archive.thing("back", "a").await.headers[1], None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_lists_and_does_not_send_is_not_taken_for_vanished() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "dossier/a", body("a")).await;
        depot.source.put(PRODUCTION, "dossier/b", body("b")).await;
        let gone = || Fault::Status { status: 404, body: None, retry_after: None };
        depot.break_source("GetObject", "/dossier/b", None, gone());
        let record = depot.take().await;
        assert_eq!(
            (&record["manifest"]["objects"], &record["vanished"]),
            (&1.into(), &Value::Null),
            "{record}"
        );
        let missing = record["missing"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect());
        let missing: Vec<&str> = missing.unwrap_or_default();
        assert!(missing.iter().any(|why| why.contains("`dossier/b`: the bucket lists it")), "{record}");

        // A list that was late is another thing.
        depot.mend();
        depot.break_source("GetObject", "/dossier/b", Some(1), gone());
        let record = depot.take().await;
        assert_eq!(record["manifest"]["objects"], 2);
        assert!(!record["missing"].to_string().contains("dossier/b"), "{record}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_over_an_access_control_list_costs_the_list_only() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "dossier/a", body("a")).await;
        depot.source.put(PRODUCTION, "dossier/b", body("b")).await;
        let broken = Fault::Status { status: 500, body: None, retry_after: None };
        depot.break_source("GetObjectAcl", "/dossier/b", None, broken);
        let record = depot.take().await;
        assert!(record["unread"][0].as_str().is_some_and(|why| why.contains("answered 500")), "{record}");
        let lines = depot.manifest(&run_of(&record)).await;
        assert_eq!((&lines[0]["acl"], &lines[1]["acl"]), (&"private".into(), &Value::Null));
        // The next run asks again, and nothing else of it has changed.
        depot.mend();
        let record = depot.take().await;
        assert_eq!(
            (&record["changes"]["rewritten"], &record["unread"]),
            (&0.into(), &Value::Null),
            "{record}"
        );
        assert_eq!(depot.manifest(&run_of(&record)).await[1]["acl"], "private");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_space_is_said_and_the_run_goes_on_when_there_is_some() {
    play(&Plan::example(), async |depot| {
        for n in 0..40 {
            depot.source.put(PRODUCTION, &format!("{n:02}"), body(&n.to_string())).await;
        }
        let full = || Fault::Status { status: 507, body: None, retry_after: None };
        // The first half of the digests still finds room.
        for digit in "89abcdef".chars() {
            depot.break_archive("PutObject", &format!("/apilos/objects/{digit}"), None, full());
        }
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("There is not enough space left") && said.contains("at the archive"), "{said}");
        let rows = depot.must(&["list"]).await;
        assert_eq!(rows[0]["phase"], "Running");
        assert!(rows[0]["message"].as_str().is_some_and(|why| why.contains("not enough space")), "{rows}");
        let before = depot.archive.effects("PutObject", "/apilos/objects/");
        depot.mend();
        let record = depot.take().await;
        assert_eq!(record["manifest"]["objects"], 40);
        // It lists again, and is a run of now.
        assert!(record["run"].as_str() > rows[0]["run"].as_str(), "{record}");
        assert_eq!(depot.must(&["list"]).await.as_array().map(Vec::len), Some(1));
        assert!(before > 0 && depot.archive.effects("PutObject", "/apilos/objects/") <= 40 + 16);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_replaced_or_deleted_while_it_is_read_is_archived_as_it_is_then() {
    play(&Plan::example(), async |depot| {
        // Without versions: a versioned source goes on giving the version that was begun.
        depot.source.bucket(PLAIN, false, false).await;
        depot.daemon.set("S3_SOURCE_BUCKET", PLAIN);
        depot.source.put(PLAIN, "gone.txt", body("gone")).await;
        depot.source.put(PLAIN, "large.bin", noise(40 << 20, 1)).await;
        depot.source.put(PLAIN, "small.txt", body("small")).await;
        let newer = noise(30 << 20, 2);
        depot.source.put(PRODUCTION, "newer.bin", newer.clone()).await;
        depot.break_archive("UploadPart", ARCHIVE, None, Fault::Latency { ms: 500 });
        depot.break_source("GetObject", "/gone.txt", Some(1), Fault::Latency { ms: 4_000 });
        let child = depot.begin(&["run"]);
        depot.eventually("a part", |depot| depot.archive.effects("UploadPart", ARCHIVE) > 0).await;
        let copy = depot.source.client().copy_object().bucket(PLAIN).key("large.bin");
        copy.copy_source(format!("{PRODUCTION}/newer.bin")).send().await.expect("it is replaced");
        depot.source.delete(PLAIN, "gone.txt").await;
        let output = child.wait_with_output().await.expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let record: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a record");
        assert_eq!((&record["replaced"], &record["vanished"]), (&1.into(), &serde_json::json!(["gone.txt"])));
        let lines = depot.manifest(&run_of(&record)).await;
        let keys: Vec<_> = lines.iter().map(|line| line["key"].as_str().expect("a key")).collect();
        assert_eq!(keys, ["large.bin", "small.txt"]);
        assert_eq!(lines[0]["sha256"], hex::encode(Sha256::digest(&newer)));
        depot.must(&["verify", "--depth", "full"]).await;
        // What vanished was never there. What was replaced is read once more: its date was not seen in a listing yet.
        depot.mend();
        assert_eq!(depot.take().await["changes"]["deleted"], 0);
        assert_eq!(depot.take().await["changes"]["bytes"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_bucket_that_keeps_versions_the_version_is_archived_that_was_begun() {
    play(&Plan::example(), async |depot| {
        let older = noise(40 << 20, 3);
        depot.source.put(PRODUCTION, "large.bin", older.clone()).await;
        depot.break_archive("UploadPart", ARCHIVE, None, Fault::Latency { ms: 500 });
        let child = depot.begin(&["run"]);
        depot.eventually("a part", |depot| depot.archive.effects("UploadPart", ARCHIVE) > 0).await;
        depot.source.put(PRODUCTION, "large.bin", noise(30 << 20, 4)).await;
        let output = child.wait_with_output().await.expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let record: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a record");
        assert_eq!(record["replaced"], 0, "it was not read twice: {record}");
        let lines = depot.manifest(&run_of(&record)).await;
        assert_eq!(lines[0]["sha256"], hex::encode(Sha256::digest(&older)));
        assert!(lines[0]["version_id"].is_string(), "{lines:?}");
        depot.mend();
        assert_eq!(depot.take().await["changes"]["rewritten"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_breaks_is_read_again_by_its_range_and_the_object_is_not_begun_anew() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "large.bin", noise(40 << 20, 5)).await;
        let parts = 40_usize.div_ceil(16);
        depot.break_source("GetObject", "/large.bin", Some(1), Fault::Truncate { bytes: 1 << 20 });
        let record = depot.take().await;
        assert_eq!(depot.faults_played(), 1);
        assert_eq!(depot.archive.effects("CreateMultipartUpload", ARCHIVE), 1, "{record}");
        // Its parts, the one that broke, and its access control list.
        assert_eq!(record["cost"]["source.get"], parts + 2, "{record}");
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_bucket_and_a_bucket_that_is_not_there_are_two_things() {
    play(&Plan::example(), async |depot| {
        let record = depot.take().await;
        assert_eq!(record["manifest"]["objects"], 0);
        depot.must(&["verify"]).await;
        depot.source.bucket("back", false, false).await;
        depot.source.put("back", "stays", Bytes::from_static(b"x")).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["copied"], 0);
        depot.daemon.set("S3_SOURCE_BUCKET", "no-such-bucket");
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("NoSuchBucket") && said.contains("outside the archive"), "{said}");
        assert_eq!(depot.archive.list(ARCHIVE, "apilos/runs/").await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_authorities_reaches_stores_on_itself_and_is_told_what_it_lacks_for_others() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        depot.daemon.set("SSL_CERT_FILE", "/nowhere");
        depot.daemon.set("SSL_CERT_DIR", "/nowhere");
        depot.take().await;
        depot.daemon.set("S3_ARCHIVE_ENDPOINT", "https://127.0.0.1:1");
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("cannot set up TLS") && said.contains("install ca-certificates"), "{said}");
    })
    .await;
}
