//! Which server is installed on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ClusterError;

const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs of one installed `PostgreSQL` version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder with `postgres`, `initdb`, `pg_dump` and the others.
    pub dir: PathBuf,
    /// The version, such as `15.18`.
    pub version: String,
}

impl Binaries {
    /// The newest version in `/usr/lib/postgresql/*/bin`, else the one in `PATH`.
    pub fn find() -> Result<Self, ClusterError> {
        Self::newest(&candidates())
    }

    /// The servers of this machine, one of each major version, the newest first.
    pub fn installed() -> Vec<Self> {
        let found: Vec<Self> = candidates().iter().filter_map(|dir| Self::at(dir)).collect();
        one_of_each_major(found, Self::major)
    }

    /// The major version, such as 15.
    pub fn major(&self) -> u32 {
        major(&self.version)
    }

    /// The version that made the data folder `pgdata`, or the newest one if there is no data yet.
    pub(crate) fn for_data(pgdata: &Path) -> Result<Self, ClusterError> {
        let Ok(major) = std::fs::read_to_string(pgdata.join("PG_VERSION")) else { return Self::find() };
        let candidates = candidates();
        let matching =
            candidates.iter().filter_map(|dir| Self::at(dir)).find(|b| b.major().to_string() == major.trim());
        let newest = || Self::newest(&candidates);
        matching.map_or_else(
            || {
                let (dir, data, found) = (pgdata.to_owned(), major.trim().to_owned(), newest()?.version);
                Err(ClusterError::OtherVersion { dir, data, found })
            },
            Ok,
        )
    }

    /// The path of one of the programs.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn newest(candidates: &[PathBuf]) -> Result<Self, ClusterError> {
        let looked = || format!("{DEBIAN} and PATH");
        candidates
            .iter()
            .find_map(|dir| Self::at(dir))
            .ok_or_else(|| ClusterError::NoBinaries { looked: looked() })
    }

    fn at(dir: &Path) -> Option<Self> {
        let server = dir.join("postgres");
        if !server.is_file() || !dir.join("initdb").is_file() {
            return None;
        }
        let printed = Command::new(server).arg("--version").output().ok()?;
        let version = parse_version(&String::from_utf8_lossy(&printed.stdout))?;
        Some(Self { dir: dir.to_owned(), version })
    }
}

/// The folders that hold `pg_restore`, best first: the client of a major version is a package of its own.
pub fn client_folders() -> Vec<PathBuf> {
    candidates().into_iter().filter(|dir| holds_client(dir)).collect()
}

/// Debian's `/usr/bin/pg_restore` leads to a wrapper that starts one of the others, whichever it finds fit.
fn holds_client(dir: &Path) -> bool {
    let program = dir.join("pg_restore").canonicalize();
    program.is_ok_and(|program| program.is_file() && program.file_name() == Some("pg_restore".as_ref()))
}

/// The first of each major version, the newest major first.
pub fn one_of_each_major<T>(found: Vec<T>, major: impl Fn(&T) -> u32) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in found {
        if kept.iter().all(|other| major(other) != major(&one)) {
            kept.push(one);
        }
    }
    kept.sort_by_key(|one| std::cmp::Reverse(major(one)));
    kept
}

/// `15.18` → 15, `18devel` → 18; 0 if it is no version.
fn major(version: &str) -> u32 {
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().unwrap_or(0)
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → `15.18`.
fn parse_version(printed: &str) -> Option<String> {
    let version = printed.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// The folders that may hold a server, best first.
fn candidates() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let named: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    let packaged = newest_first(named).into_iter().map(|version| Path::new(DEBIAN).join(version).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    packaged.chain(std::env::split_paths(&path)).collect()
}

/// Sorts by number: 9.6 is older than 15.
fn newest_first(mut versions: Vec<String>) -> Vec<String> {
    let number =
        |version: &String| -> Vec<u32> { version.split('.').filter_map(|part| part.parse().ok()).collect() };
    versions.sort_by_key(|version| std::cmp::Reverse(number(version)));
    versions
}

#[cfg(test)]
mod tests {
    use super::{holds_client, major, newest_first, one_of_each_major, parse_version};

    #[test]
    fn a_wrapper_is_no_client_of_its_own() {
        let [real, wrapped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        std::fs::write(real.path().join("pg_restore"), "").unwrap();
        std::fs::write(wrapped.path().join("pg_wrapper"), "").unwrap();
        std::os::unix::fs::symlink("pg_wrapper", wrapped.path().join("pg_restore")).unwrap();
        assert!(holds_client(real.path()) && !holds_client(wrapped.path()));
    }

    #[test]
    fn of_each_major_the_first_one_found_is_taken() {
        let found = vec!["15.18", "16.2", "15.3", "18devel"];
        assert_eq!(one_of_each_major(found, |version| major(version)), ["18devel", "16.2", "15.18"]);
    }

    #[test]
    fn the_newest_version_is_chosen_by_number() {
        let names = ["9.6", "15", "16", "8.4", "common"].map(String::from).to_vec();
        assert_eq!(newest_first(names), ["16", "15", "9.6", "8.4", "common"]);
    }

    #[test]
    fn the_version_is_read_from_what_the_server_prints() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_version(debian).as_deref(), Some("15.18"));
        assert_eq!(parse_version("postgres (PostgreSQL) 18devel\n").as_deref(), Some("18devel"));
        assert_eq!(parse_version("sh: not found"), None);
    }
}
