//! A store that is really killed under load keeps every write that it acknowledged, and no half of one that it did not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::primitives::ByteStream;

const WRITERS: usize = 8;

/// A store in a process of its own.
struct Process {
    child: Child,
    client: Client,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn start(dir: &Path) -> Process {
    let file = dir.join("env");
    if file.exists() {
        std::fs::remove_file(&file).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprise-object-store"));
    command.arg("--dir").arg(dir.join("store")).arg("--env-file").arg(&file);
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..600 {
        if file.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let pairs: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let keys = Credentials::new(pairs["S3_ACCESS_KEY_ID"], pairs["S3_SECRET_ACCESS_KEY"], None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(pairs["S3_ENDPOINT"])
        .region(Region::new("fr-par"))
        .credentials_provider(keys)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled());
    Process { child, client: Client::from_conf(config.build()) }
}

/// The body that a key has: its size and every byte follow from the name.
fn body(key: &str) -> Vec<u8> {
    let sum = key.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let size = if sum.is_multiple_of(10) { 300_000 } else { sum % 5_000 };
    (0..size).map(|at| u8::try_from((at + sum) % 251).unwrap()).collect()
}

/// Writes until the store is gone; gives the keys that were acknowledged and not deleted, and those deleted.
async fn write(client: Client, writer: usize, stop: Arc<AtomicBool>) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{writer}/{number}");
        let put = client.put_object().bucket("bucket").key(&key).body(ByteStream::from(body(&key)));
        if put.send().await.is_err() {
            break;
        }
        if number % 4 == 3 {
            // Whether a deletion that was not answered happened is nobody's to say.
            if client.delete_object().bucket("bucket").key(&key).send().await.is_err() {
                break;
            }
            gone.push(key);
        } else {
            kept.push(key);
        }
    }
    (kept, gone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_store_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = start(dir.path()).await;
    process.client.create_bucket().bucket("bucket").send().await.unwrap();
    for round in 0..2 {
        let stop = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS)
            .map(|writer| write(process.client.clone(), round * WRITERS + writer, Arc::clone(&stop)));
        let work = futures::future::join_all(writers);
        let kill = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            process.child.kill().unwrap();
            stop.store(true, Ordering::Relaxed);
        };
        let (done, ()) = futures::join!(work, kill);
        process.child.wait().unwrap();
        process = start(dir.path()).await;
        let acknowledged: usize = done.iter().map(|(kept, _)| kept.len()).sum();
        assert!(acknowledged > 0, "nothing was written before the kill");
        for (kept, gone) in &done {
            check(&process.client, kept, gone).await;
        }
        check_all_are_whole(&process.client).await;
    }
}

async fn check(client: &Client, kept: &[String], gone: &[String]) {
    for key in kept {
        let got = client.get_object().bucket("bucket").key(key).send().await;
        let got = got.unwrap_or_else(|error| panic!("{key} was acknowledged: {error:?}"));
        assert!(got.body.collect().await.unwrap().into_bytes() == body(key), "{key} is not whole");
    }
    for key in gone {
        assert!(client.head_object().bucket("bucket").key(key).send().await.is_err(), "{key} is back");
    }
}

/// What was not acknowledged may be there or not, but never by half.
async fn check_all_are_whole(client: &Client) {
    let mut pages = client.list_objects_v2().bucket("bucket").into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            let key = object.key().unwrap();
            let got = client.get_object().bucket("bucket").key(key).send().await.unwrap();
            assert!(got.body.collect().await.unwrap().into_bytes() == body(key), "{key} is not whole");
        }
    }
}
