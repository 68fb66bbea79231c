//! `reprise-sandbox seed` in a world that is up: as a user asks it, over the control API of the running process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A world in a process of its own; it ends with the test.
pub(super) struct World {
    dir: tempfile::TempDir,
    child: Child,
}

impl Drop for World {
    fn drop(&mut self) {
        // Asked first: it has servers and processes to end.
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}

fn program(dir: &Path, command: &str) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_reprise-sandbox")), dir, command)
}

fn prepared(mut program: Command, dir: &Path, command: &str) -> Command {
    program.arg(command).arg("--dir").arg(dir.join("world")).env("XDG_CACHE_HOME", dir.join("cache"));
    program
}

pub(super) fn up() -> World {
    let dir = tempfile::tempdir().unwrap();
    let command = program(dir.path(), "up");
    started(dir, command)
}

/// A world of somebody who is not root.
pub(super) fn up_of_nobody() -> World {
    let dir = tempfile::tempdir().unwrap();
    if is_root() {
        std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let command = prepared(as_nobody(), dir.path(), "up");
    started(dir, command)
}

/// A user that every machine has.
const NOBODY: u32 = 65_534;

/// Whether these tests are run by root.
pub(super) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// The program, to be run by somebody who is not root: by us, where we are not.
pub(super) fn as_nobody() -> Command {
    if !is_root() {
        return Command::new(env!("CARGO_BIN_EXE_reprise-sandbox"));
    }
    let mut command = Command::new("setpriv");
    let id = NOBODY.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", env!("CARGO_BIN_EXE_reprise-sandbox")]);
    command.env("HOME", "/nonexistent");
    command
}

fn started(dir: tempfile::TempDir, mut command: Command) -> World {
    command.arg("--env-file").arg(dir.path().join("env")).args(["--speed", "60", "--size", "small"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let world = World { dir, child };
    assert_eq!(line, "ready\n");
    world
}

impl World {
    /// Its folder.
    pub(super) fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join("world")
    }

    fn seed(&self, size: &str) -> std::process::Output {
        program(self.dir.path(), "seed").args(["--size", size]).output().unwrap()
    }

    /// A line of the env file.
    pub(super) fn of(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.dir.path().join("env")).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap().to_owned()
    }

    /// A variable of an app.
    pub(super) async fn variable(&self, app: &str, name: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let exchange = client.post(format!("{}/v1/tokens/exchange", self.of("SCALINGO_AUTH_URL")));
        let exchange = exchange.basic_auth("", Some(self.of("SCALINGO_API_TOKEN"))).body("{}").send();
        let bearer: Value = exchange.await.unwrap().json().await.unwrap();
        let asked = client.get(format!("{}/v1/apps/{app}/variables", self.of("SCALINGO_API_URL")));
        let asked = asked.bearer_auth(bearer["token"].as_str().unwrap()).send();
        let all: Value = asked.await.unwrap().json().await.unwrap();
        let found = all["variables"].as_array().unwrap().iter().find(|one| one["name"] == name);
        found.unwrap()["value"].as_str().unwrap().to_owned()
    }

    /// What the control API says.
    pub(super) async fn control(&self, path: &str) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("{}/{path}", self.of("CONTROL_URL"))).send().await.unwrap().json().await.unwrap()
    }

    /// Objects of production and of its mirror, and the number of backups.
    async fn content(&self) -> [u64; 3] {
        let all = self.control("inventory").await;
        let objects = |store: &str, bucket: &str| all["buckets"][store][bucket]["objects"].as_u64().unwrap();
        let backups = all["databases"][0]["backups"].as_array().unwrap().len() as u64;
        [objects("source", "apilos-production"), objects("archive", "apilos-mirror"), backups]
    }
}

#[tokio::test]
async fn another_amount_of_content_is_seeded_in_a_world_that_is_up() {
    let world = up();
    let small = world.content().await;
    let seeded = world.seed("medium");
    assert!(seeded.status.success(), "{seeded:?}");
    let medium = world.content().await;
    assert!(medium[0] > small[0] && medium[0] == medium[1] && medium[2] == small[2], "{small:?} {medium:?}");
    assert_eq!(
        world.control("findings").await["findings"],
        serde_json::json!([]),
        "the new world is the start"
    );

    // What a client holds is good in the new world, too.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let exchange = client
        .post(format!("{}/v1/tokens/exchange", world.of("SCALINGO_AUTH_URL")))
        .basic_auth("", Some(world.of("SCALINGO_API_TOKEN")))
        .send();
    assert_eq!(exchange.await.unwrap().status(), 200);

    let refused = world.seed("enormous");
    assert!(!refused.status.success(), "{refused:?}");
    assert!(world.seed("small").status.success());
    assert_eq!(world.content().await, small);
}
