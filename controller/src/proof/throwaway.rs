//! The throwaway database: a server of our own in a private folder, never the daemon's, with one empty database at a time
//! whose owner is an ordinary user. A dump is somebody else's program: what it runs, it runs as him.
//!
//! There is one server at a time, of the major that the dump at hand wants. Only a dump that was read tells which: so one of a
//! likely major is started first, and another takes its place where it has to. The folder never is without one: the server's
//! lock is what keeps a sweep away from it.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use reprise_cluster::{Binaries, Cluster, ClusterError, Settings};
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::server::dump_in;
use super::{ProofError, folder};
use crate::backup::ladder::Locale;
use crate::backup::restore::{Host, Target};

/// The oldest major that will do: `DROP DATABASE … WITH (FORCE)` is of this one.
pub(super) const OLDEST: u32 = 13;
/// The locale of a server of ours.
pub(super) const LOCALE: &str = "C.UTF-8";

/// The throwaway database, and its owner.
const NAME: &str = "throwaway";

/// What is lost in a crash of the machine is made anew; what is not waited for is time.
const OPTIONS: [(&str, &str); 16] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("archive_mode", "off"),
    ("autovacuum", "off"),
    // Short questions to a new database, planned without statistics: compiling them costs more than asking.
    ("jit", "off"),
    ("max_connections", "40"),
    // For each of the connections: a table of thousands of partitions, with their indexes, is locked as one where it is altered.
    ("max_locks_per_transaction", "2048"),
    // Of all sessions, whichever zone this machine is in: what is computed for an index is computed again to look into it.
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("maintenance_work_mem", "128MB"),
    ("max_wal_size", "2GB"),
    ("checkpoint_timeout", "30min"),
    // Rows that a statement fails on are personal data, and the log outlives the database.
    ("log_error_verbosity", "terse"),
];

/// A running throwaway server.
#[derive(Debug)]
pub(super) struct Throwaway {
    cluster: Cluster,
    folder: PathBuf,
    major: u32,
}

/// The database that a backup is restored into.
#[derive(Debug)]
pub(super) struct Place {
    /// As its owner.
    pub owner: Target,
    /// As the superuser, where the server is ours.
    pub superuser: Option<Target>,
}

impl Throwaway {
    /// Starts a server in `folder`, which is ours alone; what a killed predecessor left there is wiped first.
    pub(super) async fn start(folder: &Path, binaries: &Binaries) -> Result<Self, ProofError> {
        wipe(folder).await?;
        let file = |source| ProofError::File { doing: "make the folder of the throwaway database", source };
        folder::make(folder).map_err(file)?;
        let cluster = start(folder, binaries).await?;
        Ok(Self { cluster, folder: folder.to_owned(), major: binaries.major() })
    }

    /// Sees to it that the server is this one. `true` if it was another, which is gone then with all that was in it.
    pub(super) async fn run_on(&mut self, binaries: &Binaries) -> Result<bool, ProofError> {
        if self.major == binaries.major() {
            return Ok(false);
        }
        let next = start(&self.folder, binaries).await?;
        let former = server(&self.folder, std::mem::replace(&mut self.major, binaries.major()));
        std::mem::replace(&mut self.cluster, next).abandon().await;
        Cluster::erase(&former).await?;
        Ok(true)
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's version.
    pub(super) fn version(&self) -> &str {
        self.cluster.version()
    }

    /// Does away with the dump's database and all roles that were made for it.
    pub(super) async fn clear(&self) -> Result<(), ProofError> {
        let mut connection = self.connect().await.map_err(ProofError::Database)?;
        let cleared = clear(&mut connection).await.map_err(ProofError::Database);
        connection.close().await.ok();
        cleared
    }

    /// An empty database, in the `locale` that is asked for if this machine has it; the former one is gone.
    pub(super) async fn fresh(&self, locale: Option<&Locale>) -> Result<Place, ProofError> {
        let password = format!("{:032x}", rand::random::<u128>());
        let mut connection = self.connect().await.map_err(ProofError::Database)?;
        clear(&mut connection).await.map_err(ProofError::Database)?;
        let role = format!("CREATE ROLE {NAME} LOGIN PASSWORD '{password}'");
        sqlx::query(AssertSqlSafe(role)).execute(&mut connection).await.map_err(ProofError::Database)?;
        let owned = format!("{NAME} OWNER {NAME}");
        create(&mut connection, &owned, locale).await.map_err(ProofError::Database)?;
        connection.close().await.ok();
        let place = |user: &str, password: String| Target {
            host: Host::Socket(self.cluster.socket_dir().to_owned()),
            port: self.cluster.port(),
            database: NAME.to_owned(),
            user: user.to_owned(),
            password: SecretString::from(password),
        };
        let superuser = place(self.cluster.superuser(), String::new());
        Ok(Place { owner: place(NAME, password), superuser: Some(superuser) })
    }

    /// Stops the server and wipes everything.
    pub(super) async fn end(self) -> Result<(), ProofError> {
        remove_file(&dump_in(&self.folder))?;
        self.cluster.abandon().await;
        wipe(&self.folder).await
    }

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let options = PgConnectOptions::from_str(&self.cluster.url("postgres"))?;
        options.application_name("reprise-proof").disable_statement_logging().connect().await
    }
}

