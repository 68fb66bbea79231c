use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures::stream;
use proptest::prelude::*;
use reprise_crds::plan::ObjectKeys;

use super::*;
use crate::archive::manifest::Writer;
use crate::backup::lab::lab;
use crate::truth::held_against;

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
    let mut told = (0, 0);
    let mut hear = |odd: Odd<'_>| {
        match odd {
            Odd::Dangling { rows, .. } => told.0 += rows.unsigned_abs(),
            Odd::Orphan { .. } => told.1 += 1,
        }
        Ok(())
    };
    let merging = merge(stream::iter(rows.map(Ok)), receive, prefixes, &mut hear);
    let (truth, ()) = tokio::join!(merging, feeding);
    let truth = truth.expect("merged");
    assert_eq!(told, (truth.dangling, truth.orphans), "each is told, however many are named");
    truth
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

/// So many references. Each seventh row names nothing that is there; of each thousand objects one, at an odd number, is named by no row.
async fn referred(references: u32) -> Truth {
    let key = |number: u32| format!("documents/{number:07}.pdf");
    let rows = (0..references).map(move |number| (key(number * 2), 1));
    let there = |number: &u32| {
        if number.is_multiple_of(2) { !(number / 2).is_multiple_of(7) } else { number % 2_000 == 1 }
    };
    let objects = (0..references * 2).filter(there).map(key);
    merged(rows, objects, &["documents/"]).await
}

/// How many references a process of its own counts that is weighed.
const WEIGHED: &str = "REPRISE_TEST_REFERENCES";

/// The manifest of a run that has all but each seventh of so many documents, and of each thousand one that nobody names.
fn manifest(references: u32, path: &std::path::Path) -> PathBuf {
    let path = path.join("manifest");
    let mut writer = Writer::create(&path).expect("a file");
    let mut put = |key: String| {
        let text = json!({"key": key, "size": 1, "sha256": "00", "etag": "e", "last_modified": null});
        writer.line(&key, 1, &text.to_string()).expect("written");
    };
    for number in 0..references {
        if number % 7 != 0 {
            put(format!("documents/{number:07}.pdf"));
        }
        if number % 1_000 == 1 {
            put(format!("documents/{number:07}.pdf.old"));
        }
    }
    writer.finish().expect("written");
    path
}

/// From the table to the counts, as a proof does it.
#[tokio::test]
async fn as_many_rows_as_are_asked_for_are_all_counted() {
    let asked: u32 = std::env::var(WEIGHED).map_or(1_000, |count| count.parse().expect("a count"));
    let lab = lab().await;
    let rows = format!(
        "CREATE TABLE public.d AS SELECT lpad(n::text, 7, '0') || '.pdf' AS k FROM generate_series(0, {asked} - 1) AS n"
    );
    let mut source = lab.connect(&lab.source(&rows).await).await;
    let column = ObjectKeys { table: "public.d".into(), column: "k".into(), prefix: "documents/".into() };
    let folder = tempfile::tempdir().expect("a folder");
    let path = manifest(asked, folder.path());
    let truth = held_against(&mut source, &[column], path, &mut |_| Ok(())).await.expect("compared");
    let (dangling, orphans) = (u64::from(asked.div_ceil(7)), u64::from(asked.div_ceil(1_000)));
    assert_eq!((truth.keys, truth.dangling), (u64::from(asked), dangling));
    assert_eq!((truth.objects, truth.orphans), (u64::from(asked) - dangling + orphans, orphans));
    println!("{}", std::fs::read_to_string("/proc/self/status").expect("what the process takes"));
}

/// The most that so many references take, alone in their process, in KiB.
fn peak(references: u32) -> u64 {
    let mut process = std::process::Command::new(std::env::current_exe().expect("this program"));
    let test = "truth::merge::tests::as_many_rows_as_are_asked_for_are_all_counted";
    process.args(["--exact", test, "--nocapture"]).env(WEIGHED, references.to_string());
    let done = process.output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told = String::from_utf8(done.stdout).expect("a text");
    let peak = told.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most that it took");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_million_rows_are_counted_exactly_in_hardly_more_memory_than_a_thousand() {
    let (few, many) = (peak(1_000), peak(1_000_000));
    assert!(many < few + (8 << 10), "{many} KiB, and {few} KiB for a thousand");
}

#[tokio::test]
async fn references_are_counted_exactly_and_the_first_are_named() {
    let truth = referred(70_000).await;
    assert_eq!((truth.keys, truth.dangling), (70_000, 10_000));
    assert_eq!((truth.objects, truth.orphans), (60_000 + 70, 70));
    assert_eq!(truth.dangling_keys[..2], ["documents/0000000.pdf", "documents/0000014.pdf"]);
}
