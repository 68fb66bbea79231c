//! One running server: created, started, waited for, stopped.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::error::io;
use crate::launch::Launch;
use crate::layout::{Layout, PORT, private_dir};
use crate::owner::{CLUSTER_NAME, ENDINGS, Owner, end_survivors};
use crate::{Binaries, ClusterError, Settings};

/// How long a start may take; recovery after a crash replays the log first.
const START_LIMIT: Duration = Duration::from_mins(3);
/// How long `initdb` may take: it is killed then.
const INIT_LIMIT: Duration = Duration::from_mins(2);
/// What the data folder is called, with our process number, until it is complete.
const UNFINISHED: &str = "unfinished-";
const POLL: Duration = Duration::from_millis(20);
/// A log larger than this is put aside at the next start; one older log is kept.
const LOG_LIMIT: u64 = 16 << 20;

/// A running server that belongs to this process.
///
/// # Guarantees
/// - It listens on a Unix socket in a folder that only this user can enter, and nowhere else.
/// - While it lives, [`Cluster::start`] on the same folder is refused, in this process and in any other.
/// - Dropping it, or losing it with the process, loses no committed transaction.
///
/// # Caveats
/// When this process is killed, the server lives on until the next [`Cluster::start`] on its folder ends it, or until
/// its folder is deleted (within a minute).
#[derive(Debug)]
pub struct Cluster {
    child: Child,
    stopped: bool,
    layout: Layout,
    superuser: String,
    version: String,
    _owner: Owner,
}

impl Cluster {
    /// Starts the server of `settings.data_dir`, creating its data on first use and ending what a killed owner left.
    ///
    /// # Errors
    /// See [`ClusterError`]. A start that is refused, or given up by dropping the future, leaves no server behind.
    pub async fn start(settings: Settings) -> Result<Self, ClusterError> {
        let dir = std::path::absolute(&settings.data_dir).map_err(io("resolve", &settings.data_dir))?;
        let launch = Launch::choose(&dir.join("data")).await;
        Self::start_as(settings, &dir, launch).await
    }

    /// Deletes everything of the cluster whose settings named `data_dir`, and ends the server that a killed owner left.
    /// Safe to repeat, and where there is nothing.
    ///
    /// # Errors
    /// [`ClusterError::Owned`] while somebody runs it: then nothing was touched.
    pub async fn erase(data_dir: &Path) -> Result<(), ClusterError> {
        let dir = std::path::absolute(data_dir).map_err(io("resolve", data_dir))?;
        if !dir.exists() {
            return Ok(());
        }
        let _owner = Owner::take(&dir)?;
        let launch = Launch::choose(&dir.join("data")).await;
        let layout = Layout::prepare(&dir, launch).await?;
        end_survivors(&layout.pgdata).await?;
        layout.remove_sockets();
        if let Some(outside) = layout.pgdata.parent().filter(|home| *home != dir) {
            std::fs::remove_dir_all(outside).map_err(io("delete", outside))?;
        }
        std::fs::remove_dir_all(&dir).map_err(io("delete", &dir))
    }

