//! The server before the system's own git, ssh and psql.

mod evidence;
mod faults;
mod silence;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::*;
use crate::paas::tests::until;
use crate::plane::authority::Authority;
use crate::plane::ingress::Ingress;
use crate::plane::platform::{LogSink, Push, Turn};
use crate::plane::runner::{Formation, Runner};
use crate::world::Fault;
use crate::world::faults::Rule;

const APP: &str = "my-app";
const HOST: &str = "my-app.osc-fr1.scalingo.test";

/// A platform of one user and one app, which deploys at once.
#[derive(Debug)]
struct OneUser {
    runner: Arc<Runner>,
    key: String,
    deployments: Mutex<Vec<String>>,
    aborted: Arc<AtomicBool>,
}

#[async_trait]
impl Platform for OneUser {
    fn user_of_key(&self, public_key: &str) -> Option<String> {
        (public_key == self.key).then(|| "us-1".to_owned())
    }

    fn may_push(&self, _user: &str, app: &str) -> Result<(), String> {
        if app == APP { Ok(()) } else { Err(format!("no such application: {app}")) }
    }

    async fn deploy(&self, push: Push, log: LogSink) -> Result<Turn, String> {
        let guard = SetOnDrop(Arc::clone(&self.aborted), AtomicBool::new(true));
        let deployment = format!("d{}", self.deployments.lock().unwrap().len());
        self.deployments.lock().unwrap().push(push.commit.clone());
        let env = BTreeMap::new();
        let work = async {
            let dir = self.runner.checkout(APP, &deployment, &push.repository, &push.commit).await?;
            let release = self.runner.build(APP, &deployment, dir, &env, &log).await?;
            self.runner.release(APP, release, &Formation::from([("web".into(), 1)]), &env, &log).await
        };
        let outcome = work.await.map_err(|failure| failure.to_string());
        guard.1.store(false, Ordering::SeqCst);
        outcome?;
        Ok(Arc::<tokio::sync::Mutex<()>>::default().lock_owned().await)
    }
}

