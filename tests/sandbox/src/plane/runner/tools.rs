//! Programs that the platform puts into one-off containers.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::world::World;

const TOOLS: [(&str, &str); 2] = [
    ("dbclient-fetcher", include_str!("tools/dbclient-fetcher")),
    ("install-scalingo-cli", include_str!("tools/install-scalingo-cli")),
];

/// The PATH of a one-off: what it installs in `bin` of its home, the platform's tools, and `path`.
pub(super) fn path(world: &World, home: &Path, path: &OsString) -> std::io::Result<OsString> {
    let folder = world.folder("tools")?;
    for (name, text) in TOOLS {
        let file = folder.join(name);
        // Written once: a program that runs is not written over.
        if !file.exists() {
            let new = folder.join(uuid::Uuid::new_v4().simple().to_string());
            std::fs::write(&new, text)?;
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755))?;
            std::fs::rename(new, file)?;
        }
    }
    let all = [home.join("bin"), folder].into_iter().chain(std::env::split_paths(path));
    std::env::join_paths(all).map_err(std::io::Error::other)
}
