//! A plan is told another place for its archive: nothing that lies in the old one counts as being in the new one.

use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;

use super::{body, run_of};

pub(super) const ELSEWHERE: &str = "apilos-elsewhere";

pub(super) async fn move_away(depot: &Depot) {
    depot.archive.bucket(ELSEWHERE, false, false).await;
    depot
        .daemon
        .apply(&Plan::example().with(&format!("bucket: {ARCHIVE}"), &format!("bucket: {ELSEWHERE}")))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_copied_to_the_new_place_and_old_runs_no_longer_count() {
    play(&Plan::example(), async |depot| {
        for key in ["a", "b"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let old = run_of(&depot.take().await);
        depot.must(&["verify", "--depth", "full"]).await;
        move_away(depot).await;
        let new = depot.take().await;
        assert_eq!(new["changes"]["added"], 2, "{new}");
        assert_eq!(depot.archive.list(ELSEWHERE, "apilos/objects/").await.len(), 2);
        let rows = depot.must(&["list"]).await;
        let old = rows.as_array().expect("rows").iter().find(|row| row["run"] == *old).expect("the old run");
        assert!(old["damaged"].as_str().is_some_and(|why| why.contains("where the archive was")), "{old}");
        let verified = "reprise_archive_verified_timestamp_seconds{plan=\"apilos\"}";
        assert_eq!(depot.daemon.metric(verified).await, None, "nothing of the new place was read back");
        let old = old["run"].as_str().expect("a run").to_owned();
        // That the old ones were read back says nothing of the new ones.
        assert_eq!(depot.must(&["verify", "--depth", "listing"]).await["covered"], 0);
        depot.must(&["verify", "--depth", "full"]).await;
        assert!(depot.shows(verified).await.is_some());

        // And back: what was left behind is there again, and what came after it no longer is.
        depot.daemon.apply(&Plan::example()).await;
        depot.take().await;
        let rows = depot.must(&["list"]).await;
        let damaged = |run: &str| {
            rows.as_array().expect("rows").iter().any(|row| row["run"] == run && !row["damaged"].is_null())
        };
        assert!(!damaged(&old) && damaged(&run_of(&new)), "{rows}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_cut_off_in_the_old_place_begins_again_in_the_new_one() {
    play(&Plan::example(), async |depot| {
        for key in ["a", "b", "c"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.break_source("GetObject", "/c", None, Fault::Stall);
        let mut child = depot.begin(&["run"]);
        // What was copied is noted, and lies in the old place.
        depot.sees("SELECT key FROM archive_progress", |keys| keys.len() == 2).await;
        child.kill().await.expect("it dies");
        depot.mend();
        move_away(depot).await;
        depot.take().await;
        assert_eq!(depot.archive.list(ELSEWHERE, "apilos/objects/").await.len(), 3);
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}
