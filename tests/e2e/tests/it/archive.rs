//! The archive on its bad days: cut off, lied to, damaged, locked out; and whatever happens, restorable.

mod access;
mod cuts;
mod damage;
mod restore;
mod rights;
mod schedule;
mod suspicion;
mod throttling;
mod troubles;
mod way_out;

use bytes::Bytes;
use reprise_e2e::depot::{Depot, PRODUCTION};

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
fn body(key: &str) -> Bytes {
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

/// A production bucket with every oddity: odd keys, an empty object, one whose key is a folder's, one of several parts, one
/// with everything that can travel with an object, and one that another customer may read.
async fn oddities(depot: &Depot) {
    for key in odd_keys() {
        depot.source.put(PRODUCTION, &key, body(&key)).await;
    }
    depot.source.put(PRODUCTION, "empty.bin", Bytes::new()).await;
    depot.source.put(PRODUCTION, "a-folder/", Bytes::new()).await;
    depot.source.put(PRODUCTION, "twice.txt", body("plain.txt")).await;
    depot.source.put(PRODUCTION, "shared.txt", body("shared")).await;
    depot.source.share(PRODUCTION, "shared.txt", "another-customer").await;
    depot.source.put_dressed(PRODUCTION, "dressed/in full.json", "{\"a\": 1}").await;
    depot.source.put_dressed(PRODUCTION, "dressed/large.bin", noise(17 << 20, 5)).await;
}

/// The key that a run's record has.
fn run_of(record: &serde_json::Value) -> String {
    record["run"].as_str().expect("a run").to_owned()
}
