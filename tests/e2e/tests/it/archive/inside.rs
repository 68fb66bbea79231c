//! Mode `server-side`: the store copies by itself, the manifest says so, and what it says stays restorable before and after the
//! contents are hashed.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play, with};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;
use serde_json::Value;

use super::{body, oddities, run_of};

fn plan() -> Plan {
    with(&[
        "mode: server-side",
        "storageClass: ONEZONE_IA",
        "retention: { last: 1, weekly: 0, monthly: 0, yearly: 0, grace: 1s }",
    ])
}

/// The places that a run's lines name instead of digests, by their keys.
async fn places(depot: &Depot, run: &str) -> BTreeMap<String, String> {
    let lines = depot.manifest(run).await;
    let places = lines.iter().map(|line| {
        assert_eq!(line["sha256"], "", "{line}");
        (line["key"].as_str().unwrap_or_default(), line["pending"].as_str().unwrap_or_default())
    });
    places.map(|(key, place)| (key.to_owned(), place.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_does_not_find_to_copy_is_read_as_it_is() {
    play(&plan(), async |depot| {
        depot.under_one_roof().await;
        for key in ["a+b", "c"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let missing = "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>";
        let missing = Fault::Status { status: 404, body: Some(missing.into()), retry_after: None };
        depot.break_archive("CopyObject", "/apilos/pending/", Some(1), missing);
        let record = depot.take().await;
        assert_eq!((depot.faults_played(), &record["manifest"]["objects"]), (1, &Value::from(2)));
        // The other one was copied by the store.
        let lines = depot.manifest(&run_of(&record)).await;
        assert_eq!(lines.iter().filter(|line| line["sha256"] != "").count(), 1);
        depot.must(&["verify", "--depth", "full"]).await;

        // The same where it does not let the archive's key pair copy one: the source's own may read it.
        for key in ["denied", "e"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let denied = Fault::Status { status: 403, body: None, retry_after: None };
        depot.break_archive("CopyObject", "/apilos/pending/", Some(1), denied);
        assert_eq!(depot.take().await["manifest"]["objects"], 4);
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

/// The storage class that the store names; `None` is its ordinary one.
async fn class_of(depot: &Depot, key: &str) -> Option<String> {
    let head = depot.archive.client().head_object().bucket(ARCHIVE).key(key).send().await.expect("a head");
    head.storage_class().map(|class| class.as_str().to_owned())
}

async fn prune(depot: &Depot) -> Value {
    let until = Utc::now() + TimeDelta::milliseconds(1_100);
    depot.eventually("the end of the grace period", |_| Utc::now() > until).await;
    depot.must(&["prune", "--yes"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_copied_comes_back_before_it_is_hashed_and_after() {
    play(&plan(), async |depot| {
        depot.under_one_roof().await;
        oddities(depot).await;
        let expected = depot.source.whole(PRODUCTION, "").await;
        let begun = depot.take().await;
        let first = run_of(&begun);
        // No content passed through: all that was read is the first byte of each object.
        assert_eq!(depot.archive.effects("PutObject", "apilos/objects/"), 0);
        assert_eq!(depot.archive.effects("UploadPart", ARCHIVE), 0);
        assert_eq!(depot.archive.effects("CopyObject", "apilos/pending/"), expected.len());
        let places = places(depot, &first).await;
        assert_eq!(places.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());

        depot.source.bucket("unhashed", false, false).await;
        let restored = depot.must(&["restore", "--to-bucket", "unhashed"]).await;
        assert_eq!(
            (&restored["copied"], &restored["differences"]),
            (&expected.len().into(), &Value::from(Vec::<Value>::new()))
        );
        assert_eq!(depot.source.whole("unhashed", "").await, expected);
        let folder = depot.folder("back");
        let output = super::way_out::restore(depot, &folder.display().to_string(), &[]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read(folder.join("plain.txt")).expect("a file"), body("plain.txt"));

        let sampled = depot.must(&["verify", "--depth", "sample"]).await;
        assert_eq!(
            (&sampled["read"], &sampled["pending"]),
            (&1.into(), &(expected.len() - 1).into()),
            "{sampled}"
        );
        let verified = depot.must(&["verify", "--depth", "full"]).await;
        assert_eq!(
            (&verified["pending"], &verified["findings"]),
            (&0.into(), &Value::from(Vec::<Value>::new()))
        );
        let hashed = depot.archive.list(ARCHIVE, "apilos/objects/").await;
        assert_eq!(hashed.len(), expected.len() - 3, "the same bytes lie there once");
        // What is pending has to be read; the plan's storage class is for what is hashed.
        assert_eq!(class_of(depot, &format!("apilos/{}", places["plain.txt"])).await, None);
        assert_eq!(class_of(depot, &hashed[0].0).await.as_deref(), Some("ONEZONE_IA"));

        let second = depot.take().await;
        assert_eq!(second["changes"]["bytes"], 0, "{second}");
        for line in depot.manifest(&run_of(&second)).await {
            let thing = &expected[line["key"].as_str().expect("a key")];
            assert_eq!((line["sha256"].as_str(), &line["pending"]), (Some(&*thing.sha256), &Value::Null));
        }
        // The first run goes, and what only it named; nothing that the second one needs.
        assert_eq!(depot.archive.list(ARCHIVE, "apilos/pending/").await.len(), expected.len());
        depot.must(&["verify", "--depth", "full"]).await;
        prune(depot).await;
        prune(depot).await;
        assert!(depot.archive.list(ARCHIVE, "apilos/pending/").await.is_empty());
        depot.must(&["verify", "--depth", "full"]).await;
        depot.source.bucket("hashed", false, false).await;
        depot.must(&["restore", "--to-bucket", "hashed"]).await;
        assert_eq!(depot.source.whole("hashed", "").await, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_damaged_before_it_is_hashed_is_found_kept_from_a_restore_and_copied_again() {
    play(&plan(), async |depot| {
        depot.under_one_roof().await;
        for key in ["good", "bad", "lost"] {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        // Replaced between the look and the copy, as far as the store says: then it is looked again.
        depot.break_archive("CopyObject", "pending/", Some(1), precondition());
        let first = run_of(&depot.take().await);
        assert_eq!(depot.faults_played(), 1);
        let places = places(depot, &first).await;
        let place = |key: &str| format!("apilos/{}", places[key]);
        depot.archive.put(ARCHIVE, &place("bad"), body("evil")).await;
        depot.archive.delete(ARCHIVE, &place("lost")).await;

        depot.source.bucket("back", false, false).await;
        let said = depot.fails(&["restore", "--to-bucket", "back", "--key", "bad"]).await;
        assert!(said.contains("its MD5 is") || said.contains("bytes, and should have"), "{said}");
        assert!(depot.source.list("back", "").await.is_empty());
        let said = depot.fails(&["verify", "--depth", "full"]).await;
        assert!(said.contains(&format!("{} is missing", place("lost"))), "{said}");
        assert!(said.contains(&place("bad")), "{said}");

        let second = depot.take().await;
        assert_eq!(second["changes"]["rewritten"], 0, "{second}");
        depot.must(&["restore", "--to-bucket", "back"]).await;
        for key in ["good", "bad", "lost"] {
            assert_eq!(depot.source.get("back", key).await, body(key), "{key}");
        }
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}

fn precondition() -> Fault {
    let body = "<Error><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message></Error>";
    Fault::Status { status: 412, body: Some(body.to_owned()), retry_after: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rewritten_before_anybody_hashed_it_is_seen_to_be() {
    play(&plan(), async |depot| {
        depot.under_one_roof().await;
        let keys: Vec<String> = (0..10).map(|n| format!("documents/{n}")).collect();
        for key in &keys {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.take().await;
        for key in &keys {
            depot.source.put(PRODUCTION, key, body(&format!("another {key}"))).await;
        }
        let record = depot.take().await;
        assert_eq!(record["changes"]["rewritten"], 10, "{record}");
        let why = record["suspicious"][0].as_str().unwrap_or_default();
        assert!(why.contains("10 of 10 objects (100.0 %) were rewritten"), "{record}");
        // And so it is by the run after it, which is held against the one before both.
        let after = depot.take().await;
        assert!(after["suspicious"][0].as_str().is_some_and(|why| why.contains("were rewritten")), "{after}");
        // The same bytes once more are no change.
        depot.source.put(PRODUCTION, &keys[0], body(&format!("another {}", keys[0]))).await;
        assert_eq!(depot.take().await["changes"]["rewritten"], 0);
    })
    .await;
}
