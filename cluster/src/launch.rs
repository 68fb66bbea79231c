//! As whom the server runs: it refuses to run as root, so root starts it inside a user namespace of its own, where
//! root's files belong to an ordinary user, or, where namespaces are not permitted, as another user.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::ClusterError;
use crate::error::io;

/// The account used by root where user namespaces are not permitted and no account `postgres` exists: `nobody`.
const NOBODY: (u32, u32) = (65534, 65534);

/// How a server program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Launch {
    /// As ourselves.
    Direct,
    /// In a user namespace where we are an ordinary user.
    Namespace,
    /// As this user and group.
    As { uid: u32, gid: u32 },
}

impl Launch {
    /// Chooses for this machine and this folder of data.
    pub(crate) async fn choose(pgdata: &Path) -> Self {
        let root = nix::unistd::geteuid().is_root();
        let owner = std::fs::metadata(pgdata).ok().map(|data| (data.uid(), data.gid()));
        let namespaces = root && Self::Namespace.works().await;
        Self::decide(root, owner, namespaces, service_account())
    }

    fn decide(root: bool, owner: Option<(u32, u32)>, namespaces: bool, account: (u32, u32)) -> Self {
        match (root, owner) {
            (false, _) => Self::Direct,
            (true, Some((uid, gid))) if uid != 0 => Self::As { uid, gid },
            (true, _) if namespaces => Self::Namespace,
            (true, _) => Self::As { uid: account.0, gid: account.1 },
        }
    }

    /// A command that runs `program` as chosen, with a clean environment and out of reach of the terminal's signals.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::Direct => Command::new(program),
            Self::Namespace => {
                wrapped("unshare", &["--user", "--map-user=1000", "--map-group=1000"], program)
            }
            Self::As { uid, gid } => wrapped(
                "setpriv",
                &[&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"],
                program,
            ),
        };
        command.env_clear().envs(["PATH", "LD_LIBRARY_PATH", "TZ"].into_iter().filter_map(variable));
        command.env("LC_ALL", "C.UTF-8").current_dir("/").stdin(Stdio::null()).process_group(0);
        command
    }

    /// Gives `path` to the user that the server runs as.
    pub(crate) fn own(self, path: &Path) -> Result<(), ClusterError> {
        match self {
            Self::As { uid, gid } if nix::unistd::geteuid().is_root() => {
                chown(path, Some(uid), Some(gid)).map_err(io("give away", path))
            }
            _ => Ok(()),
        }
    }

    /// Gives a whole tree away, if its root is not given away already.
    pub(crate) fn own_tree(self, path: &Path) -> Result<(), ClusterError> {
        match self {
            Self::As { uid, .. } if std::fs::symlink_metadata(path).is_ok_and(|data| data.uid() != uid) => {
                self.own_below(path)
            }
            _ => Ok(()),
        }
    }

    fn own_below(self, path: &Path) -> Result<(), ClusterError> {
        let data = std::fs::symlink_metadata(path).map_err(io("look at", path))?;
        if data.is_symlink() {
            return Ok(());
        }
        if data.is_dir() {
            for entry in std::fs::read_dir(path).map_err(io("list", path))? {
                self.own_below(&entry.map_err(io("list", path))?.path())?;
            }
        }
        self.own(path)
    }

    /// Whether the server's user can enter `dir`: nobody else can enter what is below root's home.
    pub(crate) async fn reaches(self, dir: &Path) -> bool {
        let mut command = self.command(Path::new("test"));
        command.arg("-w").arg(dir);
        succeeds(command).await
    }

    async fn works(self) -> bool {
        succeeds(self.command(Path::new("true"))).await
    }
}

async fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().await.is_ok_and(|status| status.success())
}

fn wrapped(tool: &str, arguments: &[&str], program: &Path) -> Command {
    let mut command = Command::new(tool);
    command.args(arguments).arg("--").arg(program);
    command
}

fn variable(name: &str) -> Option<(&str, std::ffi::OsString)> {
    std::env::var_os(name).map(|value| (name, value))
}

fn service_account() -> (u32, u32) {
    match nix::unistd::User::from_name("postgres") {
        Ok(Some(user)) => (user.uid.as_raw(), user.gid.as_raw()),
        Ok(None) | Err(_) => NOBODY,
    }
}

#[cfg(test)]
mod tests {
    use super::{Launch, NOBODY};

    #[test]
    fn only_root_needs_another_identity() {
        assert_eq!(Launch::decide(false, Some((7, 7)), false, NOBODY), Launch::Direct);
        assert_eq!(Launch::decide(true, None, true, NOBODY), Launch::Namespace);
        assert_eq!(Launch::decide(true, Some((0, 0)), true, NOBODY), Launch::Namespace);
    }

    #[test]
    fn data_of_another_user_stays_his() {
        for namespaces in [true, false] {
            let chosen = Launch::decide(true, Some((7, 8)), namespaces, NOBODY);
            assert_eq!(chosen, Launch::As { uid: 7, gid: 8 });
        }
    }

    #[test]
    fn without_namespaces_root_uses_the_service_account() {
        assert_eq!(Launch::decide(true, None, false, (5, 6)), Launch::As { uid: 5, gid: 6 });
        assert_eq!(Launch::decide(true, Some((0, 0)), false, (5, 6)), Launch::As { uid: 5, gid: 6 });
    }
}
