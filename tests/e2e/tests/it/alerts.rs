//! The whole way of an alert: the real daemon's metrics, the real Prometheus with our rules, the real Alertmanager, and a webhook that
//! is told in time. As root the latter two run as `nobody`.

use std::fs::File;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use reprise_e2e::depot::{PRODUCTION, play, with};
use reprise_e2e::plan::far;
use reprise_e2e::records::poll;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

const NOBODY: u32 = 65534;
/// How old the archive may become.
const LIMIT: Duration = Duration::from_secs(20);
const SCRAPE: Duration = Duration::from_secs(1);
/// From the deadline to the notification, beside the limit and a scrape.
const IN_TIME: Duration = Duration::from_secs(30);

/// A place where notifications arrive.
#[derive(Debug, Default)]
struct Inbox {
    told: Mutex<Vec<Value>>,
    arrived: Notify,
}

impl Inbox {
    /// The first notification of an alert, once it is there.
    async fn first(&self, alert: &str) -> Value {
        loop {
            let meant = |told: &Value| told["commonLabels"]["alertname"] == alert;
            if let Some(told) = self.told.lock().expect("not poisoned").iter().find(|told| meant(told)) {
                return told.clone();
            }
            self.arrived.notified().await;
        }
    }
}

async fn hook(State(inbox): State<Arc<Inbox>>, Json(told): Json<Value>) {
    inbox.told.lock().expect("not poisoned").push(told);
    inbox.arrived.notify_one();
}

/// A program that is killed with this value, and the address that its log tells.
struct Program {
    _child: Child,
    address: String,
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("it is done");
    if nix::unistd::geteuid().is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("it is done");
    }
    folder
}

async fn start(name: &str, folder: &Path, options: &[String]) -> Program {
    let log = folder.join(format!("{name}.log"));
    let mut command = Command::new(name);
    command.args(options).arg("--web.listen-address=127.0.0.1:0").current_dir(folder);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).expect("it is done"))
        .kill_on_drop(true);
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let child = command.spawn().unwrap_or_else(|error| panic!("{name} (see deploy/setup): {error}"));
    let port = |text: &str| {
        let listens = text.lines().filter(|line| line.contains("Listening on"));
        let port = listens.filter_map(|line| line.split_once("address=127.0.0.1:")).next_back()?.1;
        Some(format!("127.0.0.1:{}", port.trim()))
    };
    Program { _child: child, address: told(&log, port).await }
}

/// What `find` finds in a log, once it is there.
async fn told(log: &Path, find: impl Fn(&str) -> Option<String>) -> String {
    let text = || std::fs::read_to_string(log).unwrap_or_default();
    poll(async || find(&text())).await.unwrap_or_else(|| panic!("it does not listen: {}", text()))
}

fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("it is done");
    path
}

async fn alertmanager(folder: &Path, hook: &str) -> Program {
    let config = format!(
        "route: {{ receiver: hook, group_by: [alertname, plan], group_wait: 0s, group_interval: 1s }}\n\
         receivers: [{{ name: hook, webhook_configs: [{{ url: 'http://{hook}/hook' }}] }}]\n"
    );
    let config = write(folder, "alertmanager.yml", &config);
    let options = [
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", folder.join("alertmanager").display()),
        "--cluster.listen-address=".to_owned(),
    ];
    start("prometheus-alertmanager", folder, &options).await
}

