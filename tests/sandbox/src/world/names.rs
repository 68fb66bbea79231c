//! Host names of this world. They are kept in a hosts file that is rewritten *in place*, because it is bind-mounted into the
//! namespaces of the world's programs, and a bind mount follows the inode and not the name.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Every name that resolves to this machine inside the world.
#[derive(Debug)]
pub struct Names {
    file: PathBuf,
    known: Mutex<BTreeMap<String, Where>>,
    front: OnceLock<Ipv4Addr>,
    /// The machine's own lines: what it knows stays known inside.
    machine: String,
}

/// Which address a name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// 127.0.0.1: a server with a port of its own.
    Local,
    /// Where the doors are, which clients expect on standard ports.
    Front,
}

impl Names {
    /// An empty set, written to `file`.
    pub fn new(file: PathBuf) -> std::io::Result<Self> {
        let machine =
            std::fs::read_to_string("/etc/hosts").unwrap_or_else(|_| "127.0.0.1 localhost\n".into());
        let names = Self { file, known: Mutex::default(), front: OnceLock::new(), machine };
        names.write(&BTreeMap::new())?;
        Ok(names)
    }

    /// The address of the doors, said once before names are added; else they are at 127.0.0.1.
    pub fn use_front(&self, address: Ipv4Addr) {
        self.front.get_or_init(|| address);
    }

    /// Makes `name` resolve to 127.0.0.1 in the world's namespaces.
    pub fn add(&self, name: &str) -> std::io::Result<()> {
        self.put(name, Where::Local)
    }

    /// Makes `name` resolve to the doors in the world's namespaces.
    pub fn add_front(&self, name: &str) -> std::io::Result<()> {
        self.put(name, Where::Front)
    }

    /// Forgets `name`.
    pub fn remove(&self, name: &str) -> std::io::Result<()> {
        let mut names = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if names.remove(name).is_some() { self.write(&names) } else { Ok(()) }
    }

    /// Where `name` leads in the world's namespaces, if it is one of the world's own.
    pub fn address_of(&self, name: &str) -> Option<Ipv4Addr> {
        let names = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = *names.get(name.trim_end_matches('.').to_ascii_lowercase().as_str())?;
        Some(self.address(place))
    }

    /// The hosts file to mount over `/etc/hosts`.
    pub fn hosts_file(&self) -> &Path {
        &self.file
    }

    fn put(&self, name: &str, place: Where) -> std::io::Result<()> {
        let mut names = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if names.insert(name.to_owned(), place) == Some(place) { Ok(()) } else { self.write(&names) }
    }

    /// One write over the old content and only then the cut: no reader ever finds the file empty.
    fn write(&self, names: &BTreeMap<String, Where>) -> std::io::Result<()> {
        let text = self.text(names);
        let file = std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(&self.file)?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }

    fn address(&self, place: Where) -> Ipv4Addr {
        match place {
            Where::Front => self.front.get().copied().unwrap_or(Ipv4Addr::LOCALHOST),
            Where::Local => Ipv4Addr::LOCALHOST,
        }
    }

    fn text(&self, names: &BTreeMap<String, Where>) -> String {
        let mut text = self.machine.clone();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        for (name, place) in names {
            let address = self.address(*place);
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{address} {name}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_doors_has_their_address_and_a_servers_name_has_not() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::new(dir.path().join("hosts")).unwrap();
        names.use_front(Ipv4Addr::new(127, 77, 0, 1));
        names.add("db.example.test").unwrap();
        names.add_front("app.example.test").unwrap();
        let text = std::fs::read_to_string(names.hosts_file()).unwrap();
        assert!(text.contains("\n127.0.0.1 db.example.test\n"), "{text}");
        assert!(text.contains("\n127.77.0.1 app.example.test\n"), "{text}");
    }

    #[test]
    fn a_forgotten_name_leaves_nothing_of_itself() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::new(dir.path().join("hosts")).unwrap();
        let before = std::fs::read_to_string(names.hosts_file()).unwrap();
        names.add("a-rather-long-name.example.test").unwrap();
        names.remove("a-rather-long-name.example.test").unwrap();
        assert_eq!(std::fs::read_to_string(names.hosts_file()).unwrap(), before);
    }

    #[test]
    fn what_the_machine_knows_stays_known() {
        let dir = tempfile::tempdir().unwrap();
        let names = Names::new(dir.path().join("hosts")).unwrap();
        let machine = std::fs::read_to_string("/etc/hosts").unwrap();
        assert!(std::fs::read_to_string(names.hosts_file()).unwrap().starts_with(&machine));
    }
}