/// Where the locale cannot be had, the server's own: who judges looks which it is.
pub(super) async fn create(
    connection: &mut PgConnection,
    database: &str,
    locale: Option<&Locale>,
) -> sqlx::Result<()> {
    let create = format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'");
    if let Some(locale) = locale {
        let in_locale = AssertSqlSafe(format!("{create}{}", locale.sql()));
        match sqlx::query(in_locale).execute(&mut *connection).await {
            Err(sqlx::Error::Database(error)) => {
                tracing::info!(%locale, error = error.message(), "no throwaway database in the source's locale");
            }
            created => return created.map(drop),
        }
    }
    sqlx::query(AssertSqlSafe(create)).execute(connection).await.map(drop)
}

/// The server is ours alone: every role in it but its superuser was made for a dump.
async fn clear(connection: &mut PgConnection) -> sqlx::Result<()> {
    let drop = format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)");
    sqlx::query(AssertSqlSafe(drop)).execute(&mut *connection).await?;
    let made: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(rolname) FROM pg_catalog.pg_roles WHERE rolname <> current_user AND rolname !~ '^pg_'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for role in made {
        sqlx::query(AssertSqlSafe(format!("DROP ROLE {role}"))).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn start(folder: &Path, binaries: &Binaries) -> Result<Cluster, ClusterError> {
    let settings = Settings::new(server(folder, binaries.major())).binaries(binaries.clone());
    let settings = OPTIONS.iter().fold(settings, |settings, (name, value)| settings.option(*name, *value));
    Cluster::start(settings).await
}

/// What the folders of servers begin with.
const SERVER: &str = "server";

fn server(folder: &Path, major: u32) -> PathBuf {
    folder.join(format!("{SERVER}-{major}"))
}

/// The servers that a folder holds.
fn servers(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    let is_server = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(SERVER.as_bytes()))
    };
    Ok(paths.into_iter().filter(is_server).collect())
}

pub(super) fn remove_file(path: &Path) -> Result<(), ProofError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ProofError::File { doing: "delete a dump", source })
        }
        _ => Ok(()),
    }
}

/// Deletes a throwaway database that nobody runs, and a dump that nobody reads.
pub(super) async fn wipe(folder: &Path) -> Result<(), ProofError> {
    let file = |source| ProofError::File { doing: "look for a left throwaway server", source };
    let held = folder::seize(folder);
    if held.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
        return Err(ProofError::InUse);
    }
    let _held = held.map_err(file)?;
    for server in servers(folder).map_err(file)? {
        Cluster::erase(&server).await?;
    }
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ProofError::File { doing: "delete the folder of a throwaway database", source })
        }
        _ => Ok(()),
    }
}

