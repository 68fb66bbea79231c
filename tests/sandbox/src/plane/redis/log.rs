//! What a Redis server wrote.

use std::path::PathBuf;

use super::{RedisError, RedisServers};
use crate::plane::server_log;

/// Where it writes, in its folder.
pub(super) const FILE: &str = "redis.log";

impl RedisServers {
    /// The end of the log of the addon's server.
    pub async fn log_tail(&self, resource_id: &str) -> Result<String, RedisError> {
        let file = self.log_of(resource_id)?;
        server_log::tail(&file).await.map_err(failed(resource_id))
    }

    /// What the addon's server wrote into its log after its first `from` bytes, whole lines only, and how far that is. From the
    /// end where there are not so many.
    pub async fn log_from(&self, resource_id: &str, from: u64) -> Result<(String, u64), RedisError> {
        let file = self.log_of(resource_id)?;
        server_log::after(&file, from).await.map_err(failed(resource_id))
    }

    fn log_of(&self, resource_id: &str) -> Result<PathBuf, RedisError> {
        if !self.servers().contains_key(resource_id) {
            return Err(RedisError::Unknown(resource_id.to_owned()));
        }
        Ok(self.folder(resource_id).map_err(failed(resource_id))?.join(FILE))
    }
}

fn failed(resource: &str) -> impl FnOnce(std::io::Error) -> RedisError {
    let resource = resource.to_owned();
    move |source| RedisError::Log { resource, source }
}