    async fn start_as(settings: Settings, dir: &Path, launch: Launch) -> Result<Self, ClusterError> {
        settings.check()?;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("create", dir))?;
        let owner = Owner::take(dir)?;
        let layout = Layout::prepare(dir, launch).await?;
        let binaries = settings.binaries.clone().map_or_else(|| Binaries::for_data(&layout.pgdata), Ok)?;
        initialise(&binaries, &layout, launch, &settings).await?;
        end_survivors(&layout.pgdata).await?;
        launch.own_tree(&layout.pgdata)?;
        clear_stale(&layout);
        write_hba(&layout, launch, &settings.superuser)?;
        let child = spawn(&binaries, &layout, launch, &settings)?;
        let version = binaries.version;
        let mut cluster =
            Self { child, stopped: false, layout, superuser: settings.superuser, version, _owner: owner };
        cluster.wait_ready().await?;
        tracing::info!(version = cluster.version, "database server started");
        Ok(cluster)
    }

    /// The folder that holds the socket: what `PGHOST` wants.
    pub fn socket_dir(&self) -> &Path {
        &self.layout.sockets
    }

    /// The port, which is only part of the socket's name: what `PGPORT` wants.
    pub fn port(&self) -> u16 {
        PORT
    }

    /// The superuser's connection URL for `database`, good for libpq and for sqlx. It holds no password.
    pub fn url(&self, database: &str) -> String {
        let host = encoded(self.layout.sockets.as_os_str().as_encoded_bytes());
        format!(
            "postgres://{}@{host}:{PORT}/{}",
            encoded(self.superuser.as_bytes()),
            encoded(database.as_bytes())
        )
    }

    /// The role that needs no password on the socket.
    pub fn superuser(&self) -> &str {
        &self.superuser
    }

    /// The server's version, such as `15.18`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the server itself calls its data directory: below the folder of the settings, unless root had to run the
    /// server as another user who cannot reach that folder.
    pub fn data_dir(&self) -> &Path {
        &self.layout.pgdata
    }

    /// What the server printed, this time and before.
    pub fn log(&self) -> &Path {
        &self.layout.log
    }

    /// Resolves when the server ends although nobody stopped it. Safe to drop and to ask again.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Stops the server: sessions are cut, a checkpoint is written. Bounded; in the end it is killed, which loses
    /// nothing that was committed.
    pub async fn stop(self) {
        self.end(&ENDINGS).await;
    }

    /// Stops a server whose data nobody wants any more: no checkpoint is written, which would take longer than all else.
    pub async fn abandon(self) {
        self.end(&ENDINGS[1..]).await;
    }

    async fn end(mut self, endings: &[(Signal, Duration)]) {
        for (signal, patience) in endings.iter().copied() {
            self.signal(signal);
            if tokio::time::timeout(patience, self.child.wait()).await.is_ok() {
                break;
            }
            tracing::warn!(signal = signal.as_str(), "database server does not stop");
        }
        self.stopped = true;
        self.layout.remove_sockets();
        tracing::info!("database server stopped");
    }

    fn signal(&self, signal: Signal) {
        // `id` is known exactly as long as the child was not reaped, so the number cannot be another process's.
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            kill(Pid::from_raw(pid), signal).ok();
        }
    }

    /// Waits until the server itself says that it accepts connections, as `pg_ctl` does.
    async fn wait_ready(&mut self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + START_LIMIT;
        let dir = || self.layout.pgdata.clone();
        loop {
            if is_ready(&self.layout.pgdata, self.child.id()) {
                return Ok(());
            }
            if let Some(status) =
                self.child.try_wait().map_err(io("wait for the server in", &self.layout.pgdata))?
            {
                let (status, message) = (status.to_string(), tail(&self.layout.log));
                return Err(ClusterError::Died { dir: dir(), status, message });
            }
            if Instant::now() >= deadline {
                let (seconds, message) = (START_LIMIT.as_secs(), tail(&self.layout.log));
                return Err(ClusterError::Slow { dir: dir(), seconds, message });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Cluster {
    /// Not waited for: the server shuts down by itself; a start on the same folder waits for it.
    fn drop(&mut self) {
        if !self.stopped {
            self.signal(Signal::SIGINT);
        }
    }
}

/// Makes the data folder if there is none. It appears complete or not at all.
async fn initialise(
    binaries: &Binaries,
    layout: &Layout,
    launch: Launch,
    settings: &Settings,
) -> Result<(), ClusterError> {
    if layout.pgdata.join("PG_VERSION").exists() {
        return Ok(());
    }
    let parent = layout.pgdata.parent().unwrap_or(&layout.pgdata);
    remove_unfinished(parent)?;
    let unfinished = parent.join(format!("{UNFINISHED}{}", std::process::id()));
    private_dir(&unfinished, launch)?;
    let mut initdb = launch.command(&binaries.tool("initdb"));
    initdb.arg("--pgdata").arg(&unfinished).arg("--username").arg(&settings.superuser);
    initdb.args(["--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions"]);
    initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
    initdb.args(settings.fleeting().then_some("--no-sync"));
    run("initdb", initdb).await?;
    std::fs::rename(&unfinished, &layout.pgdata).map_err(io("put in place", &layout.pgdata))?;
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(io("sync", parent))
}

/// What an `initdb` left that was killed with its owner. One that still runs fails by itself without its folder, and
/// has another name than ours.
fn remove_unfinished(parent: &Path) -> Result<(), ClusterError> {
    for entry in std::fs::read_dir(parent).map_err(io("list", parent))? {
        let entry = entry.map_err(io("list", parent))?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_dir_all(entry.path()).map_err(io("remove the unfinished", &entry.path()))?;
        }
    }
    Ok(())
}

async fn run(tool: &'static str, mut command: Command) -> Result<(), ClusterError> {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |status: String, message: String| Err(ClusterError::Tool { tool, status, message });
    match tokio::time::timeout(INIT_LIMIT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            failed(output.status.to_string(), last_lines(&String::from_utf8_lossy(&output.stderr)))
        }
        Ok(Err(source)) => Err(io("run", Path::new(tool))(source)),
        Err(_) => failed(format!("no end within {} s", INIT_LIMIT.as_secs()), String::new()),
    }
}

/// No server of ours lives: what a killed one left would only make the next one refuse, should its number be in use.
fn clear_stale(layout: &Layout) {
    let [socket, lock] = layout.socket_files();
    for path in [layout.pgdata.join("postmaster.pid"), socket, lock] {
        if std::fs::remove_file(&path).is_ok() {
            tracing::info!(file = %path.display(), "removed what a killed server left");
        }
    }
}

/// The superuser comes in by the private socket; everybody else needs a password, wherever a front may forward from.
fn write_hba(layout: &Layout, launch: Launch, superuser: &str) -> Result<(), ClusterError> {
    let path = layout.pgdata.join("pg_hba.conf");
    let quoted = superuser.replace('"', "\"\"");
    let rules = format!(
        "# Written at each start.\nlocal all \"{quoted}\" trust\nlocal replication \"{quoted}\" trust\n\
         local all all scram-sha-256\n"
    );
    std::fs::write(&path, rules).map_err(io("write", &path))?;
    launch.own(&path)
}

fn spawn(
    binaries: &Binaries,
    layout: &Layout,
    launch: Launch,
    settings: &Settings,
) -> Result<Child, ClusterError> {
    let mut server = launch.command(&binaries.tool("postgres"));
    let sockets = layout.sockets.to_string_lossy().replace('"', "\"\"");
    server.arg("-D").arg(&layout.pgdata).args(["-c", CLUSTER_NAME]);
    server.args(["-c", "listen_addresses=", "-c", &format!("port={PORT}")]);
    server.arg("-c").arg(format!("unix_socket_directories=\"{sockets}\""));
    // A statement that fails may hold a password; our log is not the place for it.
    server.args(["-c", "unix_socket_permissions=0700", "-c", "log_min_error_statement=panic"]);
    for (name, value) in &settings.options {
        server.arg("-c").arg(format!("{name}={value}"));
    }
    let log = open_log(&layout.log).map_err(io("open", &layout.log))?;
    server.stdout(Stdio::null()).stderr(log);
    let program = binaries.tool("postgres");
    server.spawn().map_err(io("start", &program))
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|log| log.len() > LOG_LIMIT) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The eighth line of the pid file is the server's state; its first must be the process that we started.
fn is_ready(pgdata: &Path, started: Option<u32>) -> bool {
    let text = std::fs::read_to_string(pgdata.join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    let same = started.is_some_and(|pid| lines.next() == Some(pid.to_string().as_str()));
    same && lines.nth(6) == Some("ready")
}

/// The end of a log, for an error message.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let from = file.metadata()?.len().saturating_sub(2048);
        file.seek(SeekFrom::Start(from))?;
        let mut end = Vec::new();
        file.take(2048).read_to_end(&mut end)?;
        Ok(last_lines(&String::from_utf8_lossy(&end)))
    };
    read().unwrap_or_default()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}

