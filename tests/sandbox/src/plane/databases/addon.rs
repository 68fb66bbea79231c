//! One addon: a server, its database, its users and its front.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reprise_cluster::{Cluster, Settings};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};

use super::front::Front;
use super::gate::Gate;
use super::origin::Origin;
use super::sql::{self, identifier, literal};
use super::{DatabaseAccess, DatabaseError, Databases, extensions};
use crate::plane::runner::groups::Group;

const SUPERUSER: &str = "postgres";
/// The server's own folder, within the addon's.
const SERVER: &str = "server";
/// Beside the server's own socket, under a name of the same length: paths of sockets are short.
const TUNNELS_PORT: u16 = 5_433;
const REGION_DOMAIN: &str = "postgresql.a.osc-fr1.scalingo-dbs.test";
/// A throwaway world need not survive a power cut: these make restorations as fast as the machine allows.
pub(super) const OPTIONS: [(&str, &str); 15] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_connections", "120"),
    ("max_wal_size", "2GB"),
    ("min_wal_size", "32MB"),
    // Small where it only waits: an estate has many servers, a machine has one memory.
    ("shared_buffers", "32MB"),
    ("maintenance_work_mem", "128MB"),
    ("max_logical_replication_workers", "0"),
    ("bgwriter_lru_maxpages", "0"),
    // Compiling a statement takes longer than running it on what is here.
    ("jit", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];
const RELOAD_TRIES: u32 = 250;
const RELOAD_POLL: Duration = Duration::from_millis(20);

/// A running addon.
pub(super) struct Addon {
    pub(super) access: DatabaseAccess,
    /// The socket file at which tunnels end: the gate's, not the server's.
    pub(super) tunnels: PathBuf,
    resource: String,
    /// What `PGHOST` wants.
    socket_dir: PathBuf,
    /// Ours alone.
    superuser_password: String,
    pub(super) passfile: PathBuf,
    pub(super) log: PathBuf,
    /// Users beside the owner: name → read only.
    users: Mutex<BTreeMap<String, bool>>,
    front: Front,
    pub(super) server: tokio::sync::Mutex<Option<(Cluster, Option<Group>)>>,
}

impl Addon {
    /// Starts a server for `resource` from its origin: what an earlier life of the folder left is removed.
    pub(super) async fn start(
        all: &Databases,
        resource: &str,
        origin: Origin,
    ) -> Result<Self, DatabaseError> {
        let files = || sql::files(resource);
        let folder = all.folder(resource)?;
        if folder.exists() {
            tokio::fs::remove_dir_all(&folder).await.map_err(files())?;
        }
        tokio::fs::create_dir_all(&folder).await.map_err(files())?;
        origin.lay_out(&folder.join(SERVER), resource).await?;
        let (cluster, group) = launch(all, resource).await?;
        let socket = |port| cluster.socket_dir().join(format!(".s.PGSQL.{port}"));
        let host = format!("{}.{REGION_DOMAIN}", resource.replace('_', "-"));
        let tls = all.authority.acceptor(&host).map_err(|error| files()(error.into()))?;
        let (gate, tunnels) = (Gate::new(socket(cluster.port()), tls), socket(TUNNELS_PORT));
        let listener = origin.listener().await.map_err(files())?;
        let front = Front::start(&all.world, &all.admission, listener, &tunnels, gate).map_err(files())?;
        let (password, users) = match &origin {
            Origin::Saved { password, users, .. } => (password.clone(), users.clone()),
            _ => (all.world.ids.secret(32), BTreeMap::new()),
        };
        let addon = Self {
            access: DatabaseAccess {
                host,
                port: front.port(),
                user: resource.to_owned(),
                password,
                database: resource.to_owned(),
            },
            resource: resource.to_owned(),
            tunnels,
            socket_dir: cluster.socket_dir().to_owned(),
            // Not of the seeded generator: everybody knows its numbers.
            superuser_password: uuid::Uuid::new_v4().simple().to_string(),
            passfile: folder.join("passfile"),
            log: cluster.log().to_owned(),
            users: Mutex::new(users),
            front,
            server: tokio::sync::Mutex::new(None),
        };
        addon.close_the_door(&cluster).await?;
        *addon.server.lock().await = Some((cluster, group));
        match origin {
            Origin::Nothing => addon.make().await?,
            Origin::Copy(_) => addon.set_password(resource, &addon.access.password).await?,
            Origin::Saved { .. } => {}
        }
        addon.front.open();
        Ok(addon)
    }

