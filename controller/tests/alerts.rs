//! The whole way of an alert: metrics, the real Prometheus with our rules, the real Alertmanager, and a webhook that is
//! told in time. As root both run as `nobody`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs::File;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

const NOBODY: u32 = 65534;
/// How old the archive may become.
const LIMIT: Duration = Duration::from_secs(8);
const SCRAPE: Duration = Duration::from_secs(1);
/// From the deadline to the notification, beside the limit and a scrape.
const IN_TIME: Duration = Duration::from_secs(30);

/// A daemon that says when its newest archive is from, and a place where notifications arrive.
#[derive(Debug)]
struct Stage {
    archived_at: DateTime<Utc>,
    told: std::sync::Mutex<Vec<Value>>,
    arrived: Notify,
}

async fn metrics(State(stage): State<Arc<Stage>>) -> String {
    let at = stage.archived_at.timestamp_millis();
    format!(
        "reprise_build_info{{version=\"test\"}} 1\n\
         reprise_scheduler_tick_timestamp_seconds {}\n\
         reprise_archive_timestamp_seconds{{plan=\"shop\"}} {}.{:03}\n\
         reprise_freshness_limit_seconds{{plan=\"shop\",what=\"archive\"}} {}\n",
        Utc::now().timestamp(),
        at / 1000,
        at % 1000,
        LIMIT.as_secs()
    )
}

async fn hook(State(stage): State<Arc<Stage>>, Json(told): Json<Value>) {
    stage.told.lock().unwrap().push(told);
    stage.arrived.notify_one();
}

/// A program that is killed with this value, and the address that its log tells.
struct Program {
    _child: Child,
    address: String,
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

async fn start(name: &str, folder: &Path, options: &[String]) -> Program {
    let log = folder.join(format!("{name}.log"));
    let mut command = Command::new(name);
    command.args(options).arg("--web.listen-address=127.0.0.1:0").current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap()).kill_on_drop(true);
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
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(log).unwrap();
        if let Some(found) = find(&text) {
            return found;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "it does not listen: {text}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
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
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/rules.yml");
    let rules = write(folder, "rules.yml", &std::fs::read_to_string(rules).unwrap());
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

/// The notification about a stale archive, once it is there.
async fn notified(stage: &Stage) -> Value {
    loop {
        let stale = |told: &Value| told["commonLabels"]["alertname"] == "RepriseArchiveStale";
        if let Some(told) = stage.told.lock().unwrap().iter().find(|told| stale(told)) {
            return told.clone();
        }
        stage.arrived.notified().await;
    }
}

#[tokio::test]
async fn a_stale_archive_is_notified_in_time_and_not_before() {
    let folder = folder();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stage = Arc::new(Stage {
        archived_at: Utc::now(),
        told: std::sync::Mutex::default(),
        arrived: Notify::new(),
    });
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/hook", post(hook))
        .with_state(Arc::clone(&stage));
    let watch = async {
        let alertmanager = alertmanager(folder.path(), &address).await;
        let _prometheus = prometheus(folder.path(), &address, &alertmanager.address).await;
        let told = timeout(LIMIT + SCRAPE + IN_TIME, notified(&stage)).await.expect("a notification in time");
        let age = Utc::now() - stage.archived_at;
        assert!(age.to_std().unwrap() >= LIMIT, "told after {age}, while it was fresh");
        assert!(age.to_std().unwrap() <= LIMIT + SCRAPE + IN_TIME, "told after {age}");
        assert_eq!(told["commonLabels"]["plan"], "shop", "{told}");
        assert_eq!(told["commonLabels"]["severity"], "critical", "{told}");
        assert_eq!(told["commonAnnotations"]["runbook_url"], "docs/alerts.md#reprisearchivestale", "{told}");
        let all = stage.told.lock().unwrap().clone();
        let names = all.iter().map(|told| told["commonLabels"]["alertname"].as_str().unwrap_or_default());
        let expected = ["RepriseArchiveStale", "RepriseWatchdog"];
        let others: Vec<&str> = names.filter(|name| !expected.contains(name)).collect();
        assert_eq!(others, [""; 0], "nothing else is wrong");
    };
    tokio::select! {
        served = async { axum::serve(listener, routes).await } => served.unwrap(),
        () = watch => {}
    }
}

/// A daemon in `folder` that sends its signs of life to `beats`; killed with this value.
async fn daemon(folder: &Path, beats: &str) -> Program {
    let log = folder.join("daemon.log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_reprise"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "text", "--data-dir"])
        .arg(folder.join("data"));
    command
        .env("REPRISE_HEARTBEAT_URL", format!("http://{beats}/beat?secret"))
        .env("SCALINGO_API_TOKEN", "none");
    command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    let address = |text: &str| {
        let (_, rest) = text.split_once("address=")?;
        rest.split(|c: char| c.is_whitespace() || c == '"').next().map(str::to_owned)
    };
    Program { _child: child, address: told(&log, address).await }
}

/// Waits until the daemon says in its metrics that the alerts are rehearsed, or are not.
async fn rehearsed(daemon: &str, rehearsed: bool) {
    let line = format!("reprise_alert_drill {}", u8::from(rehearsed));
    let seen = async {
        loop {
            let page = reqwest::get(format!("http://{daemon}/metrics")).await.unwrap().text().await.unwrap();
            if page.lines().any(|found| found == line) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(Duration::from_mins(1), seen).await.is_ok(), "the metrics never said `{line}`");
}

#[tokio::test]
async fn an_alert_on_purpose_is_followed_to_its_receiver_and_taken_back() {
    let (folder, data) = (folder(), tempfile::tempdir().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let beats = listener.local_addr().unwrap().to_string();
    let daemon = daemon(data.path(), &beats).await;
    let mut drill = Command::new(env!("CARGO_BIN_EXE_reprise"));
    drill
        .args(["alert-drill", "--listen", "127.0.0.1:0", "--within", "2m", "--data-dir"])
        .arg(data.path().join("data"));
    let mut drill = drill.stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true).spawn().unwrap();
    let mut told = BufReader::new(drill.stdout.take().unwrap()).lines();
    let first = told.next_line().await.unwrap().unwrap();
    let hook = first.rsplit_once("http://").unwrap().1.trim_end_matches('/').to_owned();
    rehearsed(&daemon.address, true).await;
    let alertmanager = alertmanager(folder.path(), &hook).await;
    let _prometheus = prometheus(folder.path(), &daemon.address, &alertmanager.address).await;
    let mut lines = Vec::new();
    while let Some(line) = told.next_line().await.unwrap() {
        lines.push(line);
    }
    assert!(drill.wait().await.unwrap().success(), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with(": the notification arrived")), "{lines:?}");
    rehearsed(&daemon.address, false).await;

    // The sign of life came, and its address is in no log.
    let (mut beat, _) = timeout(Duration::from_mins(2), listener.accept()).await.unwrap().unwrap();
    let mut asked = vec![0; 64];
    let read = beat.read(&mut asked).await.unwrap();
    assert!(asked[..read].starts_with(b"GET /beat?secret "), "{}", String::from_utf8_lossy(&asked));
    let log = std::fs::read_to_string(data.path().join("daemon.log")).unwrap();
    assert!(!log.contains("secret"), "{log}");
}
