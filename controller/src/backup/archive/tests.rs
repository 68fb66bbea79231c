//! Archives made byte by byte: every way to be wrong has its own reason, and leaves no file behind.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::*;

const ROOM: u64 = 1 << 20;

/// Something that begins like a dump and does not compress to nothing.
fn dump() -> Vec<u8> {
    let mut dump = b"PGDMP\x01\x0e\x00\x04\x08\x01".to_vec();
    let noise = (0..2000_u32).flat_map(|n| Sha256::digest(n.to_le_bytes()).to_vec());
    dump.extend(noise);
    dump
}

fn header(name: &[u8], size: usize, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    header.set_cksum();
    header
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let header = header(name.as_bytes(), content.len(), tar::EntryType::Regular);
        builder.append(&header, *content).expect("into memory");
    }
    builder.into_inner().expect("into memory")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("into memory");
    encoder.finish().expect("into memory")
}

fn good() -> Vec<u8> {
    gzip(&tar_of(&[("20261122011500_shop.pgsql", &dump())]))
}

fn body(bytes: &[u8], piece: usize) -> impl Stream<Item = Result<Bytes, std::io::Error>> + use<> {
    let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces)
}

async fn received(bytes: &[u8], announced: Option<u64>) -> Result<(Received, Vec<u8>), &'static str> {
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("dump");
    let expect = Expect { download_bytes: announced, max_dump_bytes: ROOM };
    let outcome = receive(body(bytes, 1000), expect, &into, |_| {}).await;
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    match outcome {
        Ok(received) => {
            assert_eq!(left.len(), 1);
            assert_eq!(std::fs::metadata(&into).expect("the dump").permissions().mode() & 0o777, 0o600);
            Ok((received, std::fs::read(&into).expect("the dump")))
        }
        Err(refusal) => {
            assert!(left.is_empty(), "{refusal} left {left:?}");
            Err(refusal.reason())
        }
    }
}

#[tokio::test]
async fn a_whole_archive_is_unpacked_and_hashed_in_one_pass() {
    let archive = good();
    let (received, written) = received(&archive, Some(archive.len() as u64)).await.expect("a good archive");
    assert_eq!(written, dump());
    assert_eq!(received.dump_bytes, dump().len() as u64);
    assert_eq!(received.dump_sha256, hex::encode(Sha256::digest(dump())));
    assert_eq!(received.download_bytes, archive.len() as u64);
    assert_eq!(received.download_sha256, hex::encode(Sha256::digest(&archive)));
    assert_eq!(received.packing, Packing::GzipTar);
    assert_eq!(received.header.version, (1, 14, 0));
}

#[tokio::test]
async fn a_member_name_is_never_a_path() {
    for name in ["/absolute.pgsql", "folder/inside.pgsql", "../../outside.pgsql"] {
        let archive = gzip(&tar_of(&[(name, &dump())]));
        let (received, written) = received(&archive, None).await.expect(name);
        assert_eq!((received.member.as_deref(), written), (Some(name), dump()));
    }
}

#[tokio::test]
async fn other_packings_are_told_by_their_magic() {
    let long_name = format!("{}.pgsql", "n".repeat(180));
    let mut long = tar::Builder::new(Vec::new());
    let mut plain = header(b"short", dump().len(), tar::EntryType::Regular);
    long.append_data(&mut plain, &long_name, dump().as_slice()).expect("into memory");
    let mut with_folder = tar::Builder::new(Vec::new());
    with_folder.append(&header(b"backup/", 0, tar::EntryType::Directory), &[][..]).expect("into memory");
    let member = header(b"backup/x", dump().len(), tar::EntryType::Regular);
    with_folder.append(&member, dump().as_slice()).expect("into memory");
    for (archive, packing) in [
        (dump(), Packing::Bare),
        (gzip(&dump()), Packing::Gzip),
        (tar_of(&[("x", &dump())]), Packing::Tar),
        (gzip(&long.into_inner().expect("into memory")), Packing::GzipTar),
        (gzip(&with_folder.into_inner().expect("into memory")), Packing::GzipTar),
    ] {
        let (received, written) = received(&archive, None).await.expect("a good archive");
        assert_eq!((received.packing, written == dump()), (packing, true));
    }
}

