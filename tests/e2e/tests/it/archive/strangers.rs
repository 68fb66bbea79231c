//! Stores that nobody here has seen: what some of them do otherwise costs what they lack, and nothing else.

use chrono::{TimeDelta, Utc};
use reprise_e2e::depot::{ARCHIVE, PRODUCTION, play, play_with, with};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;
use serde_json::{Value, json};

use super::{body, run_of};

fn answer(status: u16, body: Option<&str>) -> Fault {
    Fault::Status { status, body: body.map(str::to_owned), retry_after: None }
}

/// All that an archive's keeper does, at a store that lists in an order of its own and has neither versions nor tags nor lists of access.
async fn kept_by_a_stranger(plan: &Plan, says_so: bool, passed: impl Fn(&Value)) {
    play(plan, async |depot| {
        let stranger = depot.stranger(says_so).await;
        let keys: Vec<String> = (0..10).map(|number| format!("documents/{number}")).collect();
        for key in &keys {
            stranger.put(PRODUCTION, key, body(key));
        }
        let first = depot.take().await;
        assert_eq!(first["changes"]["added"], 10, "{first}");
        passed(&first);
        let second = depot.take().await;
        let changes = &second["changes"];
        assert_eq!(
            (&changes["bytes"], &changes["rewritten"], &changes["deleted"]),
            (&0.into(), &0.into(), &0.into())
        );
        // Before anything is hashed, and after.
        for bucket in ["before", "after"] {
            let restored = depot.must(&["restore", "--to-bucket", bucket]).await;
            assert_eq!(
                (&restored["copied"], &restored["differences"]),
                (&10.into(), &json!([])),
                "{restored}"
            );
            assert_eq!(stranger.things(bucket, ""), stranger.things(PRODUCTION, ""));
            let verified = depot.must(&["verify", "--depth", "full"]).await;
            assert_eq!((&verified["pending"], &verified["findings"]), (&0.into(), &json!([])), "{verified}");
        }
        // Whatever page of its list they are on, they are there.
        let again = depot.must(&["restore", "--to-bucket", "after"]).await;
        assert_eq!((&again["copied"], &again["skipped"]), (&0.into(), &10.into()), "{again}");
        // A content that is damaged is found all the same.
        let content = stranger.things(ARCHIVE, "apilos/objects/").into_keys().next().expect("a content");
        stranger.put(ARCHIVE, &content, "evil");
        assert!(depot.fails(&["verify", "--depth", "full"]).await.contains(&content));
        depot.take().await;
        // What the store copied by itself lies under its digest again when it was hashed.
        depot.archive(&["verify", "--depth", "full"]).await;
        depot.must(&["verify", "--depth", "full"]).await;
        depot.must(&["prune", "--yes"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_listed_in_another_order_is_archived_as_any_other() {
    kept_by_a_stranger(&Plan::example(), false, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_late_shows_no_loss() {
    play(&Plan::example(), async |depot| {
        let stranger = depot.stranger(true).await;
        stranger.put(PRODUCTION, "a", body("a"));
        let run = run_of(&depot.take().await);
        let verify = ["verify", "--depth", "listing", "--run", &run];
        stranger.is_late(true);
        let verified = depot.must(&verify).await;
        assert_eq!((&verified["findings"], &verified["beside"]), (&json!([]), &json!([])), "{verified}");
        stranger.is_late(false);
        // What is gone is lost all the same.
        let content = stranger.things(ARCHIVE, "apilos/objects/").into_keys().next().expect("a content");
        stranger.remove(ARCHIVE, &content);
        assert!(depot.fails(&verify).await.contains(&content));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_encrypts_and_says_so_copies_by_itself() {
    // Nothing passed through; one that was on its way when the disorder was seen is copied once more.
    let copied = |record: &Value| {
        assert!(record["cost"]["archive.copy"].as_u64() >= Some(10), "{record}");
    };
    kept_by_a_stranger(&with(&["mode: server-side"]), true, copied).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_into_a_store_that_encrypts_and_says_so_is_not_read_back_for_its_tags() {
    kept_by_a_stranger(&Plan::example(), true, |record| {
        assert_eq!(record["cost"]["archive.get"], Value::Null, "contents were read back: {record}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tags_are_no_digests_and_nobody_says_so_objects_are_read() {
    kept_by_a_stranger(&with(&["mode: server-side"]), false, |record| {
        assert!(record["changes"]["bytes"].as_u64() > Some(0), "{record}");
        // It may as well have rotted: what was sent twice is archived, and nobody is left to find out.
        let told = record["unread"].to_string();
        assert!(told.contains("10 objects bear an MD5 that is not that of their bytes"), "{record}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_told_in_other_words_is_respected_too() {
    let keep = "retention: { last: 1, weekly: 0, monthly: 0, yearly: 0, grace: 1s }";
    play_with(&with(&[keep]), true, async |depot| {
        for key in ["a", "b", "c", "d", "e", "f"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let lines = depot.manifest(&run_of(&depot.take().await)).await;
        let key = format!("apilos/objects/{}", lines[0]["sha256"].as_str().expect("a digest"));
        let until = aws_sdk_s3::primitives::DateTime::from_secs((Utc::now() + TimeDelta::days(9)).timestamp());
        let hold = aws_sdk_s3::types::ObjectLockRetention::builder()
            .mode(aws_sdk_s3::types::ObjectLockRetentionMode::Compliance)
            .retain_until_date(until);
        let put = depot.archive.client().put_object_retention().bucket(ARCHIVE).key(&key);
        put.retention(hold.build()).send().await.expect("somebody locks it");
        depot.source.delete(PRODUCTION, "a").await;
        depot.take().await;
        depot.must(&["prune", "--yes"]).await;
        let until = Utc::now() + TimeDelta::milliseconds(1_100);
        depot.eventually("the end of the grace period", |_| Utc::now() > until).await;
        let words = "<Error><Code>InvalidRequest</Code><Message>Object is WORM protected and cannot be overwritten</Message></Error>";
        depot.break_archive("DeleteObject", &key, None, answer(400, Some(words)));
        let pruned = depot.must(&["prune", "--yes"]).await;
        assert_eq!((&pruned["deleted"], &pruned["locked"]), (&0.into(), &1.into()), "{pruned}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_tags_takes_the_objects_back_and_the_tags_are_told() {
    play(&Plan::example(), async |depot| {
        depot.source.put_dressed(PRODUCTION, "dressed", body("dressed")).await;
        depot.source.put(PRODUCTION, "plain", body("plain")).await;
        depot.take().await;
        depot.source.bucket("back", false, false).await;
        for call in ["PutObjectTagging", "GetObjectTagging"] {
            let words = "<Error><Code>NotImplemented</Code><Message>no tags here</Message></Error>";
            depot.break_source(call, "/back/", None, answer(501, Some(words)));
        }
        for copied in [2, 0] {
            let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
            assert_eq!((&restored["copied"], &restored["differences"]), (&copied.into(), &json!([])));
            let notes = restored["notes"].to_string();
            assert!(
                notes.contains("tags were not all put back and compared") && notes.contains("501"),
                "{notes}"
            );
        }
        assert_eq!(depot.source.get("back", "dressed").await, body("dressed"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_calls_an_access_control_list_a_bad_request_costs_the_list_only() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let words = "<Error><Code>InvalidArgument</Code><Message>unsupported</Message></Error>";
        depot.break_source("GetObjectAcl", PRODUCTION, None, answer(400, Some(words)));
        let record = depot.take().await;
        assert!(record["unread"][0].as_str().is_some_and(|why| why.contains("answered 400")), "{record}");
        assert_eq!(depot.manifest(&run_of(&record)).await[0]["acl"], Value::Null);
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_before_the_bucket_kept_versions_is_pruned_and_not_hidden_only() {
    let keep = "retention: { last: 1, weekly: 0, monthly: 0, yearly: 0, grace: 1s }";
    play(&with(&[keep]), async |depot| {
        for key in ["a", "b", "c", "d", "e", "f"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.take().await;
        depot.must(&["init"]).await;
        depot.source.delete(PRODUCTION, "a").await;
        let kept = run_of(&depot.take().await);
        depot.must(&["prune", "--yes"]).await;
        let until = Utc::now() + TimeDelta::milliseconds(1_100);
        depot.eventually("the end of the grace period", |_| Utc::now() > until).await;
        assert_eq!(depot.must(&["prune", "--yes"]).await["deleted"], 1);
        let all = depot.archive.client().list_object_versions().bucket(ARCHIVE).prefix("apilos/");
        let all = all.send().await.expect("a list");
        let keys: Vec<_> = all.versions().iter().filter_map(|version| version.key()).collect();
        assert!(all.delete_markers().is_empty(), "{all:?}");
        assert_eq!(keys.iter().filter(|key| key.contains("/objects/")).count(), 5, "{keys:?}");
        assert!(keys.iter().all(|key| !key.contains("/runs/") || key.contains(&kept)), "{keys:?}");
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}
