//! Where the parts of a cluster are: data, log and socket.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::ClusterError;
use crate::error::io;
use crate::launch::Launch;

/// The server's port. No network port is opened: it is part of the socket's file name.
pub(crate) const PORT: u16 = 5432;

/// The longest path of a Unix socket on Linux, without its final zero.
const LONGEST_SOCKET: usize = 107;

/// Where a server's data goes when its user cannot reach the folder that was asked for.
const OUTSIDE: &str = "/var/lib";

/// The parts of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// What the server calls its data directory.
    pub(crate) pgdata: PathBuf,
    /// What the server prints.
    pub(crate) log: PathBuf,
    /// Holds the socket; private.
    pub(crate) sockets: PathBuf,
}

impl Layout {
    /// Creates the folders for a server that runs as `launch` and keeps its files under `dir`.
    pub(crate) async fn prepare(dir: &Path, launch: Launch) -> Result<Self, ClusterError> {
        let home = home(dir, launch).await?;
        let sockets = sockets(&home);
        private_dir(&sockets, launch)?;
        Ok(Self { pgdata: home.join("data"), log: home.join("server.log"), sockets })
    }

    /// Removes the socket's folder if it lies outside the cluster's own folder.
    pub(crate) fn remove_sockets(&self) {
        if self.pgdata.parent() != self.sockets.parent()
            && let Err(error) = std::fs::remove_dir_all(&self.sockets)
        {
            tracing::debug!(error = %error, "socket folder not removed");
        }
    }

    /// The socket and its lock file.
    pub(crate) fn socket_files(&self) -> [PathBuf; 2] {
        [format!(".s.PGSQL.{PORT}"), format!(".s.PGSQL.{PORT}.lock")].map(|name| self.sockets.join(name))
    }
}

/// The folder for the data: `dir`, unless the server's user cannot reach it.
async fn home(dir: &Path, launch: Launch) -> Result<PathBuf, ClusterError> {
    launch.own(dir)?;
    if !matches!(launch, Launch::As { .. }) || launch.reaches(dir).await {
        return Ok(dir.to_owned());
    }
    let outside = Path::new(OUTSIDE).join(format!("reprise-{}", fingerprint(dir)));
    tracing::warn!(asked = %dir.display(), used = %outside.display(), "data folder is out of the server's reach");
    private_dir(&outside, launch)?;
    Ok(outside)
}

/// The folder for the socket: below `home` if its path is short enough.
fn sockets(home: &Path) -> PathBuf {
    let near = home.join("socket");
    if fits(&near) {
        return near;
    }
    let name = format!("reprise-{}-{}", nix::unistd::geteuid(), fingerprint(home));
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    match runtime.map(|dir| dir.join(&name)).filter(|dir| fits(dir) && dir.parent().is_some_and(Path::is_dir))
    {
        Some(dir) if !nix::unistd::geteuid().is_root() => dir,
        _ => Path::new("/tmp").join(name),
    }
}

fn fits(sockets: &Path) -> bool {
    sockets.as_os_str().len() + "/.s.PGSQL.".len() + PORT.to_string().len() <= LONGEST_SOCKET
}

/// Creates a folder that nobody else can enter; one that exists must be such a folder already.
pub(crate) fn private_dir(path: &Path, launch: Launch) -> Result<(), ClusterError> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => launch.own(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => check_private(path, launch),
        Err(error) => Err(io("create", path)(error)),
    }
}

fn check_private(path: &Path, launch: Launch) -> Result<(), ClusterError> {
    let found = std::fs::symlink_metadata(path).map_err(io("look at", path))?;
    let me = nix::unistd::geteuid().as_raw();
    let owner = if let Launch::As { uid, .. } = launch { uid } else { me };
    let ours =
        found.is_dir() && (found.uid() == owner || found.uid() == me) && found.mode().trailing_zeros() >= 6;
    if !ours {
        return Err(ClusterError::NotPrivate { path: path.to_owned() });
    }
    launch.own(path)
}

/// A short name for a path (FNV-1a): equal for equal paths, today and after an upgrade.
fn fingerprint(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::{Launch, fits, private_dir, sockets};

    #[test]
    fn a_long_folder_gets_a_short_socket() {
        let long = Path::new("/data").join("x".repeat(90));
        assert!(!fits(&long.join("socket")));
        assert!(fits(&sockets(&long)), "{}", sockets(&long).display());
        assert_eq!(sockets(Path::new("/data")), Path::new("/data/socket"));
        assert_ne!(sockets(&long), sockets(&long.join("y")));
    }

    #[test]
    fn a_folder_that_others_can_enter_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("s");
        private_dir(&dir, Launch::Direct).unwrap();
        private_dir(&dir, Launch::Direct).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(private_dir(&dir, Launch::Direct).is_err());
        std::os::unix::fs::symlink("/tmp", temp.path().join("link")).unwrap();
        assert!(private_dir(&temp.path().join("link"), Launch::Direct).is_err());
    }
}
