//! Redis servers as files: for snapshots of the world, and for backups.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{RedisAccess, RedisError, RedisServers, host_of};

/// What the server calls its saved content.
const FILE: &str = "dump.rdb";
/// How long saving may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// One server in a snapshot. It holds a password: never shown, kept in private files.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SavedRedis {
    resource: String,
    port: u16,
    password: String,
}

impl std::fmt::Debug for SavedRedis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SavedRedis").field("resource", &self.resource).finish_non_exhaustive()
    }
}

impl RedisServers {
    /// Copies every server's content into `folder`.
    pub(crate) async fn save(&self, folder: &Path) -> Result<Vec<SavedRedis>, RedisError> {
        let all: Vec<_> = self.servers().values().map(|server| server.access.clone()).collect();
        let mut saved = Vec::new();
        for RedisAccess { port, user, password, .. } in all {
            let failed = |source| RedisError::Start { resource: user.clone(), source };
            std::fs::create_dir_all(folder).map_err(failed)?;
            self.dump(&user, &folder.join(&user)).await?;
            saved.push(SavedRedis { resource: user, port, password });
        }
        Ok(saved)
    }

    /// Has one server write its content, and copies that to `file`.
    pub(crate) async fn dump(&self, resource_id: &str, file: &Path) -> Result<(), RedisError> {
        let failed = |source| RedisError::Start { resource: resource_id.to_owned(), source };
        // The server itself is asked: a front may insist on TLS.
        let known =
            self.servers().get(resource_id).map(|one| (one.access.password.clone(), one.ports[1].number()));
        let (password, port) = known.ok_or_else(|| RedisError::Unknown(resource_id.to_owned()))?;
        let asked = tokio::time::timeout(PATIENCE, ask_to_save(port, &password)).await;
        asked.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(failed)?;
        std::fs::copy(self.folder(resource_id).map_err(failed)?.join(FILE), file).map_err(failed)?;
        Ok(())
    }

    /// Destroys every server.
    pub(crate) async fn clear(&self) {
        let all: Vec<String> = self.servers().keys().cloned().collect();
        for resource in all {
            if let Err(error) = self.destroy(&resource).await {
                tracing::warn!(%error, "a redis was not destroyed whole");
            }
        }
    }

    /// In place of every server, those that were saved in `folder`: same ports, same passwords.
    pub(crate) async fn bring_back(&self, folder: &Path, saved: &[SavedRedis]) -> Result<(), RedisError> {
        self.clear().await;
        for SavedRedis { resource, port, password } in saved.iter().cloned() {
            let failed = |source| RedisError::Start { resource: resource.clone(), source };
            let held = self.ports.take_again(port).await.map_err(failed)?;
            let own = self.folder(&resource).map_err(failed)?;
            crate::files::remove_tree(&own).map_err(failed)?;
            std::fs::create_dir_all(&own).map_err(failed)?;
            std::fs::copy(folder.join(&resource), own.join(FILE)).map_err(failed)?;
            let host = host_of(&resource);
            self.run(RedisAccess { host, port, user: resource, password }, held).await?;
        }
        Ok(())
    }
}

/// `SAVE`, answered when the file is whole.
async fn ask_to_save(port: u16, password: &str) -> std::io::Result<()> {
    let stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await?;
    let mut stream = BufReader::new(stream);
    let asked = format!("AUTH {password}\r\nSAVE\r\n");
    stream.get_mut().write_all(asked.as_bytes()).await?;
    for _ in ["AUTH", "SAVE"] {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if !line.starts_with("+OK") {
            return Err(std::io::Error::other("the server does not save"));
        }
    }
    Ok(())
}
