//! Bringing objects back: all of them, some, as they were; again and again, and after a death.

use std::collections::BTreeMap;

use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use reprise_e2e::shelf::Thing;
use reprise_e2e::world::Fault;
use serde_json::Value;

use super::{body, noise, odd_keys, oddities, run_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_oddity_comes_back_with_all_that_travels_with_it_and_a_second_restore_copies_nothing() {
    play(&Plan::example(), async |depot| {
        oddities(depot).await;
        let expected = depot.source.whole(PRODUCTION, "").await;
        assert_eq!(odd_keys().last().map(String::len), Some(1_024));
        let record = depot.take().await;
        assert_eq!(record["manifest"]["objects"], expected.len());
        let lines = depot.manifest(&run_of(&record)).await;
        for line in &lines {
            let thing = &expected[line["key"].as_str().expect("a key")];
            assert_eq!(
                (line["size"].as_u64(), line["sha256"].as_str()),
                (Some(thing.size), Some(&*thing.sha256))
            );
        }
        // The same bytes lie there once: three are empty, two are "plain.txt".
        assert_eq!(depot.archive.list(ARCHIVE, "apilos/objects/").await.len(), expected.len() - 3);
        assert!(depot.archive.list(ARCHIVE, "apilos/uploads/").await.is_empty());
        depot.must(&["verify", "--depth", "full"]).await;

        depot.source.bucket("back", false, false).await;
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!(restored["copied"], expected.len(), "{restored}");
        assert_eq!(depot.source.whole("back", "").await, expected);
        let again = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!((&again["copied"], &again["skipped"]), (&Value::from(0), &Value::from(expected.len())));

        // To another store, with its own pair, below another prefix.
        depot.archive.bucket("elsewhere", false, false).await;
        let endpoint = depot.archive.endpoint();
        let there = [
            "restore",
            "--to-bucket",
            "elsewhere",
            "--prefix",
            "d",
            "--to-prefix",
            "new/place/",
            "--to-endpoint",
            &endpoint,
        ];
        let pair = [
            "--to-access-key",
            "env:S3_ARCHIVE_ACCESS_KEY_ID",
            "--to-secret-key",
            "env:S3_ARCHIVE_SECRET_ACCESS_KEY",
        ];
        depot.must(&[&there[..], &pair[..]].concat()).await;
        let within = |all: &BTreeMap<String, Thing>| -> BTreeMap<String, Thing> {
            all.clone().into_iter().filter(|(key, _)| key.starts_with('d')).collect()
        };
        assert_eq!(depot.archive.whole("elsewhere", "new/place/").await, within(&expected));
        // And by the store itself.
        let aside = [
            "restore",
            "--to-bucket",
            "elsewhere",
            "--prefix",
            "d",
            "--to-prefix",
            "aside/",
            "--server-side",
            "--to-endpoint",
            &endpoint,
        ];
        depot.must(&[&aside[..], &pair[..]].concat()).await;
        assert_eq!(depot.archive.whole("elsewhere", "aside/").await, within(&expected));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_is_still_in_the_older_run_and_comes_back_as_of_its_date() {
    play(&Plan::example(), async |depot| {
        for key in ["a/1", "a/2", "b/1", "b/10", "c", "d", "e", "f", "g"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let first = depot.take().await;
        depot.source.delete(PRODUCTION, "a/2").await;
        depot.source.put(PRODUCTION, "b/1", "rewritten").await;
        // Runs are told apart by the second in which they begin.
        let begun = run_of(&first);
        depot.eventually("another second", |_| !begun.starts_with(&now())).await;
        let second = depot.take().await;
        assert_eq!((&second["changes"]["deleted"], &second["changes"]["rewritten"]), (&1.into(), &1.into()));
        let keys = |lines: Vec<Value>| -> Vec<String> {
            lines.iter().map(|line| line["key"].as_str().unwrap_or_default().to_owned()).collect()
        };
        assert!(keys(depot.manifest(&run_of(&first)).await).contains(&"a/2".to_owned()));
        assert!(!keys(depot.manifest(&run_of(&second)).await).contains(&"a/2".to_owned()));

        for bucket in ["then", "one", "some", "today"] {
            depot.source.bucket(bucket, false, false).await;
        }
        let date = first["started_at"].as_str().expect("a date");
        let seconds = format!("{}Z", date.split('.').next().expect("seconds"));
        let then = depot.must(&["restore", "--to-bucket", "then", "--as-of", &seconds]).await;
        assert_eq!((&then["run"], &then["objects"]), (&first["run"], &9.into()));
        assert_eq!(depot.source.get("then", "b/1").await, body("b/1"));
        assert_eq!(depot.source.get("then", "a/2").await, body("a/2"));
        let one = depot.must(&["restore", "--to-bucket", "one", "--key", "b/1"]).await;
        assert_eq!((&one["run"], listed(depot, "one").await), (&second["run"], vec!["b/1".to_owned()]));
        assert_eq!(depot.source.get("one", "b/1").await, "rewritten");
        depot.must(&["restore", "--to-bucket", "some", "--prefix", "b/1", "--run", &run_of(&first)]).await;
        assert_eq!(listed(depot, "some").await, ["b/1", "b/10"]);
        depot.must(&["restore", "--to-bucket", "today"]).await;
        assert_eq!(listed(depot, "today").await, ["a/1", "b/1", "b/10", "c", "d", "e", "f", "g"]);

        let said = depot.fails(&["restore", "--to-bucket", "then", "--as-of", "2001-01-01T00:00:00Z"]).await;
        assert!(said.contains("no usable run that began by 2001-01-01"), "{said}");
        let said = depot.fails(&["restore", "--to-bucket", "then", "--run", "20010101T000000Z-000000"]).await;
        assert!(said.contains("the archive has no run 20010101T000000Z-000000"), "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_dies_goes_on_and_keeps_what_it_copied() {
    const OBJECTS: usize = 1_200;
    play(&Plan::example(), async |depot| {
        let objects = (0..OBJECTS).map(|n| (format!("documents/{n:05}.txt"), body(&format!("document {n}"))));
        depot.source.seed(PRODUCTION, objects).await;
        depot.take().await;
        depot.source.bucket("back", false, false).await;
        depot.break_source("PutObject", "/back/", None, Fault::Latency { ms: 10 });
        let mut child = depot.begin(&["restore", "--to-bucket", "back"]);
        depot
            .eventually("half of it", |depot| depot.source.effects("PutObject", "/back/") > OBJECTS / 2)
            .await;
        child.kill().await.expect("it dies");
        depot.mend();
        let before = depot.source.list("back", "").await.len();
        assert!(before < OBJECTS, "it was not cut off");
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        let skipped = restored["skipped"].as_u64().expect("a count");
        assert!(skipped * 100 >= before as u64 * 95, "{before} were there: {restored}");
        assert_eq!(restored["differences"], serde_json::json!([]));
        assert_eq!(depot.source.list("back", "").await, depot.source.list(PRODUCTION, "").await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restore_that_died_had_begun_to_send_is_ended_by_the_next_and_nobody_elses() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "large.bin", noise(20 << 20, 9)).await;
        depot.take().await;
        depot.source.bucket("back", false, false).await;
        let client = depot.source.client();
        let theirs = client.create_multipart_upload().bucket("back").key("large.bin.theirs").send().await;
        theirs.expect("an upload");
        depot.break_source("UploadPart", "/back/", None, Fault::Stall);
        let mut child = depot.begin(&["restore", "--to-bucket", "back"]);
        depot.eventually("a part", |depot| depot.faults_played() > 0).await;
        child.kill().await.expect("it dies");
        depot.mend();
        let begun = async || {
            let listed = client.list_multipart_uploads().bucket("back").send().await.expect("uploads");
            listed.uploads().iter().filter_map(|upload| upload.key().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(begun().await, ["large.bin", "large.bin.theirs"]);
        depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!(begun().await, ["large.bin.theirs"], "what was cut off is billed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_comes_back_from_its_last_part_on_after_a_death() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "large.bin", noise(72 << 20, 17)).await;
        depot.take().await;
        for (bucket, forged) in [("back", false), ("forged", true)] {
            depot.source.bucket(bucket, false, false).await;
            let path = format!("/{bucket}/");
            depot.stall_parts_after("s3-source", &path, 2);
            let met = depot.faults_played();
            let mut child = depot.begin(&["restore", "--to-bucket", bucket]);
            depot.eventually("the third part", |depot| depot.faults_played() > met).await;
            child.kill().await.expect("it dies");
            depot.mend();
            if forged {
                // Digests of something else: what was noted blames no content, which is sent anew.
                let other = "UPDATE uploads SET so_far = jsonb_set(so_far, '{hashes,sha256}',
                    to_jsonb(overlay(so_far #>> '{hashes,sha256}' placing 'deadbeef' from 1)))";
                depot.daemon.records().execute(other).await;
            }
            let restored = depot.must(&["restore", "--to-bucket", bucket]).await;
            assert_eq!((&restored["copied"], &restored["damaged"]), (&1.into(), &0.into()), "{restored}");
            let (parts, begun) = if forged { (5 + 5, 2) } else { (5, 1) };
            assert_eq!(depot.source.effects("UploadPart", &path), parts, "{bucket}");
            assert_eq!(depot.source.effects("CreateMultipartUpload", &path), begun, "{bucket}");
            assert_eq!(depot.source.whole(bucket, "").await, depot.source.whole(PRODUCTION, "").await);
            assert_eq!(depot.daemon.records().column("SELECT key FROM uploads").await, [""; 0]);
        }
    })
    .await;
}

/// The time, as runs are named.
fn now() -> String {
    chrono::Utc::now().format("%Y%m%dT%H%M%SZ").to_string()
}

async fn listed(depot: &Depot, bucket: &str) -> Vec<String> {
    depot.source.list(bucket, "").await.into_iter().map(|(key, _)| key).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_the_target_does_not_take_at_once_is_sent_again_by_itself() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "large.bin", noise(40 << 20, 9)).await;
        depot.take().await;
        depot.source.bucket("back", false, false).await;
        let broken = Fault::Status { status: 500, body: None, retry_after: None };
        depot.break_source("UploadPart", "/back/large.bin", Some(2), broken);
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!((depot.faults_played(), &restored["copied"]), (2, &1.into()), "{restored}");
        assert_eq!(depot.source.effects("CreateMultipartUpload", "/back/"), 1, "it was not begun anew");
        assert_eq!(restored["cost"]["target.put"], 40_usize.div_ceil(16) + 2 + 2, "{restored}");
        assert_eq!(depot.source.get("back", "large.bin").await, noise(40 << 20, 9));
    })
    .await;
}
