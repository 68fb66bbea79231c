//! `reprise-object-store`: one object store of the sandbox alone, for measurements, for tests that kill it, and for a person
//! who wants nothing but a bucket.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use reprise_sandbox::s3::{Durability, Key, Rates, S3, S3Config, S3Error, Seeded};
use reprise_sandbox::world::World;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// One object store alone, over a folder that stays.
#[derive(Debug, Parser)]
#[command(name = "reprise-object-store", version)]
struct Args {
    /// The folder of all state; made if it is not there, kept at the end.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where to write NAME=value lines: endpoint and keys. It appears when the store serves.
    #[arg(long, value_name = "FILE")]
    env_file: PathBuf,
    /// How many times faster than the wall durations pass.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    speed: f64,
    /// Benchmark mode: no waiting for the disk, no throttling.
    #[arg(long)]
    relaxed: bool,
    /// Make a bucket `seeded` with so many objects of 1 KiB first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed_objects: u64,
    /// Throttle like the provider (`N` requests a second for each kind), also where the default would not.
    #[arg(long, value_name = "N", conflicts_with = "relaxed")]
    rate: Option<f64>,
}

const NAME: &str = "s3-alone";
const REGION: &str = "fr-par";
const THAW: Duration = Duration::from_mins(10);

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,s3s=off,reprise_sandbox=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match tokio::runtime::Runtime::new().and_then(|runtime| runtime.block_on(serve(Args::parse()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr gone nobody can be told.
            writeln!(std::io::stderr(), "reprise-object-store: {error}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let world = World::new(&args.dir, args.speed, 1)?;
    let [full, read, append] = Key::set(new_pair());
    let keys = vec![full.clone(), read.clone(), append.clone()];
    let config = S3Config { name: NAME, region: REGION.into(), keys, thaw: THAW };
    let durability = if args.relaxed { Durability::Relaxed } else { Durability::Full };
    let folder = world.folder(NAME)?;
    let store = S3::start_with(&world, &folder, config, durability).await.map_err(std::io::Error::other)?;
    if let Some(rate) = args.rate {
        store.limit(Rates::uniform(rate));
    }
    if args.seed_objects > 0 {
        seed(&store, args.seed_objects).await.map_err(std::io::Error::other)?;
    }
    let pairs = [("S3", &full), ("S3_READ", &read), ("S3_APPEND", &append), ("AWS", &full)];
    let mut lines = vec![
        format!("S3_ENDPOINT={}", store.endpoint()),
        format!("AWS_ENDPOINT_URL={}", store.endpoint()),
        format!("AWS_REGION={REGION}"),
    ];
    for (prefix, key) in pairs {
        lines.push(format!("{prefix}_PRINCIPAL={}", key.principal()));
        lines.push(format!("{prefix}_ACCESS_KEY_ID={}", key.access_key_id));
        lines.push(format!("{prefix}_SECRET_ACCESS_KEY={}", key.secret_access_key));
    }
    let text = lines.join("\n") + "\n";
    write_env(&args.env_file, &text)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    if !world.tasks.shut_down(Duration::from_secs(10)).await {
        return Err(std::io::Error::other("some task did not stop in time"));
    }
    Ok(())
}

async fn seed(store: &S3, objects: u64) -> Result<(), S3Error> {
    store.make_bucket("seeded", false, false).await?;
    let body = bytes::Bytes::from(vec![b'x'; 1_024]);
    let all = (0..objects).map(|number| Seeded {
        key: format!("folder-{:03}/object-{number:09}", number % 997),
        content_type: "application/octet-stream",
        body: body.clone(),
    });
    store.seed_many("seeded", "STANDARD", all).await.map(drop)
}

/// A pair that nobody has had before.
fn new_pair() -> (String, String) {
    let id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    (format!("SCW{}", &id[..17]), uuid::Uuid::new_v4().to_string())
}

/// It holds credentials, and appears whole or not at all.
fn write_env(file: &Path, text: &str) -> std::io::Result<()> {
    let part = file.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    let mut target = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    target.write_all(text.as_bytes())?;
    std::fs::rename(part, file)
}
