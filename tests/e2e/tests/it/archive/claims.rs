//! What stores say of their objects is held against what they send; where it says nothing, bytes are read.

use reprise_e2e::depot::{ARCHIVE, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;
use serde_json::Value;

use super::damage::turn_a_bit;
use super::{body, noise, run_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_have_rotted_at_the_source_cost_themselves_and_are_told() {
    play(&Plan::example(), async |depot| {
        let all =
            [("rotten", body("rotten")), ("rotten-and-large", noise(20 << 20, 5)), ("whole", body("whole"))];
        depot.source.seed(PRODUCTION, all.map(|(key, body)| (key.to_owned(), body)).into_iter()).await;
        depot.break_source("GetObject", "/rotten", None, Fault::Corrupt);
        let record = depot.take().await;
        let missing = record["missing"].to_string();
        for key in ["`rotten`: ", "`rotten-and-large`: "] {
            assert!(missing.contains(key) && missing.contains("checksum"), "{key} is not told: {record}");
        }
        let keys = async |record: &Value| -> Vec<String> {
            let lines = depot.manifest(&run_of(record)).await;
            lines.iter().map(|line| line["key"].as_str().expect("a key").to_owned()).collect()
        };
        assert_eq!(keys(&record).await, ["whole"]);
        depot.mend();
        assert_eq!(keys(&depot.take().await).await, ["rotten", "rotten-and-large", "whole"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_breaks_off_each_time_costs_itself_on_the_way_in_and_out() {
    play(&Plan::example(), async |depot| {
        for key in ["cut", "other", "whole"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.source.put(PRODUCTION, "cut-and-large", noise(20 << 20, 3)).await;
        let cut = Fault::Truncate { bytes: 3 };
        depot.break_source("GetObject", "/cut", None, cut.clone());
        let record = depot.take().await;
        for key in ["`cut`: ", "`cut-and-large`: "] {
            let told = format!("{key}it breaks off each time");
            assert!(record["missing"].to_string().contains(&told), "{told}: {record}");
        }
        assert_eq!(record["manifest"]["objects"], 2, "{record}");
        depot.mend();
        let run = run_of(&depot.take().await);
        let lines = depot.manifest(&run).await;
        let content = |key: &str| {
            let line = lines.iter().find(|line| line["key"] == key).expect("its line");
            format!("apilos/objects/{}", line["sha256"].as_str().expect("a digest"))
        };
        // One breaks off, and of another one the archive's store says itself that its bytes are others.
        for key in ["cut", "cut-and-large"] {
            depot.break_archive("GetObject", &content(key), None, cut.clone());
        }
        depot.break_archive("GetObject", &content("other"), None, Fault::Corrupt);
        depot.source.bucket("back", false, false).await;
        let said = depot.archive(&["restore", "--to-bucket", "back"]).await;
        let restored = said.json();
        assert_eq!((said.code, &restored["copied"]), (1, &1.into()), "{restored}{}", said.err);
        assert_eq!((&restored["damaged"], &restored["cut"]), (&1.into(), &2.into()), "{restored}");
        let told = restored["differences"].to_string();
        for key in ["cut", "cut-and-large", "other"] {
            assert!(told.contains(&format!("{key} does not come back")), "{key}: {told}");
        }
        assert_eq!(depot.source.get("back", "whole").await, body("whole"));
        // What only broke off is no damage; what the store gives as other bytes is, and is put again.
        depot.mend();
        depot.take().await;
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!((&restored["copied"], &restored["skipped"]), (&3.into(), &1.into()), "{restored}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_content_is_not_handed_on_by_the_store_itself() {
    play(&Plan::example(), async |depot| {
        depot.under_one_roof().await;
        // Its entity tag is no MD5, so that nothing but its bytes tells of them.
        depot.source.put_in_parts(PRODUCTION, "in parts", noise(100_000, 7)).await;
        depot.source.put(PRODUCTION, "plain", body("plain")).await;
        let run = run_of(&depot.take().await);
        let lines = depot.manifest(&run).await;
        let damaged = lines.iter().find(|line| line["key"] == "in parts").expect("its line");
        assert!(damaged["etag"].as_str().is_some_and(|etag| etag.ends_with("-1")), "{damaged}");
        turn_a_bit(depot, &format!("apilos/objects/{}", damaged["sha256"].as_str().expect("a digest"))).await;
        depot.archive.bucket("back", false, false).await;
        let copies = depot.archive.effects("CopyObject", "/back/");
        let said = depot.fails(&["restore", "--server-side", "--to-bucket", "back"]).await;
        assert!(said.contains("in parts") && said.contains("SHA-256"), "{said}");
        assert_eq!(depot.archive.effects("CopyObject", "/back/") - copies, 1, "the other one");
        let there: Vec<_> = depot.archive.list("back", "").await.into_iter().map(|(key, _)| key).collect();
        assert_eq!(there, ["plain"]);
        assert_eq!(depot.archive.list(ARCHIVE, "apilos/runs/").await.len(), 1);
    })
    .await;
}