async fn prometheus(folder: &Path, daemon: &str, alertmanager: &str) -> Program {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/rules.yml");
    let rules = write(folder, "rules.yml", &std::fs::read_to_string(rules).expect("it is done"));
    let interval = SCRAPE.as_secs();
    let config = format!(
        "global: {{ scrape_interval: {interval}s, evaluation_interval: 1s }}\n\
         rule_files: [{}]\n\
         scrape_configs: [{{ job_name: reprise, static_configs: [{{ targets: ['{daemon}'] }}] }}]\n\
         alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['{alertmanager}'] }}] }}] }}\n",
        rules.display()
    );
    let config = write(folder, "prometheus.yml", &config);
    let options = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", folder.join("prometheus").display()),
    ];
    start("prometheus", folder, &options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_archive_is_notified_in_time_and_not_before() {
    let hours = format!("schedule: {{ cron: \"{}\" }}", far());
    let limit = format!("maxAge: {}s", LIMIT.as_secs());
    play(&with(&[&hours, &limit]), async |depot| {
        let (folder, inbox) = (folder(), Arc::new(Inbox::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let routes = Router::new().route("/hook", post(hook)).with_state(Arc::clone(&inbox));
        let alertmanager = alertmanager(folder.path(), &address).await;
        let _prometheus = prometheus(folder.path(), &depot.daemon.address(), &alertmanager.address).await;
        let watch = async {
            depot.source.put(PRODUCTION, "a", super::archive::body("a")).await;
            let record = depot.take().await;
            let taken: DateTime<Utc> =
                record["started_at"].as_str().and_then(|at| at.parse().ok()).expect("a date");
            let told = timeout(LIMIT + SCRAPE + IN_TIME, inbox.first("RepriseArchiveStale")).await;
            let told = told.expect("a notification in time");
            let age = (Utc::now() - taken).to_std().expect("it is past");
            assert!(age >= LIMIT, "told after {age:?}, while it was fresh");
            assert!(age <= LIMIT + SCRAPE + IN_TIME, "told after {age:?}");
            assert_eq!(told["commonLabels"]["plan"], "apilos", "{told}");
            assert_eq!(told["commonLabels"]["severity"], "critical", "{told}");
            assert_eq!(
                told["commonAnnotations"]["runbook_url"], "docs/alerts.md#reprisearchivestale",
                "{told}"
            );
            let all = inbox.told.lock().expect("not poisoned").clone();
            let names = all.iter().map(|told| told["commonLabels"]["alertname"].as_str().unwrap_or_default());
            let expected = ["RepriseArchiveStale", "RepriseWatchdog"];
            let others: Vec<&str> = names.filter(|name| !expected.contains(name)).collect();
            assert_eq!(others, [""; 0], "nothing else is wrong");
        };
        tokio::select! {
            served = async { axum::serve(listener, routes).await } => served.expect("it serves"),
            () = watch => {}
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_on_purpose_is_followed_to_its_receiver_and_taken_back() {
    play(&with(&[]), async |depot| {
        let folder = folder();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let beats = listener.local_addr().expect("an address");
        depot.daemon.stop().await;
        depot.daemon.set("REPRISE_HEARTBEAT_URL", &format!("http://{beats}/beat?secret"));
        depot.daemon.start().await;
        let mut drill = depot.daemon.begin(&["alert-drill", "--listen", "127.0.0.1:0", "--within", "2m"]);
        let mut told = BufReader::new(drill.stdout.take().expect("its output")).lines();
        let first = told.next_line().await.expect("a line").expect("a first one");
        let hook = first.rsplit_once("http://").expect("an address").1.trim_end_matches('/').to_owned();
        let rehearsed = async |wanted: bool| {
            let seen = poll(async || {
                depot.daemon.metric("reprise_alert_drill").await.filter(|seen| (*seen > 0.5) == wanted)
            });
            assert!(seen.await.is_some(), "the metrics never said {wanted}");
        };
        rehearsed(true).await;
        let alertmanager = alertmanager(folder.path(), &hook).await;
        let _prometheus = prometheus(folder.path(), &depot.daemon.address(), &alertmanager.address).await;
        let mut lines = Vec::new();
        while let Some(line) = told.next_line().await.expect("a line") {
            lines.push(line);
        }
        assert!(drill.wait().await.expect("it ends").success(), "{lines:?}");
        assert!(lines.iter().any(|line| line.ends_with(": the notification arrived")), "{lines:?}");
        rehearsed(false).await;

        // The sign of life came, and its address is in no log.
        let beat = timeout(Duration::from_mins(2), listener.accept()).await.expect("a sign of life");
        let (mut beat, _) = beat.expect("a connection");
        let mut asked = vec![0; 64];
        let read = beat.read(&mut asked).await.expect("a request");
        assert!(asked[..read].starts_with(b"GET /beat?secret "), "{}", String::from_utf8_lossy(&asked));
        assert!(!depot.daemon.printed().contains("secret"), "{}", depot.daemon.printed());
    })
    .await;
}
