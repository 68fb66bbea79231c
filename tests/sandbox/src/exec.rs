//! A namespace of its own for a program, in which the world's names resolve and its CA is trusted.
//!
//! All that is needed lies in files under the world's folder, so that another process (`reprise-sandbox exec`) can do the same
//! as the runner. Made with util-linux (`unshare`, `mount`): nothing here may need `unsafe`. Where the world has no standard
//! ports on the machine ([`crate::doors`]), `exec` adds a network namespace that has them.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::OnceLock;

use thiserror::Error;
use tokio::process::Command;

use crate::doors::Doors;

pub(crate) mod guests;
mod inside;
mod ports;
mod relay;
mod signals;

/// The folder of the world that holds the CA: what [`crate::plane::authority::Authority::new`] is to be given.
pub const CA_FOLDER: &str = "ca";
/// The CA's own certificate, in [`CA_FOLDER`].
pub const CA_FILE: &str = "ca.pem";
/// The machine's CAs and the world's, in [`CA_FOLDER`]: many clients take one file and forget all others.
pub const BUNDLE_FILE: &str = "bundle.pem";

const HOSTS_FILE: &str = "hosts";
const RESOLVER_FILE: &str = "resolver";
const RESOLV_CONF: &str = "resolv.conf";
const INNER_RESOLV_CONF: &str = "inner-resolv.conf";
/// Where Debian and most programs on it look for CAs.
pub(crate) const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Mounts pairs of files until `--`, then becomes the program. 125 is what `chroot` and `env` answer when they fail themselves.
const SCRIPT: &str = r#"
while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 125; shift 2; done
shift
exec "$@""#;

/// Why a program could not be run in the world.
#[derive(Debug, Error)]
pub enum ExecError {
    /// Neither root's mount namespaces nor a user's own are allowed.
    #[error(
        "namespaces are not allowed here: run as root, or let users have their own \
         (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu also \
         kernel.apparmor_restrict_unprivileged_userns=0; in a container, allow unshare and mount)"
    )]
    Forbidden,
    /// The folder is not a sandbox's.
    #[error("{dir} holds no sandbox: it has no hosts file", dir = .0.display())]
    NoWorld(PathBuf),
    /// The namespace has no working loopback, or no way out.
    #[error("giving the namespace its ports")]
    Network {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program could not be started.
    #[error("starting {program:?} in the sandbox's namespace")]
    Start {
        /// The program's name.
        program: OsString,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// How this machine lets us make a mount namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// We are root in earnest.
    Root,
    /// Within a user namespace of our own.
    User,
}

impl Privilege {
    fn unshare_flags(self) -> &'static str {
        match self {
            Self::Root => "-m",
            Self::User => "-Urm",
        }
    }
}

