//! Code: which commit a ref means, one file of it, and pushing exactly that commit. By the system's `git` on a bare repository of ours.
//!
//! Nothing is ever checked out or run. No configuration of the machine or the user takes part.

use std::{
    ffi::OsString,
    fmt,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::Engine as _;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

mod error;
mod locks;

pub use self::error::GitError;
use self::error::{PUSHING, definite};
use super::authorities;
use super::process::{Finished, ProcessError, Program};

/// The branch that the platform deploys.
const DEPLOYED: &str = "refs/heads/master";
/// Time to fetch a repository, from a host that goes on sending.
pub(crate) const FETCH_LIMIT: Duration = Duration::from_mins(15);
/// A host that sends nothing for so many seconds hangs.
const SILENCE: u32 = 60;
/// A lock is held for moments: one that is so old is that of a git which was killed.
const STALE: Duration = Duration::from_mins(1);
/// Time for a push: the platform builds meanwhile, for 30 minutes at most, after a hook of 20 and a queue before it.
const PUSH_LIMIT: Duration = Duration::from_hours(2);

/// A commit: 40 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit(String);

impl Commit {
    /// Reads a full commit id.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        hex.then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where code comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// `https://…`, `http://` on this machine, `file://…` or an absolute path.
    pub url: String,
    /// Token for a private repository over https. Sent to that origin only.
    pub token: Option<SecretString>,
    /// Certification authorities for https beside the system's, PEM, one or several.
    pub extra_ca_pem: Option<Vec<u8>>,
}

/// How a push ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The branch was made or moved: a deployment follows.
    Moved,
    /// The branch was there already: no deployment follows.
    UpToDate,
}

/// A bare repository in a folder of ours.
#[derive(Debug, Clone)]
pub struct Repository {
    dir: PathBuf,
    silence: u32,
}

