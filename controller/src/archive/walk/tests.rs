//! What a walk decides, key by key.

use super::*;

fn listed(key: &str, etag: &str) -> ObjectSummary {
    ObjectSummary { key: key.into(), size: 3, etag: etag.into(), modified: None, storage_class: None }
}

fn line(key: &str, etag: &str) -> Line {
    let entry = serde_json::json!({"key": key, "size": 3, "sha256": format!("old-{key}"), "etag": etag, "last_modified": null});
    Line { text: entry.to_string(), entry: serde_json::from_value(entry).unwrap() }
}

/// An archive that lost these contents.
struct Lost(&'static [&'static str]);

impl Held for Lost {
    fn held(&self, digests: Vec<String>) -> BoxFuture<'_, Result<HashSet<String>>> {
        let held = digests.into_iter().filter(|digest| !self.0.contains(&digest.as_str())).collect();
        Box::pin(std::future::ready(Ok(held)))
    }

    fn pending(&self, names: Vec<String>) -> BoxFuture<'_, Result<HashMap<String, Option<String>>>> {
        let names = names.into_iter().filter(|name| !self.0.contains(&name.as_str()));
        let known = names.map(|name| {
            let hashed = name.strip_prefix("pending/hashed-").map(|key| format!("new-{key}"));
            (name, hashed)
        });
        Box::pin(std::future::ready(Ok(known.collect())))
    }
}

async fn run(
    before: Vec<Line>,
    now: Vec<ObjectSummary>,
    copied: Vec<(&str, &str)>,
) -> (ChangeCounts, Vec<String>, String) {
    run_with(before, now, copied, &[]).await
}