/// What this machine allows, tried once.
pub fn privilege() -> Result<Privilege, ExecError> {
    static FOUND: OnceLock<Option<Privilege>> = OnceLock::new();
    let works = |privilege: &Privilege| {
        std::process::Command::new("unshare")
            .args([privilege.unshare_flags(), "/bin/sh", "-c", "mount --bind /etc/hosts /etc/hosts"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    FOUND
        .get_or_init(|| [Privilege::Root, Privilege::User].into_iter().find(works))
        .ok_or(ExecError::Forbidden)
}

/// Records the world's resolver for later namespaces, and the address at which one answers on port 53: `resolv.conf` cannot
/// name a port. At 127.0.0.1 it is only there in a network namespace of [`relay`].
pub fn use_resolver(dir: &Path, resolver: SocketAddr, front: std::net::Ipv4Addr) -> std::io::Result<()> {
    std::fs::write(dir.join(RESOLVER_FILE), resolver.to_string())?;
    let name = if front.is_loopback() && front != std::net::Ipv4Addr::LOCALHOST {
        RESOLV_CONF
    } else {
        INNER_RESOLV_CONF
    };
    std::fs::write(dir.join(name), format!("nameserver {front}\n"))
}

/// The variables by which programs learn of the world's CA. Empty where there is none yet.
pub fn variables(dir: &Path) -> Vec<(&'static str, OsString)> {
    let (ca, bundle) = (dir.join(CA_FOLDER).join(CA_FILE), dir.join(CA_FOLDER).join(BUNDLE_FILE));
    let mut variables = Vec::new();
    if ca.exists() {
        variables.push(("NODE_EXTRA_CA_CERTS", ca.into_os_string()));
    }
    if bundle.exists() {
        let names =
            ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO"];
        variables.extend(names.map(|name| (name, bundle.clone().into_os_string())));
    }
    variables
}

/// `program` as a command that runs in the namespace of the world under `dir`. It *becomes* the program: same process id, same
/// exit code; 125 if the namespace could not be made.
pub fn command<I, S>(dir: &Path, program: impl AsRef<OsStr>, args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new("unshare");
    command.args([privilege().unwrap_or(Privilege::User).unshare_flags(), "/bin/sh"]);
    covered(&mut command, dir, RESOLV_CONF);
    command.arg("--").arg(program).args(args);
    command
}

/// The program in the namespaces that this process is in already, which are its own.
fn inner_command(dir: &Path, program: &[OsString]) -> Command {
    let mut command = Command::new("/bin/sh");
    covered(&mut command, dir, INNER_RESOLV_CONF);
    command.arg("--").args(program);
    command
}

/// Arguments for a shell that covers the machine's files with the world's, up to the program; and the variables.
fn covered(command: &mut Command, dir: &Path, resolv_conf: &str) {
    command.args(["-c", SCRIPT, "sandbox"]);
    for (from, to) in mounts(dir, resolv_conf) {
        command.arg(from).arg(to);
    }
    command.envs(variables(dir));
    if let Ok(resolver) = std::fs::read_to_string(dir.join(RESOLVER_FILE)) {
        command.env("DNS_RESOLVER", resolver);
    }
}

/// Pairs of a file of the world and the file that it covers, where both exist.
fn mounts(dir: &Path, resolv_conf: &str) -> impl Iterator<Item = (PathBuf, &'static str)> {
    [
        (dir.join(HOSTS_FILE), "/etc/hosts"),
        (dir.join(resolv_conf), "/etc/resolv.conf"),
        (dir.join(CA_FOLDER).join(BUNDLE_FILE), SYSTEM_BUNDLE),
    ]
    .into_iter()
    .filter(|(from, to)| from.exists() && Path::new(to).exists())
}

/// Runs a program in the sandbox's world: its names resolve, its CA is trusted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a sandbox that is up.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The program and its arguments, after `--`.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The half of `exec` that runs inside of a network namespace; not for people.
#[derive(Debug, clap::Args)]
pub struct Inside {
    /// The socket that leads to the machine.
    #[arg(long, value_name = "SOCKET")]
    gate: PathBuf,
    /// The folder of the sandbox.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Inside {
    /// Runs the program and answers with its exit code.
    pub fn run(&self) -> Result<ExitCode, ExecError> {
        inside::run(self)
    }
}

/// Runs the program of `args` in the world. Where the machine has the standard ports already this process becomes the program;
/// else it stays as the way out of the program's network namespace, and answers with its exit code.
pub fn run(args: &Args) -> Result<ExitCode, ExecError> {
    let dir = match args.dir.canonicalize() {
        Ok(dir) if dir.join(HOSTS_FILE).exists() => dir,
        _ => return Err(ExecError::NoWorld(args.dir.clone())),
    };
    let privilege = privilege()?;
    let Some((program, rest)) = args.command.split_first() else { return Ok(ExitCode::SUCCESS) };
    let start = |source| ExecError::Start { program: program.clone(), source };
    // Also where this process only carries the program's connections: it is then the one that a database sees.
    if let Err(error) = guests::announce(&dir) {
        tracing::warn!(%error, "the world does not know us: its databases stay closed");
    }
    if Doors::of(&dir).is_some_and(|doors| doors.address.is_none()) {
        let whole: Vec<&OsStr> = args.command.iter().map(OsString::as_os_str).collect();
        return relay::run(&dir, privilege, &whole).map_err(start);
    }
    Err(start(command(&dir, program, rest).into_std().exec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    async fn output(dir: &Path, script: &str) -> (Option<i32>, String) {
        let output = command(dir, "/bin/sh", ["-c", script]).output().await.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[tokio::test]
    async fn names_that_are_added_later_resolve_in_the_namespace() {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path(), 1.0, 1).unwrap();
        let before = output(world.dir(), "getent hosts late.example.test").await;
        world.names.add("late.example.test").unwrap();
        let after = output(world.dir(), "getent hosts late.example.test").await;
        assert_eq!(before.0, Some(2), "{before:?}");
        assert!(after.1.starts_with("127.0.0.1"), "{after:?}");
    }

    #[tokio::test]
    async fn the_exit_code_and_odd_arguments_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path(), 1.0, 1).unwrap();
        assert_eq!(output(world.dir(), "exit 42").await.0, Some(42));
        let output = command(world.dir(), "printf", ["%s|", "--", "a b", "$HOME"]).output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "--|a b|$HOME|");
    }

    #[tokio::test]
    async fn nothing_is_mounted_outside_of_the_namespace() {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path(), 1.0, 1).unwrap();
        world.names.add("inside.example.test").unwrap();
        output(world.dir(), "true").await;
        assert!(!std::fs::read_to_string("/etc/hosts").unwrap().contains("inside.example.test"));
    }

    #[test]
    fn a_folder_without_a_sandbox_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ran = run(&Args { dir: dir.path().to_owned(), command: vec!["true".into()] });
        assert!(matches!(ran, Err(ExecError::NoWorld(_))), "{ran:?}");
    }
}
