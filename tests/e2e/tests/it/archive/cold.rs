//! Contents in cold storage: proven only once they were read, and thawed wherever they turn out to be cold.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::StorageClass;
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play, with};
use reprise_e2e::plan::Plan;
use serde_json::Value;

use super::{body, run_of};

const KEYS: [&str; 3] = ["a", "b", "c"];
const FULL: [&str; 3] = ["verify", "--depth", "full"];

fn cold() -> Plan {
    with(&["storageClass: GLACIER"])
}

/// Whether all that was asked for can be read by now.
async fn thaws(depot: &Depot) {
    for (key, _) in depot.archive.list(ARCHIVE, "apilos/objects/").await {
        let head = || depot.archive.client().head_object().bucket(ARCHIVE).key(&key).send();
        let thawed = async || {
            let state = head().await.expect("a head").restore;
            state.is_some_and(|state| state.contains("ongoing-request=\"false\"")).then_some(())
        };
        assert!(reprise_e2e::records::poll(thawed).await.is_some(), "{key} does not thaw");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_cold_storage_is_verified_when_it_was_read_and_not_before() {
    play(&cold(), async |depot| {
        for key in KEYS {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        let run = run_of(&depot.take().await);
        let verified = depot.must(&FULL).await;
        assert_eq!((&verified["read"], &verified["frozen"]), (&0.into(), &3.into()), "{verified}");
        let rows = depot.must(&["list"]).await;
        assert_eq!(rows[0]["verifiedAt"], Value::Null, "nothing was read: {rows}");
        assert_eq!(
            depot.daemon.metric("reprise_archive_verified_timestamp_seconds{plan=\"apilos\"}").await,
            None
        );
        assert_eq!(
            depot.archive.effects("RestoreObject", ARCHIVE),
            0,
            "it is billed: only who asks for it has it"
        );

        depot.must(&[&FULL[..], &["--thaw"]].concat()).await;
        assert_eq!(depot.archive.effects("RestoreObject", ARCHIVE), 3);
        thaws(depot).await;
        let verified = depot.must(&FULL).await;
        assert_eq!((&verified["read"], &verified["frozen"]), (&3.into(), &0.into()), "{verified}");
        let rows = depot.must(&["list"]).await;
        assert!(rows[0]["verifiedAt"].is_string(), "{rows}");
        let verdict = "SELECT rung FROM backup_verdicts WHERE kind = 'objects'";
        assert_eq!(depot.daemon.records().column(verdict).await, ["readable"]);
        assert_eq!(verified["run"], *run);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_that_are_cold_though_the_plan_does_not_say_so_are_thawed_and_come_back() {
    play(&cold(), async |depot| {
        for key in KEYS {
            depot.source.put(PRODUCTION, key, body(key)).await;
        }
        depot.take().await;
        depot.daemon.apply(&with(&[])).await;
        depot.source.bucket("back", false, false).await;
        let words = Depot::words(&["restore", "--to-bucket", "back", "--watch"]);
        let said = depot.daemon.say(&words).await;
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(depot.archive.effects("RestoreObject", ARCHIVE), 3, "each is asked for once");
        let lines: Vec<Value> =
            said.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let thawed: Vec<_> = lines.iter().filter(|line| line["stage"] == "thawing").collect();
        assert!(thawed.iter().any(|line| line["done"] == 0 && line["of"] == 3), "{}", said.out);
        assert!(thawed.iter().any(|line| line["done"] == 3 && line["of"] == 3), "{}", said.out);
        let last = lines.last().expect("the end");
        assert_eq!((&last["copied"], &last["differences"]), (&3.into(), &serde_json::json!([])), "{last}");
        for key in KEYS {
            assert_eq!(depot.source.get("back", key).await, body(key));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_the_source_keeps_cold_costs_no_other() {
    play(&Plan::example(), async |depot| {
        depot.source.put(PRODUCTION, "a", body("a")).await;
        let put = depot.source.client().put_object().bucket(PRODUCTION).key("b");
        let put = put.storage_class(StorageClass::Glacier).body(ByteStream::from(body("b")));
        put.send().await.expect("a cold object");
        let record = depot.take().await;
        assert_eq!(record["manifest"]["objects"], 1, "{record}");
        let told = record["missing"].to_string();
        assert!(told.contains("`b`: it is in cold storage; thaw it"), "{record}");

        // What one that was cut off noted of it stops no pruning.
        depot.source.put(PRODUCTION, "c", body("c")).await;
        depot.break_source("GetObject", "/c", None, reprise_e2e::world::Fault::Stall);
        let mut child = depot.begin(&["run"]);
        depot.sees("SELECT key FROM archive_progress", |keys| keys.iter().any(|key| key == "b")).await;
        child.kill().await.expect("it dies");
        depot.mend();
        depot.must(&["prune", "--yes"]).await;
        depot.must(&["verify", "--depth", "full"]).await;
    })
    .await;
}