impl Repository {
    /// Opens or makes it, for nobody else to read: the code may be private. Safe to repeat.
    pub async fn open(dir: &Path) -> Result<Self, GitError> {
        let repository = Self { dir: dir.to_owned(), silence: SILENCE };
        if !dir.join("HEAD").exists() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|source| GitError::Process {
                doing: "make a folder for the code",
                source: ProcessError::Start { program: "git", source },
            })?;
            let init = git().args(["init", "--quiet", "--bare", "--"]).args([dir]);
            done("make a repository", init.run(|_| ()).await)?;
        }
        Ok(repository)
    }

    /// Fetches `reference` (a branch, a tag, or a full commit id) with its whole history and says which commit it is. Safe to repeat.
    pub async fn fetch(&self, source: &Source, reference: &str) -> Result<Commit, GitError> {
        match self.fetched(source, reference).await {
            Err(error @ GitError::Locked { .. }) if !locks::freed(&self.dir, STALE) => Err(error),
            Err(GitError::Locked { .. }) => self.fetched(source, reference).await,
            end => end,
        }
    }

    async fn fetched(&self, source: &Source, reference: &str) -> Result<Commit, GitError> {
        let doing = "fetch the code";
        let reference = plain_reference(reference)?;
        // Under a name of its own, so that two plans do not overwrite each other's; `+` because branches may be rewritten.
        let digest = Sha256::digest(format!("{} {reference}", source.url));
        let kept = format!("refs/reprise/{}", hex::encode(digest));
        let remote = self.remote(source)?.limit(FETCH_LIMIT);
        let remote = remote.args([
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
        ]);
        let fetched = remote.args(["--", &source.url, &format!("+{reference}:{kept}")]).run(|_| ()).await;
        done(doing, fetched).map_err(|error| definite(error, reference))?;
        let parse = self.git().args(["rev-parse", "--verify", "--quiet", &format!("{kept}^{{commit}}")]);
        let commit = done(doing, parse.run(|_| ()).await)?;
        let commit = String::from_utf8_lossy(&commit.output);
        let commit = Commit::parse(commit.trim()).ok_or(GitError::Answer { doing })?;
        // Nothing may be collected as long as it could still be pushed: the commit gets a name that does not move.
        let keep = self.git().args(["update-ref", &format!("refs/reprise-kept/{commit}"), commit.as_str()]);
        done(doing, keep.run(|_| ()).await)?;
        Ok(commit)
    }

    /// One file of a commit, `None` if there is none. Links are not followed. Safe to repeat.
    pub async fn read(&self, commit: &Commit, path: &str, limit: usize) -> Result<Option<Vec<u8>>, GitError> {
        let doing = "read a file of the code";
        if path.is_empty() || path.contains(['\0', '\n']) {
            return Err(GitError::Argument { what: "the path of a file", text: path.to_owned() });
        }
        let list = self.git().args(["ls-tree", "-z", commit.as_str(), "--"]).args([path]);
        let listed = done(doing, list.env("GIT_LITERAL_PATHSPECS", "1").run(|_| ()).await)?;
        let listed = String::from_utf8_lossy(&listed.output);
        // `100644 blob <id>\t<path>`
        let Some(id) = listed.strip_prefix("100").and_then(|rest| rest.split(['\t', ' ']).nth(2)) else {
            return Ok(None);
        };
        let id = Commit::parse(id).ok_or(GitError::Answer { doing })?;
        let blob = self.git().args(["cat-file", "blob", id.as_str()]).output_limit(limit);
        done(doing, blob.run(|_| ()).await).map(|finished| Some(finished.output))
    }

    /// The paths of all files of a commit. Nothing is checked out. A tree beyond `limit` bytes of paths is an error. Safe to repeat.
    pub async fn paths(&self, commit: &Commit, limit: usize) -> Result<Vec<String>, GitError> {
        let list = self.git().args(["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit.as_str()]);
        let listed = done("list the files of the code", list.output_limit(limit).run(|_| ()).await)?;
        let paths = listed.output.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }

    /// A commit on top of `commit` that lacks the file `path`; `commit` itself if that has no such file. Always the same for the same:
    /// safe to repeat.
    pub async fn without(&self, commit: &Commit, path: &str) -> Result<Commit, GitError> {
        let doing = "leave a file out of the code";
        if self.read(commit, path, usize::MAX).await?.is_none() {
            return Ok(commit.clone());
        }
        let scratch = tempfile::tempdir().map_err(|source| GitError::Process {
            doing,
            source: ProcessError::Start { program: "git", source },
        })?;
        let git = || self.git().env("GIT_INDEX_FILE", scratch.path().join("index"));
        done(doing, git().args(["read-tree", commit.as_str()]).run(|_| ()).await)?;
        done(doing, git().args(["update-index", "--force-remove", "--", path]).run(|_| ()).await)?;
        let tree = done(doing, git().args(["write-tree"]).run(|_| ()).await)?;
        let tree = String::from_utf8_lossy(&tree.output).trim().to_owned();
        let message = format!("{path} is left out of a rehearsal");
        let made = git()
            .args(["-c", "user.name=Reprise", "-c", "user.email=reprise@localhost", "commit-tree"])
            .env("GIT_AUTHOR_DATE", "@0 +0000")
            .env("GIT_COMMITTER_DATE", "@0 +0000")
            .args([&tree, "-p", commit.as_str(), "-m", &message]);
        let made = done(doing, made.run(|_| ()).await)?;
        Commit::parse(String::from_utf8_lossy(&made.output).trim()).ok_or(GitError::Answer { doing })
    }

    /// Pushes exactly `commit` to the branch that is deployed; no tags. `ssh_command` becomes `GIT_SSH_COMMAND`. Each line of the
    /// platform's build is told as it comes: it may hold what the build prints, so it is for people and not for logs. Repeating it after
    /// success is [`Pushed::UpToDate`]. Dropping the future breaks the connection, which aborts the deployment.
    ///
    /// Source: Scalingo's user documentation "Deploy with git".
    pub async fn push(
        &self,
        commit: &Commit,
        remote: &str,
        ssh_command: Option<OsString>,
        on_line: impl FnMut(&str),
    ) -> Result<Pushed, GitError> {
        if self.dir.join("shallow").exists() {
            return Err(GitError::Shallow);
        }
        if remote.is_empty() || remote.starts_with('-') || remote.contains("::") {
            return Err(GitError::Argument { what: "the address of a repository", text: remote.to_owned() });
        }
        let mut push =
            self.git().limit(PUSH_LIMIT).env("GIT_ALLOW_PROTOCOL", "ssh:file").env("GIT_SSH_VARIANT", "ssh");
        if let Some(command) = ssh_command {
            push = push.env("GIT_SSH_COMMAND", command);
        }
        // Asked for, it also tells how far the upload is where nobody watches a terminal.
        let push = push.args(["push", "--porcelain", "--progress", "--no-follow-tags"]);
        let push = push.args(["--recurse-submodules=no", "--"]);
        // `+` because a person may go back to an earlier release, or have rewritten the branch: the vendor takes that.
        let finished = push.args([remote, &format!("+{commit}:{DEPLOYED}")]).run(on_line).await;
        let finished = finished.map_err(|source| GitError::Process { doing: PUSHING, source })?;
        verdict(&String::from_utf8_lossy(&finished.output), finished.status.success(), &finished.complaint)
    }

    /// Writes `commit` with its whole history into one file. `commit` must have been fetched. Safe to repeat.
    pub async fn bundle(&self, commit: &Commit, to: &Path) -> Result<(), GitError> {
        let bundle = self.git().limit(FETCH_LIMIT).args(["bundle", "create", "--quiet"]).args([to]);
        let bundle = bundle.args([format!("refs/reprise-kept/{commit}")]).run(|_| ()).await;
        done("pack the code into a bundle", bundle).map(drop)
    }

    /// Takes in a bundle that [`Repository::bundle`] made of `commit`. Safe to repeat.
    pub async fn unbundle(&self, from: &Path, commit: &Commit) -> Result<(), GitError> {
        let doing = "unpack the code from a bundle";
        let name = format!("refs/reprise-kept/{commit}");
        let fetch = self.git().limit(FETCH_LIMIT).env("GIT_ALLOW_PROTOCOL", "file");
        let fetch = fetch.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--"]).args([from]);
        done(doing, fetch.args([format!("+{name}:{name}")]).run(|_| ()).await)?;
        let there = self.git().args(["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]);
        let there = done(doing, there.run(|_| ()).await)?;
        let there = String::from_utf8_lossy(&there.output);
        if there.trim() == commit.as_str() { Ok(()) } else { Err(GitError::Answer { doing }) }
    }

    fn git(&self) -> Program {
        git().args(["--git-dir".as_ref(), self.dir.as_os_str()])
    }

    /// Git with access to `source`, and over no other protocol, wherever it is sent on to. The token travels in a variable, which only we
    /// can read, and only to that origin.
    fn remote(&self, source: &Source) -> Result<Program, GitError> {
        let wrong = || GitError::Argument { what: "the address of a repository", text: source.url.clone() };
        let git = |protocol: &str| self.git().env("GIT_ALLOW_PROTOCOL", protocol);
        if source.url.starts_with('/') {
            return Ok(git("file"));
        }
        let url = url::Url::parse(&source.url).map_err(|_| wrong())?;
        if url.scheme() == "file" {
            return Ok(git("file"));
        }
        super::http::origin::check(&url).map_err(|_| wrong())?;
        let mut git = git(url.scheme())
            .env("GIT_HTTP_LOW_SPEED_LIMIT", "1")
            .env("GIT_HTTP_LOW_SPEED_TIME", self.silence.to_string());
        if let Some(pem) = &source.extra_ca_pem {
            git = git.env("GIT_SSL_CAINFO", self.authorities(pem)?);
        }
        if let Some(token) = &source.token {
            let pair = format!("x-access-token:{}", token.expose_secret());
            let header =
                format!("Authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            git = git
                .env("GIT_CONFIG_COUNT", "2")
                .env("GIT_CONFIG_KEY_0", format!("http.{}/.extraHeader", url.origin().ascii_serialization()))
                .env("GIT_CONFIG_VALUE_0", header)
                .env("GIT_CONFIG_KEY_1", "http.followRedirects")
                .env("GIT_CONFIG_VALUE_1", "false");
        }
        Ok(git)
    }

    /// The file with every authority: git takes one instead of the system's.
    fn authorities(&self, pem: &[u8]) -> Result<PathBuf, GitError> {
        let file = self.dir.join("authorities.pem");
        std::fs::write(&file, authorities::with_systems(pem)).map_err(|source| GitError::Process {
            doing: "be told whom to trust",
            source: ProcessError::Start { program: "git", source },
        })?;
        Ok(file)
    }
}

/// Git without anybody's configuration, prompts or hooks.
fn git() -> Program {
    Program::new("git")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("HOME", "/nonexistent")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "protocol.version=2"])
}

/// The version of the system's `git`, such as `2.39.5`.
pub async fn version() -> Result<String, GitError> {
    let doing = "ask git for its version";
    let told = done(doing, Program::new("git").args(["--version"]).run(|_| ()).await)?;
    let told = String::from_utf8_lossy(&told.output);
    told.split_whitespace().nth(2).map(str::to_owned).ok_or(GitError::Answer { doing })
}

fn done(doing: &'static str, finished: Result<Finished, ProcessError>) -> Result<Finished, GitError> {
    let finished = finished.map_err(|source| GitError::Process { doing, source })?;
    if finished.status.success() {
        return Ok(finished);
    }
    let complaint = finished.complaint;
    if locks::is_told(&complaint) {
        return Err(GitError::Locked { complaint });
    }
    Err(GitError::Failed { doing, complaint })
}

/// A branch, tag or commit as it may be named in a refspec.
fn plain_reference(text: &str) -> Result<&str, GitError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '+' | '@' | '#');
    let safe = !text.is_empty() && text.chars().all(plain) && !text.starts_with(['-', '/', '+', '@']);
    if safe && !text.contains("..") {
        return Ok(text);
    }
    Err(GitError::Argument { what: "a branch, a tag or a commit", text: text.to_owned() })
}

