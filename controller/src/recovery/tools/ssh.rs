//! How the platform's SSH server is reached and recognised, and with which key of ours.

use super::Tools;
use crate::providers::scalingo::keys::Key;
use crate::providers::ssh::{ClientKey, Fingerprints, SshConfig};
use crate::recovery::error::{Result, StepError};

/// Published host keys of the vendor's regions. Source: user documentation "Regions", read 2026-08.
const HOST_KEYS: [(&str, &str); 2] = [
    (
        "osc-fr1",
        "SHA256:vMMyB6vYf+U68JFAcK/vAL6g4DOKGmT/LMwLhzI9+3E,SHA256:f7y5p9OlI+UCuQoXctVNVj3pVkehTgUBWZz/0PtkGR8",
    ),
    (
        "osc-secnum-fr1",
        "SHA256:kPzs5j39HdIVRgVZpQUgm9RtW9uqtFcHJz2M6ykZOiw,SHA256:D2pGNXIDrEREqRUlElMDGQPkGK641e+hnWMbc7APRmM",
    ),
];

/// The key of the account that is ours. Compares algorithm and key; comments are free.
pub(crate) fn registered<'a>(listed: &'a [Key], key: &ClientKey) -> Option<&'a Key> {
    let two = |line: &str| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
    let ours = key.public_line().map(|line| two(&line)).unwrap_or_default();
    let is = |known: &&Key| {
        known.content.as_deref().is_some_and(|content| ours.len() == 2 && two(content) == ours)
    };
    listed.iter().find(is)
}

impl Tools {
    /// The SSH key that the configuration names, if it names one.
    pub fn configured_ssh_key(&self) -> Result<Option<ClientKey>> {
        let path = self.scalingo()?.ssh_key.as_deref();
        path.map(ClientKey::load).transpose().map_err(StepError::failed("reading the configured SSH key"))
    }

    /// How to reach the SSH server of a region, its host key pinned.
    pub async fn ssh_config(&self, region: &str, key: ClientKey) -> Result<SshConfig> {
        let pinned = self.pinned_host_key(region)?.ok_or_else(|| {
            StepError::refused(
                format!("no host key is known for the SSH server of region {region}"),
                "set SCALINGO_SSH_FINGERPRINT to the fingerprint that the vendor publishes, restart, and resume",
            )
        })?;
        let fingerprints =
            Fingerprints::parse(pinned).map_err(StepError::failed("reading the pinned SSH host key"))?;
        let addr = if let Some(addr) = &self.scalingo()?.ssh_host {
            addr.clone()
        } else {
            let told = self.platform(region)?.region().await;
            let region = told.map_err(StepError::provider("asking for the region's SSH server"))?;
            region.ssh.unwrap_or_default()
        };
        Ok(SshConfig { addr, user: "git".to_owned(), fingerprints, key })
    }

    /// The fingerprint that the SSH server of a region has to show: the configured one, else the one that the vendor publishes.
    pub fn pinned_host_key(&self, region: &str) -> Result<Option<&str>> {
        let known = HOST_KEYS.iter().find(|(known, _)| *known == region).map(|(_, keys)| *keys);
        Ok(self.scalingo()?.ssh_fingerprint.as_deref().or(known))
    }
}
