//! Who may do what: pairs that cannot delete, the policy that operators are told to use, and locks that nobody opens.

use chrono::{DateTime, TimeDelta, Utc};
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play, play_with, with};
use reprise_e2e::world::Fault;

use super::{body, oddities, run_of};

/// What operators are told.
const OPERATIONS: &str = include_str!("../../../../../docs/operations.md");
/// Retention that keeps nothing but what must be kept.
const KEEP_LITTLE: &str = "retention: { last: 1, weekly: 0, monthly: 0, yearly: 0, grace: 1s }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_only_adds_takes_and_proves_archives_and_cannot_prune() {
    play(&with(&[KEEP_LITTLE]), async |depot| {
        depot.archive_as(&depot.archive.adder().clone());
        takes_and_cannot_prune(depot).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_policy_lets_the_archive_be_taken_and_nothing_be_deleted() {
    play_with(&with(&[KEEP_LITTLE]), true, async |depot| {
        let policy = OPERATIONS.split("```json\n").find_map(|part| {
            let (text, _) = part.split_once("```")?;
            text.contains("\"ARCHIVER\"").then_some(text)
        });
        let guest = depot.archive.guest().clone();
        let policy = policy.expect("the policy in docs/operations.md");
        let policy = policy.replace("OWNER", &depot.archive.owner().principal());
        let policy = policy.replace("ARCHIVER", &guest.principal());
        let put = depot.archive.client().put_bucket_policy().bucket(ARCHIVE).policy(policy);
        put.send().await.expect("the store takes the policy");
        depot.archive_as(&guest);
        takes_and_cannot_prune(depot).await;
    })
    .await;
}

/// With a pair that may not delete: everything but pruning works; with the owner's, pruning does too.
async fn takes_and_cannot_prune(depot: &mut Depot) {
    oddities(depot).await;
    let first = run_of(&depot.take().await);
    depot.source.delete(PRODUCTION, "plain.txt").await;
    depot.source.delete(PRODUCTION, "twice.txt").await;
    let second = run_of(&depot.take().await);
    depot.must(&["verify", "--depth", "full"]).await;
    depot.source.bucket("back", false, false).await;
    depot.must(&["restore", "--to-bucket", "back"]).await;
    depot.must(&["prune"]).await;
    let before = depot.archive.list(ARCHIVE, "").await;
    let said = depot.fails(&["prune", "--yes"]).await;
    assert!(
        said.contains("the archive's key pair may not delete") && said.contains("prune with one that may"),
        "{said}"
    );
    assert_eq!(depot.archive.list(ARCHIVE, "").await, before, "something was deleted");

    depot.archive_as(&depot.archive.owner().clone());
    let pruned = depot.must(&["prune", "--yes"]).await;
    let gone = |pruned: &serde_json::Value| {
        let runs = pruned["runs"].as_array().cloned().unwrap_or_default();
        runs.iter().find(|run| run["run"] == *first).is_some_and(|run| run["keptBy"] == serde_json::json!([]))
    };
    assert!(gone(&pruned), "{pruned}");
    let rows = depot.must(&["list"]).await;
    assert_eq!((&rows[0]["run"], &rows[1]["phase"]), (&second.into(), &"Pruned".into()));
    // What nothing refers to is only noted at first; after the grace period it is swept.
    depot
        .eventually("the end of the grace period", {
            let until = Utc::now() + TimeDelta::milliseconds(1_100);
            move |_| Utc::now() > until
        })
        .await;
    let pruned = depot.must(&["prune", "--yes"]).await;
    assert_eq!(pruned["deleted"], 1, "{pruned}");
    depot.must(&["verify", "--depth", "full"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_refers_to_is_locked_and_locked_again_when_that_is_due() {
    let lock = |days: u32| with(&[KEEP_LITTLE, &format!("lock: {{ mode: compliance, period: {days}d }}")]);
    play_with(&lock(30), true, async |depot| {
        for key in ["a", "b", "c", "d", "e", "f"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.source.put(PRODUCTION, "large", super::noise(20 << 20, 9)).await;
        let first = run_of(&depot.take().await);
        locked_for(depot, 30).await;
        // Every version is kept here: what the large one passed through must not be hidden only.
        let all = depot.archive.client().list_object_versions().bucket(ARCHIVE).prefix("apilos/uploads/");
        let all = all.send().await.expect("a list");
        assert!(all.versions().is_empty() && all.delete_markers().is_empty(), "{all:?}");
        // Not due: nothing is locked anew, though the run refers to everything.
        let locks = || depot.archive.effects("PutObjectRetention", ARCHIVE);
        assert_eq!(locks(), 0);
        depot.take().await;
        assert_eq!(locks(), 0);
        // Put again with the same bytes: it is held, and nothing but the truth is on record of its lock.
        depot.source.put(PRODUCTION, "b", body("b")).await;
        depot.take().await;
        assert_eq!(locks(), 0);
        let held = "SELECT encode(sha256, 'hex') || ' ' || extract(epoch FROM locked_until)::bigint FROM archive_objects";
        for row in depot.daemon.records().column(held).await {
            let (digest, until) = row.split_once(' ').expect("two words");
            let real = locked_until(depot, &format!("apilos/objects/{digest}")).await.timestamp();
            let known: i64 = until.parse().expect("a time");
            assert!((known - real).abs() <= 1, "{digest}: the store says {real}, and we {known}");
        }
        depot.daemon.apply(&lock(60)).await;
        depot.source.delete(PRODUCTION, "a").await;
        let third = depot.take().await;
        assert_eq!(third["changes"]["bytes"], 0, "{third}");
        assert_eq!(locks(), 6);
        for line in depot.manifest(&run_of(&third)).await {
            let key = format!("apilos/objects/{}", line["sha256"].as_str().expect("a digest"));
            assert!(locked_until(depot, &key).await > Utc::now() + TimeDelta::days(60), "{key}");
        }

        // An import refers to what is there, too.
        depot.daemon.apply(&lock(90)).await;
        let b = body("b");
        let zip = super::import::zip(&depot.folder("zip"), "old.zip", &[("b", b.as_ref())]);
        let week = (Utc::now() - TimeDelta::days(7)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let imported =
            depot.must(&["import", "--zip", &zip.display().to_string(), "--taken-at", &week]).await;
        let line = depot.manifest(&run_of(&imported)).await.remove(0);
        let key = format!("apilos/objects/{}", line["sha256"].as_str().expect("a digest"));
        assert!(locked_until(depot, &key).await > Utc::now() + TimeDelta::days(90), "{key}");
        assert_eq!(locks(), 7);

        // The plan keeps one run; the locks keep all of them, and every content.
        let before = depot.archive.list(ARCHIVE, "").await;
        let pruned = depot.must(&["prune", "--yes"]).await;
        let runs = pruned["runs"].as_array().cloned().expect("runs");
        assert!(runs.iter().all(|run| run["keptBy"].to_string().contains("locked")), "{pruned}");
        assert!(runs.iter().any(|run| run["run"] == *first), "{pruned}");
        assert_eq!((&pruned["deleted"], depot.archive.list(ARCHIVE, "").await), (&0.into(), before));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_we_do_not_know_of_is_respected_too() {
    play_with(&with(&[KEEP_LITTLE]), true, async |depot| {
        for key in ["a", "b", "c", "d", "e", "f"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let first = depot.take().await;
        let lines = depot.manifest(&run_of(&first)).await;
        let key = format!("apilos/objects/{}", lines[0]["sha256"].as_str().expect("a digest"));
        let hold = aws_sdk_s3::types::ObjectLockRetention::builder()
            .mode(aws_sdk_s3::types::ObjectLockRetentionMode::Compliance)
            .retain_until_date(aws_sdk_s3::primitives::DateTime::from_secs(
                (Utc::now() + TimeDelta::days(9)).timestamp(),
            ));
        let put =
            depot.archive.client().put_object_retention().bucket(ARCHIVE).key(&key).retention(hold.build());
        put.send().await.expect("somebody locks it");
        depot.source.delete(PRODUCTION, "a").await;
        depot.take().await;
        depot.must(&["prune", "--yes"]).await;
        let until = Utc::now() + TimeDelta::milliseconds(1_100);
        depot.eventually("the end of the grace period", |_| Utc::now() > until).await;
        let pruned = depot.must(&["prune", "--yes"]).await;
        assert_eq!((&pruned["deleted"], &pruned["locked"]), (&0.into(), &1.into()), "{pruned}");
        assert_eq!(depot.archive.get(ARCHIVE, &key).await, body("a"));
        // It is still known: a run that needs it again does not write it again.
        depot.source.put(PRODUCTION, "a", body("a")).await;
        depot.break_archive(
            "PutObject",
            &key,
            None,
            Fault::Status { status: 403, body: None, retry_after: None },
        );
        depot.take().await;
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_the_bucket_cannot_give_is_refused_before_anything_is_put() {
    play(&with(&["lock: { mode: governance, period: 30d }"]), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        for command in ["init", "run"] {
            let said = depot.fails(&[command]).await;
            assert!(said.contains("the plan wants object lock, and the bucket"), "{command}: {said}");
        }
        assert!(depot.archive.list(ARCHIVE, "apilos/objects/").await.is_empty());
    })
    .await;
}

/// Everything in the archive is locked for so many days from now, at least, and for not much more than a quarter longer.
async fn locked_for(depot: &Depot, days: i64) {
    for (key, _) in depot.archive.list(ARCHIVE, "").await {
        let until = locked_until(depot, &key).await - Utc::now();
        assert!(
            until > TimeDelta::days(days) && until < TimeDelta::days(days + days / 4 + 1),
            "{key}: {until}"
        );
    }
}

async fn locked_until(depot: &Depot, key: &str) -> DateTime<Utc> {
    let head = depot.archive.client().head_object().bucket(ARCHIVE).key(key).send().await.expect("a head");
    let until = head.object_lock_retain_until_date().unwrap_or_else(|| panic!("{key} is not locked"));
    DateTime::from_timestamp(until.secs(), 0).expect("a date")
}
