//! Who else may read an object: known to the archive, and as it was after a restore.

use reprise_e2e::depot::{Depot, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use reprise_e2e::world::Fault;
use serde_json::{Value, json};

use super::{body, run_of};

const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_control_lists_come_back_and_are_put_right() {
    play(&Plan::example(), async |depot| {
        three(depot).await;
        let record = depot.take().await;
        assert_eq!(record["unread"], Value::Null, "{record}");
        let grant = json!([{"permission": "READ", "user": "another-customer"}]);
        let expected = [("open", json!("public-read")), ("own", json!("private")), ("shared", grant)];
        assert_eq!(acls(depot, &record).await, expected.map(|(key, acl)| (key.to_owned(), acl)));
        // Nothing is asked again of what did not change.
        let second = depot.take().await;
        assert_eq!(second["cost"]["source.get"], Value::Null, "{second}");
        assert_eq!(acls(depot, &second).await.len(), 3);

        depot.source.bucket("back", false, false).await;
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!((&restored["copied"], &restored["notes"]), (&3.into(), &json!([])), "{restored}");
        as_they_were(depot, "back").await;
        // A bucket whose objects somebody opened and closed is put right without copying.
        depot.source.publish("back", "own", true).await;
        depot.source.publish("back", "open", false).await;
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!(restored["copied"], 0, "{restored}");
        as_they_were(depot, "back").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_shows_or_takes_no_access_control_lists_costs_nothing_but_them() {
    play(&Plan::example(), async |depot| {
        three(depot).await;
        let answer = |status| Fault::Status { status, body: None, retry_after: None };
        depot.break_source("GetObjectAcl", PRODUCTION, None, answer(403));
        let record = depot.take().await;
        let why = record["unread"][0].as_str().expect("it is told");
        assert!(why.contains("access control lists: objects.acl was answered 403"), "{why}");
        assert!(acls(depot, &record).await.iter().all(|(_, acl)| acl.is_null()));
        depot.mend();
        depot.source.bucket("unknown", false, false).await;
        assert_eq!(depot.must(&["restore", "--to-bucket", "unknown"]).await["notes"], json!([]));

        depot.source.put(PRODUCTION, "another", body("another")).await;
        depot.source.publish(PRODUCTION, "another", true).await;
        let record = depot.take().await;
        assert_eq!(acls(depot, &record).await[0], ("another".to_owned(), json!("public-read")));
        depot.source.bucket("back", false, false).await;
        // Where they can be read and not put, the object differs. Where there are none, that is told.
        depot.break_source("PutObjectAcl", "/back/", None, answer(403));
        let said = depot.fails(&["restore", "--to-bucket", "back"]).await;
        assert!(
            said.contains("another has the access control list") && said.contains("public-read"),
            "{said}"
        );
        depot.break_source("GetObjectAcl", "/back/", None, answer(501));
        let restored = depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!(restored["differences"], json!([]), "{restored}");
        assert!(restored["notes"][0].as_str().is_some_and(|note| note.contains("501")), "{restored}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_listing_shows_is_read_again_where_that_is_asked_for() {
    play(&Plan::example(), async |depot| {
        three(depot).await;
        let first = depot.take().await;
        depot.source.publish(PRODUCTION, "own", true).await;
        let tag = aws_sdk_s3::types::Tag::builder().key("kind").value("scan").build().expect("a tag");
        let tags = aws_sdk_s3::types::Tagging::builder().tag_set(tag).build().expect("tags");
        let put = depot.source.client().put_object_tagging().bucket(PRODUCTION).key("open");
        put.tagging(tags).send().await.expect("it is tagged");
        // Entity tag, size and date are what they were.
        let second = depot.take().await;
        assert_eq!(acls(depot, &second).await, acls(depot, &first).await);
        let third = depot.must(&["run", "--refresh-metadata"]).await;
        let changes = &third["changes"];
        assert_eq!(
            (&changes["redressed"], &changes["bytes"], &changes["rewritten"]),
            (&2.into(), &0.into(), &0.into())
        );
        // Tags and list of each, and no content.
        assert_eq!(third["cost"]["source.get"], 6, "{third}");
        let lines = depot.manifest(&run_of(&third)).await;
        assert_eq!((&lines[0]["tags"], &lines[1]["acl"]), (&json!({"kind": "scan"}), &json!("public-read")));
        // What a store does not show stays as it was known.
        let refused = Fault::Status { status: 501, body: None, retry_after: None };
        depot.break_source("GetObjectTagging", PRODUCTION, None, refused);
        let fourth = depot.must(&["run", "--refresh-metadata"]).await;
        assert!(fourth["unread"].to_string().contains("tags: objects.tags was answered 501"), "{fourth}");
        assert_eq!(depot.manifest(&run_of(&fourth)).await[0]["tags"], json!({"kind": "scan"}));
        depot.must(&["verify", "--depth", "full"]).await;
        depot.source.bucket("back", false, false).await;
        depot.must(&["restore", "--to-bucket", "back"]).await;
        assert_eq!(depot.source.thing("back", "open").await.tags["kind"], "scan");
        assert_eq!(depot.source.grants("back", "own").await, [("READ".to_owned(), EVERYBODY.to_owned())]);
    })
    .await;
}

async fn three(depot: &Depot) {
    for key in ["open", "own", "shared"] {
        depot.source.put(PRODUCTION, key, body(key)).await;
    }
    depot.source.publish(PRODUCTION, "open", true).await;
    depot.source.share(PRODUCTION, "shared", "another-customer").await;
}

/// What a run's manifest says of each key.
async fn acls(depot: &Depot, record: &Value) -> Vec<(String, Value)> {
    let lines = depot.manifest(&run_of(record)).await.into_iter();
    lines.map(|line| (line["key"].as_str().unwrap_or_default().to_owned(), line["acl"].clone())).collect()
}

async fn as_they_were(depot: &Depot, bucket: &str) {
    let read = |who: &str| vec![("READ".to_owned(), who.to_owned())];
    assert_eq!(depot.source.grants(bucket, "open").await, read(EVERYBODY));
    assert_eq!(depot.source.grants(bucket, "own").await, []);
    assert_eq!(depot.source.grants(bucket, "shared").await, read("another-customer"));
}
