//! What can be told of real dumps, whole and damaged, without restoring them.

use std::path::{Path, PathBuf};

use crate::backup::Refusal;
use crate::backup::contents::{Counts, read_all};
use crate::backup::lab::{Lab, lab};
use crate::backup::toc::read_toc;

async fn reasons(lab: &Lab, file: &Path) -> (Option<&'static str>, Option<&'static str>) {
    let toc = match read_toc(&lab.tools, file).await {
        Ok(toc) => toc,
        Err(refusal) => return (Some(refusal.reason()), None),
    };
    let data = read_all(&lab.tools, file, &toc, |_| {}).await;
    (None, data.err().map(|refusal| refusal.reason()))
}

fn damaged(lab: &Lab, good: &[u8], damage: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = good.to_vec();
    damage(&mut bytes);
    let file = tempfile::NamedTempFile::new_in(lab.folder.path()).expect("a file");
    std::fs::write(file.path(), bytes).expect("a file");
    file.keep().expect("a file").1
}

fn rows(counts: &Counts) -> Vec<String> {
    counts.tables.iter().map(|count| format!("{} {}", count.table, count.rows)).collect()
}

const ROWS: [&str; 4] =
    ["autre lieu.vide 0", "public.commande 2000", "public.mesure_2026 500", "public.Élèves et amis 3000"];

#[tokio::test]
async fn a_real_dump_is_read_and_counted() {
    let lab = lab().await;
    let (toc, counts) = lab.contents(&lab.dump(&lab.shop().await, &[])).await;
    assert_eq!(rows(&counts), ROWS);
    assert_eq!((counts.large_objects, counts.large_object_bytes), (2, 60_007));
    assert_eq!(counts.not_valid, ["public commande tardive"]);
    let values: Vec<_> = counts.sequences.iter().map(|value| (value.last_value, value.is_called)).collect();
    assert_eq!(values, [(2000, true), (3000, true)]);
    // Never listed: encoding, strings, search path, the database itself.
    assert_eq!(u32::try_from(toc.entries.len()), Ok(toc.entries_total - 4));
    assert_eq!(toc.server_major(), Some(lab.tools.major()));
}

#[tokio::test]
async fn rows_dumped_as_inserts_are_counted_too() {
    let lab = lab().await;
    let shop = lab.shop().await;
    for options in [["--inserts"].as_slice(), &["--column-inserts"], &["--rows-per-insert=7"]] {
        let (_, counts) = lab.contents(&lab.dump(&shop, options)).await;
        assert_eq!(rows(&counts), ROWS, "{options:?}");
    }
}

#[tokio::test]
async fn each_damage_shows_where_it_can_be_seen() {
    let lab = lab().await;
    let good = std::fs::read(lab.dump(&lab.shop().await, &[])).expect("a dump");
    let length = good.len();
    let toc_end = 2000;
    for (what, file, expected) in [
        ("whole", damaged(&lab, &good, |_| {}), (None, None)),
        ("cut in the TOC", damaged(&lab, &good, |b| b.truncate(toc_end)), (Some("toc-unreadable"), None)),
        (
            "cut to half",
            damaged(&lab, &good, |b| b.truncate(length * 3 / 4)),
            (None, Some("data-unreadable")),
        ),
        ("cut by a byte", damaged(&lab, &good, |b| b.truncate(length - 1)), (None, Some("data-unreadable"))),
        ("a flip in data", damaged(&lab, &good, |b| b[length - 4000] ^= 1), (None, Some("data-unreadable"))),
        ("1.16", damaged(&lab, &good, |b| b[6] = 16), (Some("needs-newer-tool"), None)),
        ("1.99", damaged(&lab, &good, |b| b[6] = 99), (Some("needs-newer-tool"), None)),
    ] {
        assert_eq!(reasons(&lab, &file).await, expected, "{what}");
    }
}

#[tokio::test]
async fn the_sentence_tells_how_far_the_data_could_be_read() {
    let lab = lab().await;
    let dump = lab.dump(&lab.shop().await, &[]);
    let toc = read_toc(&lab.tools, &dump).await.expect("a table of contents");
    let good = std::fs::read(&dump).expect("a dump");
    let file = damaged(&lab, &good, |b| b.truncate(good.len() - 1));
    let refusal = read_all(&lab.tools, &file, &toc, |_| {}).await.expect_err("it is cut");
    assert!(matches!(refusal, Refusal::DataUnreadable { .. }) && refusal.blames_backup(), "{refusal}");
    assert!(refusal.to_string().contains("end of file"), "{refusal}");
}

#[tokio::test]
async fn a_flip_in_uncompressed_data_is_beyond_this_rung() {
    let lab = lab().await;
    let good = std::fs::read(lab.dump(&lab.shop().await, &["-Z0"])).expect("a dump");
    let row = memchr::memmem::find(&good, "Łukasz".as_bytes()).expect("a row");
    let file = damaged(&lab, &good, |b| b[row + 3] ^= 1);
    assert_eq!(reasons(&lab, &file).await, (None, None), "only a recorded hash tells");
}
