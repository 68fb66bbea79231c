//! Runs that somebody took out of the archive: no listing shows what is missing from it.

use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use serde_json::Value;

use super::{body, run_of};

fn parts(run: &str) -> [String; 2] {
    [format!("apilos/runs/{run}.json"), format!("apilos/manifests/{run}.jsonl.zst")]
}

async fn lose(depot: &Depot, run: &str) {
    for key in parts(run) {
        depot.archive.delete(ARCHIVE, &key).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_gone_is_missed_and_is_one_again_when_it_is_back() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let first = run_of(&depot.take().await);
        depot.source.put(PRODUCTION, "b", body("b")).await;
        let second = run_of(&depot.take().await);
        let mut kept = Vec::new();
        for key in parts(&second) {
            kept.push((depot.archive.get(ARCHIVE, &key).await, key));
        }
        lose(depot, &second).await;

        // Told for as long as it is so.
        for _ in 0..2 {
            let said = depot.archive(&["verify"]).await;
            let verified = said.json();
            assert_eq!((said.code, &verified["run"]), (1, &Value::from(first.clone())), "{verified}");
            let told = verified["beside"][0].as_str().unwrap_or_default();
            assert!(told.starts_with(&format!("run {second} is lost: apilos/runs/")), "{verified}");
        }
        let rows = depot.must(&["list"]).await;
        assert!(rows[0]["damaged"].as_str().is_some_and(|why| why.contains("no more")), "{rows}");
        assert_eq!((&rows[1]["run"], &rows[1]["damaged"]), (&Value::from(first.clone()), &Value::Null));

        // Somebody found the versions that were deleted.
        for (content, key) in kept {
            depot.archive.put(ARCHIVE, &key, content).await;
        }
        assert_eq!(depot.must(&["verify", "--depth", "full"]).await["run"], second.as_str());
        assert_eq!(depot.must(&["list"]).await[0]["damaged"], Value::Null);

        // Whoever took it out on purpose says so.
        lose(depot, &second).await;
        assert_eq!(depot.archive(&["verify"]).await.code, 1);
        let accepted = depot.must(&["accept", &second]).await;
        assert_eq!(accepted["forgotten"], true, "{accepted}");
        assert_eq!(depot.must(&["verify"]).await["beside"], serde_json::json!([]));

        // Where none is left, it is said which there were.
        lose(depot, &first).await;
        let said = depot.fails(&["verify"]).await;
        assert!(said.contains("no usable run") && said.contains(&format!("run {first} is lost")), "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_misses_a_run_that_was_pruned() {
    let one = Plan::example().with(
        "retention: { last: 4, weekly: 8, monthly: 12, yearly: 3 }",
        "retention: { last: 1, weekly: 0, monthly: 0, yearly: 0 }",
    );
    play(&one, async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let first = run_of(&depot.take().await);
        depot.take().await;
        depot.must(&["verify", "--depth", "full"]).await;
        depot.must(&["prune", "--yes"]).await;
        assert!(depot.archive.list(ARCHIVE, &parts(&first)[0]).await.is_empty());
        let verified = depot.must(&["verify"]).await;
        assert_eq!(
            (&verified["beside"], &verified["known"]),
            (&serde_json::json!([]), &serde_json::json!([]))
        );
    })
    .await;
}