/// Wipes what killed predecessors left below `root`. One that is in use, by a command beside the daemon, is left alone.
pub async fn sweep(root: &Path) -> Result<(), ProofError> {
    let file = |source| ProofError::File { doing: "look for left throwaway databases", source };
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file(error)),
    };
    for entry in entries {
        match wipe(&entry.map_err(file)?.path()).await {
            Err(ProofError::Server(ClusterError::Owned { .. }) | ProofError::InUse) => {
                tracing::info!("a throwaway database is in use and stays");
            }
            wiped => wiped?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(server: &Throwaway, sql: &'static str) -> i32 {
        let mut connection = server.connect().await.expect("a connection");
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("an answer")
    }

    #[tokio::test]
    async fn each_installed_major_takes_the_place_of_the_other_and_a_sweep_leaves_the_dump_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let installed = Binaries::installed();
        let newest = installed.first().expect("a server");
        let mut server = Throwaway::start(&root.path().join("shop"), newest).await.expect("a server");
        for binaries in installed.iter().rev().chain([newest]) {
            server.clear().await.expect("cleared");
            std::fs::write(dump_in(server.folder()), "a dump").expect("written");
            server.run_on(binaries).await.expect("another server");
            let place = server.fresh(None).await.expect("a database");
            sweep(root.path()).await.expect("swept");
            let major = asked(&server, "SELECT current_setting('server_version_num')::integer / 10000").await;
            assert_eq!((major.unsigned_abs(), dump_in(server.folder()).exists()), (binaries.major(), true));
            assert!(matches!(&place.owner.host, Host::Socket(folder) if folder.exists()), "{place:?}");
            assert_eq!(servers(server.folder()).expect("listed").len(), 1);
        }
        server.end().await.expect("ended");
        assert!(!root.path().join("shop").exists());
    }

    #[tokio::test]
    async fn the_roles_of_one_dump_are_gone_before_the_next() {
        let root = tempfile::tempdir().expect("a folder");
        let installed = Binaries::installed();
        let newest = installed.first().expect("a server");
        let server = Throwaway::start(&root.path().join("shop"), newest).await.expect("a server");
        server.fresh(None).await.expect("a database");
        let mut connection = server.connect().await.expect("a connection");
        sqlx::raw_sql("CREATE ROLE \"Chef, de rayon\"").execute(&mut connection).await.expect("a role");
        connection.close().await.expect("closed");
        let others =
            "SELECT count(*)::integer FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user";
        assert_eq!(asked(&server, others).await, 2);
        server.clear().await.expect("cleared");
        assert_eq!(asked(&server, others).await, 0);
        server.end().await.expect("ended");
    }

    /// What `psql` prints: unlike our own driver, it chooses no time zone.
    fn printed(server: &Throwaway, binaries: &Binaries, sql: &str) -> String {
        let mut psql = std::process::Command::new(binaries.tool("psql"));
        psql.args(["-XAtc", sql, &server.cluster.url(NAME)]).env_remove("PGTZ").env_remove("PGOPTIONS");
        String::from_utf8_lossy(&psql.output().expect("psql").stdout).trim().to_owned()
    }

    #[tokio::test]
    async fn a_database_is_made_in_the_source_s_locale_where_there_is_one_and_in_no_zone_of_this_machine() {
        let root = tempfile::tempdir().expect("a folder");
        let installed = Binaries::installed();
        let newest = installed.first().expect("a server");
        let server = Throwaway::start(&root.path().join("shop"), newest).await.expect("a server");
        let locale =
            |options| Locale::told_by(&format!("CREATE DATABASE a WITH TEMPLATE = template0{options};"));
        for (told, collates) in [
            (locale(" LOCALE_PROVIDER = icu LOCALE = 'C.UTF-8' ICU_LOCALE = 'fr-FR'"), "i"),
            (locale(" LOCALE = 'xx_XX.UTF-8'"), "c"),
            (None, "c"),
        ] {
            server.fresh(told.as_ref()).await.expect("a database");
            let provider = "SELECT datlocprovider FROM pg_database WHERE datname = current_database()";
            assert_eq!(printed(&server, newest, provider), collates, "{told:?}");
        }
        assert_eq!(printed(&server, newest, "SHOW timezone"), "UTC");
        let locks = "SHOW max_locks_per_transaction";
        assert!(printed(&server, newest, locks).parse::<u32>().is_ok_and(|locks| locks >= 1024));
        server.end().await.expect("ended");
    }
}
