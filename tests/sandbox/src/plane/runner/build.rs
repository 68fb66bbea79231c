//! Building: an executable `bin/build` of the source runs first, then the Procfile is read. There are no buildpacks.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::environment::{self, Identity};
use super::source::{narrow, version_file};
use super::{DeployFailure, LogSink, Release, Runner, procfile, say};
use crate::exec;

/// What a program printed just before its end is still read.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Runner {
    /// Runs `bin/build` if the source (of which `PROJECT_DIR` names the part that counts) has one, and reads the Procfile.
    pub async fn build(
        &self,
        app: &str,
        deployment: &str,
        dir: PathBuf,
        env: &BTreeMap<String, String>,
        log: &LogSink,
    ) -> Result<Release, DeployFailure> {
        if let Some(project) = env.get("PROJECT_DIR") {
            say(log, format!("-----> Only the folder {project} is deployed (PROJECT_DIR)"));
            narrow(&dir, project)?;
        }
        if is_executable(&dir.join("bin/build")) {
            self.run_build(app, &dir, env, log).await?;
        }
        let text = tokio::fs::read_to_string(dir.join("Procfile"))
            .await
            .map_err(|_| DeployFailure::Build("there is no Procfile: nothing says what to start".into()))?;
        let procfile = procfile::parse(&text).map_err(DeployFailure::Build)?;
        say(
            log,
            format!("-----> Process types: {}", procfile.keys().cloned().collect::<Vec<_>>().join(", ")),
        );
        Ok(Release { deployment: deployment.to_owned(), dir, procfile })
    }

    async fn run_build(
        &self,
        app: &str,
        dir: &Path,
        env: &BTreeMap<String, String>,
        log: &LogSink,
    ) -> Result<(), DeployFailure> {
        say(log, "-----> Running bin/build");
        let mut command = exec::command(self.world.dir(), "bin/build", std::iter::empty::<&str>());
        let identity = Identity { app, container: None, dir, port: None };
        environment::apply(&mut command, self.world.dir(), identity, env);
        if let Ok(version) = std::fs::read_to_string(version_file(dir)) {
            command.env("SOURCE_VERSION", version);
        }
        command.current_dir(dir);
        let ended = tokio::select! {
            ended = self.run_logged(command, log) => ended,
            () = tokio::time::sleep(self.world.limits().build) => {
                return Err(DeployFailure::Timeout("the build took longer than 30 minutes".into()));
            }
        };
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(DeployFailure::Build(format!("bin/build failed ({status})"))),
            Err(error) => Err(DeployFailure::Build(format!("bin/build could not be started: {error}"))),
        }
    }

    /// Runs a command to its end and streams what it prints. Dropping the future kills its whole group.
    pub(super) async fn run_logged(
        &self,
        mut command: Command,
        log: &LogSink,
    ) -> std::io::Result<ExitStatus> {
        exec::privilege().map_err(std::io::Error::other)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let group = child.id().map(|leader| self.groups.adopt(leader));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ended = CancellationToken::new();
        let ending = async {
            let status = child.wait().await;
            drop(group);
            ended.cancel();
            status
        };
        let reading = async { tokio::join!(forward(stdout, log), forward(stderr, log)) };
        // A background process that left the group and keeps the pipe open must not keep us.
        let bounded = async {
            tokio::select! {
                _ = reading => {}
                () = async { ended.cancelled().await; tokio::time::sleep(LAST_WORDS).await } => {}
            }
        };
        tokio::join!(ending, bounded).0
    }
}

async fn forward(stream: Option<impl AsyncRead + Unpin>, log: &LogSink) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
        say(log, String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
        line.clear();
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
