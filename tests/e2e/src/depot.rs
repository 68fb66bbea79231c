//! A stage for the archive alone: a production store, an archive store, and the real `reprise` beside them. A whole estate is dear;
//! this is up in a second or two.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use reprise_sandbox::s3::Key;
use reprise_sandbox::world::evidence::{self, ALLOWED, Case, Kind};
use reprise_sandbox::world::faults::Rule;
use reprise_sandbox::world::{Entry, Fault, World};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::daemon::{Daemon, Said};
use crate::plan::{NAME, Plan};
use crate::records::poll;
use crate::shelf::{REGION, Shelf};
use crate::stranger::Stranger;
use crate::wire::Wire;

/// The production bucket.
pub const PRODUCTION: &str = "apilos-production";
/// The archive's bucket.
pub const ARCHIVE: &str = "apilos-archive";
/// How many times faster than the wall durations pass.
const SPEED: u32 = 60;

/// The line that says what is kept.
const RETENTION: &str = "    retention: { last: 4, weekly: 8, monthly: 12, yearly: 3 }\n";

/// The stores, and the process under test.
#[derive(Debug)]
pub struct Depot {
    /// Where the production bucket is.
    pub source: Shelf,
    /// Where the archive is.
    pub archive: Shelf,
    /// The daemon, which keeps the records; started.
    pub daemon: Daemon,
    world: Arc<World>,
    dir: PathBuf,
}

/// The example plan with these lines of `archive:`.
pub fn with(lines: &[&str]) -> Plan {
    let own = |name: &str| lines.iter().any(|line| line.starts_with(name));
    let text: String = lines.iter().flat_map(|line| ["    ", line, "\n"]).collect();
    let text = if own("retention:") { text } else { text + RETENTION };
    Plan::example().with(RETENTION, &text)
}

/// Plays `scene` with `plan` applied and both buckets made, then stops and removes everything.
pub async fn play(plan: &Plan, scene: impl AsyncFnOnce(&mut Depot)) {
    play_with(plan, false, scene).await;
}

/// The same; `lock` says whether the archive's bucket has object lock.
pub async fn play_with(plan: &Plan, lock: bool, scene: impl AsyncFnOnce(&mut Depot)) {
    let dir = tempfile::Builder::new().prefix("reprise-e2e-").tempdir().expect("a folder");
    let mut depot = Depot::set(dir.path(), lock).await;
    let played = AssertUnwindSafe(async {
        depot.daemon.start().await;
        depot.daemon.apply(plan).await;
        scene(&mut depot).await;
    });
    let played = played.catch_unwind().await;
    if played.is_err() {
        depot.daemon.tell_last_words();
    }
    depot.daemon.stop().await;
    let findings = depot.findings();
    let stopped = depot.world.tasks.shut_down(Duration::from_secs(10)).await;
    if let Err(panic) = played {
        resume_unwind(panic);
    }
    assert!(stopped, "the stores did not stop in time");
    assert!(findings.is_empty(), "the journal shows what should not have been done: {findings:#?}");
}

impl Depot {
    async fn set(dir: &Path, lock: bool) -> Self {
        let world = World::new(&dir.join("world"), f64::from(SPEED), 1).expect("a world");
        let source = Shelf::start(&world, "s3-source").await;
        let archive = Shelf::start(&world, "s3-archive").await;
        source.bucket(PRODUCTION, true, false).await;
        archive.bucket(ARCHIVE, lock, lock).await;
        let mut daemon = Daemon::new(dir, &std::collections::BTreeMap::new(), SPEED);
        daemon.set("AWS_REGION", REGION);
        daemon.set("S3_SOURCE_BUCKET", PRODUCTION);
        daemon.set("S3_ARCHIVE_ENDPOINT", &archive.endpoint());
        let mut depot = Self { source, archive, daemon, world, dir: dir.to_owned() };
        depot.read_as_daemon();
        depot.archive_as(&depot.archive.daemon().clone());
        depot
    }

