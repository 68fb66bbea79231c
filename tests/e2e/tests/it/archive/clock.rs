//! Clocks that are wrong.

use chrono::{TimeDelta, Utc};
use reprise_e2e::depot::{PRODUCTION, play};
use reprise_e2e::plan::Plan;

use super::{body, plant, run_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_run_by_a_clock_that_was_an_hour_ahead_the_next_one_is_the_newest_all_the_same() {
    play(&Plan::example(), async |depot| {
        for key in ["a", "b", "c"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let first = run_of(&depot.take().await);
        let ahead = format!("{}-0000001234", (Utc::now() + TimeDelta::hours(1)).format("%Y%m%dT%H%M%SZ"));
        plant(depot, &ahead, &depot.manifest(&first).await).await;
        depot.source.put(PRODUCTION, "d", body("d")).await;
        let record = depot.take().await;
        assert!(run_of(&record) > ahead, "{record}");
        assert_eq!(record["previous"]["run"], *ahead);
        assert_eq!((&record["changes"]["added"], &record["changes"]["before"]), (&1.into(), &3.into()));
        let again = depot.take().await;
        assert_eq!((run_of(&again) > run_of(&record), &again["previous"]["run"]), (true, &record["run"]));
        depot.source.bucket("back", false, false).await;
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!((&restored["run"], &restored["objects"]), (&again["run"], &4.into()));
        assert_eq!(depot.must(&["list"]).await[0]["run"], again["run"]);
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}
