//! Damage in the archive itself: found, named, contained, and healed where the source still has what was lost.

use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play, with};
use reprise_e2e::plan::Plan;
use serde_json::Value;

use super::{body, run_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_with_one_bit_turned_is_named_and_harms_no_other_run() {
    play(&Plan::example(), async |depot| {
        for key in ["a", "b", "c"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let first = run_of(&depot.take().await);
        depot.source.put(PRODUCTION, "d", body("d")).await;
        let second = run_of(&depot.take().await);
        let manifest = format!("apilos/manifests/{second}.jsonl.zst");
        turn_a_bit(depot, &manifest).await;

        let said = depot.fails(&["verify", "--run", &second, "--depth", "listing"]).await;
        assert!(said.contains(&manifest) && said.contains("its SHA-256 is"), "{said}");
        let rows = depot.must(&["list"]).await;
        assert!(rows[0]["damaged"].as_str().is_some_and(|why| why.contains(&manifest)), "{rows}");
        assert_eq!((&rows[1]["run"], &rows[1]["damaged"]), (&Value::from(first.clone()), &Value::Null));
        depot.source.bucket("back", false, false).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["run"], first.as_str());
        let said = depot.fails(&["restore", "--to-bucket", "back", "--run", &second]).await;
        assert!(said.contains("is damaged"), "{said}");
        let said = depot.fails(&["prune", "--yes"]).await;
        assert!(said.contains("nothing is pruned") && said.contains(&second), "{said}");

        // The next run starts from the last whole one, and is whole.
        let third = depot.take().await;
        assert_eq!(third["previous"]["run"], first.as_str());
        assert_eq!((&third["changes"]["added"], &third["manifest"]["objects"]), (&1.into(), &4.into()));
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_that_is_gone_costs_its_run_and_stops_nothing() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let first = run_of(&depot.take().await);
        let second = run_of(&depot.take().await);
        let manifest = format!("apilos/manifests/{second}.jsonl.zst");
        depot.archive.delete(ARCHIVE, &manifest).await;
        let said = depot.fails(&["verify", "--run", &second]).await;
        assert!(said.contains(&format!("{manifest}: it is missing")), "{said}");
        depot.source.bucket("back", false, false).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["run"], first.as_str());
        let said = depot.fails(&["prune", "--yes"]).await;
        assert!(said.contains("nothing is pruned") && said.contains(&manifest), "{said}");
        assert_eq!(depot.take().await["previous"]["run"], first.as_str());
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_manifest_of_a_run_whose_time_is_over_is_not_swept_with_it() {
    let one = "retention: { last: 1, weekly: 0, monthly: 0, yearly: 0 }";
    play(&with(&[one]), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let first = run_of(&depot.take().await);
        depot.take().await;
        let manifest = format!("apilos/manifests/{first}.jsonl.zst");
        turn_a_bit(depot, &manifest).await;
        let said = depot.fails(&["prune", "--yes"]).await;
        assert!(said.contains("nothing is pruned") && said.contains(&manifest), "{said}");
        depot.archive.get(ARCHIVE, &manifest).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_an_old_run_names_harms_that_run_alone_when_it_is_damaged() {
    play(&Plan::example(), async |depot| {
        let keys: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        for key in &keys {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let first = run_of(&depot.take().await);
        let lines = depot.manifest(&first).await;
        let content = |n: usize| format!("apilos/objects/{}", lines[n]["sha256"].as_str().expect("a digest"));
        for key in &keys[..3] {
            depot.source.delete(PRODUCTION, key).await;
        }
        let second = run_of(&depot.take().await);
        turn_a_bit(depot, &content(0)).await;
        depot.archive.delete(ARCHIVE, &content(1)).await;
        depot.archive.put(ARCHIVE, &content(2), "x").await;

        // Twice: what is missing is forgotten by then, and still told.
        for _ in 0..2 {
            let said = depot.archive(&["verify", "--depth", "full"]).await;
            let verified = said.json();
            assert_eq!((said.code, &verified["run"]), (1, &Value::from(second.clone())), "{verified}");
            assert_eq!(verified["findings"], serde_json::json!([]), "the run is whole: {verified}");
            assert_eq!((&verified["objects"], &verified["objects_read"]), (&17.into(), &17.into()));
            let beside = verified["beside"][0].as_str().unwrap_or_default();
            assert!(beside.contains(&format!("run {first} is damaged: {}", content(0))), "{verified}");
        }
        let rows = depot.must(&["list"]).await;
        assert_eq!((&rows[0]["damaged"], &rows[0]["verifiedDepth"]), (&Value::Null, &Value::from("full")));
        for n in 0..3 {
            assert!(rows[1]["damaged"].as_str().is_some_and(|why| why.contains(&content(n))), "{rows}");
        }
        // It is told where alerts are made of it, and nothing stands still for it.
        assert_eq!(rows[0]["lost"].as_array().map(Vec::len), Some(1), "{rows}");
        depot.must(&["prune", "--yes"]).await;
        for bucket in ["back", "then"] {
            depot.source.bucket(bucket, false, false).await;
        }
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["run"], second.as_str());
        let said = depot.archive(&["restore", "--to-bucket", "then", "--run", &first]).await;
        assert_eq!((said.code, &said.json()["copied"], &said.json()["damaged"]), (1, &17.into(), &3.into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_a_restore_meets_first_is_on_record_from_then_on() {
    play(&Plan::example(), async |depot| {
        for key in ["bitten", "whole"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let run = run_of(&depot.take().await);
        let lines = depot.manifest(&run).await;
        let bitten = format!("apilos/objects/{}", lines[0]["sha256"].as_str().expect("a digest"));
        turn_a_bit(depot, &bitten).await;
        depot.source.bucket("back", false, false).await;
        let said = depot.archive(&["restore", "--to-bucket", "back"]).await;
        assert_eq!((said.code, &said.json()["copied"], &said.json()["damaged"]), (1, &1.into(), &1.into()));
        let rows = depot.must(&["list"]).await;
        assert!(rows[0]["damaged"].as_str().is_some_and(|why| why.contains(&bitten)), "{rows}");
        // A recovery, which reads a list alone, passes it over; and the next run puts it again.
        let said = depot.fails(&["verify", "--depth", "listing"]).await;
        assert!(said.contains(&bitten), "{said}");
        depot.take().await;
        depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!(depot.source.get("back", "bitten").await, body("bitten"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_with_one_bit_turned_is_named_and_harms_no_other_run() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let first = run_of(&depot.take().await);
        let second = run_of(&depot.take().await);
        let record = format!("apilos/runs/{second}.json");
        // Still well formed: only who knows what was written can tell.
        let text = String::from_utf8(depot.archive.get(ARCHIVE, &record).await.to_vec()).expect("text");
        assert!(text.contains("\"replaced\": 0"), "{text}");
        depot.archive.put(ARCHIVE, &record, text.replace("\"replaced\": 0", "\"replaced\": 1")).await;
        let said = depot.fails(&["verify", "--run", &second]).await;
        assert!(said.contains(&record) && said.contains("not what was written"), "{said}");
        let said = depot.fails(&["prune", "--yes"]).await;
        assert!(said.contains("nothing is pruned") && said.contains(&second), "{said}");
        let third = depot.take().await;
        assert_eq!(third["previous"]["run"], first.as_str());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_and_lost_contents_are_found_and_healed_by_the_next_run() {
    play(&Plan::example(), async |depot| {
        for key in ["bitten", "lost", "short", "whole"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let first = run_of(&depot.take().await);
        let second = run_of(&depot.take().await);
        let lines = depot.manifest(&first).await;
        let content = |key: &str| {
            let line = lines.iter().find(|line| line["key"] == key).expect("a line");
            format!("apilos/objects/{}", line["sha256"].as_str().expect("a digest"))
        };
        turn_a_bit(depot, &content("bitten")).await;
        depot.archive.delete(ARCHIVE, &content("lost")).await;
        depot.archive.put(ARCHIVE, &content("short"), "x").await;

        // The listing shows what is missing or has another size; only reading shows what was changed.
        let said = depot.fails(&["verify", "--depth", "listing"]).await;
        assert!(said.contains(&content("lost")) && said.contains(&content("short")), "{said}");
        assert!(!said.contains(&content("bitten")) && !said.contains(&content("whole")), "{said}");
        let said = depot.fails(&["verify", "--run", &second, "--depth", "full"]).await;
        for key in ["bitten", "short"] {
            assert!(said.contains(&format!("{} is damaged", content(key))), "{key}: {said}");
        }
        // Both runs name them: neither passes for whole.
        let rows = depot.must(&["list"]).await;
        for run in [&first, &second] {
            let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["run"] == **run));
            assert!(row.is_some_and(|row| row["damaged"].is_string()), "{run}: {rows}");
        }
        depot.source.bucket("back", false, false).await;
        // None is whole, so that the newest gives what is whole of it, and says what is not.
        let said = depot.archive(&["restore", "--to-bucket", "back"]).await;
        let partly = said.json();
        assert_eq!((said.code, &partly["run"]), (1, &Value::from(second.clone())), "{partly}");
        assert_eq!(
            (&partly["copied"], &partly["skipped"], &partly["damaged"]),
            (&1.into(), &0.into(), &3.into())
        );
        let told: Vec<_> = partly["differences"].as_array().expect("differences").iter().collect();
        for (told, key) in told.iter().zip(["bitten", "lost", "short"]) {
            let why = told.as_str().expect("a sentence");
            assert!(why.starts_with(&format!("{key} does not come back: {}", content(key))), "{why}");
        }
        assert_eq!(told.len(), 3, "{partly}");
        assert_eq!(depot.source.list("back", "").await.len(), 1, "nothing of another digest is handed on");

        // The source still has them; nothing that is whole is written again.
        let written = depot.archive.effects("PutObject", "/apilos/objects/");
        let third = depot.take().await;
        assert_eq!(third["changes"]["added"], 0);
        assert_eq!(depot.archive.effects("PutObject", "/apilos/objects/") - written, 3);
        let verified = depot.must(&["verify", "--depth", "full"]).await;
        assert_eq!((&verified["run"], &verified["read"]), (&third["run"], &4.into()));
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!((&restored["run"], &restored["copied"]), (&third["run"], &3.into()));
        // The older runs name the same contents: they are whole again too.
        depot.must(&["verify", "--run", &first, "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_the_listing_shows_too_short_is_put_again_by_the_next_run() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "short", body("short")).await;
        let line = depot.manifest(&run_of(&depot.take().await)).await.remove(0);
        let key = format!("apilos/objects/{}", line["sha256"].as_str().expect("a digest"));
        depot.archive.put(ARCHIVE, &key, "x").await;
        depot.fails(&["verify", "--depth", "listing"]).await;
        depot.take().await;
        assert_eq!(depot.archive.get(ARCHIVE, &key).await, body("short"));
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_pruned_while_a_copied_dump_cannot_be_told_to_need_it() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        depot.take().await;
        let record = "apilos/dumps/20261128T021500Z-deadbeef.json";
        depot.archive.put(ARCHIVE, record, "{ \"format\": \"reprise-archive/1\", ").await;
        let said = depot.fails(&["prune", "--yes"]).await;
        assert!(said.contains("nothing is pruned") && said.contains(record), "{said}");
        let said = depot.fails(&["verify"]).await;
        assert!(said.contains(record), "{said}");
        let rows = depot.must(&["list"]).await;
        assert_eq!(rows[0]["damaged"], Value::Null, "the objects are whole: {rows}");
        // It is told where alerts are made of it.
        let lacks = "SELECT status ->> 'lost' FROM archives";
        depot.sees(lacks, |lost| lost[0].contains(record)).await;
        depot.archive.delete(ARCHIVE, record).await;
        depot.must(&["prune", "--yes"]).await;
        depot.must(&["verify"]).await;
        assert_eq!(
            depot.daemon.records().column("SELECT (status ? 'lost')::text FROM archives").await,
            ["false"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_record_was_written_anew_is_told_by_the_run_after_it() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let first = run_of(&depot.take().await);
        let second = run_of(&depot.take().await);
        // As somebody would who wants a run to be another one, and has its digest right.
        let lines = depot.manifest(&first).await;
        super::plant(depot, &first, &lines).await;
        depot.daemon.records().execute("DELETE FROM archives WHERE run LIKE '%'").await;
        let said = depot.fails(&["verify", "--run", &second, "--depth", "listing"]).await;
        assert!(
            said.contains(&format!("run {first}: its record is not the one that run {second} names")),
            "{said}"
        );
    })
    .await;
}

/// Turns one bit of an object of the archive.
pub(super) async fn turn_a_bit(depot: &Depot, key: &str) {
    let mut bytes = depot.archive.get(ARCHIVE, key).await.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    depot.archive.put(ARCHIVE, key, bytes).await;
}
