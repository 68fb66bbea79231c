//! What the plane asks the platform: whose key is this, which app is that, deploy this commit.

use std::path::PathBuf;

use async_trait::async_trait;

/// Lines of a build or deployment log, streamed to whoever follows.
pub type LogSink = tokio::sync::mpsc::UnboundedSender<String>;

/// A branch that was pushed to an app's repository.
#[derive(Debug, Clone)]
pub struct Push {
    /// The app's name, from the repository's name.
    pub app: String,
    /// The user whose key was used.
    pub user: String,
    /// The pushed commit, 40 hex digits.
    pub commit: String,
    /// The bare repository that holds it.
    pub repository: PathBuf,
    /// The branch that it is to become.
    pub branch: Branch,
}

/// A branch as a pusher saw it.
#[derive(Debug, Clone)]
pub struct Branch {
    /// `refs/heads/main`.
    pub reference: String,
    /// Its commit, zeros if it did not exist.
    pub seen: String,
}

/// An app's turn to deploy: no other deployment of it begins until this is dropped.
pub type Turn = tokio::sync::OwnedMutexGuard<()>;

/// The platform's side of the plane's questions.
#[async_trait]
pub trait Platform: Send + Sync + std::fmt::Debug {
    /// The user who registered this public key (OpenSSH one-line form, without comment), if any.
    fn user_of_key(&self, public_key: &str) -> Option<String>;

    /// Whether `user` may push to `app`; the refusal is a line for the pusher.
    fn may_push(&self, user: &str, app: &str) -> Result<(), String>;

    /// Queues and follows the deployment of a push; returns when it is finished, with the turn that is to be kept until the branch
    /// is moved. `Err` is a line for the pusher: the deployment failed or was refused, for one because the branch was moved by
    /// another push while this one waited. Dropping the future aborts the deployment.
    async fn deploy(&self, push: Push, log: LogSink) -> Result<Turn, String>;
}