    /// What the checker finds wrong with what was done, as far as stores alone can tell. A scene may end half way, so unfinished uploads
    /// are its own matter.
    fn findings(&self) -> Vec<String> {
        let (entries, observed) = (self.world.journal.entries(), self.world.journal.observed());
        let secrets: Vec<String> = self.source.secrets().chain(self.archive.secrets()).collect();
        let found = |entries: &[Entry], baseline: &Value| {
            let (observed, now) = (&observed, &Value::Null);
            evidence::check(&Case { entries, observed, baseline, now, secrets: &secrets, allowed: &ALLOWED })
        };
        let mut findings = found(&entries, &Value::Null);
        findings.retain(|finding| finding.kind != Kind::Leak);
        // A scene fills the production bucket itself; the daemon never writes there.
        let callers = [self.source.daemon(), self.archive.daemon()].map(|key| &key.access_key_id);
        let by_daemon: Vec<Entry> =
            entries.into_iter().filter(|entry| callers.contains(&&entry.caller)).collect();
        let production = json!({ PRODUCTION: {} });
        let foreign = found(&by_daemon, &json!({"buckets": {"source": production, "archive": production}}));
        findings.extend(foreign.into_iter().filter(|finding| finding.kind == Kind::ForeignWrite));
        findings.iter().map(ToString::to_string).collect()
    }

    /// The daemon has its own pair for the store where production is.
    fn read_as_daemon(&mut self) {
        self.daemon.set("S3_SOURCE_ENDPOINT", &self.source.endpoint());
        self.daemon.set("S3_SOURCE_ACCESS_KEY_ID", &self.source.daemon().access_key_id);
        self.daemon.set("S3_SOURCE_SECRET_ACCESS_KEY", &self.source.daemon().secret_access_key);
    }

    /// Whose pair takes, proves and prunes the archive from now on.
    pub fn archive_as(&mut self, key: &Key) {
        self.daemon.set("S3_ARCHIVE_ACCESS_KEY_ID", &key.access_key_id);
        self.daemon.set("S3_ARCHIVE_SECRET_ACCESS_KEY", &key.secret_access_key);
    }

    /// The production bucket, still empty, lies at the archive's store from now on.
    pub async fn under_one_roof(&mut self) {
        // Names of buckets are one space at the vendor.
        self.source.client().delete_bucket().bucket(PRODUCTION).send().await.expect("a deletion");
        self.source = self.archive.again();
        self.source.bucket(PRODUCTION, true, false).await;
        self.read_as_daemon();
    }

    /// A folder of this stage's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// A line to the archive's store, which the archive uses from now on.
    pub async fn wire_to_archive(&mut self) -> Wire {
        let wire = Wire::to(&self.world, self.archive.address()).await;
        self.daemon.set("S3_ARCHIVE_ENDPOINT", &wire.endpoint());
        wire
    }

    /// A store as nobody has seen one, which keeps both buckets from now on; `says_so`: it says that it encrypts.
    pub async fn stranger(&mut self, says_so: bool) -> Stranger {
        let stranger = Stranger::start(&self.world, says_so).await;
        for side in ["SOURCE", "ARCHIVE"] {
            self.daemon.set(&format!("S3_{side}_ENDPOINT"), &stranger.endpoint());
        }
        stranger
    }

    /// Plays `fault` on an operation at the production store.
    pub fn break_source(&self, operation: &str, path: &str, times: Option<u32>, fault: Fault) {
        self.break_at("s3-source", operation, path, times, fault);
    }

    /// Plays `fault` on an operation at the archive's store.
    pub fn break_archive(&self, operation: &str, path: &str, times: Option<u32>, fault: Fault) {
        self.break_at("s3-archive", operation, path, times, fault);
    }