/// Whether a line of a push is git's own account of what it sends, and nothing that the platform says. Pure.
pub fn is_upload(line: &str) -> bool {
    const OWN: [&str; 6] = [
        "Enumerating objects",
        "Counting objects",
        "Delta compression",
        "Compressing objects",
        "Writing objects",
        "Total ",
    ];
    OWN.iter().any(|own| line.starts_with(own))
}

/// Reads `push --porcelain`: `<flag>\t<from>:<to>\t<summary>` for the one branch. Pure.
fn verdict(output: &str, success: bool, complaint: &str) -> Result<Pushed, GitError> {
    let line = output.lines().find(|line| line.contains(DEPLOYED));
    let flag = line.and_then(|line| line.split('\t').next()).unwrap_or_default();
    match (flag, success) {
        ("=", true) => Ok(Pushed::UpToDate),
        (" " | "*" | "+", true) => Ok(Pushed::Moved),
        ("!", _) => {
            let reason = line.and_then(|line| line.split('\t').nth(2)).unwrap_or_default();
            Err(GitError::Refused { reason: super::http::message::line(reason) })
        }
        (_, true) => Err(GitError::Answer { doing: PUSHING }),
        (_, false) => Err(lost(complaint)),
    }
}

/// Before the connection stood, nothing can have happened.
fn lost(complaint: &str) -> GitError {
    let before =
        ["Host key", "Permission denied", "Connection refused", "Could not resolve", "does not appear to be"];
    if before.iter().any(|words| complaint.contains(words)) {
        return GitError::Failed { doing: PUSHING, complaint: complaint.to_owned() };
    }
    GitError::InDoubt { complaint: complaint.to_owned() }
}

#[cfg(test)]
mod tests;
