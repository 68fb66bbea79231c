//! Artifacts made by the zip crate's writer, then damaged by hand.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

const LIMITS: Limits = Limits { entries: 100, total_bytes: 10 << 20, ratio: 100 };

fn noise(seed: u32, bytes: u32) -> Vec<u8> {
    (0..bytes.div_ceil(32))
        .flat_map(|n| Sha256::digest([seed, n].map(u32::to_le_bytes).concat()).to_vec())
        .collect()
}

fn zip_of(entries: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, options).expect("into memory");
        writer.write_all(content).expect("into memory");
    }
    writer.finish().expect("into memory").into_inner()
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

struct Artifact {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn on_disk(bytes: &[u8]) -> Artifact {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("artifact.zip");
    std::fs::write(&path, bytes).expect("a file");
    Artifact { _folder: folder, path }
}

async fn checked(bytes: &[u8], digest: Option<&str>) -> Result<ArtifactIndex, &'static str> {
    let artifact = on_disk(bytes);
    check(&artifact.path, digest, LIMITS, |_, _| {}).await.map_err(|refusal| refusal.reason())
}

async fn content(path: &Path, entry: &ArtifactEntry) -> Result<Vec<u8>, ArtifactRefusal> {
    let pieces: Vec<Bytes> = read_entry(path, entry).try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn a_whole_artifact_is_indexed_and_read_back() {
    let (large, small) = (noise(1, 700_000), b"bonjour".as_slice());
    for options in [deflated(), stored(), deflated().large_file(true)] {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_directory("media/", options).expect("into memory");
        for (name, content) in [("media/Évaluation.pdf", large.as_slice()), ("a.txt", small), ("empty", b"")]
        {
            writer.start_file(name, options).expect("into memory");
            writer.write_all(content).expect("into memory");
        }
        let artifact = on_disk(&writer.finish().expect("into memory").into_inner());
        let index = check(&artifact.path, None, LIMITS, |_, _| {}).await.expect("a good artifact");
        let keys: Vec<_> = index.entries.iter().map(|entry| (entry.key.as_str(), entry.size)).collect();
        assert_eq!(keys, [("a.txt", 7), ("empty", 0), ("media/Évaluation.pdf", 700_000)]);
        assert_eq!(index.entries[0].md5, "f02368945726d5fc2a14eb576f7276c0");
        assert_eq!(index.entries[2].sha256, hex::encode(Sha256::digest(&large)));
        assert!(!index.digest_matched);
        assert_eq!(content(&artifact.path, &index.entries[2]).await.expect("whole"), large);
        assert_eq!(content(&artifact.path, &index.entries[1]).await.expect("whole"), b"");
    }
}

#[tokio::test]
async fn the_digest_is_compared_when_it_is_given() {
    let bytes = zip_of(&[("a", b"a")], deflated());
    let right = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
    assert!(checked(&bytes, Some(&right)).await.expect("the right digest").digest_matched);
    let wrong = format!("sha256:{}", "0".repeat(64));
    assert_eq!(checked(&bytes, Some(&wrong)).await.map(|_| ()), Err("digest-differs"));
    assert!(!checked(&bytes, Some("blake3:00")).await.expect("unknown to us").digest_matched);
}

fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&bytes[at..], old) {
        bytes[at + found..at + found + old.len()].copy_from_slice(new);
        at += found + old.len();
    }
    bytes
}

/// Sets a 16-bit field in each header of the zip, local and central.
fn with_field(bytes: &[u8], local: usize, central: usize, value: u16) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (magic, offset) in [(b"PK\x03\x04", local), (b"PK\x01\x02", central)] {
        let at = memchr::memmem::find(&bytes, magic).expect("a header") + offset;
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

#[tokio::test]
async fn every_damage_has_its_own_reason() {
    let plain = zip_of(&[("abcd", &noise(2, 4000)), ("efgh", &noise(3, 4000))], stored());
    let packed = zip_of(&[("abcd", &noise(2, 4000))], deflated());
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[1000] ^= 1;
        bytes
    };
    let cases = [
        ("an error page", b"<html>expired</html>".to_vec(), "error-page"),
        ("nothing", vec![], "empty"),
        ("cut to half", plain[..plain.len() / 2].to_vec(), "zip-directory"),
        ("cut by a byte", plain[..plain.len() - 1].to_vec(), "zip-directory"),
        ("a flip in stored bytes", flipped(&plain), "zip-entry-damaged"),
        ("a flip in packed bytes", flipped(&packed), "zip-entry-damaged"),
        ("a name above", replace(&plain, b"abcd", b"../d"), "zip-name"),
        ("an absolute name", replace(&plain, b"abcd", b"/bcd"), "zip-name"),
        ("one name twice", replace(&plain, b"abcd", b"efgh"), "zip-duplicate"),
        ("encrypted", with_field(&plain, 6, 8, 1), "zip-unsupported"),
        ("an odd method", with_field(&plain, 8, 10, 12), "zip-unsupported"),
    ];
    for (what, bytes, reason) in cases {
        assert_eq!(checked(&bytes, None).await.map(|_| ()), Err(reason), "{what}");
    }
}

#[tokio::test]
async fn bombs_are_refused_before_they_are_unpacked() {
    let zeros = vec![0; 5 << 20];
    assert_eq!(checked(&zip_of(&[("a", &zeros)], deflated()), None).await.map(|_| ()), Err("too-large"));
    let large = zip_of(&[("a", &zeros), ("b", &zeros), ("c", &zeros)], stored());
    assert_eq!(checked(&large, None).await.map(|_| ()), Err("too-large"));
    let names: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    assert_eq!(checked(&zip_of(&many, stored()), None).await.map(|_| ()), Err("too-large"));
}

#[tokio::test]
async fn a_file_that_rots_after_its_check_is_noticed_when_read() {
    let bytes = zip_of(&[("a", &noise(4, 300_000))], stored());
    let artifact = on_disk(&bytes);
    let index = check(&artifact.path, None, LIMITS, |_, _| {}).await.expect("a good artifact");
    let mut rotten = bytes.clone();
    rotten[200_000] ^= 1;
    std::fs::write(&artifact.path, rotten).expect("a file");
    let refusal = content(&artifact.path, &index.entries[0]).await.expect_err("it rotted");
    assert_eq!(refusal.reason(), "zip-entry-damaged");
    assert_eq!(refusal.to_string(), "\"a\" in the zip archive is damaged at byte 300000: its CRC is wrong");
}