    /// The first `skip` parts that the store `service` is sent get through; no other gets an answer.
    pub fn stall_parts_after(&self, service: &str, path: &str, skip: u32) {
        let (service, method, path) =
            (Some(service.to_owned()), Some("UploadPart".to_owned()), Some(path.to_owned()));
        self.world.faults.add(Rule { service, method, path, skip, times: None, fault: Fault::Stall });
    }

    fn break_at(&self, service: &str, operation: &str, path: &str, times: Option<u32>, fault: Fault) {
        let (service, method, path) =
            (Some(service.to_owned()), Some(operation.to_owned()), Some(path.to_owned()));
        self.world.faults.add(Rule { service, method, path, skip: 0, times, fault });
    }

    /// Forgets every fault.
    pub fn mend(&self) {
        self.world.faults.clear();
    }

    /// How many faults were played.
    pub fn faults_played(&self) -> u64 {
        let faults = &self.world.faults;
        faults.standing().iter().chain(&faults.spent()).map(|rule| rule.plays).sum()
    }

    /// `reprise archive WORDS… --dev apilos REST…`, where the first of `words` is the subcommand.
    pub async fn archive(&self, words: &[&str]) -> Said {
        self.daemon.say(&Self::words(words)).await
    }

    /// The same; it must work.
    pub async fn must(&self, words: &[&str]) -> Value {
        let said = self.archive(words).await;
        assert_eq!(said.code, 0, "reprise archive {}: {}{}", words.join(" "), said.out, said.err);
        said.json()
    }

    /// The same; it must end with code 1. Returns all that it said.
    pub async fn fails(&self, words: &[&str]) -> String {
        let said = self.archive(words).await;
        assert_eq!(said.code, 1, "reprise archive {}: {}{}", words.join(" "), said.out, said.err);
        format!("{}{}", said.out, said.err)
    }

    /// Begins the same, and does not wait.
    pub fn begin(&self, words: &[&str]) -> Child {
        self.daemon.begin(&Self::words(words))
    }

    /// Takes an archive; its record.
    pub async fn take(&self) -> Value {
        self.must(&["run"]).await
    }

    /// All words of an `archive` command, of which the first of `words` is the subcommand.
    pub fn words<'a>(words: &[&'a str]) -> Vec<&'a str> {
        let (command, rest) = words.split_first().expect("a subcommand");
        let mut all = vec!["-o", "json", "archive", *command, NAME];
        if *command != "list" && *command != "accept" {
            all.push("--dev");
        }
        all.extend(rest);
        all
    }

    /// The lines of a run's manifest.
    pub async fn manifest(&self, run: &str) -> Vec<Value> {
        let packed = self.archive.get(ARCHIVE, &format!("{NAME}/manifests/{run}.jsonl.zst")).await;
        let text = zstd::decode_all(packed.as_ref()).expect("a manifest");
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("a line")).collect()
    }

    /// Waits until `wanted` holds.
    pub async fn eventually(&self, what: &str, mut wanted: impl FnMut(&Self) -> bool) {
        let seen = poll(async || wanted(self).then_some(())).await;
        assert!(seen.is_some(), "{what} was not seen in time");
    }

    /// Waits until the first column of a query's rows is as `wanted`.
    pub async fn sees(&self, sql: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let rows = async || Some(self.daemon.records().column(sql).await).filter(|rows| wanted(rows));
        let seen = poll(rows).await;
        seen.unwrap_or_else(|| panic!("{sql} was not seen as wanted"))
    }

    /// Whether a metric of the daemon comes to be `value`.
    pub async fn sees_metric(&self, series: &str, value: f64) -> bool {
        poll(async || self.daemon.metric(series).await.filter(|seen| (seen - value).abs() < f64::EPSILON))
            .await
            .is_some()
    }

    /// A metric of the daemon, once it has one.
    pub async fn shows(&self, series: &str) -> Option<f64> {
        poll(async || self.daemon.metric(series).await).await
    }
}