/// Damaged archives, what was announced of their length, and the reason each is refused for.
fn damaged() -> Vec<(&'static str, Vec<u8>, Option<u64>, &'static str)> {
    let good = good();
    let length = good.len();
    let whole_tar = tar_of(&[("x", &dump())]);
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let mut linked = tar::Builder::new(Vec::new());
    linked.append(&header(b"x", 0, tar::EntryType::Symlink), &[][..]).expect("into memory");
    let mut bad_checksum = whole_tar.clone();
    bad_checksum[0] ^= 1;
    let mut directory_format = dump();
    directory_format[10] = 5;
    let bomb =
        gzip(&tar_of(&[("x", &[dump(), vec![0; 2 * usize::try_from(ROOM).expect("small")]].concat())]));
    let bare_bomb = gzip(&[dump(), vec![0; 2 * usize::try_from(ROOM).expect("small")]].concat());
    let page = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>".to_vec();
    let text = b"--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n".to_vec();
    vec![
        ("nothing", vec![], None, "empty"),
        ("nothing, of something", vec![], Some(10), "cut-short"),
        ("an error page", page.clone(), None, "error-page"),
        ("an error page in a tar", gzip(&tar_of(&[("x", &page)])), None, "error-page"),
        ("plain SQL", text.clone(), None, "plain-sql"),
        ("plain SQL, gzipped", gzip(&text), None, "plain-sql"),
        ("junk", vec![0xAB; 3000], None, "wrong-magic"),
        ("junk in a tar", gzip(&tar_of(&[("x", &[0xAB; 3000])])), None, "wrong-magic"),
        ("cut to half, length known", good[..length / 2].to_vec(), Some(length as u64), "cut-short"),
        ("cut to half", good[..length / 2].to_vec(), None, "gzip-cut"),
        ("cut by a byte", good[..length - 1].to_vec(), None, "gzip-cut"),
        ("longer than told", good.clone(), Some(length as u64 - 1), "overlong"),
        ("a tail", [good.clone(), page].concat(), None, "gzip-trailing"),
        ("a flip in the checksum", flipped(length - 6), None, "gzip-damaged"),
        ("no member", gzip(&tar_of(&[])), None, "member-missing"),
        ("two members", gzip(&tar_of(&[("x", &dump()), ("y", b"more")])), None, "several-members"),
        ("a link", gzip(&linked.into_inner().expect("into memory")), None, "member-odd"),
        ("an empty member", gzip(&tar_of(&[("x", b"")])), None, "dump-empty"),
        ("a stump of a dump", gzip(&tar_of(&[("x", b"PGDMP\x01")])), None, "header-cut"),
        ("a directory's TOC", gzip(&tar_of(&[("x", &directory_format)])), None, "not-custom-format"),
        ("a tar cut before gzip", gzip(&whole_tar[..20_000]), None, "tar-cut"),
        ("a header damaged before gzip", gzip(&bad_checksum), None, "tar-damaged"),
        ("a bomb", bomb, None, "too-large"),
        ("a bomb without a tar", bare_bomb, None, "too-large"),
    ]
}

#[tokio::test]
async fn every_damage_has_its_own_reason() {
    for (what, bytes, announced, reason) in damaged() {
        assert_eq!(received(&bytes, announced).await.map(|_| ()), Err(reason), "{what}");
    }
}

#[tokio::test]
async fn every_cut_and_most_flips_are_noticed() {
    let archive = good();
    for length in (0..archive.len()).step_by(997) {
        assert!(received(&archive[..length], None).await.is_err(), "cut to {length} bytes");
    }
    for at in (10..archive.len()).step_by(1499) {
        let mut flipped = archive.clone();
        flipped[at] ^= 4;
        assert!(received(&flipped, None).await.is_err(), "flipped at {at}");
    }
}

#[tokio::test]
async fn a_line_that_drops_says_nothing_about_the_backup() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken =
        body(&good()[..5000], 1000).chain(futures::stream::iter([Err(std::io::Error::other("reset"))]));
    let expect = Expect { download_bytes: None, max_dump_bytes: ROOM };
    let refusal = receive(broken, expect, &folder.path().join("dump"), |_| {}).await.expect_err("it dropped");
    assert_eq!((refusal.reason(), refusal.blames_backup()), ("transfer-failed", false));
    assert_eq!(refusal.to_string(), "the download failed after 5000 bytes");
}

#[tokio::test]
async fn a_dropped_download_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("dump");
    let endless = body(&good()[..5000], 1000).chain(futures::stream::pending());
    let expect = Expect { download_bytes: None, max_dump_bytes: ROOM };
    let (seen, mut arrived) = tokio::sync::watch::channel(0);
    let progress = |bytes| seen.send(bytes).expect("somebody looks");
    {
        let mut receiving = pin!(receive(endless, expect, &into, progress));
        tokio::select! {
            outcome = &mut receiving => panic!("ended by itself: {outcome:?}"),
            all = arrived.wait_for(|bytes| *bytes == 5000) => drop(all.expect("a value")),
        }
    }
    let limit = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::fs::read_dir(folder.path()).expect("the folder").next().is_some() {
        assert!(tokio::time::Instant::now() < limit, "the partial file is still there");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
