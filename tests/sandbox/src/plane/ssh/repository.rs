//! An app's bare repository, and the hooks by which a push asks us before its refs are updated.
//!
//! `pre-receive` asks whether all of its refs are taken: a refusal is the whole push's. `update` runs for each ref after the objects
//! were taken in and before the ref moves, and deploys. They speak with us through a folder of the push's own: a pipe for the
//! question, a pipe for the log, a file for the verdict.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::stat::Mode;
use tokio::process::Command;

use crate::world::World;

/// The variable that tells the hook its folder.
const FOLDER: &str = "SANDBOX_PUSH";
const QUESTION: &str = "question";
const LOG: &str = "log";
const VERDICT: &str = "verdict";

/// A verdict counts once: where we are gone before the next one, there is none.
const PRE_RECEIVE: &str = r#"#!/bin/sh
all=all
while read -r old new ref; do all="$all $ref $old $new"; done
echo "$all" >"$SANDBOX_PUSH/question" || exit 1
cat "$SANDBOX_PUSH/log" >&2
verdict=$(cat "$SANDBOX_PUSH/verdict") && rm "$SANDBOX_PUSH/verdict" && exit "$verdict"
exit 1
"#;

const UPDATE: &str = r#"#!/bin/sh
echo "one $1 $2 $3" >"$SANDBOX_PUSH/question" || exit 1
cat "$SANDBOX_PUSH/log" >&2
verdict=$(cat "$SANDBOX_PUSH/verdict") && rm "$SANDBOX_PUSH/verdict" && exit "$verdict"
exit 1
"#;

const SETTINGS: [(&str, &str); 5] = [
    ("receive.denyDeletes", "true"),
    ("receive.autogc", "false"),
    // As the vendor says: a shallow clone is refused, a forced push is not.
    ("receive.shallowUpdate", "false"),
    ("receive.denyNonFastForwards", "false"),
    // All refs would move at the end: after the turn in which the first of them was deployed.
    ("receive.advertiseAtomic", "false"),
];

/// The repository of `app`, made on its first push.
pub(super) async fn open(world: &World, app: &str) -> std::io::Result<PathBuf> {
    let path = world.folder("git")?.join(format!("{app}.git"));
    if !path.join("HEAD").exists() {
        run(git(world)
            .args(["init", "--quiet", "--bare", "--initial-branch=master", "--template="])
            .arg(&path))
        .await?;
    }
    for (name, value) in SETTINGS {
        run(git(world).arg("--git-dir").arg(&path).args(["config", name, value])).await?;
    }
    let hooks = path.join("hooks");
    std::fs::create_dir_all(&hooks)?;
    for (name, hook) in [("pre-receive", PRE_RECEIVE), ("update", UPDATE)] {
        std::fs::write(hooks.join(name), hook)?;
        std::fs::set_permissions(hooks.join(name), std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(path)
}

/// The commit of `reference` (a full name). `None`: there is no such ref.
pub(super) async fn commit_of(
    world: &World,
    repository: &Path,
    reference: &str,
) -> std::io::Result<Option<String>> {
    let mut command = git(world);
    command.arg("--git-dir").arg(repository).args(["rev-parse", "--quiet", "--verify", reference]);
    let output = command.stdout(Stdio::piped()).output().await?;
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success() && !id.is_empty()).then_some(id))
}

/// Moves the repository of `app` to where no app finds it, to be removed at leisure. `None`: there is none.
pub(super) fn set_aside(world: &World, app: &str) -> std::io::Result<Option<PathBuf>> {
    let path = world.folder("git")?.join(format!("{app}.git"));
    let aside = path.with_added_extension(uuid::Uuid::new_v4().simple().to_string());
    match std::fs::rename(path, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves the repository of `old` to `new`; what lies there belongs to nobody any more.
pub(super) fn rename(world: &World, old: &str, new: &str) -> std::io::Result<()> {
    let folder = world.folder("git")?;
    let (from, to) = (folder.join(format!("{old}.git")), folder.join(format!("{new}.git")));
    if !from.exists() {
        return Ok(());
    }
    if to.exists() {
        std::fs::remove_dir_all(&to)?;
    }
    std::fs::rename(from, to)
}

/// The real `git receive-pack`, wired to pipes.
pub(super) fn receive_pack(world: &World, repository: &Path, exchange: &Exchange) -> Command {
    let mut command = git(world);
    command.arg("receive-pack").arg(repository).env(FOLDER, exchange.folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

/// Lets `HEAD` name the branch that was pushed, so that a clone has files.
pub(super) async fn settle_head(world: &World, repository: &Path) -> std::io::Result<()> {
    let is_there = |branch: &str| repository.join("refs/heads").join(branch).exists();
    if is_there("master") || !is_there("main") {
        return Ok(());
    }
    run(git(world).arg("--git-dir").arg(repository).args(["symbolic-ref", "HEAD", "refs/heads/main"])).await
}

/// The real `git upload-pack`, wired to pipes.
pub(super) fn upload_pack(world: &World, repository: &Path) -> Command {
    let mut command = git(world);
    command.arg("upload-pack").arg(repository);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

/// git with nothing of this machine's or this user's settings.
fn git(world: &World) -> Command {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", world.dir());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(command: &mut Command) -> std::io::Result<()> {
    let status = command.status().await?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("git ended with {status}"))) }
}

/// The folder in which one push and we talk. Gone when dropped.
#[derive(Debug)]
pub(super) struct Exchange {
    folder: tempfile::TempDir,
}

impl Exchange {
    pub(super) fn new(world: &World) -> std::io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("push-").tempdir_in(world.folder("git")?)?;
        for pipe in [QUESTION, LOG] {
            nix::unistd::mkfifo(&folder.path().join(pipe), Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        Ok(Self { folder })
    }

    pub(super) fn question(&self) -> PathBuf {
        self.folder.path().join(QUESTION)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }

    /// To be given before the log's pipe is closed: the hook reads it then.
    pub(super) fn give_verdict(&self, accepted: bool) -> std::io::Result<()> {
        std::fs::write(self.folder.path().join(VERDICT), if accepted { "0" } else { "1" })
    }
}
