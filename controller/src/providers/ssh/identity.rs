//! What the system's `git` needs to push as us to the pinned server: a folder with key, known host and configuration.
//!
//! Nothing secret is in arguments or environment: they hold the path of the configuration, which is in a folder that only we may enter
//! and that goes away with this value.

use std::{
    ffi::OsString,
    fs::{OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{SshConfig, SshError, client::Session};

/// The name under which the server is known in our configuration; where it is, is said there.
const ALIAS: &str = "reprise-platform";

/// A prepared identity. Its files are removed when it is dropped.
#[derive(Debug)]
pub struct Identity {
    dir: TempDir,
}

impl Identity {
    /// Connects once to see the host key and that ours is accepted, then writes the files to a folder of their own in `folder`.
    /// Repeating it is harmless. Where this process is killed the files stay: `folder` is one that its owner empties.
    pub async fn prepare(config: &SshConfig, folder: &Path) -> Result<Self, SshError> {
        let session = Session::open(config).await?;
        let host_key = session.host_key.to_openssh();
        let host_key = host_key.map_err(|source| SshError::Key { from: config.addr.clone(), source })?;
        let private = config
            .key
            .to_openssh()
            .map_err(|source| SshError::Key { from: config.key.fingerprint(), source })?;
        let file = |source| SshError::File { doing: "make a folder in", path: folder.to_owned(), source };
        // `git` and `ssh` run in folders of their own choice.
        let folder = folder.canonicalize().map_err(file)?;
        let mut named = tempfile::Builder::new();
        let dir = named.prefix("ssh-").permissions(Permissions::from_mode(0o700)).tempdir_in(folder);
        let identity = Self { dir: dir.map_err(file)? };
        identity.write("key", private.expose_secret())?;
        identity.write("known_hosts", &format!("{ALIAS} {host_key}\n"))?;
        identity.write("config", &identity.configuration(config)?)?;
        Ok(identity)
    }

    /// For `GIT_SSH_COMMAND`, which a shell reads.
    pub fn command(&self) -> OsString {
        let path = self.path("config").display().to_string();
        format!("ssh -F '{}'", path.replace('\'', r"'\''")).into()
    }

    /// The address to give to `git` for the repository that the platform names as `git@host:path` or `ssh://git@host:port/path`. The
    /// host in it is not used: we connect where we were told, to the key that was pinned.
    pub fn remote(&self, git_url: &str) -> Result<String, SshError> {
        let path = repository(git_url).ok_or_else(|| SshError::Repository { url: git_url.to_owned() })?;
        Ok(format!("{ALIAS}:{path}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), SshError> {
        let path = self.path(name);
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|source| SshError::File {
            doing: "write",
            path,
            source,
        })
    }

    fn configuration(&self, config: &SshConfig) -> Result<String, SshError> {
        let (host, port) = config.host_and_port()?;
        let quoted = |path: &Path| format!("\"{}\"", path.display());
        let mut text = format!("Host {ALIAS}\n");
        for (name, value) in [
            ("HostName", host),
            ("Port", port.to_string()),
            ("User", config.user.clone()),
            ("HostKeyAlias", ALIAS.to_owned()),
            ("UserKnownHostsFile", quoted(&self.path("known_hosts"))),
            ("GlobalKnownHostsFile", "/dev/null".to_owned()),
            ("StrictHostKeyChecking", "yes".to_owned()),
            ("UpdateHostKeys", "no".to_owned()),
            ("IdentityFile", quoted(&self.path("key"))),
            ("IdentitiesOnly", "yes".to_owned()),
            ("IdentityAgent", "none".to_owned()),
            ("BatchMode", "yes".to_owned()),
            ("PreferredAuthentications", "publickey".to_owned()),
            ("ConnectTimeout", "30".to_owned()),
            ("ServerAliveInterval", "15".to_owned()),
            ("ServerAliveCountMax", "4".to_owned()),
            ("ForwardAgent", "no".to_owned()),
            ("LogLevel", "ERROR".to_owned()),
        ] {
            text.extend(["  ", name, " ", value.as_str(), "\n"]);
        }
        Ok(text)
    }
}

/// The path of a repository on the server, as the server is to be asked for it.
fn repository(git_url: &str) -> Option<&str> {
    let path = match git_url.strip_prefix("ssh://") {
        Some(rest) => rest.find('/').map(|start| &rest[start..])?,
        None => git_url.split_once(':').map(|(_, path)| path)?,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let safe = !path.trim_matches('/').is_empty() && !path.starts_with('-') && path.chars().all(plain);
    (safe && path.split('/').all(|part| part != "..")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_repository_are_read() {
        assert_eq!(repository("git@ssh.osc-fr1.scalingo.com:my-app.git"), Some("my-app.git"));
        assert_eq!(repository("ssh://git@127.0.0.1:2222/my-app.git"), Some("/my-app.git"));
    }

    #[test]
    fn an_address_cannot_become_an_option_or_a_command() {
        for bad in [
            "",
            "my-app.git",
            "git@h:",
            "git@h:-oProxyCommand=x",
            "git@h:a b",
            "git@h:$(x)",
            "git@h:a/../b",
            "ssh://h",
        ] {
            assert_eq!(repository(bad), None, "{bad}");
        }
    }
}
