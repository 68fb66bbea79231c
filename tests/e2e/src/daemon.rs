//! The real `reprise`: one process with its own data folder, that can be asked, stopped, killed and started again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::plan::Plan;
use crate::records::{Records, poll};

/// Secrets of the application itself, that the operator keeps and the plan refers to.
const OPERATORS: [(&str, &str); 3] = [
    ("APILOS_SECRET_KEY", "operators-secret-key-7c1f"),
    ("APILOS_JWT_SIGN_KEY", "operators-jwt-key-91ab"),
    ("APILOS_SIAP_JWT_SIGN_KEY", "operators-siap-key-d00d"),
];
/// How long a daemon that was asked to stop may take: it promises eight seconds, and its store needs a moment too.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much of the log is shown when a test failed.
const LAST_WORDS: usize = 40;

/// The daemon, running or not.
#[derive(Debug)]
pub struct Daemon {
    dir: PathBuf,
    environment: BTreeMap<String, String>,
    child: Option<Child>,
    records: Option<Records>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Its output.
    pub out: String,
    /// Its complaints.
    pub err: String,
}

impl Said {
    /// Its output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("not JSON: {}{}", self.out, self.err))
    }
}

impl Daemon {
    /// A daemon that is not started yet, whose files lie below `dir`.
    pub(crate) fn new(dir: &Path, world: &BTreeMap<String, String>, speed: u32) -> Self {
        let mut environment = world.clone();
        environment.extend(OPERATORS.map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment.insert("REPRISE_TIME_SCALE".to_owned(), speed.to_string());
        environment.insert("HOME".to_owned(), dir.display().to_string());
        // What it leaves behind in the machine's temporary folder is seen here.
        std::fs::create_dir_all(dir.join("tmp")).expect("a folder");
        environment.insert("TMPDIR".to_owned(), dir.join("tmp").display().to_string());
        environment.insert("PATH".to_owned(), std::env::var("PATH").unwrap_or_default());
        Self { dir: dir.to_owned(), environment, child: None, records: None }
    }

    /// Sets a variable of its environment, before it is started.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Takes a variable out of its environment, before it is started.
    pub fn unset(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// What is secret in its environment: name and value.
    pub fn secrets(&self) -> Vec<(&str, &str)> {
        let secret =
            |name: &str| ["TOKEN", "SECRET", "API_KEY", "SIGN_KEY"].iter().any(|word| name.contains(word));
        let all = self.environment.iter().filter(|(name, _)| secret(name));
        all.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Starts it, and waits until its store can be used.
    pub async fn start(&mut self) {
        assert!(self.child.is_none(), "the daemon runs already");
        let listen = ["--dev", "--log", "text", "--listen", "127.0.0.1:0"];
        let said = std::fs::metadata(self.log()).map_or(0, |log| log.len());
        let child = self
            .command()
            .arg("serve")
            .args(listen)
            .stdin(Stdio::null())
            .stdout(self.append("daemon.out"))
            .stderr(self.append("daemon.err"))
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("the daemon starts"));
        let ready = async || {
            let log = std::fs::read(self.log()).unwrap_or_default();
            let fresh = log.get(usize::try_from(said).unwrap_or(usize::MAX)..).unwrap_or_default();
            String::from_utf8_lossy(fresh).contains("ready").then_some(())
        };
        let seen = poll(ready).await;
        assert!(seen.is_some(), "the daemon is not ready:\n{}", self.printed());
        let url = match self.environment.get("DATABASE_URL") {
            Some(url) => url.clone(),
            None => std::fs::read_to_string(self.data().join("store.url")).expect("the store's address"),
        };
        self.records = Some(Records::connect(url.trim()).await);
    }

    /// Its tables.
    pub fn records(&self) -> &Records {
        self.records.as_ref().expect("the daemon was started")
    }

    /// What lies in its requests' private folders and in its temporary folder: dumps, keys and sockets, while they are needed.
    pub fn litter(&self) -> Vec<PathBuf> {
        let inside = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let all = inside(self.data().join("work")).chain(inside(self.dir.join("tmp")));
        all.map(|entry| entry.path()).collect()
    }

    /// SIGKILL: nothing is said, nothing is cleaned up.
    pub async fn kill(&mut self) {
        self.forget_records().await;
        let mut child = self.child.take().expect("the daemon runs");
        child.kill().await.expect("the daemon dies");
    }

    /// SIGSTOP: it stands still, and does not know it.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT: it goes on where it stood.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|pid| i32::try_from(pid).ok());
        kill(Pid::from_raw(pid.expect("the daemon runs")), signal).expect("a signal");
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Whether its leases bear this name, now or before it was started again.
    pub fn is_called(&self, name: &str) -> bool {
        self.printed().contains(name)
    }

    /// What `/readyz` says, and whether it is ready.
    pub async fn readiness(&self) -> (bool, String) {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.get(format!("http://{}/readyz", self.address())).send().await.expect("an answer");
        (answer.status().is_success(), answer.text().await.expect("a text"))
    }

    /// What it has downloaded is gone, as on another machine.
    pub fn lose_downloads(&self) {
        std::fs::remove_dir_all(self.data().join("work")).expect("something was there");
    }

    /// SIGTERM, and SIGKILL if that is not enough.
    pub async fn stop(&mut self) {
        self.forget_records().await;
        let Some(mut child) = self.child.take() else { return };
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
            kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
        }
        if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
            child.kill().await.ok();
        }
    }

