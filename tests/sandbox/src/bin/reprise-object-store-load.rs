//! `reprise-object-store-load`: requests a second, processor time per request, bytes a second and bytes per object of one object
//! store, which it starts in a process of its own. `tests/bench/sandbox` runs it and judges the figures.
//!
//! The requests are signed once and sent again and again over connections that stay open, so that the driver costs little. Each
//! line of output is a name, a number and its unit, separated by tabs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::Utc;
use clap::Parser;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Connections that are kept busy.
const CONNECTIONS: usize = 32;
/// Bytes of a large body.
const LARGE: usize = 512 << 20;
/// Between two looks for the file that says that the store serves.
const PAUSE: Duration = Duration::from_millis(10);

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Args {
    /// How many objects of 1 KiB there are before.
    #[arg(long, default_value_t = 100_000)]
    objects: u64,
    /// How many small requests of each kind are sent.
    #[arg(long, default_value_t = 60_000)]
    requests: usize,
    /// The store's benchmark mode: it answers before the disk has what was written.
    #[arg(long)]
    relaxed: bool,
}

struct Store {
    child: Child,
    env: BTreeMap<String, String>,
}

impl Drop for Store {
    fn drop(&mut self) {
        // It may have died; then there is nothing to end.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

impl Store {
    async fn start(dir: &Path, args: &Args, objects: u64) -> Result<Self, Error> {
        let file = dir.join("env");
        drop(std::fs::remove_file(&file));
        // The one that was built with this program.
        let mut command = Command::new(std::env::current_exe()?.with_file_name("reprise-object-store"));
        command.arg("--dir").arg(dir.join("store")).arg("--env-file").arg(&file);
        command.args(["--seed-objects", &objects.to_string()]);
        command.args(if args.relaxed { ["--relaxed"].as_slice() } else { &["--rate", "1000000"] });
        let child = command.stderr(Stdio::null()).spawn()?;
        let mut store = Self { child, env: BTreeMap::new() };
        while !file.exists() {
            if let Some(status) = store.child.try_wait()? {
                return Err(format!("the store ended with {status}").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let text = std::fs::read_to_string(&file)?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        store.env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(store)
    }

    fn of(&self, name: &str) -> &str {
        self.env.get(name).map_or("", String::as_str)
    }

    fn address(&self) -> &str {
        self.of("S3_ENDPOINT").trim_start_matches("http://")
    }

    /// Seconds of processor time so far.
    fn processor(&self) -> Result<f64, Error> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        Ok((ticks(11) + ticks(12)) / 100.0)
    }

    /// Bytes of memory in use.
    fn memory(&self) -> Result<u64, Error> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        Ok(line.split_whitespace().next().unwrap_or("0").parse::<u64>()? * 1_024)
    }

    /// A signed request without its body.
    fn request(&self, method: &str, path: &str, length: usize) -> Vec<u8> {
        let (date, host) = (Utc::now(), self.address());
        let (day, time) = (date.format("%Y%m%d"), date.format("%Y%m%dT%H%M%SZ"));
        let headers = format!("host:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{time}\n");
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!("{method}\n{path}\n\n{headers}\n{names}\nUNSIGNED-PAYLOAD");
        let scope = format!("{day}/fr-par/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let key = format!("AWS4{}", self.of("S3_SECRET_ACCESS_KEY")).into_bytes();
        let words = [day.to_string(), "fr-par".into(), "s3".into(), "aws4_request".into(), text];
        let signature = words.iter().fold(key, |key, word| hmac(&key, word.as_bytes()));
        let id = self.of("S3_ACCESS_KEY_ID");
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: {time}\r\ncontent-length: {length}\r\nauthorization: AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={}\r\n\r\n",
            hex::encode(signature)
        )
        .into_bytes()
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

/// Sends `request` so often over one connection; every answer must be 200.
async fn repeat(address: String, request: Vec<u8>, is_head: bool, times: usize) -> Result<(), Error> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..times {
        stream.write_all(&request).await?;
        let mut filled = 0;
        let (head, length) = loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err("the connection was closed".into());
            }
            filled += read;
            if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                let head = std::str::from_utf8(&buffer[..end])?.to_lowercase();
                if !head.starts_with("http/1.1 200") {
                    return Err(head.into());
                }
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                break (end + 4, length.map_or(Ok(0), |length| length.trim().parse::<usize>())?);
            }
        };
        let mut left = if is_head { 0 } else { (head + length).saturating_sub(filled) };
        while left > 0 {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                return Err("the body was cut".into());
            }
            left = left.saturating_sub(read);
        }
    }
    Ok(())
}

async fn small(store: &Store, method: &str, key: &str, body: usize, requests: usize) -> Result<(), Error> {
    let (before, start) = (store.processor()?, Instant::now());
    let each = requests / CONNECTIONS;
    let work = (0..CONNECTIONS).map(|number| {
        let path = if method == "PUT" { format!("/seeded/{key}-{number}") } else { format!("/seeded/{key}") };
        let mut request = store.request(method, &path, body);
        request.resize(request.len() + body, b'x');
        repeat(store.address().to_owned(), request, method == "HEAD", each)
    });
    futures::future::try_join_all(work).await?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = (each * CONNECTIONS) as f64;
    let (wall, processor) = (start.elapsed().as_secs_f64(), store.processor()? - before);
    let name = method.to_lowercase();
    say(&format!("{name}_small_rate"), count / wall, "requests/s");
    say(&format!("{name}_small_cpu"), processor / count * 1e6, "us");
    Ok(())
}

async fn large(store: &Store, method: &str) -> Result<(), Error> {
    let body = if method == "PUT" { LARGE } else { 0 };
    let mut request = store.request(method, "/seeded/large", body);
    request.resize(request.len() + body, b'x');
    let (before, start) = (store.processor()?, Instant::now());
    repeat(store.address().to_owned(), request, false, 1).await?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let megabytes = LARGE as f64 / 1e6;
    let (wall, processor) = (start.elapsed().as_secs_f64(), store.processor()? - before);
    let name = method.to_lowercase();
    say(&format!("{name}_large_rate"), megabytes / wall, "MB/s");
    say(&format!("{name}_large_cpu"), processor, "s");
    Ok(())
}

fn say(name: &str, figure: f64, unit: &str) {
    use std::io::Write;
    // With stdout gone nobody can be told.
    writeln!(std::io::stdout(), "{name}\t{figure:.1}\t{unit}").unwrap_or_default();
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let dir = tempfile::tempdir()?;
    let start = Instant::now();
    let store = Store::start(dir.path(), &args, args.objects).await?;
    say("seeding", start.elapsed().as_secs_f64(), "s");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    say("memory", store.memory()? as f64 / args.objects.max(1) as f64, "bytes an object");
    for (method, body) in [("PUT", 1_024), ("GET", 0), ("HEAD", 0)] {
        let key = if method == "PUT" { "small" } else { "small-0" };
        small(&store, method, key, body, args.requests).await?;
    }
    for method in ["PUT", "GET"] {
        large(&store, method).await?;
    }
    drop(store);
    let start = Instant::now();
    drop(Store::start(dir.path(), &args, 0).await?);
    say("opening", start.elapsed().as_secs_f64(), "s");
    Ok(())
}
