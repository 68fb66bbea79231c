//! One throwaway PostgreSQL: sources that dumps are made from, and targets that they are restored into.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use reprise::backup::PgTools;
use reprise::backup::restore::{Host, Target};
use reprise_cluster::{Binaries, Cluster, Settings};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

pub(crate) struct Lab {
    cluster: Cluster,
    bin: PathBuf,
    pub(crate) tools: PgTools,
    pub(crate) folder: TempDir,
    next: AtomicU32,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings::new(folder.path().join("cluster"))
            .option("fsync", "off")
            .option("full_page_writes", "off")
            .option("autovacuum", "off")
            // Databases are made and never dropped, which would write out everything each time.
            .option("checkpoint_timeout", "1h")
            .option("max_wal_size", "4GB")
            .option("wal_level", "minimal")
            .option("max_wal_senders", "0")
            .option("max_locks_per_transaction", "256");
        let cluster = Cluster::start(settings).await.expect("a server");
        let bin = Binaries::find().expect("PostgreSQL").dir;
        let tools = PgTools::at(&bin).await.expect("its tools");
        Self { cluster, bin, tools, folder, next: AtomicU32::new(0) }
    }

    pub(crate) async fn stop(self) {
        self.cluster.stop().await;
    }

    pub(crate) fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) async fn execute(&self, database: &str, sql: &str) {
        let mut connection = PgConnection::connect(&self.cluster.url(database)).await.expect("a connection");
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect(sql);
        connection.close().await.expect("closed");
    }

    /// A database filled with `sql`, and its name. `options` follow `CREATE DATABASE`.
    pub(crate) async fn source(&self, options: &str, sql: &str) -> String {
        let name = format!("source_{}", self.number());
        self.execute("postgres", &format!("CREATE DATABASE {name} {options}")).await;
        self.execute(&name, sql).await;
        name
    }

    /// What `pg_dump` writes; in custom format unless `options` say otherwise.
    pub(crate) fn dump(&self, database: &str, options: &[&str]) -> Vec<u8> {
        let file = self.folder.path().join(format!("dump_{}", self.number()));
        let output = Command::new(self.bin.join("pg_dump"))
            .args(["-Fc", "-d", &self.cluster.url(database), "-f"])
            .arg(&file)
            .args(options)
            .output()
            .expect("pg_dump");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(file).expect("a dump")
    }

    /// What `pg_dump` writes to a pipe, where it cannot go back to note where data lies.
    pub(crate) fn piped_dump(&self, database: &str) -> Vec<u8> {
        let mut command = Command::new(self.bin.join("pg_dump"));
        let output = command.args(["-Fc", "-d", &self.cluster.url(database)]).output().expect("pg_dump");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The files of a dump in directory format, by name.
    pub(crate) fn directory_dump(&self, database: &str) -> Vec<(String, Vec<u8>)> {
        let folder = self.folder.path().join(format!("folder_{}", self.number()));
        let mut command = Command::new(self.bin.join("pg_dump"));
        command.args(["-Fd", "-d", &self.cluster.url(database), "-f"]).arg(&folder);
        assert!(command.status().expect("pg_dump").success());
        let entries = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry"));
        let file = |entry: std::fs::DirEntry| {
            (entry.file_name().into_string().expect("a name"), std::fs::read(entry.path()).expect("a file"))
        };
        let mut files: Vec<_> = entries.map(file).collect();
        files.sort();
        files
    }

    /// An empty database with an ordinary owner, as a platform hands it out, in which the superuser ran `prepare`.
    pub(crate) async fn target(&self, prepare: &str) -> Target {
        let name = format!("target_{}", self.number());
        self.execute("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD 'corpus'")).await;
        self.execute("postgres", &format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0")).await;
        if !prepare.is_empty() {
            self.execute(&name, prepare).await;
        }
        Target {
            host: Host::Socket(self.cluster.socket_dir().to_owned()),
            port: self.cluster.port(),
            database: name.clone(),
            user: name,
            password: SecretString::from("corpus"),
        }
    }

    /// The same database as its server's superuser.
    pub(crate) fn superuser(&self, target: &Target) -> Target {
        let user = self.cluster.superuser().to_owned();
        Target { user, password: SecretString::default(), ..target.clone() }
    }
}
