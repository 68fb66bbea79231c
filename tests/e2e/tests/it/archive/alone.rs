//! One object or content that a store does not give, or does not take: it costs itself, is told, and keeps no other from anything.

use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;

use super::{body, run_of};

fn answer(status: u16) -> Fault {
    Fault::Status { status, body: None, retry_after: None }
}

/// Archives `a`, `b` and `c`. Where the content of `b` lies.
async fn content_of_one_in_three(depot: &Depot) -> String {
    for key in ["a", "b", "c"] {
        depot.source.put(PRODUCTION, key, body(key)).await;
    }
    let run = run_of(&depot.take().await);
    let lines = depot.manifest(&run).await;
    format!("apilos/objects/{}", lines[1]["sha256"].as_str().expect("a digest"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_object_that_is_not_given_is_told_and_all_others_are_archived() {
    play(&Plan::example(), async |depot| {
        for key in ["kept", "refused", "tagged"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.break_source("GetObject", "/refused", None, answer(400));
        let record = depot.take().await;
        let missing = record["missing"].as_array().into_iter().flatten().filter_map(|one| one.as_str());
        let missing: Vec<_> = missing.filter(|one| one.starts_with('`')).collect();
        assert!(missing.len() == 1 && missing[0].starts_with("`refused`: "), "{record}");
        assert!(missing[0].contains("objects.get"), "it says why: {record}");
        assert_eq!(record["manifest"]["objects"], 2, "{record}");
        // The next run asks again.
        depot.mend();
        assert_eq!(depot.take().await["manifest"]["objects"], 3);

        // What is refused whatever is asked for is no matter of single objects.
        depot.source.put(PRODUCTION, "new", body("new")).await;
        depot.break_source("GetObject", "/new", None, answer(401));
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("401"), "{said}");
        // Nor is a right that was taken away.
        depot.mend();
        depot.break_source("GetObject", PRODUCTION, None, answer(403));
        depot.break_source("HeadObject", PRODUCTION, None, answer(403));
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("403"), "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_never_comes_ends_no_run_in_which_nothing_else_is_new() {
    play(&Plan::example(), async |depot| {
        for key in ["broken", "other"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let cut = Fault::Truncate { bytes: 3 };
        depot.break_source("GetObject", "/broken", None, cut.clone());
        for _ in 0..2 {
            let record = depot.take().await;
            assert!(record["missing"].to_string().contains("`broken`: it breaks off each time"), "{record}");
            assert_eq!(record["manifest"]["objects"], 1, "{record}");
        }
        // What comes of no object is no matter of single ones.
        depot.break_source("GetObject", PRODUCTION, None, cut);
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("gives nothing") && said.contains("with another client"), "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_is_denied_keeps_no_other_from_coming_back() {
    play(&Plan::example(), async |depot| {
        let content = content_of_one_in_three(depot).await;
        depot.break_archive("GetObject", &content, None, answer(403));
        depot.source.bucket("back", false, false).await;
        let said = depot.archive(&["restore", "--to-bucket", "back"]).await;
        let restored = said.json();
        assert_eq!((said.code, &restored["copied"]), (1, &2.into()), "{restored}{}", said.err);
        assert_eq!((&restored["cut"], &restored["damaged"]), (&1.into(), &0.into()), "{restored}");
        assert!(restored["differences"].to_string().contains("b does not come back"), "{restored}");
        depot.mend();
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!((&restored["copied"], &restored["skipped"]), (&1.into(), &2.into()), "{restored}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_the_archive_does_not_give_is_damage_and_the_others_are_read() {
    play(&Plan::example(), async |depot| {
        let content = content_of_one_in_three(depot).await;
        depot.break_archive("GetObject", &content, None, answer(500));
        let said = depot.archive(&["verify", "--depth", "full"]).await;
        let verified = said.json();
        assert_eq!((said.code, &verified["objects_read"]), (1, &2.into()), "{verified}");
        let told = verified["findings"][0].as_str().unwrap_or_default();
        assert!(told.starts_with(&format!("{content} cannot be read: ")), "{verified}");
        // What the source still has is put again.
        depot.mend();
        depot.take().await;
        depot.must(&["verify", "--depth", "full"]).await;

        // One that was away for a while, and is back, is asked once more.
        depot.break_archive("GetObject", &content, Some(8), answer(500));
        depot.must(&["verify", "--depth", "full"]).await;
        assert_eq!(depot.faults_played(), 8);

        // And a store that is away is no damage.
        depot.break_archive("GetObject", "/apilos/objects/", None, answer(500));
        depot.break_archive("HeadObject", "/apilos/objects/", None, answer(500));
        depot.fails(&["verify", "--depth", "full"]).await;
        depot.mend();
        assert!(depot.must(&["list"]).await[0]["damaged"].is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_target_does_not_take_stays_behind_alone() {
    play(&Plan::example(), async |depot| {
        for key in ["a", "b", "odd", "z"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.take().await;
        // A header that a store has never heard of is answered 501.
        for (bucket, status) in [("unheard", 501), ("back", 400)] {
            depot.source.bucket(bucket, false, false).await;
            depot.break_source("PutObject", &format!("/{bucket}/odd"), None, answer(status));
            let said = depot.archive(&["restore", "--to-bucket", bucket]).await;
            let restored = said.json();
            assert_eq!(
                (said.code, &restored["copied"], &restored["refused"]),
                (1, &3.into(), &1.into()),
                "{restored}"
            );
            let told = restored["differences"][0].as_str().unwrap_or_default();
            assert!(told.starts_with("odd does not come back: the target does not take it: "), "{restored}");
        }
        // The archive is none the worse.
        assert!(depot.must(&["list"]).await[0]["damaged"].is_null());
        depot.mend();
        assert_eq!(depot.must(&["restore", "--to-bucket", "back"]).await["skipped"], 3);

        // A target that takes nothing is no matter of single keys.
        depot.source.bucket("closed", false, false).await;
        depot.break_source("PutObject", "/closed/", None, answer(400));
        for key in 0..10 {
            depot.source.put(PRODUCTION, &format!("more-{key}"), body("more")).await;
        }
        depot.take().await;
        let said = depot.fails(&["restore", "--to-bucket", "closed"]).await;
        assert!(!said.contains("compared with"), "{said}");
        assert!(depot.archive.list(ARCHIVE, "apilos/runs/").await.len() > 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_proxy_or_the_server_stumbles_over_stays_behind_alone_where_others_were_taken() {
    play(&Plan::example(), async |depot| {
        // More than are on their way at once, so that others were taken when its turn comes.
        let mut keys: Vec<String> = (0..60).map(|number| format!("a{number:02}")).collect();
        keys.extend(["z//tidied", "z/stumbled-over"].map(str::to_owned));
        for key in &keys {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.take().await;
        depot.source.bucket("back", false, false).await;
        let words = "<Error><Code>SignatureDoesNotMatch</Code></Error>".to_owned();
        let spoilt = Fault::Status { status: 403, body: Some(words), retry_after: None };
        depot.break_source("PutObject", "tidied", None, spoilt);
        // And one over which the store's server fails, however often it is sent.
        depot.break_source("PutObject", "stumbled", None, answer(500));
        let restored = depot.archive(&["restore", "--to-bucket", "back"]).await.json();
        assert_eq!((&restored["copied"], &restored["refused"]), (&60.into(), &2.into()), "{restored}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_objects_that_are_denied_cost_themselves_and_many_in_a_row_are_a_right_that_was_taken_away() {
    play(&Plan::example(), async |depot| {
        // In the order of the list, so that some are given before any is denied.
        for key in ["0", "denied-1", "denied-2", "denied-3", "z"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.break_source("GetObject", "/denied-", None, answer(403));
        let record = depot.take().await;
        assert_eq!(record["manifest"]["objects"], 2, "{record}");
        let missing = record["missing"].to_string();
        assert!((1..=3).all(|n| missing.contains(&format!("`denied-{n}`"))), "{record}");
        for n in 10..40 {
            depot.source.put(PRODUCTION, &format!("denied-{n}"), body("denied")).await;
        }
        depot.source.put(PRODUCTION, "1", body("1")).await;
        let said = depot.fails(&["run"]).await;
        assert!(said.contains("403"), "{said}");
        assert_eq!(depot.archive.list(ARCHIVE, "apilos/runs/").await.len(), 1, "no run without them");
        // One that is denied for good keeps no quiet night from having its run.
        depot.mend();
        depot.take().await;
        depot.source.put(PRODUCTION, "denied-for-good", body("denied")).await;
        depot.break_source("GetObject", "/denied-for-good", None, answer(403));
        for _ in 0..2 {
            let record = depot.take().await;
            assert!(record["missing"].to_string().contains("`denied-for-good`"), "{record}");
        }
    })
    .await;
}
