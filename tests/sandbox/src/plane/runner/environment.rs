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
/// process is. `SCALINGO_APPLICATION_ID` is the platform's to put among them: here only names are known. What is meant for one
/// type of process only is under `TYPE:NAME`, which no variable can be called.
pub(super) fn apply(
    command: &mut Command,
    world: &Path,
    identity: Identity<'_>,
    own: &BTreeMap<String, String>,
) {
    command.env_clear().env("PATH", search_path()).env("HOME", identity.dir);
    command.env("LANG", "C.UTF-8").env("STACK", STACK).env("REGION_NAME", REGION);
    command.envs(exec::variables(world)).envs(of_kind(own, identity.container)).env("APP", identity.app);
    if let Some(container) = identity.container {
        command.env("CONTAINER", container).env("HOSTNAME", format!("{}-{container}", identity.app));
    }
    if let Some(port) = identity.port {
        command.env("PORT", port.to_string());
    }
}

/// The variables that a container like `web-1` sees.
fn of_kind<'a>(
    all: &'a BTreeMap<String, String>,
    container: Option<&str>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let kind = container.and_then(|label| label.rsplit_once('-')).map_or("", |(kind, _)| kind).to_owned();
    all.iter().filter_map(move |(name, value)| match name.split_once(':') {
        None => Some((name.as_str(), value.as_str())),
        Some((of, name)) => (of == kind).then_some((name, value.as_str())),
    })
}

/// The folder of our own executable first: the sample app lies beside it. Then what we inherited.
pub(super) fn search_path() -> OsString {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_what_is_meant_for_its_type() {
        let pairs = [("A", "1"), ("web:SIZE", "L"), ("worker:SIZE", "S")];
        let all = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let seen = |container| of_kind(&all, container).collect::<Vec<_>>();
        assert_eq!(seen(Some("web-1")), [("A", "1"), ("SIZE", "L")]);
        assert_eq!(seen(Some("worker-2")), [("A", "1"), ("SIZE", "S")]);
        assert_eq!(seen(None), [("A", "1")]);
    }
}
