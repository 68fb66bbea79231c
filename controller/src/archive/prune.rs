//! stub

use serde::Serialize;

use super::Archiver;
use super::error::Result;

/// x
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pruned {
    /// x
    pub runs: Vec<PrunedRun>,
    /// x
    pub unreferenced: u64,
    /// x
    pub unreferenced_bytes: u64,
    /// x
    pub due: u64,
    /// x
    pub kept: u64,
}
/// x
#[derive(Debug, Clone, Default, Serialize)]
pub struct PrunedRun {
    /// x
    pub run: String,
    /// x
    pub kept_by: Option<String>,
}
impl Archiver {
    /// x
    pub async fn prune(&self, _yes: bool) -> Result<Pruned> {
        Ok(Pruned::default())
    }
}
