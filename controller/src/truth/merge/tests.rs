use std::collections::{BTreeMap, BTreeSet};

use futures::stream;
use proptest::prelude::*;

use super::*;

fn line(key: &str) -> Line {
    let entry = json!({"key": key, "size": 1, "sha256": "00", "etag": "e", "last_modified": null});
    Line { entry: serde_json::from_value(entry).expect("an entry"), text: String::new() }
}

/// Merges what the iterators give, in batches as a manifest's reader sends them.
async fn merged(
    rows: impl Iterator<Item = (String, i64)>,
    objects: impl Iterator<Item = String>,
    prefixes: &[&str],
) -> Truth {
    let (send, receive) = mpsc::channel(2);
    let feeding = async move {
        let mut batch = Vec::new();
        for key in objects {
            batch.push(line(&key));
            if batch.len() == 512 {
                send.send(Ok(std::mem::take(&mut batch))).await.expect("somebody reads");
            }
        }
        send.send(Ok(batch)).await.expect("somebody reads");
    };
    let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    let (truth, ()) = tokio::join!(merge(stream::iter(rows.map(Ok)), receive, prefixes), feeding);
    truth.expect("merged")
}

proptest! {
    #[test]
    fn it_counts_what_sets_count(
        rows in prop::collection::btree_map("[ab/é]{0,3}", 1..4_i64, 0..40),
        objects in prop::collection::btree_set("[ab/é]{0,3}", 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let found = runtime.block_on(merged(rows.clone().into_iter(), objects.clone().into_iter(), &["a", "b"]));
        let below: BTreeSet<&String> = objects.iter().filter(|key| key.starts_with(['a', 'b'])).collect();
        let dangling: BTreeMap<&String, &i64> = rows.iter().filter(|(key, _)| !below.contains(key)).collect();
        let orphans = below.iter().filter(|key| !rows.contains_key(**key)).count() as u64;
        prop_assert_eq!(found.keys, rows.values().sum::<i64>().unsigned_abs());
        prop_assert_eq!(found.dangling, dangling.values().copied().sum::<i64>().unsigned_abs());
        prop_assert_eq!((found.objects, found.orphans), (below.len() as u64, orphans));
        prop_assert_eq!(found.dangling_keys.len(), dangling.len().min(NAMED));
    }
}

#[tokio::test]
async fn a_million_references_are_counted_exactly() {
    let key = |number: u32| format!("documents/{number:07}.pdf");
    let rows = (0..1_000_000_u32).map(move |number| (key(number * 2), 1));
    // Each seventh row names nothing that is there; a thousand objects, at odd numbers, are named by no row.
    let there = |number: &u32| {
        if number.is_multiple_of(2) { !(number / 2).is_multiple_of(7) } else { number % 2_000 == 1 }
    };
    let objects = (0..2_000_000_u32).filter(there).map(key);
    let truth = merged(rows, objects, &["documents/"]).await;
    assert_eq!((truth.keys, truth.dangling), (1_000_000, 142_858));
    assert_eq!((truth.objects, truth.orphans), (857_142 + 1_000, 1_000));
    assert_eq!(truth.dangling_keys[..2], ["documents/0000000.pdf", "documents/0000014.pdf"]);
}