    /// The server again, after it was stopped with its files in place.
    pub(super) async fn serve_again(
        &self,
        all: &Databases,
    ) -> Result<(Cluster, Option<Group>), DatabaseError> {
        let (cluster, group) = launch(all, &self.resource).await?;
        self.close_the_door(&cluster).await?;
        Ok((cluster, group))
    }

    /// The server ended, connections cut.
    pub(super) async fn stop(&self) {
        self.front.close();
        if let Some((cluster, group)) = self.server.lock().await.take() {
            cluster.stop().await;
            drop(group);
        }
    }

    /// From now on the superuser, too, needs a password, which only we know: tunnels end at this very socket.
    async fn close_the_door(&self, cluster: &Cluster) -> Result<(), DatabaseError> {
        let mut admin = self.admin("postgres", None).await?;
        let sql =
            format!("ALTER ROLE {} PASSWORD {}", identifier(SUPERUSER), literal(&self.superuser_password));
        self.execute(&mut admin, "reserving the superuser", &sql).await?;
        sql::write_secret(&self.passfile, &format!("*:*:*:{SUPERUSER}:{}\n", self.superuser_password))
            .and_then(|()| {
                std::fs::write(cluster.data_dir().join("pg_hba.conf"), "local all all scram-sha-256\n")
            })
            .map_err(sql::files(&self.resource))?;
        self.execute(&mut admin, "reserving the superuser", "SELECT pg_reload_conf()").await?;
        for _ in 0..RELOAD_TRIES {
            if self.admin("postgres", None).await.is_err() {
                return Ok(());
            }
            tokio::time::sleep(RELOAD_POLL).await;
        }
        Err(self.sql_error("reserving the superuser")(sqlx::Error::PoolTimedOut))
    }

    /// The owner and the empty database.
    async fn make(&self) -> Result<(), DatabaseError> {
        let mut admin = self.superuser("postgres").await?;
        let owner = identifier(&self.resource);
        let doing = "making the database";
        let role = format!(
            "CREATE ROLE {owner} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}",
            literal(&self.access.password)
        );
        self.execute(&mut admin, doing, &role).await?;
        for database in ["postgres", "template1"] {
            self.execute(&mut admin, doing, &format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"))
                .await?;
        }
        self.make_database(&mut admin).await
    }

    async fn make_database(&self, admin: &mut PgConnection) -> Result<(), DatabaseError> {
        let (owner, doing) = (identifier(&self.resource), "making the database");
        self.execute(admin, doing, &format!("CREATE DATABASE {owner} OWNER {owner}")).await?;
        self.execute(admin, doing, &format!("REVOKE ALL ON DATABASE {owner} FROM PUBLIC")).await?;
        let mut inside = self.superuser(&self.resource).await?;
        self.execute(&mut inside, doing, &sql::owner_grants(&owner)).await?;
        self.execute(&mut inside, "guarding extensions", &extensions::guards()).await
    }

    /// Plain connections are refused from now on, or accepted again.
    pub(super) fn force_tls(&self, on: bool) {
        self.front.gate().force_tls(on);
    }

    /// Processes that are no app's are admitted from now on, or cut again.
    pub(super) fn publish(&self, on: bool) {
        self.front.gate().publish(on);
    }

    /// Ends every session but our own, as a restart does.
    pub(super) async fn cut_sessions(&self) -> Result<(), DatabaseError> {
        let mut admin = self.superuser("postgres").await?;
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND usename <> current_user";
        self.execute(&mut admin, "cutting sessions", sql).await
    }

    /// What `sql`, one statement with numbered texts in it, answers, as JSON rows.
    pub(super) async fn rows(&self, sql: &str, texts: &[&str]) -> Result<serde_json::Value, DatabaseError> {
        let mut inside = self.superuser(&self.resource).await?;
        let wrapped = format!("SELECT coalesce(json_agg(r), '[]')::text FROM ({sql}) AS r");
        let query = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(wrapped));
        let query = texts.iter().fold(query, |query, text| query.bind((*text).to_owned()));
        let json = query.fetch_one(&mut inside).await.map_err(self.sql_error("looking"))?;
        Ok(serde_json::from_str(&json).unwrap_or_default())
    }

