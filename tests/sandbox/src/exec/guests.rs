//! How `exec` tells the world that it is about to run a program in it: by a socket in the world's folder. The kernel says who is
//! at the other end, so that nobody can speak for another; who may not come into the folder stays a stranger.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;

use crate::world::World;

const SOCKET: &str = "guests";
/// How long a world may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket in `dir`, by a path that is short however deep the folder lies: those of sockets must be. Good while the file is open.
fn short(dir: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(SOCKET);
    Ok((folder, path))
}

/// Takes every process that announces itself for a guest of `world`.
pub(crate) fn receive(world: &Arc<World>) -> io::Result<()> {
    let (_folder, path) = short(world.dir())?;
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(world.dir().join(SOCKET), std::fs::Permissions::from_mode(0o600))?;
    let host = Arc::clone(world);
    world.tasks.spawn("guests", async move {
        loop {
            let greeted = async {
                let (mut stream, _) = listener.accept().await?;
                let pid = stream.peer_cred()?.pid().and_then(|pid| u32::try_from(pid).ok());
                let known = pid.is_some_and(|pid| host.guests.welcome(pid));
                stream.write_all(&[u8::from(known)]).await
            };
            if let Err(error) = greeted.await {
                tracing::warn!(%error, "a program that came by `exec` is a stranger to the databases");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    Ok(())
}

/// Tells the world in `dir` that this process is a program of it, and whoever it becomes or starts. Without an answer it is not.
pub(super) fn announce(dir: &Path) -> io::Result<()> {
    let (_folder, path) = short(dir)?;
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut known = [0];
    stream.read_exact(&mut known)?;
    if known == [1] { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
}