/// Sets its flag when dropped while armed.
struct SetOnDrop(Arc<AtomicBool>, AtomicBool);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.fetch_or(self.1.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

struct Town {
    dir: tempfile::TempDir,
    world: Arc<World>,
    platform: Arc<OneUser>,
    ingress: Arc<Ingress>,
    databases: Arc<Databases>,
    ssh: SshServer,
}

async fn town() -> Town {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(&dir.path().join("world"), 60.0, 1).unwrap();
    for name in ["key", "other-key"] {
        let keygen = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(dir.path().join(name))
            .status();
        assert!(keygen.unwrap().success());
    }
    let runner = Runner::start(&world);
    let authority = Authority::new(&world.folder(crate::exec::CA_FOLDER).unwrap()).unwrap();
    let ingress = Ingress::start(&world, &runner, authority).await.unwrap();
    ingress.attach(HOST, APP);
    let databases = Databases::start(&world).await.unwrap();
    let platform = Arc::new(OneUser {
        runner,
        key: std::fs::read_to_string(dir.path().join("key.pub")).unwrap().trim().to_owned(),
        deployments: Mutex::default(),
        aborted: Arc::default(),
    });
    let asked = Arc::clone(&platform) as Arc<dyn Platform>;
    let ssh = SshServer::start(&world, asked, &databases, &RedisServers::start(&world)).await.unwrap();
    let host_key = std::fs::read_to_string(world.dir().join("ssh/ssh_host_ed25519_key.pub")).unwrap();
    let known = format!("[127.0.0.1]:{} {host_key}", ssh.addr().port());
    std::fs::write(dir.path().join("known_hosts"), known).unwrap();
    Town { dir, world, platform, ingress, databases, ssh }
}

impl Town {
    fn ssh_options(&self, key: &str) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let known = format!("UserKnownHostsFile={}", path("known_hosts"));
        let key = path(key);
        let port = self.ssh.addr().port().to_string();
        let fixed = ["-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"];
        let more = ["-o", "StrictHostKeyChecking=yes", "-o", &known, "-i", &key, "-p", &port];
        fixed.iter().chain(more.iter()).map(|option| (*option).to_owned()).collect()
    }

    fn git(&self, clone: &Path, args: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.current_dir(clone).args(["-c", "user.name=A", "-c", "user.email=a@example.test"]).args(args);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        git.env("GIT_SSH_COMMAND", format!("ssh {}", self.ssh_options("key").join(" ")));
        git.stdin(Stdio::null()).kill_on_drop(true);
        git
    }

    async fn run(&self, clone: &Path, args: &[&str]) -> (bool, String) {
        let output = self.git(clone, args).output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// A working copy whose app serves its own commit under `/REVISION`.
    async fn clone(&self) -> PathBuf {
        let clone = self.dir.path().join("clone");
        std::fs::create_dir_all(clone.join("bin")).unwrap();
        std::fs::write(
            clone.join("Procfile"),
            "web: exec python3 -m http.server $PORT\npostdeploy: sh hook\n",
        )
        .unwrap();
        std::fs::write(clone.join("hook"), "echo the hook ran\n").unwrap();
        std::fs::write(
            clone.join("bin/build"),
            "#!/bin/sh\necho building; printf $SOURCE_VERSION > REVISION\n",
        )
        .unwrap();
        std::fs::set_permissions(
            clone.join("bin/build"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let url = format!("git@127.0.0.1:{APP}.git");
        for args in [&["init", "-q", "-b", "main"][..], &["remote", "add", "scalingo", &url]] {
            assert!(self.run(&clone, args).await.0);
        }
        self.commit(&clone).await;
        clone
    }

    async fn commit(&self, clone: &Path) -> String {
        self.run(clone, &["add", "-A"]).await;
        let (done, said) = self.run(clone, &["commit", "-q", "--allow-empty", "-m", "work"]).await;
        assert!(done, "{said}");
        self.run(clone, &["rev-parse", "HEAD"]).await.1.trim().to_owned()
    }

    async fn served(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/REVISION", self.ingress.http());
        client.get(url).header("host", HOST).send().await.unwrap().text().await.unwrap()
    }

    /// What the app's repository has on `main`.
    async fn deployed(&self) -> String {
        let repository = self.world.dir().join(format!("git/{APP}.git"));
        self.run(&repository, &["rev-parse", "-q", "--verify", "refs/heads/main"]).await.1.trim().to_owned()
    }
}

#[tokio::test]
async fn a_push_deploys_and_its_log_reaches_the_pusher() {
    let town = town().await;
    let clone = town.clone().await;
    let commit = town.commit(&clone).await;
    let (pushed, said) = town.run(&clone, &["push", "scalingo", "main"]).await;
    assert!(pushed, "{said}");
    for line in ["remote: <-- Start deployment of [my-app]", "remote: building", "remote: the hook ran"] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    assert_eq!(town.served().await, commit);
    assert_eq!(town.deployed().await, commit);
    let journal = town.world.journal.entries();
    assert!(journal.iter().any(|entry| entry.service == "git" && entry.caller == "us-1"), "{journal:?}");

    let other = town.run(&clone, &["commit", "-q", "--amend", "--allow-empty", "-m", "another past"]).await;
    assert!(other.0, "{}", other.1);
    assert!(!town.run(&clone, &["push", "scalingo", "main"]).await.0, "not a fast-forward");
    assert!(town.run(&clone, &["push", "--force", "scalingo", "main"]).await.0, "but it may be forced");
    assert_ne!(town.served().await, commit);
}

#[tokio::test]
async fn a_failed_deployment_fails_the_push_and_keeps_the_old_version() {
    let town = town().await;
    let clone = town.clone().await;
    let first = town.commit(&clone).await;
    assert!(town.run(&clone, &["push", "scalingo", "main"]).await.0);
    std::fs::write(clone.join("hook"), "echo it cannot be; exit 3\n").unwrap();
    town.commit(&clone).await;
    let (pushed, said) = town.run(&clone, &["push", "scalingo", "main"]).await;
    assert!(!pushed && said.contains("remote: it cannot be") && said.contains("postdeploy"), "{said}");
    assert_eq!((town.served().await, town.deployed().await), (first.clone(), first));
    std::fs::write(clone.join("hook"), "true\n").unwrap();
    let healed = town.commit(&clone).await;
    assert!(town.run(&clone, &["push", "scalingo", "main"]).await.0);
    assert_eq!(town.served().await, healed);
}

#[tokio::test]
async fn only_whole_main_branches_of_known_apps_are_taken() {
    let town = town().await;
    let clone = town.clone().await;
    town.commit(&clone).await;
    let refused = async |args: &[&str], because: &str| {
        let (pushed, said) = town.run(&clone, args).await;
        assert!(!pushed && said.contains(because), "{args:?}: {said}");
    };
    refused(&["push", "scalingo", "main:feature"], "master").await;
    assert!(town.run(&clone, &["tag", "v1"]).await.0);
    refused(&["push", "scalingo", "v1"], "Tags").await;
    // Not even the branch that could be deployed: a push is taken as a whole, or not.
    refused(&["push", "scalingo", "main", "v1"], "Tags").await;
    refused(&["push", "scalingo", "main", "main:feature"], "master").await;
    refused(&["push", "git@127.0.0.1:other-app.git", "main"], "no such application").await;
    let shallow = town.dir.path().join("shallow");
    let source = format!("file://{}", clone.display());
    let shallow_name = shallow.display().to_string();
    assert!(town.run(&clone, &["clone", "-q", "--depth=1", &source, &shallow_name]).await.0);
    let (pushed, said) = town.run(&shallow, &["push", "git@127.0.0.1:my-app.git", "main"]).await;
    assert!(!pushed && said.contains("shallow"), "{said}");
    assert!(town.platform.deployments.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_pushed_can_be_cloned_and_nothing_is_deployed_by_it() {
    let town = town().await;
    let clone = town.clone().await;
    let commit = town.commit(&clone).await;
    assert!(town.run(&clone, &["push", "scalingo", "main"]).await.0);
    let copy = town.dir.path().join("copy").display().to_string();
    let (cloned, said) = town.run(&clone, &["clone", "-q", "git@127.0.0.1:my-app.git", &copy]).await;
    assert!(cloned, "{said}");
    let (_, head) = town.run(Path::new(&copy), &["rev-parse", "HEAD"]).await;
    assert_eq!(head.trim(), commit);
    assert_eq!(town.platform.deployments.lock().unwrap().len(), 1);
    let (listed, said) = town.run(&clone, &["ls-remote", "git@127.0.0.1:other-app.git"]).await;
    assert!(!listed && said.contains("no such application"), "{said}");
}

#[tokio::test]
async fn a_pusher_who_leaves_aborts_the_deployment() {
    let town = town().await;
    let clone = town.clone().await;
    std::fs::write(clone.join("bin/build"), "#!/bin/sh\necho long work; sleep 600\n").unwrap();
    town.commit(&clone).await;
    let mut push = town.git(&clone, &["push", "scalingo", "main"]);
    let mut push = push.stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut said = tokio::io::BufReader::new(push.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("long work") {
        line.clear();
        assert_ne!(tokio::io::AsyncBufReadExt::read_line(&mut said, &mut line).await.unwrap(), 0);
    }
    let group = nix::unistd::Pid::from_raw(i32::try_from(push.id().unwrap()).unwrap());
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
    push.wait().await.unwrap();
    until("the deployment is aborted", async || town.platform.aborted.load(Ordering::SeqCst)).await;
    assert_ne!(town.deployed().await.len(), 40);
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_deployment_done() {
    let town = town().await;
    let clone = town.clone().await;
    let commit = town.commit(&clone).await;
    town.world.faults.add(Rule {
        service: Some("git".into()),
        method: Some("push".into()),
        path: None,
        skip: 0,
        times: Some(1),
        fault: Fault::DropAfter,
    });
    let (pushed, said) = town.run(&clone, &["push", "scalingo", "main"]).await;
    assert!(!pushed, "{said}");
    assert_eq!((town.served().await, town.deployed().await), (commit.clone(), commit));
}

#[tokio::test]
async fn an_unknown_key_and_another_login_are_refused() {
    let town = town().await;
    for (key, login) in [("other-key", "git"), ("key", "root")] {
        let target = format!("{login}@127.0.0.1");
        let output =
            Command::new("ssh").args(town.ssh_options(key)).args([&target, "x"]).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("Permission denied"), "{said}");
    }
    let output = Command::new("ssh")
        .args(town.ssh_options("key"))
        .args(["git@127.0.0.1", "id"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "the right key comes in, but there is no shell");
    assert!(town.ssh.fingerprint().starts_with("SHA256:"));
}

#[tokio::test]
async fn several_tunnels_on_one_connection_reach_the_database_and_nothing_else() {
    let town = town().await;
    let access = town.databases.create("my_app_1").await.unwrap();
    town.databases
        .run_sql("my_app_1", "CREATE TABLE things AS SELECT generate_series(1, 5000) AS id")
        .await
        .unwrap();
    let socket = town.dir.path().join(".s.PGSQL.5432");
    let forward = format!("{}:{}:{}", socket.display(), access.host, access.port);
    let elsewhere =
        format!("{}:127.0.0.1:{}", town.dir.path().join("else").display(), town.ingress.http().port());
    let mut ssh = Command::new("ssh");
    ssh.args(town.ssh_options("key")).args(["-N", "-L", &forward, "-L", &elsewhere, "git@127.0.0.1"]);
    let _ssh = ssh.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    until("both forwards listen", async || socket.exists() && town.dir.path().join("else").exists()).await;
    let psql = |user: &str, password: &str, sql: &str| {
        let mut psql = Command::new("psql");
        psql.args([
            "-h",
            &town.dir.path().display().to_string(),
            "-U",
            user,
            "-d",
            "my_app_1",
            "-w",
            "-XAtc",
            sql,
        ]);
        psql.env("PGPASSWORD", password).env("PGSSLMODE", "prefer").stdin(Stdio::null());
        psql
    };
    let mut at_once: Vec<Command> =
        (0..3).map(|_| psql(&access.user, &access.password, "SELECT sum(id) FROM things")).collect();
    for output in futures::future::join_all(at_once.iter_mut().map(Command::output)).await {
        let output = output.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "12502500", "{output:?}");
    }
    for (user, password) in [("postgres", ""), ("my_app_1", "wrong")] {
        let output = psql(user, password, "SELECT 1").output().await.unwrap();
        assert!(!output.status.success(), "{user} came in");
    }
    let mut refused = tokio::net::UnixStream::connect(town.dir.path().join("else")).await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncWriteExt::write_all(&mut refused, b"GET / HTTP/1.0\r\n\r\n").await.ok();
    tokio::io::AsyncReadExt::read_to_end(&mut refused, &mut answer).await.ok();
    assert!(answer.is_empty(), "the ingress was reached");
    town.databases.shut_down().await;
}
