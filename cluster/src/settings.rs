//! What may be chosen about a cluster.

use std::path::PathBuf;

use crate::{Binaries, ClusterError};

/// Set by this crate: another value would open a port, move the socket, or hide whose server it is.
const RESERVED: [&str; 6] = [
    "cluster_name",
    "data_directory",
    "external_pid_file",
    "listen_addresses",
    "port",
    "unix_socket_directories",
];

/// What may be chosen about a cluster. `Settings::new` is durable (`fsync` on) and right for a store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that holds everything of this cluster: data, log, owner's lock, socket. Created (0700) when absent;
    /// a relative path is taken from the current directory.
    pub data_dir: PathBuf,
    /// The role that may do anything and needs no password, on the private socket only. Any other role that logs in
    /// needs its password (SCRAM), unless the options name another `hba_file`.
    pub superuser: String,
    /// Server options, as `-c name=value`; they win over this crate's defaults.
    pub options: Vec<(String, String)>,
    /// The server that runs; else the one that made the data, or the newest.
    pub binaries: Option<Binaries>,
}

impl Settings {
    /// The defaults: superuser `postgres`, no options.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), superuser: "postgres".into(), options: Vec::new(), binaries: None }
    }

    /// Chooses the server.
    #[must_use]
    pub fn binaries(self, binaries: Binaries) -> Self {
        Self { binaries: Some(binaries), ..self }
    }

    /// Adds a server option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    /// Whether the data may be lost with the machine: somebody asked for speed.
    pub(crate) fn fleeting(&self) -> bool {
        let off = |value: &str| ["off", "false", "no", "0"].contains(&value.to_ascii_lowercase().as_str());
        let last = self.options.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case("fsync"));
        last.is_some_and(|(_, value)| off(value))
    }

    /// Refuses option names that are reserved or that are not names.
    pub(crate) fn check(&self) -> Result<(), ClusterError> {
        let well_formed = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b))
        };
        let bad = |name: &str| !well_formed(name) || RESERVED.contains(&name.to_ascii_lowercase().as_str());
        match self.options.iter().find(|(name, _)| bad(name)) {
            Some((name, _)) => Err(ClusterError::Option { name: name.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn only_fsync_off_makes_the_data_fleeting() {
        assert!(!Settings::new("x").fleeting());
        assert!(Settings::new("x").option("fsync", "OFF").fleeting());
        assert!(
            !Settings::new("x").option("fsync", "off").option("fsync", "on").fleeting(),
            "the last one wins"
        );
    }

    #[test]
    fn an_option_cannot_open_a_port_or_smuggle_another() {
        for name in ["listen_addresses", "Listen_Addresses", "port", "fsync=off -c port", "", "-x"] {
            assert!(Settings::new("x").option(name, "1").check().is_err(), "{name:?}");
        }
        for name in ["fsync", "pg_stat_statements.max", "shared_buffers"] {
            assert!(Settings::new("x").option(name, "1").check().is_ok(), "{name:?}");
        }
    }
}