/// Percent-encodes everything but the unreserved characters.
fn encoded(bytes: &[u8]) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode =
        |byte: &u8| if unreserved(*byte) { char::from(*byte).into() } else { format!("%{byte:02X}") };
    bytes.iter().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{Cluster, Settings, encoded, last_lines};
    use crate::launch::Launch;

    #[test]
    fn a_name_cannot_escape_its_place_in_the_url() {
        assert_eq!(encoded(b"/tmp/a b"), "%2Ftmp%2Fa%20b");
        assert_eq!(encoded("d?host=é".as_bytes()), "d%3Fhost%3D%C3%A9");
    }

    #[test]
    fn an_error_shows_the_end_of_the_log() {
        assert_eq!(last_lines("1\n2\n\n3\n4\n5\n6\n"), "2; 3; 4; 5; 6");
    }

    #[tokio::test]
    async fn where_namespaces_are_refused_root_uses_another_account() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        // Private to root, so that the other account cannot even enter: the data must go elsewhere.
        let temp = tempfile::tempdir().unwrap();
        std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let dir = temp.path().join("cluster");
        let launch = Launch::As { uid: 65534, gid: 65534 };
        let cluster =
            Cluster::start_as(Settings::new(&dir).option("fsync", "off"), &dir, launch).await.unwrap();
        let elsewhere = cluster.data_dir().parent().unwrap().to_owned();
        assert!(!elsewhere.starts_with(temp.path()), "{}", elsewhere.display());
        cluster.stop().await;
        std::fs::remove_dir_all(elsewhere).unwrap();
    }
}