async fn run_with(
    before: Vec<Line>,
    now: Vec<ObjectSummary>,
    copied: Vec<(&str, &str)>,
    lost: &'static [&'static str],
) -> (ChangeCounts, Vec<String>, String) {
    let (pages, listing) = mpsc::channel(8);
    for page in now.chunks(2) {
        pages.send(Ok(page.to_vec())).await.unwrap();
    }
    drop(pages);
    let (send, lines) = mpsc::channel(8);
    send.send(Ok(before)).await.unwrap();
    drop(send);
    let copied = copied.into_iter().map(|(key, etag)| {
        let entry = serde_json::to_value(line(key, etag).entry).unwrap();
        Ok((key.into(), etag.into(), Some(entry)))
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let (changed, mut rest) = mpsc::channel(100);
    let spool = Spool::create(&path).unwrap();
    let (before, copied, lost) = (Before::new(Some(lines)), futures::stream::iter(copied), Lost(lost));
    let walked = walk(listing, before, copied, spool, changed, &|_| (), &lost).await.unwrap();
    let mut keys = Vec::new();
    while let Some(change) = rest.recv().await {
        keys.push(change.listed.key);
    }
    (walked.counts, keys, std::fs::read_to_string(path).unwrap())
}

#[tokio::test]
async fn one_pass_finds_what_is_new_rewritten_gone_and_the_same() {
    let before = vec![line("a", "1"), line("b", "1"), line("c", "1"), line("z", "1")];
    let now = vec![listed("a", "1"), listed("c", "2"), listed("d", "1")];
    let (counts, copied, spool) = run(before, now, vec![]).await;
    assert_eq!((counts.before, counts.added, counts.rewritten, counts.deleted), (4, 1, 1, 2));
    assert_eq!(copied, ["c", "d"]);
    let kinds: String = spool.lines().filter_map(|line| line.chars().next()).collect();
    assert_eq!(kinds, "=++");
}

#[tokio::test]
async fn what_was_copied_before_the_cut_is_not_copied_again_unless_it_changed() {
    let now = vec![listed("a", "1"), listed("b", "2"), listed("c", "1")];
    let (counts, copied, spool) = run(vec![], now, vec![("a", "1"), ("b", "1"), ("bb", "1")]).await;
    assert_eq!((counts.added, copied), (3, vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(spool.lines().count(), 3);
}

#[tokio::test]
async fn what_was_copied_before_the_cut_under_another_date_or_size_is_copied_again() {
    let of = |size, seconds| {
        let modified = chrono::DateTime::from_timestamp(seconds, 0);
        ObjectSummary { size, modified, ..listed("a", "") }
    };
    // Where lists have no tags, or an object was put again with the same bytes, these alone tell.
    for (now, expected) in [(of(3, 0), vec!["a"]), (of(4, 0), vec!["a"]), (listed("a", ""), vec![])] {
        let (_, copied, _) = run(vec![], vec![now], vec![("a", "")]).await;
        assert_eq!(copied, expected);
    }
}

#[tokio::test]
async fn what_was_copied_before_the_cut_and_is_lost_is_copied_again() {
    let now = vec![listed("a", "1"), listed("b", "1")];
    let (_, copied, _) = run_with(vec![], now, vec![("a", "1"), ("b", "1")], &["old-a"]).await;
    assert_eq!(copied, ["a"]);
}

#[tokio::test]
async fn what_nobody_has_hashed_is_told_apart_by_the_sources_own_tag() {
    let pending = |etag: &str| {
        let mut line = line("a", etag);
        (line.entry.sha256, line.entry.pending) = (String::new(), Some("pending/a".into()));
        line
    };
    assert!(pending("1").entry.is_same_content(&pending("1").entry));
    assert!(!pending("1").entry.is_same_content(&pending("2").entry));
    assert!(!line("a", "1").entry.is_same_content(&pending("2").entry));
    assert!(line("a", "1").entry.is_same_content(&line("a", "2").entry), "the digest says more");
}

#[tokio::test]
async fn what_the_store_copied_by_itself_is_named_by_its_digest_once_it_is_hashed_and_copied_again_if_lost() {
    let pending = |key: &str, name: &str| {
        let mut line = line(key, "1");
        line.entry.sha256.clear();
        line.entry.pending = Some(name.to_owned());
        line.text = serde_json::to_string(&line.entry).unwrap();
        line
    };
    let before = vec![pending("a", "pending/hashed-a"), pending("b", "pending/b"), pending("c", "pending/c")];
    let as_it_was = before[1].text.clone();
    let now = vec![listed("a", "1"), listed("b", "1"), listed("c", "1")];
    let (counts, copied, spool) = run_with(before, now, vec![], &["pending/c"]).await;
    assert_eq!((counts.added, counts.rewritten, copied), (0, 0, vec!["c".to_owned()]));
    let lines: Vec<_> = spool.lines().collect();
    let hashed: Entry = serde_json::from_str(lines[0].strip_prefix('=').unwrap()).unwrap();
    assert_eq!((hashed.sha256.as_str(), hashed.pending), ("new-a", None));
    assert_eq!(&lines[1..], [format!("={as_it_was}"), "+\"c\"".to_owned()]);
}

#[tokio::test]
async fn what_could_not_be_read_is_asked_for_again() {
    // Before the cut,
    for note in [Value::Null, Value::from("it is in cold storage")] {
        let noted = [Ok(("a".into(), "1".into(), Some(note)))];
        let mut noted = std::pin::pin!(futures::stream::iter(noted).peekable());
        assert_eq!(is_copied(noted.as_mut(), &listed("a", "1")).await.unwrap(), None);
    }
    // and in the run before: the object is the same, its access control list was not read.
    let mut before = line("b", "1");
    before.entry.acl_unread = true;
    let (_, copied, _) =
        run(vec![before, line("c", "1")], vec![listed("b", "1"), listed("c", "1")], vec![]).await;
    assert_eq!(copied, ["b"]);
}

#[tokio::test]
async fn what_the_archive_lost_is_copied_again_though_the_source_did_not_change() {
    let before = vec![line("a", "1"), line("b", "1")];
    let now = vec![listed("a", "1"), listed("b", "1")];
    let (counts, copied, spool) = run_with(before, now, vec![], &["old-b"]).await;
    assert_eq!((counts.added, counts.rewritten, copied), (0, 0, vec!["b".to_owned()]));
    let kinds: String = spool.lines().filter_map(|line| line.chars().next()).collect();
    assert_eq!(kinds, "=+");
}

#[test]
fn without_entity_tags_a_list_tells_by_dates_and_without_both_nothing() {
    let at = |text: &str| Some(text.parse().unwrap());
    let (old, new) = (at("2026-11-29T10:00:00Z"), at("2026-11-29T10:00:01Z"));
    let entry = Entry { last_modified: old, ..line("a", "1").entry };
    let is = |etag, modified| unchanged(&entry, &ObjectSummary { modified, ..listed("a", etag) });
    assert!(is("1", old) && is("", old));
    assert!(!is("2", old) && !is("1", new) && !is("", new));
    assert!(!unchanged(&line("a", "1").entry, &listed("a", "")), "nothing is known of it");
}

#[tokio::test]
async fn a_run_that_refreshes_asks_again_about_what_has_not_changed() {
    let (pages, listing) = mpsc::channel(8);
    pages.send(Ok(vec![listed("a", "1"), listed("b", "2")])).await.unwrap();
    drop(pages);
    let (send, lines) = mpsc::channel(8);
    send.send(Ok(vec![line("a", "1"), line("b", "1")])).await.unwrap();
    drop(send);
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::create(&folder.path().join("spool")).unwrap();
    let (changed, mut rest) = mpsc::channel(100);
    let (before, copied) = (Before::new(Some(lines)).read_again(true), futures::stream::empty());
    let walked = walk(listing, before, copied, spool, changed, &|_| (), &Lost(&[])).await.unwrap();
    assert_eq!((walked.counts.rewritten, walked.counts.redressed), (1, 0));
    let mut told = Vec::new();
    while let Some(change) = rest.recv().await {
        told.push((change.listed.key, change.known.is_some(), change.before.is_some()));
    }
    assert_eq!(told, [("a".to_owned(), true, false), ("b".to_owned(), false, true)]);
}
