//! As many objects in one prefix as no page of a listing holds by far.

use bytes::Bytes;
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION, play};
use reprise_e2e::plan::Plan;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{body, plant, run_of};

/// Objects in one prefix.
const OBJECTS: usize = 100_000;
/// Different contents among them.
const CONTENTS: usize = 500;
/// A run that another machine took: this one knows nothing of it.
const BEFORE: &str = "20200101T000000Z-0000001234";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_objects_in_one_prefix_are_compared_and_only_what_changed_is_copied() {
    play(&Plan::example(), async |depot| {
        let content = |n: usize| body(&(n % CONTENTS).to_string());
        let objects = (0..OBJECTS).map(|n| (key(n), content(n)));
        depot.source.seed(PRODUCTION, objects).await;
        let digest = |bytes: &Bytes| hex::encode(Sha256::digest(bytes));
        let contents =
            (0..CONTENTS).map(content).map(|one| (format!("apilos/objects/{}", digest(&one)), one));
        depot.archive.seed(ARCHIVE, contents).await;
        let digests: Vec<String> = (0..CONTENTS).map(|n| digest(&content(n))).collect();
        let lines = listed(depot).await.into_iter().zip(0..).map(|(mut line, n): (Value, usize)| {
            line["sha256"] = digests[n % CONTENTS].as_str().into();
            line
        });
        plant(depot, BEFORE, &lines.collect::<Vec<_>>()).await;

        depot.source.put(PRODUCTION, &key(7), "another content").await;
        depot.source.delete(PRODUCTION, &key(OBJECTS - 1)).await;
        depot.source.put(PRODUCTION, "documents/2026/new", "new").await;
        let record = depot.take().await;
        let changes = &record["changes"];
        assert_eq!((&changes["before"], &changes["bytes"]), (&OBJECTS.into(), &18.into()), "{record}");
        let counts = ["added", "rewritten", "deleted"].map(|name| changes[name].as_u64());
        assert_eq!(counts, [Some(1); 3], "{record}");
        let lines = depot.manifest(&run_of(&record)).await;
        let keys = |lines: &[Value]| lines.iter().map(|line| line["key"].clone()).collect::<Vec<_>>();
        assert_eq!((lines.len(), keys(&lines) == keys(&listed(depot).await)), (OBJECTS, true));
        let verified = depot.must(&["verify", "--depth", "listing"]).await;
        assert_eq!((&verified["objects"], &verified["findings"]), (&OBJECTS.into(), &json!([])));
    })
    .await;
}

fn key(n: usize) -> String {
    format!("documents/2026/{n:06}.bin")
}

/// Lines of a manifest as the listing gives them, without digests.
async fn listed(depot: &Depot) -> Vec<Value> {
    let pages = depot.source.client().list_objects_v2().bucket(PRODUCTION);
    let mut pages = pages.into_paginator().send();
    let mut lines = Vec::with_capacity(OBJECTS);
    while let Some(page) = pages.next().await {
        lines.extend(page.expect("a page").contents().iter().map(|object| {
            let modified = object.last_modified().expect("a date");
            let modified = chrono::DateTime::from_timestamp(modified.secs(), modified.subsec_nanos());
            json!({
                "key": object.key(),
                "size": object.size(),
                "sha256": "",
                "etag": object.e_tag().map(|etag| etag.trim_matches('"')),
                "last_modified": modified,
            })
        }));
    }
    lines
}
