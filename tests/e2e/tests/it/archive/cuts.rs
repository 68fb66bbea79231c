//! SIGKILL in the middle of a run: the next one goes on, and nothing is copied twice that need not be.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play, with};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;
use sha2::{Digest as _, Sha256};

use super::{body, noise, run_of};

/// Deaths in one run.
const DEATHS: usize = 20;
/// Objects of the run that dies so often.
const OBJECTS: usize = 6_000;
/// What is too large to be held in memory.
const LARGE: &str = "large.bin";
/// Large ones that come after all others.
const ENDS: [&str; 2] = ["large-1.bin", "large-2.bin"];
/// Objects in one prefix.
const MANY: usize = 20_000;
/// Copies whose notes a death may take with it: two batches of them, and what is on its way. They do not grow with the run.
const ON_THE_WAY: usize = 2 * 256 + 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_dies_twenty_times_ends_equal_to_the_bucket_and_copies_hardly_anything_twice() {
    play(&Plan::example(), async |depot| {
        let key = |n: usize| format!("documents/2026/{n:06}.bin");
        depot.source.seed(PRODUCTION, (0..OBJECTS).map(|n| (key(n), body(&key(n))))).await;
        for (end, seed) in ENDS.into_iter().zip(0..) {
            depot.source.put(PRODUCTION, end, noise(40 << 20, 2 * seed)).await;
        }
        for (moment, number) in moments().into_iter().zip(1..) {
            let mut child = depot.begin(&["run"]);
            depot
                .eventually(&format!("the moment of death {number}"), |depot| contents(depot) >= moment)
                .await;
            child.kill().await.expect("it dies");
            assert!(
                depot.archive.list(ARCHIVE, "apilos/runs/").await.is_empty(),
                "a run that was cut off exists"
            );
            let there = depot.archive.list(ARCHIVE, "apilos/objects/").await.len();
            let notes = depot.daemon.records().column("SELECT count(*)::text FROM archive_progress").await;
            let noted: usize = notes[0].parse().expect("a count");
            let lost = there.saturating_sub(noted);
            assert!(lost * 20 <= there || lost <= ON_THE_WAY, "death {number} lost {lost} of {there} copies");
        }
        // And among the parts of what is large, and as the last of them is put together.
        for call in ["UploadPart", "CompleteMultipartUpload", "CopyObject"] {
            let met = depot.faults_played();
            depot.break_archive(call, ARCHIVE, None, Fault::Stall);
            let mut child = depot.begin(&["run"]);
            depot.eventually(call, |depot| depot.faults_played() > met).await;
            child.kill().await.expect("it dies");
            depot.mend();
            assert!(depot.archive.list(ARCHIVE, "apilos/runs/").await.is_empty(), "after {call}");
        }
        assert!(contents(depot) < OBJECTS + DEATHS * ON_THE_WAY, "copied again and again");
        let record = depot.take().await;
        assert_eq!(record["manifest"]["objects"], OBJECTS + ENDS.len());
        // All but the large ones are of one size: only their digests tell one from another.
        let content = |key: &str| match ENDS.iter().position(|end| *end == key) {
            Some(end) => noise(40 << 20, 2 * end as u64),
            None => body(key),
        };
        equals_the_bucket(depot, &run_of(&record), |key| Some(content(key))).await;
        let verified = depot.must(&["verify", "--depth", "listing"]).await;
        let objects = OBJECTS + ENDS.len();
        assert_eq!((&verified["objects"], &verified["findings"]), (&objects.into(), &serde_json::json!([])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_objects_in_one_prefix_are_archived_and_one_change_costs_one_copy() {
    play(&Plan::example(), async |depot| {
        let key = |n: usize| format!("documents/2026/{n:06}.bin");
        // Each content is there twice.
        depot.source.seed(PRODUCTION, (0..MANY).map(|n| (key(n), body(&key(n % (MANY / 2)))))).await;
        let first = depot.take().await;
        assert_eq!(first["manifest"]["objects"], MANY);
        equals_the_bucket(depot, &run_of(&first), |_| None).await;
        let written = contents(depot);
        assert!(written < MANY / 2 + MANY / 100, "{written} contents were written for {}", MANY / 2);
        depot.source.put(PRODUCTION, &key(7), "another content").await;
        depot.source.delete(PRODUCTION, &key(8)).await;
        let second = depot.take().await;
        let changes = &second["changes"];
        assert_eq!(
            (&changes["rewritten"], &changes["deleted"], &changes["bytes"]),
            (&1.into(), &1.into(), &15.into())
        );
        assert_eq!(contents(depot), written + 1);
        equals_the_bucket(depot, &run_of(&second), |_| None).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_goes_on_later_is_one_of_later() {
    play(&Plan::example(), async |depot| {
        for key in ["a", "b"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.break_source("GetObject", "/b", None, Fault::Stall);
        let mut child = depot.begin(&["run"]);
        depot.sees("SELECT key FROM archive_progress", |keys| keys == ["a"]).await;
        child.kill().await.expect("it dies");
        depot.mend();
        let begun = depot.daemon.records().column("SELECT run FROM archives").await.remove(0);
        // Between the two there was nothing that could be restored.
        let between = chrono::Utc::now();
        let stamp = |at: chrono::DateTime<chrono::Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
        depot.eventually("another second", |_| stamp(chrono::Utc::now()) > stamp(between)).await;
        depot.source.put(PRODUCTION, "c", body("c")).await;
        let record = depot.take().await;
        let run = run_of(&record);
        assert!(run > format!("{}~", stamp(between)) && begun < run, "{begun} goes on as {run}");
        assert_eq!(
            (&record["manifest"]["objects"], depot.archive.effects("PutObject", "/apilos/objects/")),
            (&3.into(), 3)
        );
        assert_eq!(depot.daemon.records().column("SELECT run FROM archives").await, [run.as_str()]);
        depot.source.bucket("then", false, false).await;
        let then = between.to_rfc3339();
        let said = depot.fails(&["restore", "--to-bucket", "then", "--as-of", &then]).await;
        assert!(said.contains("no usable run that began by"), "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_pair_that_only_adds_a_run_goes_on_after_a_death_too_and_what_it_left_is_pruned() {
    let plan = with(&["retention: { last: 4, weekly: 0, monthly: 0, yearly: 0, grace: 1s }"]);
    play(&plan, async |depot| {
        depot.archive_as(&depot.archive.adder().clone());
        for n in 0..300 {
            let key = format!("small/{n:03}");
            depot.source.put(PRODUCTION, &key, body(&key)).await;
        }
        depot.source.put(PRODUCTION, LARGE, noise(20 << 20, 3)).await;
        depot.break_archive("PutObject", ARCHIVE, None, Fault::Latency { ms: 30 });
        depot.break_archive("CopyObject", ARCHIVE, None, Fault::Stall);
        let mut child = depot.begin(&["run"]);
        // The large content is whole and not under its digest yet; small ones are there that no note tells of.
        let settled =
            |depot: &Depot| depot.archive.effects("CompleteMultipartUpload", "/apilos/uploads/") > 0;
        depot.eventually("the large content", settled).await;
        depot.eventually("small contents", |depot| contents(depot) > 100).await;
        child.kill().await.expect("it dies");
        depot.mend();
        let record = depot.take().await;
        equals_the_bucket(depot, &run_of(&record), |key| (key != LARGE).then(|| body(key))).await;
        depot.must(&["verify", "--depth", "full"]).await;
        // It may not delete; what was on its way stays until somebody prunes who may.
        assert!(!depot.archive.list(ARCHIVE, "apilos/uploads/").await.is_empty());
        depot.archive_as(&depot.archive.owner().clone());
        let until = Utc::now() + TimeDelta::milliseconds(1_100);
        depot.eventually("the end of the grace period", |_| Utc::now() > until).await;
        let pruned = depot.must(&["prune", "--yes"]).await;
        assert_ne!(pruned["leftovers"], 0, "{pruned}");
        assert_eq!(depot.archive.list(ARCHIVE, "apilos/uploads/").await, [], "{pruned}");
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_between_manifest_record_and_row_leaves_nothing_that_is_written_twice() {
    play(&Plan::example(), async |depot| {
        depot.archive_as(&depot.archive.adder().clone());
        depot.source.put(PRODUCTION, "a", body("a")).await;
        // Between the manifest and the record: the run goes on under another name, with what has changed since.
        depot.break_archive("PutObject", "/apilos/runs/", None, Fault::Stall);
        let mut child = depot.begin(&["run"]);
        depot.eventually("the record", |depot| depot.faults_played() > 0).await;
        child.kill().await.expect("it dies");
        depot.mend();
        depot.source.put(PRODUCTION, "b", body("b")).await;
        let first = depot.take().await;
        assert_eq!(first["manifest"]["objects"], 2);
        assert_eq!(
            depot.archive.list(ARCHIVE, "apilos/manifests/").await.len(),
            2,
            "the leftover and the run's own"
        );
        // Between the record and our row: the run is whole, and what is asked for now is another one.
        depot.break_archive("PutObject", "/apilos/runs/", Some(1), Fault::DropAfter);
        let lost = depot.archive(&["run"]).await;
        let second = depot.take().await;
        let runs: Vec<String> =
            depot.archive.list(ARCHIVE, "apilos/runs/").await.into_iter().map(|(key, _)| key).collect();
        let rows = depot.must(&["list"]).await;
        let rows: Vec<_> = rows.as_array().expect("rows").iter().rev().collect();
        assert_eq!(rows.len(), runs.len(), "{lost:?}: {rows:?}");
        for (row, key) in rows.iter().zip(&runs) {
            assert_eq!(
                (&row["phase"], key.contains(row["run"].as_str().expect("a run"))),
                (&"Complete".into(), true)
            );
        }
        assert_eq!(rows.last().map(|row| &row["run"]), Some(&second["run"]));
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_at_once_are_one_too_many_and_the_second_is_told() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", Bytes::from_static(b"a")).await;
        depot.break_source("GetObject", "/a", Some(1), Fault::Stall);
        let mut first = depot.begin(&["run"]);
        depot.eventually("the first at work", |depot| depot.faults_played() > 0).await;
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("another process works on the archive of plan apilos"), "{said}");
        let said = depot.fails(&["prune", "--yes"]).await;
        assert!(said.contains("another process works on the archive of plan apilos"), "{said}");
        first.kill().await.expect("it dies");
        depot.mend();
        // Its turn ends with it.
        depot.take().await;
    })
    .await;
}

/// Numbers of contents at which death comes: anywhere in the run, drawn once and for all.
fn moments() -> Vec<usize> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut drawn: Vec<usize> = (0..DEATHS)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % (OBJECTS as u64 * 9 / 10)).unwrap_or_default()
        })
        .collect();
    drawn.sort_unstable();
    drawn
}

/// Small contents that were written to the archive, each time counted.
fn contents(depot: &Depot) -> usize {
    depot.archive.effects("PutObject", "/apilos/objects/")
}

/// The manifest of `run` names what lies in the production bucket, and the archive holds it.
/// What lies under a key is told by `content`, where that knows it.
async fn equals_the_bucket(depot: &Depot, run: &str, content: impl Fn(&str) -> Option<Bytes>) {
    let there: BTreeMap<String, i64> = depot.source.list(PRODUCTION, "").await.into_iter().collect();
    let held: BTreeMap<String, i64> =
        depot.archive.list(ARCHIVE, "apilos/objects/").await.into_iter().collect();
    let mut named = BTreeMap::new();
    for line in depot.manifest(run).await {
        let (key, size) = (line["key"].as_str().expect("a key"), line["size"].as_i64().expect("a size"));
        let digest = line["sha256"].as_str().expect("a digest");
        assert_eq!(held.get(&format!("apilos/objects/{digest}")), Some(&size), "{key}");
        if let Some(content) = content(key) {
            assert_eq!(digest, hex::encode(Sha256::digest(content)), "{key} has the content of another one");
        }
        named.insert(key.to_owned(), size);
    }
    assert_eq!(named, there);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_a_death_cut_off_are_ended_by_the_run_that_goes_on() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, LARGE, noise(40 << 20, 6)).await;
        depot.break_archive("UploadPart", ARCHIVE, None, Fault::Stall);
        let mut child = depot.begin(&["run"]);
        depot.eventually("a part", |depot| depot.faults_played() > 0).await;
        child.kill().await.expect("it dies");
        depot.mend();
        let begun = async || {
            let listed = depot.archive.client().list_multipart_uploads().bucket(ARCHIVE).send().await;
            listed.expect("uploads").uploads().len()
        };
        assert_eq!(begun().await, 1);
        depot.take().await;
        assert_eq!(begun().await, 0, "what was cut off is billed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_goes_on_from_its_last_part_after_a_death() {
    play(&Plan::example(), async |depot| {
        // Five parts; the third is on its way when the run dies.
        let content = noise(72 << 20, 16);
        depot.source.put(PRODUCTION, LARGE, content.clone()).await;
        depot.stall_parts_after("s3-archive", ARCHIVE, 2);
        let mut child = depot.begin(&["run"]);
        depot.eventually("the third part", |depot| depot.faults_played() > 0).await;
        child.kill().await.expect("it dies");
        depot.mend();
        let record = depot.take().await;
        equals_the_bucket(depot, &run_of(&record), |_| Some(content.clone())).await;
        assert_eq!(depot.archive.effects("UploadPart", ARCHIVE), 5, "a part was sent twice");
        // Three parts, a look whether it is the same object still, and its access control list.
        assert_eq!(record["cost"]["source.get"], 5, "{record}");
        assert_eq!(depot.daemon.records().column("SELECT key FROM uploads").await, [""; 0]);
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}
