//! The guard against archiving the damage.

use reprise_e2e::depot::{Depot, PRODUCTION, play, with};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;
use serde_json::Value;

use super::{body, noise, run_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mass_deletion_is_archived_marked_and_not_preferred_until_somebody_accepts_it() {
    let plan = with(&["retention: { last: 1, weekly: 0, monthly: 0, yearly: 0, grace: 1s }"]);
    play(&plan, async |depot| {
        let key = |n: usize| format!("documents/{n:02}");
        for n in 0..20 {
            depot.source.put(PRODUCTION, &key(n), body(&key(n))).await;
        }
        let zeroth = run_of(&depot.take().await);
        let good = run_of(&depot.take().await);
        for n in 0..10 {
            depot.source.delete(PRODUCTION, &key(n)).await;
        }
        let record = depot.take().await;
        let why = record["suspicious"][0].as_str().expect("a reason").to_owned();
        assert!(why.contains("10 of 20 objects (50.0 %) were deleted; the plan allows 20 %"), "{why}");
        // The run after it finds nothing changed, and does not look innocent for that.
        let after = depot.take().await;
        assert!(after["suspicious"][0].as_str().is_some_and(|why| why.contains(&good)), "{after}");

        depot.source.bucket("back", false, false).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["run"], good.as_str());
        assert_eq!(depot.source.list("back", "").await.len(), 20);
        let pruned = depot.must(&["prune", "--yes"]).await;
        let frozen = |run: &Value| run["keptBy"].to_string().contains("frozen");
        assert!(pruned["runs"].as_array().expect("runs").iter().all(frozen), "{pruned}");
        assert!(
            depot.sees_metric("reprise_archive_suspicious{plan=\"apilos\"}", 1.0).await,
            "no alert would come"
        );

        // Accepting the older of the two is not enough: the newest is still marked.
        let accept = async |run: &str| depot.archive(&["accept", run]).await.code;
        assert_eq!(accept(&run_of(&record)).await, 0);
        assert_eq!(accept(&run_of(&after)).await, 0);
        assert_eq!(accept("20010101T000000Z-000000").await, 3);
        let last = depot.take().await;
        assert_eq!(last["suspicious"], Value::Null, "{last}");
        let restored = depot.must(&["restore", "--to-bucket", "back", "--to-prefix", "now/"]).await;
        assert_eq!((&restored["run"], &restored["objects"]), (&last["run"], &10.into()));
        depot.must(&["verify"]).await;
        let pruned = depot.must(&["prune", "--yes"]).await;
        let runs = pruned["runs"].as_array().expect("runs").clone();
        let kept: Vec<_> = runs.iter().filter(|run| run["keptBy"] != serde_json::json!([])).collect();
        assert_eq!(kept.len(), 1, "{pruned}");
        assert!(runs.iter().any(|run| run["run"] == *zeroth), "{pruned}");
    })
    .await;
}

/// What lies in a text of that number.
fn text(n: usize) -> String {
    format!("line {n} of a text that could well be shorter\n").repeat(200)
}

/// A run of forty texts, of which three are other bytes by now.
async fn three_of_forty_texts_turn_into_noise(depot: &Depot) {
    for n in 0..40 {
        depot.source.put(PRODUCTION, &format!("{n:02}.txt"), text(n)).await;
    }
    depot.take().await;
    for n in 0_u32..3 {
        depot.source.put(PRODUCTION, &format!("{n:02}.txt"), noise(8_192, u64::from(n) + 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_texts_that_turn_into_noise_are_enough() {
    play(&Plan::example(), async |depot| {
        three_of_forty_texts_turn_into_noise(depot).await;
        let record = depot.take().await;
        assert_eq!(record["changes"]["scrambled"], 3, "{record}");
        let why = record["suspicious"][0].as_str().unwrap_or_default();
        assert!(why.contains("3 of 40") && why.contains("noise"), "{record}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_turned_into_noise_before_a_cut_is_counted_after_it() {
    play(&Plan::example(), async |depot| {
        three_of_forty_texts_turn_into_noise(depot).await;
        depot.source.put(PRODUCTION, "new.txt", text(41)).await;
        depot.break_source("GetObject", "/new.txt", None, Fault::Stall);
        let mut child = depot.begin(&["run"]);
        depot.sees("SELECT key FROM archive_progress", |keys| keys.len() == 3).await;
        child.kill().await.expect("it dies");
        depot.mend();
        let record = depot.take().await;
        let changes = &record["changes"];
        let bytes = 3 * 8_192 + text(41).len();
        assert_eq!(
            (&changes["scrambled"], &changes["rewritten"], &changes["bytes"]),
            (&3.into(), &3.into(), &bytes.into()),
            "{record}"
        );
        assert!(record["suspicious"][0].as_str().is_some_and(|why| why.contains("noise")), "{record}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_copied_by_itself_is_suspected_when_it_is_read() {
    play(&with(&["mode: server-side"]), async |depot| {
        depot.under_one_roof().await;
        three_of_forty_texts_turn_into_noise(depot).await;
        depot.must(&["verify", "--depth", "full"]).await;
        let good = depot.must(&["list"]).await[0]["run"].clone();
        let record = depot.take().await;
        let run = run_of(&record);
        assert_eq!(record["suspicious"], Value::Null, "nobody has read it yet: {record}");
        // Another night, in which nothing changed.
        let (between, run) = (run, run_of(&depot.take().await));
        let said = depot.fails(&["verify", "--depth", "full"]).await;
        assert!(
            said.contains("is suspicious") && said.contains("3 turned into what looks like noise"),
            "{said}"
        );
        let row = depot.must(&["list"]).await[0].clone();
        assert_eq!((&row["run"], &row["suspicious"]), (&run.as_str().into(), &true.into()), "{row}");
        assert!(row["suspicions"][0].as_str().is_some_and(|why| why.contains("of all 3")), "{row}");
        let before = depot.must(&["list"]).await[1].clone();
        assert_eq!(
            (&before["run"], &before["suspicious"]),
            (&between.as_str().into(), &true.into()),
            "{before}"
        );
        depot.archive.bucket("back", false, false).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["run"], good);
        // The next run is no more innocent for having the same; and what somebody accepted is not suspected again.
        let after = depot.take().await;
        assert!(after["suspicious"][0].as_str().is_some_and(|why| why.contains("noise")), "{after}");
        for run in [between, run, run_of(&after)] {
            assert_eq!(depot.archive(&["accept", &run]).await.code, 0);
        }
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}
