//! Host names of this world. They are kept in a hosts file that is rewritten *in place*, because it is bind-mounted into the
//! namespaces of the world's programs, and a bind mount follows the inode and not the name.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Every name that resolves to this machine inside the world.
#[derive(Debug)]
pub struct Names {
    file: PathBuf,
    names: Mutex<BTreeSet<String>>,
}

impl Names {
    /// An empty set, written to `file`.
    pub fn new(file: PathBuf) -> std::io::Result<Self> {
        let names = Self { file, names: Mutex::default() };
        names.write(&BTreeSet::new())?;
        Ok(names)
    }

    /// Makes `name` resolve to 127.0.0.1 in the world's namespaces.
    pub fn add(&self, name: &str) -> std::io::Result<()> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.insert(name.to_owned()) { self.write(&names) } else { Ok(()) }
    }

    /// Forgets `name`.
    pub fn remove(&self, name: &str) -> std::io::Result<()> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.remove(name) { self.write(&names) } else { Ok(()) }
    }

    /// The hosts file to mount over `/etc/hosts`.
    pub fn hosts_file(&self) -> &Path {
        &self.file
    }

    fn write(&self, names: &BTreeSet<String>) -> std::io::Result<()> {
        let mut file =
            std::fs::OpenOptions::new().create(true).write(true).truncate(true).open(&self.file)?;
        writeln!(file, "127.0.0.1 localhost")?;
        names.iter().try_for_each(|name| writeln!(file, "127.0.0.1 {name}"))
    }
}
