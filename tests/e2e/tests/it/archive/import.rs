//! Old copies become runs: the zip that a workflow left, and the mirror bucket.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::StorageClass;
use chrono::{DateTime, TimeDelta, Utc};
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;

use super::moved::{ELSEWHERE, move_away};
use super::{body, noise, run_of};

/// The bucket of the plan's mirror.
const MIRROR: &str = "apilos-mirror";
const AGE: &str = "reprise_archive_age_seconds{plan=\"apilos\"}";
const KEYS: [&str; 3] = ["docs/é 1.txt", "docs/2.txt", "zone.txt"];

/// A zip file as workflows leave them.
pub(super) fn zip(folder: &Path, name: &str, entries: &[(&str, &[u8])]) -> PathBuf {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (key, content) in entries {
        writer.start_file(*key, SimpleFileOptions::default()).expect("into memory");
        writer.write_all(content).expect("into memory");
    }
    let path = folder.join(name);
    std::fs::write(&path, writer.finish().expect("into memory").into_inner()).expect("a file");
    path
}

fn digest(path: &Path) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(std::fs::read(path).expect("a zip"))))
}

fn days_ago(days: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(days)
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

async fn runs(depot: &Depot) -> usize {
    depot.archive.list(ARCHIVE, "apilos/runs/").await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflows_zip_becomes_one_run_of_its_time_and_its_contents_are_copied_to_where_the_archive_is() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "today.txt", body("today")).await;
        let today = run_of(&depot.take().await);
        let large = noise(17 << 20, 3);
        let mut entries: Vec<(&str, bytes::Bytes)> = KEYS.map(|key| (key, body(key))).to_vec();
        entries.push(("large.bin", large.clone()));
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(key, body)| (*key, body.as_ref())).collect();
        let zip = zip(&depot.folder("zip"), "s3_production.zip", &entries);
        let (file, digest, taken_at) = (zip.display().to_string(), digest(&zip), time(days_ago(9)));
        let words = ["import", "--zip", &file, "--digest", &digest, "--taken-at", &taken_at];

        let record = depot.must(&words).await;
        assert_eq!(record["manifest"]["objects"], 4, "{record}");
        assert!(run_of(&record) < today, "it never passes for newer than it is");
        assert_eq!(run_of(&depot.must(&words).await), run_of(&record), "asked again, it is the same run");
        assert_eq!(runs(depot).await, 2);
        depot.must(&["verify", "--depth", "full", "--run", &run_of(&record)]).await;
        depot.source.bucket("back", false, false).await;
        let back = depot.must(&["restore", "--to-bucket", "back", "--as-of", &time(days_ago(8))]).await;
        assert_eq!((&back["run"], &back["objects"]), (&record["run"], &4.into()), "{back}");
        assert_eq!(depot.source.get("back", KEYS[0]).await, body(KEYS[0]));
        assert_eq!(depot.source.get("back", "large.bin").await, large);
        // The bucket is held against its own newest run, as before.
        let changes = depot.take().await["changes"].clone();
        assert_eq!((&changes["added"], &changes["deleted"]), (&0.into(), &0.into()), "{changes}");

        // What the old place holds says nothing of the new one.
        move_away(depot).await;
        let moved = depot.must(&words).await;
        assert_eq!(depot.archive.list(ELSEWHERE, "apilos/objects/").await.len(), 4);
        depot.must(&["verify", "--depth", "full", "--run", &run_of(&moved)]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_pair_that_only_adds_an_import_that_was_cut_off_is_ended() {
    play(&Plan::example(), async |depot| {
        let adder = depot.archive.adder().clone();
        depot.archive_as(&adder);
        let zip = zip(&depot.folder("zip"), "s3_production.zip", &[("a.txt", b"a"), ("b.txt", b"b")]);
        let (file, taken_at) = (zip.display().to_string(), time(days_ago(9)));
        let words = ["import", "--zip", &file, "--taken-at", &taken_at];
        let run = run_of(&depot.must(&words).await);
        // It died before the record was put, and before our own tables knew of the contents.
        depot.archive.delete(ARCHIVE, &format!("apilos/runs/{run}.json")).await;
        depot
            .sees(
                "WITH gone AS (DELETE FROM archive_objects RETURNING 1) SELECT count(*)::text FROM gone",
                |gone| gone == ["2"],
            )
            .await;
        assert_eq!(run_of(&depot.must(&words).await), run);
        assert_eq!(depot.manifest(&run).await.len(), 2);
    })
    .await;
}

/// A bucket, and the mirror that holds the same.
async fn mirrored(depot: &mut Depot) {
    depot.archive.bucket(MIRROR, false, false).await;
    depot.daemon.set("S3_ARCHIVE_BUCKET", MIRROR);
    for key in KEYS {
        depot.source.put(PRODUCTION, key, body(key)).await;
        depot.archive.put(MIRROR, key, body(key)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_the_mirror_is_not_what_the_buckets_own_are_held_against() {
    play(&Plan::example(), async |depot| {
        mirrored(depot).await;
        depot.take().await;
        let mirrored = run_of(&depot.must(&["import", "--mirror"]).await);
        let record = depot.take().await;
        assert_eq!(
            (&record["changes"]["rewritten"], &record["changes"]["bytes"]),
            (&0.into(), &0.into()),
            "{record}"
        );
        assert_eq!(
            record["previous"]["run"],
            mirrored.as_str(),
            "the newest of all vouches for those before it"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_the_mirror_stands_for_no_run_of_the_bucket_and_ends_no_suspicion() {
    play(&Plan::example(), async |depot| {
        mirrored(depot).await;
        let good = run_of(&depot.take().await);
        let aged = "UPDATE archives SET started_at = started_at - interval '3 days', listed_at = listed_at - interval '3 days'";
        depot.daemon.records().execute(aged).await;
        for key in KEYS {
            depot.source.delete(PRODUCTION, key).await;
        }
        let emptied = depot.take().await;
        assert!(emptied["suspicious"].is_array(), "{emptied}");
        let mirrored = depot.must(&["import", "--mirror"]).await;
        assert_eq!(
            (&mirrored["mirrored"], &mirrored["suspicious"]),
            (&true.into(), &Value::Null),
            "{mirrored}"
        );

        let pruned = depot.must(&["prune", "--yes"]).await;
        let frozen = |run: &Value| run["keptBy"].to_string().contains("frozen");
        assert!(pruned["runs"].as_array().expect("runs").iter().all(frozen), "{pruned}");
        assert!(depot.sees_metric("reprise_archive_suspicious{plan=\"apilos\"}", 1.0).await);
        depot.source.bucket("back", false, false).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["run"], good.as_str());
        let days = depot.shows(AGE).await.expect("an age") / 86_400.0;
        assert!((2.9..4.0).contains(&days), "a copy of the bucket is no archive of it: {days}");
        // On a machine that knows nothing of them, their records tell.
        depot.daemon.records().execute("DELETE FROM archives WHERE run LIKE '%'").await;
        depot.source.bucket("again", false, false).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "again"]).await["run"], good.as_str());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zip_that_is_not_what_it_should_be_puts_nothing() {
    play(&Plan::example(), async |depot| {
        let folder = depot.folder("zip");
        let good = zip(&folder, "good.zip", &[("a.txt", b"a")]);
        let escape = zip(&folder, "escape.zip", &[("a.txt", b"a"), ("../outside.txt", b"b")]);
        let whole = std::fs::read(&good).expect("a zip");
        let cut = folder.join("cut.zip");
        std::fs::write(&cut, &whole[..whole.len() - 7]).expect("a file");
        let wrong = format!("sha256:{}", "0".repeat(64));
        let (past, future) = (time(days_ago(9)), time(days_ago(-1)));
        for (file, digest, taken_at, why) in [
            (&good, wrong, &past, "good.zip is damaged: the artifact's digest is"),
            (&escape, digest(&escape), &past, "escape.zip is damaged"),
            (&cut, digest(&cut), &past, "cut.zip is damaged"),
            (&good, digest(&good), &future, "still to come"),
        ] {
            let file = file.display().to_string();
            let said =
                depot.archive(&["import", "--zip", &file, "--digest", &digest, "--taken-at", taken_at]).await;
            assert!(said.code != 0 && said.err.contains(why), "{file}: {} {}", said.code, said.err);
        }
        assert!(depot.archive.list(ARCHIVE, "").await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_mirror_is_thawed_and_becomes_a_run_that_has_nothing_of_one_that_was_cut_off() {
    play(&Plan::example(), async |depot| {
        depot.archive.bucket(MIRROR, false, false).await;
        depot.daemon.set("S3_ARCHIVE_BUCKET", MIRROR);
        for key in KEYS {
            let put = depot.archive.client().put_object().bucket(MIRROR).key(key);
            let put = put.storage_class(StorageClass::Glacier).body(ByteStream::from(body(key)));
            put.send().await.expect("a cold object");
            // The same content, and other headers: an entity tag does not tell the buckets apart.
            let put = depot.source.client().put_object().bucket(PRODUCTION).key(key);
            put.cache_control("no-store").body(ByteStream::from(body(key))).send().await.expect("an object");
        }
        depot.break_source("GetObject", "zone.txt", None, Fault::Stall);
        let mut child = depot.begin(&["run"]);
        depot.sees("SELECT key FROM archive_progress", |keys| keys.len() == 2).await;
        child.kill().await.expect("it dies");
        depot.mend();

        let record = depot.must(&["import", "--mirror"]).await;
        assert_eq!(record["source"]["bucket"], MIRROR, "{record}");
        let cached = |lines: &[serde_json::Value]| {
            lines.iter().filter(|line| line["cache_control"] == "no-store").count()
        };
        let lines = depot.manifest(&run_of(&record)).await;
        assert_eq!((lines.len(), cached(&lines)), (3, 0), "the mirror's own headers: {lines:?}");
        assert!(depot.archive.effects("RestoreObject", MIRROR) >= 3);
        depot.must(&["verify", "--depth", "full"]).await;
        let lines = depot.manifest(&run_of(&depot.take().await)).await;
        assert_eq!((lines.len(), cached(&lines)), (3, 3), "the bucket's: {lines:?}");
    })
    .await;
}
