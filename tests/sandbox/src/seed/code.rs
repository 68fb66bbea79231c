//! The application's code: a bare repository with two commits whose ids depend on nothing but their content.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How long git may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Date of the first commit (2025-01-06T09:00:00Z).
const FIRST: u64 = 1_736_154_000;

/// Why there is no repository.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// Git did not run.
    #[error("running git {verb}")]
    Run {
        /// Its verb.
        verb: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Git said no.
    #[error("git {verb} failed: {said}")]
    Failed {
        /// Its verb.
        verb: &'static str,
        /// The end of what it said.
        said: String,
    },
}

/// A file of a commit: path, whether it may be executed, content.
type File = (&'static str, bool, &'static str);

const BEGINNING: [File; 2] = [
    ("README.md", false, "# APiLos (application d'exemple)\n"),
    ("Procfile", false, include_str!("app/Procfile")),
];
const COMPLETE: [File; 4] = [
    ("README.md", false, include_str!("app/README.md")),
    ("Procfile", false, include_str!("app/Procfile")),
    (".env.template", false, include_str!("app/env.template")),
    ("bin/build", true, include_str!("app/build")),
];

/// Makes a bare repository at `dir` with the sample application on `main`; the commit's id (40 hex digits).
pub async fn code_repository(dir: &Path) -> Result<String, CodeError> {
    git(dir, "init", &["init", "--quiet", "--bare", "--initial-branch=main", "."], b"").await?;
    let mut stream = String::new();
    commit(&mut stream, FIRST, "Premiers pas", &BEGINNING);
    commit(&mut stream, FIRST + 86_400, "Variables, construction et mode d'emploi", &COMPLETE);
    git(dir, "fast-import", &["fast-import", "--quiet"], stream.as_bytes()).await?;
    let id = git(dir, "rev-parse", &["rev-parse", "refs/heads/main"], b"").await?;
    Ok(id.trim().to_owned())
}

/// One commit in the language of `git fast-import`.
fn commit(stream: &mut String, at: u64, message: &str, files: &[File]) {
    // Writing to a String cannot fail.
    write!(
        stream,
        "commit refs/heads/main\ncommitter Camille Lefèvre <camille@apilos.test> {at} +0000\ndata {}\n{message}\n",
        message.len()
    )
    .unwrap_or_default();
    for (path, executable, content) in files {
        let mode = if *executable { "100755" } else { "100644" };
        write!(stream, "M {mode} inline {path}\ndata {}\n{content}\n", content.len()).unwrap_or_default();
    }
    stream.push('\n');
}

/// Runs git in `dir`, away from the configuration of whoever runs this.
async fn git(dir: &Path, verb: &'static str, words: &[&str], input: &[u8]) -> Result<String, CodeError> {
    let run = |source| CodeError::Run { verb, source };
    tokio::fs::create_dir_all(dir).await.map_err(run)?;
    let mut command = Command::new("git");
    command.args(words).current_dir(dir).kill_on_drop(true);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(run)?;
    let work = async {
        if let Some(mut stdin) = child.stdin.take()
            && !input.is_empty()
        {
            stdin.write_all(input).await?;
        }
        child.wait_with_output().await
    };
    let waited = tokio::time::timeout(PATIENCE, work).await;
    let output = waited.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(CodeError::Failed { verb, said: said.trim().chars().take(500).collect() })
}
