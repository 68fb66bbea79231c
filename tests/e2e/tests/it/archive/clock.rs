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

/// What sets the clock of a program wrong that is started with it.
fn wrong_clock() -> String {
    let mut folders = std::fs::read_dir("/usr/lib").expect("libraries").flatten();
    let library = folders.find_map(|folder| {
        let library = folder.path().join("faketime/libfaketimeMT.so.1");
        library.exists().then(|| library.display().to_string())
    });
    library.expect("faketime, which `make setup` installs")
}

/// What makes the clock of a daemon ten minutes fast: less than vendors mind.
pub(crate) fn ten_minutes_ahead() -> [(&'static str, String); 3] {
    [
        ("LD_PRELOAD", wrong_clock()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME", "+10m".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_clock_is_an_hour_off_is_told_so_and_archives_when_it_is_right() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let first = run_of(&depot.take().await);
        depot.daemon.set("LD_PRELOAD", &wrong_clock());
        // What waits goes on by another clock, which is right.
        depot.daemon.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        for off in ["+1h", "-1h"] {
            depot.daemon.set("FAKETIME", off);
            let said = depot.fails(&["run"]).await;
            assert!(
                said.contains("RequestTimeTooSkewed") && said.contains("this machine's clock"),
                "{off}: {said}"
            );
            let said = depot.fails(&["restore", "--to-bucket", "back"]).await;
            assert!(said.contains("this machine's clock"), "{off}: {said}");
        }
        for name in ["LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC"] {
            depot.daemon.unset(name);
        }
        let second = depot.take().await;
        assert_eq!(
            (&second["previous"]["run"], &second["changes"]["bytes"]),
            (&first.into(), &0.into()),
            "{second}"
        );
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}