    /// Its machine is gone, with all that it knew.
    pub async fn lose_everything(&mut self) {
        self.stop().await;
        std::fs::remove_dir_all(self.data()).expect("its data is gone");
    }

    async fn forget_records(&mut self) {
        if let Some(records) = self.records.take() {
            records.close().await;
        }
    }

    /// Applies a plan, as an operator does.
    pub async fn apply(&self, plan: &Plan) {
        let output = self.run_with(&["apply", "-f", "-"], plan.text()).await;
        assert!(output.status.success(), "the plan was refused: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a command of `reprise`; it must work.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let output = self.run_with(arguments, "").await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "reprise {}: {out}{err}", arguments.join(" "));
        out.into_owned()
    }

    /// Runs a command of `reprise`, whichever way it ends.
    pub async fn say(&self, arguments: &[&str]) -> Said {
        let output = self.run_with(arguments, "").await;
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command of `reprise` that reads `input`; it must work.
    pub async fn tell(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run_with(arguments, input).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "reprise {}: {out}{err}", arguments.join(" "));
        out.into_owned()
    }

    /// Begins a command of `reprise`, which dies with what is returned.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true).spawn().expect("reprise starts")
    }

    /// Another daemon beside this one, with the same records, whose files lie below `dir`. Not started yet.
    #[must_use]
    pub fn twin(&self, dir: &Path) -> Self {
        let mut environment = self.environment.clone();
        std::fs::create_dir_all(dir.join("tmp")).expect("a folder");
        if !environment.contains_key("DATABASE_URL") {
            let url = std::fs::read_to_string(self.data().join("store.url")).expect("the store's address");
            environment.insert("DATABASE_URL".to_owned(), url.trim().to_owned());
        }
        environment.insert("TMPDIR".to_owned(), dir.join("tmp").display().to_string());
        Self { dir: dir.to_owned(), environment, child: None, records: None }
    }

    /// Runs a command of `reprise`, which may say no: whether it said yes, and what it printed.
    pub async fn ask(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.run_with(arguments, "").await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), format!("{out}{err}"))
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        let printed = self.printed();
        let address = printed.rsplit_once("address=").expect("its address").1;
        address.split(|c: char| c.is_whitespace() || c == '"').next().unwrap_or_default().to_owned()
    }

    /// One line of what Prometheus would read now, without its name and labels; `None` if there is no such line.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let address = self.address();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.get(format!("http://{address}/metrics")).send().await.expect("its metrics");
        let text = answer.text().await.expect("a text");
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().expect("a number"))
    }

    /// All of what Prometheus would read now whose line contains `part`, together.
    pub async fn metrics_with(&self, part: &str) -> f64 {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer =
            client.get(format!("http://{}/metrics", self.address())).send().await.expect("its metrics");
        let text = answer.text().await.expect("a text");
        let values = text.lines().filter(|line| line.contains(part)).filter_map(|line| line.rsplit_once(' '));
        values.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
    }

    /// What lies where backups are tried: nothing, while none is.
    pub fn tried_now(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data().join("proof")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    async fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("reprise starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).await.expect("reprise reads");
        drop(stdin);
        child.wait_with_output().await.expect("reprise ends")
    }

    /// Whether a `pg_restore` of this daemon is at work now.
    pub fn restores_now(&self) -> bool {
        !self.programs("pg_restore").is_empty()
    }

    /// Cuts the push that this daemon is at: `git` dies with the connection that it holds. Whether there was one.
    pub fn cut_push(&self) -> bool {
        let pushes = |pid: &Pid| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            arguments.split(|byte| *byte == 0).any(|argument| argument == b"push")
        };
        let push = self.programs("git").into_iter().find(pushes);
        // It leads a group of its own, and `ssh` is in it.
        push.is_some_and(|pid| killpg(pid, Signal::SIGKILL).is_ok())
    }

    /// The programs of that name that this daemon has started and that run now.
    fn programs(&self, name: &str) -> Vec<Pid> {
        let Some(daemon) = self.child.as_ref().and_then(Child::id) else { return Vec::new() };
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        let ours = stats.filter_map(|stat| {
            // pid (comm) state ppid …
            let (pid, after) = stat.rsplit_once(") ")?;
            let parent = after.split(' ').nth(1)?;
            let pid = pid.strip_suffix(name)?.strip_suffix(" (")?;
            (parent == daemon.to_string()).then(|| pid.parse().ok().map(Pid::from_raw))?
        });
        ours.collect()
    }

    /// All that it printed so far.
    pub fn printed(&self) -> String {
        let read = |name: &str| std::fs::read(self.dir.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[read("daemon.out"), read("daemon.err")].concat()).into_owned()
    }

    /// The end of its log, for whoever reads why a test failed.
    #[expect(clippy::print_stderr, reason = "shown by the test runner beside the failure")]
    pub(crate) fn tell_last_words(&self) {
        let printed = self.printed();
        let lines: Vec<&str> = printed.lines().collect();
        eprintln!("the daemon's last words:\n{}", lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n"));
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.env_clear().envs(&self.environment).arg("--data-dir").arg(self.data());
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("daemon.err")
    }

    fn append(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.dir.join(name)).expect("a log file")
    }
}

/// The `reprise` of this build: test programs lie one folder (`deps`) below it.
fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("our own path");
    let found =
        own.ancestors().skip(1).take(2).map(|folder| folder.join("reprise")).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no `reprise` beside {}: run `make test`, which builds it first", own.display())
    })
}
