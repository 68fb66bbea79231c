//! The archive on its bad days: cut off, lied to, damaged, locked out; and whatever happens, restorable.

mod access;
mod alone;
mod claims;
mod clock;
mod cold;
mod cuts;
mod damage;
mod gone;
mod import;
mod inside;
mod many;
mod moved;
mod restore;
mod rights;
mod schedule;
mod strangers;
mod suspicion;
mod throttling;
mod troubles;
mod turns;
mod way_out;

use bytes::Bytes;
pub(crate) use clock::ten_minutes_ahead;
use reprise_e2e::depot::{ARCHIVE, Depot, PRODUCTION};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Keys that tools stumble over, the longest among them; what each holds is [`body`].
fn odd_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "plain.txt",
        "with space/and  two .txt",
        "per%cent/100%25.txt",
        "a+b/c+d.txt",
        "unicode/é—日本語-🗄️.txt",
        "decomposed/e\u{301}.txt",
        "quotes/'single' \"double\".txt",
        "amp&ersand/<angle>;semi,comma=.txt",
        "dots/..hidden/...txt",
        "tilde~/$dollar/(paren)/!bang*star.txt",
        "a",
        "a-b",
    ]
    .map(str::to_owned)
    .to_vec();
    // 1,024 bytes in components that a file system takes too.
    keys.push(format!("{}{}", "long-0123456789012345678/".repeat(40), "x".repeat(24)));
    keys
}

/// What lies under a key: something of its own.
pub(super) fn body(key: &str) -> Bytes {
    Bytes::from(format!("the content of {key}\n"))
}

/// Bytes that no compression shortens, the same for the same seed.
fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// A production bucket with every oddity: odd keys, empty objects, one whose key is a folder's, one of several parts, one
/// with everything that can travel with an object, and one that another customer may read.
async fn oddities(depot: &Depot) {
    for key in odd_keys() {
        depot.source.put(PRODUCTION, &key, body(&key)).await;
    }
    depot.source.put(PRODUCTION, "empty.bin", Bytes::new()).await;
    // As near as S3 lets anybody come to an object of no parts: one of a part without a byte, whose entity tag is no digest.
    depot.source.put_in_parts(PRODUCTION, "empty-in-parts.bin", Bytes::new()).await;
    depot.source.put(PRODUCTION, "a-folder/", Bytes::new()).await;
    depot.source.put(PRODUCTION, "twice.txt", body("plain.txt")).await;
    depot.source.put(PRODUCTION, "shared.txt", body("shared")).await;
    depot.source.share(PRODUCTION, "shared.txt", "another-customer").await;
    depot.source.put_dressed(PRODUCTION, "dressed/in full.json", "{\"a\": 1}").await;
    depot.source.put_dressed(PRODUCTION, "dressed/large.bin", noise(17 << 20, 5)).await;
}

/// Puts a run into the archive as another machine would have: its manifest, then its record. The contents are there.
async fn plant(depot: &Depot, run: &str, lines: &[Value]) {
    let text: String = lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
    let packed = zstd::encode_all(text.as_bytes(), 1).expect("a manifest");
    let key = format!("manifests/{run}.jsonl.zst");
    let record = serde_json::json!({
        "format": "reprise-archive/1",
        "plan": "apilos",
        "run": run,
        "source": {"endpoint": depot.source.endpoint(), "bucket": PRODUCTION},
        "started_at": chrono::Utc::now(),
        "finished_at": chrono::Utc::now(),
        "manifest": {
            "key": &key,
            "sha256": hex::encode(Sha256::digest(&packed)),
            "objects": lines.len(),
            "bytes": lines.iter().filter_map(|line| line["size"].as_u64()).sum::<u64>(),
        },
        "changes": {"before": 0, "added": lines.len(), "rewritten": 0, "scrambled": 0, "deleted": 0, "bytes": 0},
        "writer": "a test",
    });
    depot.archive.put(ARCHIVE, &format!("apilos/{key}"), packed).await;
    depot.archive.put(ARCHIVE, &format!("apilos/runs/{run}.json"), record.to_string()).await;
}

/// The key that a run's record has.
fn run_of(record: &serde_json::Value) -> String {
    record["run"].as_str().expect("a run").to_owned()
}
