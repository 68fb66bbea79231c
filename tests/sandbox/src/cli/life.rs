//! Commands that ask a running world: `reset`, `snapshot`, `restore`, `snapshots`, `seed`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::size;
use crate::sandbox::control_of;
use crate::seed::Size;

/// A large world takes minutes to make.
const PATIENCE: Duration = Duration::from_mins(30);

/// Why a running world did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing runs there.
    #[error("no world is up in {0}")]
    NoWorld(PathBuf),
    /// It could not be asked.
    #[error("could not ask the world")]
    Ask(#[from] reqwest::Error),
    /// It said no.
    #[error("{0}")]
    Refused(String),
    /// The answer could not be shown.
    #[error("could not write")]
    Write(#[from] std::io::Error),
}

/// Which world.
#[derive(Debug, clap::Args)]
pub(super) struct Of {
    /// The folder of the world.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Which world, and which snapshot of it.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The snapshot's name; `seed` is the beginning.
    name: String,
    #[command(flatten)]
    of: Of,
}

/// Which world, and which snapshot to forget.
#[derive(Debug, clap::Args)]
pub(super) struct Kept {
    #[command(flatten)]
    of: Of,
    /// Forget this snapshot.
    #[arg(long, value_name = "NAME")]
    remove: Option<String>,
}

/// Which world, and how much content.
#[derive(Debug, clap::Args)]
pub(super) struct Sown {
    #[command(flatten)]
    of: Of,
    /// small, medium or large.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Size,
}

impl Of {
    pub(super) async fn reset(self) -> Result<(), AskError> {
        self.ask(Method::POST, &["reset"], None).await.map(drop)
    }

    /// The answer of the control API.
    async fn ask(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<Value, AskError> {
        let none = || AskError::NoWorld(self.dir.clone());
        let mut url = control_of(&self.dir).and_then(|url| url::Url::parse(&url).ok()).ok_or_else(none)?;
        // Names are the user's: each is one segment, whatever is in it.
        url.path_segments_mut().map_err(|()| none())?.extend(path);
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let request = client.request(method, url);
        let answer = match body {
            Some(body) => request.json(&body).send().await?,
            None => request.send().await?,
        };
        let is_good = answer.status().is_success();
        let text = answer.text().await?;
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if is_good {
            return Ok(value);
        }
        Err(AskError::Refused(value["error"].as_str().unwrap_or_else(|| text.trim()).to_owned()))
    }
}

impl Named {
    pub(super) async fn snapshot(self) -> Result<(), AskError> {
        self.of.ask(Method::POST, &["snapshots"], Some(json!({"name": self.name}))).await.map(drop)
    }

    pub(super) async fn restore(self) -> Result<(), AskError> {
        self.of.ask(Method::POST, &["snapshots", &self.name, "restore"], None).await.map(drop)
    }
}

impl Kept {
    pub(super) async fn list_or_remove(self) -> Result<(), AskError> {
        if let Some(name) = &self.remove {
            return self.of.ask(Method::DELETE, &["snapshots", name], None).await.map(drop);
        }
        let listed = self.of.ask(Method::GET, &["snapshots"], None).await?;
        let mut out = std::io::stdout();
        for one in listed["snapshots"].as_array().into_iter().flatten() {
            let text = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
            let megabytes = one["bytes"].as_u64().unwrap_or_default() / 1_000_000;
            writeln!(
                out,
                "{:<24} {:<8} {:<36} {megabytes} MB",
                text("name"),
                text("size"),
                text("taken_at")
            )?;
        }
        Ok(())
    }
}

impl Sown {
    pub(super) async fn seed(self) -> Result<(), AskError> {
        let size = serde_json::to_value(self.size).unwrap_or_default();
        self.of.ask(Method::POST, &["seed"], Some(json!({"size": size}))).await.map(drop)
    }
}