    pub(super) async fn wipe(&self) -> Result<(), DatabaseError> {
        let mut admin = self.superuser("postgres").await?;
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(&self.resource));
        self.execute(&mut admin, "destroying the content", &drop).await?;
        self.make_database(&mut admin).await?;
        let users: Vec<(String, bool)> = self.users().iter().map(|(name, ro)| (name.clone(), *ro)).collect();
        let mut inside = self.superuser(&self.resource).await?;
        for (name, read_only) in users {
            let grants = sql::user_grants(&identifier(&self.resource), &identifier(&name), read_only);
            self.execute(&mut inside, "granting rights again", &grants).await?;
        }
        Ok(())
    }

    pub(super) async fn add_user(
        &self,
        name: &str,
        password: &str,
        read_only: bool,
    ) -> Result<(), DatabaseError> {
        sql::check_name(name)?;
        let (owner, user) = (identifier(&self.resource), identifier(name));
        let mut inside = self.superuser(&self.resource).await?;
        let role = format!(
            "CREATE ROLE {user} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {};\n{}",
            literal(password),
            sql::user_grants(&owner, &user, read_only)
        );
        self.execute(&mut inside, "adding a user", &role).await?;
        self.users().insert(name.to_owned(), read_only);
        Ok(())
    }

    pub(super) async fn set_password(&self, name: &str, password: &str) -> Result<(), DatabaseError> {
        sql::check_name(name)?;
        let mut admin = self.superuser("postgres").await?;
        let sql = format!("ALTER ROLE {} PASSWORD {}", identifier(name), literal(password));
        self.execute(&mut admin, "setting a password", &sql).await
    }

    pub(super) async fn drop_user(&self, name: &str) -> Result<(), DatabaseError> {
        let (owner, user) = (identifier(&self.resource), identifier(name));
        if self.users().remove(name).is_none() {
            return Err(DatabaseError::Name(name.to_owned()));
        }
        let mut inside = self.superuser(&self.resource).await?;
        let sql = format!("REASSIGN OWNED BY {user} TO {owner}; DROP OWNED BY {user}; DROP ROLE {user}");
        self.execute(&mut inside, "dropping a user", &sql).await
    }

    pub(super) async fn run_sql(&self, sql: &str) -> Result<(), DatabaseError> {
        let mut inside = self.superuser(&self.resource).await?;
        let owner = format!("SET SESSION AUTHORIZATION {}", identifier(&self.resource));
        self.execute(&mut inside, "running statements", &owner).await?;
        self.execute(&mut inside, "running statements", sql).await
    }

    pub(super) async fn run_each(
        &self,
        mut statements: tokio::sync::mpsc::Receiver<String>,
    ) -> Result<(), DatabaseError> {
        let mut inside = self.superuser(&self.resource).await?;
        let owner = format!("SET SESSION AUTHORIZATION {}", identifier(&self.resource));
        self.execute(&mut inside, "running statements", &owner).await?;
        while let Some(sql) = statements.recv().await {
            self.execute(&mut inside, "running statements", &sql).await?;
        }
        Ok(())
    }

    /// A connection as the superuser.
    async fn superuser(&self, database: &str) -> Result<PgConnection, DatabaseError> {
        self.admin(database, Some(&self.superuser_password)).await
    }

    async fn admin(&self, database: &str, password: Option<&str>) -> Result<PgConnection, DatabaseError> {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .username(SUPERUSER)
            .database(database)
            .application_name("sandbox");
        let options = password.into_iter().fold(options, PgConnectOptions::password);
        PgConnection::connect_with(&options).await.map_err(self.sql_error("connecting"))
    }

    async fn execute(
        &self,
        connection: &mut PgConnection,
        doing: &'static str,
        sql: &str,
    ) -> Result<(), DatabaseError> {
        let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
        connection.execute(statements).await.map(drop).map_err(self.sql_error(doing))
    }

    fn sql_error(&self, doing: &'static str) -> impl FnOnce(sqlx::Error) -> DatabaseError {
        let resource = self.resource.clone();
        move |source| DatabaseError::Sql { doing, resource, source }
    }

    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(super) fn superuser_name() -> &'static str {
        SUPERUSER
    }

    pub(super) fn user_list(&self) -> BTreeMap<String, bool> {
        self.users().clone()
    }

    fn users(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server of `resource` on the files that are there, or on new ones.
async fn launch(all: &Databases, resource: &str) -> Result<(Cluster, Option<Group>), DatabaseError> {
    let mut settings = Settings::new(all.folder(resource)?.join(SERVER));
    settings.superuser = SUPERUSER.into();
    settings.options = OPTIONS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let failed = |source| DatabaseError::Server { resource: resource.to_owned(), source };
    let cluster = Cluster::start(settings).await.map_err(failed)?;
    let group = leader(&cluster).map(|leader| all.groups.adopt(leader).ends_itself());
    Ok((cluster, group))
}

/// The server's process, from its own record.
fn leader(cluster: &Cluster) -> Option<u32> {
    let record = std::fs::read_to_string(cluster.data_dir().join("postmaster.pid")).ok()?;
    record.lines().next()?.trim().parse().ok()
}
