//! What an addon begins as: nothing, a copy of a full database, or what it was when a snapshot was taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;

use super::{DatabaseError, sql};
use crate::files::{self, Take};

/// How long a port that was just given up may stay taken.
const PORT_TRIES: u32 = 100;
const PORT_POLL: Duration = Duration::from_millis(20);

/// See the module's head. The paths are data folders of servers that were shut down in order.
#[derive(Clone)]
pub(super) enum Origin {
    Nothing,
    /// Full, with an owner of the same name; the password will be another.
    Copy(PathBuf),
    /// With every role and password.
    Saved {
        data: PathBuf,
        port: u16,
        password: String,
        users: BTreeMap<String, bool>,
    },
}

impl Origin {
    /// Lays the data out in `server`, the folder of the server to be.
    pub(super) async fn lay_out(&self, server: &Path, resource: &str) -> Result<(), DatabaseError> {
        let data = match self {
            Self::Nothing => return Ok(()),
            Self::Copy(data) | Self::Saved { data, .. } => data.clone(),
        };
        let server = server.to_owned();
        let copied = files::aside(move || {
            std::fs::create_dir_all(&server)?;
            files::take_tree(&data, &server.join("data"), Take::Copy)
        });
        copied.await.map_err(sql::files(resource))
    }

    /// Where the front listens: anywhere, or where it did.
    pub(super) async fn listener(&self) -> std::io::Result<TcpListener> {
        listen(if let Self::Saved { port, .. } = self { Some(*port) } else { None }).await
    }
}

/// Listens on any port, or on one that was just given up and may stay taken for a moment.
pub(crate) async fn listen(port: Option<u16>) -> std::io::Result<TcpListener> {
    let mut tries = if port.is_some() { PORT_TRIES } else { 0 };
    loop {
        match TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port.unwrap_or_default())).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries > 0 => tries -= 1,
            bound => return bound,
        }
        tokio::time::sleep(PORT_POLL).await;
    }
}
