//! Whether a dump could be restored through the platform's SSH server.

use super::Preflight;
use super::finding::{Seen, failed, good, unusable, warning};
use crate::providers::ssh::ClientKey;
use crate::providers::ssh::client::{greet, is_known};
use crate::recovery::error::StepError;
use crate::recovery::tools::registered;

impl Preflight<'_> {
    pub(super) async fn ssh(&self) -> Seen {
        self.session().await.unwrap_or_else(|seen| seen)
    }

    async fn session(&self) -> Result<Seen, Seen> {
        let region = &self.spec.target.region;
        let configured = self.tools.configured_ssh_key().map_err(|error| unusable(&error))?;
        let platform = self.tools.platform(region).map_err(|error| unusable(&error))?;
        let listed = platform.keys().await.map_err(|error| failed(&error))?;
        let ours = configured.as_ref().filter(|key| registered(&listed, key).is_some());
        let key = match (ours, &configured) {
            (Some(key), _) | (None, Some(key)) => key.clone(),
            // It is offered to nobody: each request registers one of its own.
            (None, None) => {
                let made = ClientKey::generate("reprise-preflight");
                made.map_err(StepError::failed("making an SSH key")).map_err(|error| unusable(&error))?
            }
        };
        let config = self.tools.ssh_config(region, key).await.map_err(|error| unusable(&error))?;
        if ours.is_some() {
            is_known(&config).await.map_err(|error| failed(&error))?;
            return Ok(good(format!("{} is the pinned server, and knows our key", config.addr)));
        }
        greet(&config).await.map_err(|error| failed(&error))?;
        let pinned = format!("{} is the pinned server", config.addr);
        Ok(match configured {
            Some(key) => warning(format!(
                "{pinned}, and the account does not have the configured key {}: a recovery registers one of its own",
                key.fingerprint()
            )),
            None => good(format!("{pinned}; a recovery registers a key of its own")),
        })
    }
}
