//! The variables of an app's process: the app's own and the platform's, nothing of ours.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::exec;

/// The stack that new apps get.
const STACK: &str = "scalingo-26";
const REGION: &str = "osc-fr1";

/// Who a process is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) app: &'a str,
    /// `web-1`; absent while building.
    pub(super) container: Option<&'a str>,
    pub(super) dir: &'a Path,
    pub(super) port: Option<u16>,
}

/// Sets the whole environment of `command`. The app's variables win over the platform's, but not over who and where the
/// process is. `SCALINGO_APPLICATION_ID` is the platform's to put among them: here only names are known.
pub(super) fn apply(
    command: &mut Command,
    world: &Path,
    identity: Identity<'_>,
    own: &BTreeMap<String, String>,
) {
    command.env_clear().env("PATH", search_path()).env("HOME", identity.dir);
    command.env("LANG", "C.UTF-8").env("STACK", STACK).env("REGION_NAME", REGION);
    command.envs(exec::variables(world)).envs(own).env("APP", identity.app);
    if let Some(container) = identity.container {
        command.env("CONTAINER", container).env("HOSTNAME", format!("{}-{container}", identity.app));
    }
    if let Some(port) = identity.port {
        command.env("PORT", port.to_string());
    }
}

/// The folder of our own executable first: the sample app lies beside it. Then what we inherited.
fn search_path() -> OsString {
    let own = std::env::current_exe().ok();
    let folders =
        own.iter().flat_map(|exe| exe.ancestors().skip(1).take(own_folders(exe))).map(Path::to_path_buf);
    let inherited = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let all: Vec<PathBuf> = folders.chain(std::env::split_paths(&inherited)).collect();
    std::env::join_paths(all).unwrap_or(inherited)
}

/// Test programs lie one folder (`deps`) below the others.
fn own_folders(exe: &Path) -> usize {
    if exe.parent().is_some_and(|folder| folder.ends_with("deps")) { 2 } else { 1 }
}
