//! A tunnel to one database: a Unix socket here, a `direct-tcpip` channel there.
//!
//! The socket is named `.s.PGSQL.5432` in a folder that only we may enter, so that every PostgreSQL client finds it with `host=<folder>`,
//! and no other user of the machine reaches the database. One SSH session carries all connections; when it dies, the next local
//! connection makes a new one. Connections that were open then are lost: their clients decide what that means.

use std::{
    fs::Permissions,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use russh::{Channel, client::Msg};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

use super::{SshConfig, SshError, client::Session};

/// The name that PostgreSQL's clients look for.
pub const SOCKET: &str = ".s.PGSQL.5432";
/// Longest path of a Unix socket on Linux, in bytes.
const LONGEST_PATH: usize = 107;
/// Local connections that are carried at once; more wait to be accepted.
const MOST_CONNECTIONS: usize = 64;
/// Time for the server to open a channel.
const CHANNEL_LIMIT: Duration = Duration::from_secs(30);
/// Bytes that are moved at a time.
const BUFFER: usize = 256 << 10;

/// What a tunnel has carried so far.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Bytes towards the database.
    pub sent: u64,
    /// Bytes from the database.
    pub received: u64,
    /// Local connections that could not be carried.
    pub failed: u64,
}

/// An open tunnel. Dropping it closes the socket and every connection.
#[derive(Debug)]
pub struct Tunnel {
    socket: PathBuf,
    dir: PathBuf,
    line: Arc<Line>,
    /// Owns the accepting task, which owns those of the connections: none outlives this value.
    tasks: JoinSet<()>,
}

/// The way to the database, shared by all connections.
struct Line {
    config: SshConfig,
    host: String,
    port: u16,
    session: tokio::sync::Mutex<Option<Session>>,
    sent: AtomicU64,
    received: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Option<Arc<SshError>>>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Connects at once, so that a wrong host key or an unknown client key shows here, and listens in `dir` (made with mode 0700, or
    /// refused if others may enter it). Repeating it is harmless as long as two tunnels have two folders.
    pub async fn open(config: SshConfig, host: &str, port: u16, dir: &Path) -> Result<Self, SshError> {
        let socket = prepare(dir)?;
        let session = Session::open(&config).await?;
        let file = |source| SshError::File { doing: "listen at", path: socket.clone(), source };
        let listener = UnixListener::bind(&socket).map_err(file)?;
        std::fs::set_permissions(&socket, Permissions::from_mode(0o600)).map_err(file)?;
        let line = Arc::new(Line {
            config,
            host: host.to_owned(),
            port,
            session: tokio::sync::Mutex::new(Some(session)),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last: Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&line)));
        Ok(Self { socket, dir: dir.to_owned(), line, tasks })
    }

    /// The folder to give to PostgreSQL's clients as `host`; the port is 5432.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// What was carried so far.
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            sent: read(&self.line.sent),
            received: read(&self.line.received),
            failed: read(&self.line.failed),
        }
    }

    /// Why a local connection last failed: what a client saw as a closed socket.
    pub fn failures(&self) -> Option<Arc<SshError>> {
        self.line.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Closes everything and says goodbye to the server.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
        if let Some(session) = self.line.session.lock().await.take() {
            let goodbye = session.handle.disconnect(russh::Disconnect::ByApplication, "", "en");
            // The server may be gone already; there is nothing to do about it.
            drop(tokio::time::timeout(Duration::from_secs(2), goodbye).await);
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // A socket that stays behind is removed by the next one in this folder.
        drop(std::fs::remove_file(&self.socket));
    }
}

/// Makes sure that only we may enter `dir`, and that nothing is in the way.
fn prepare(dir: &Path) -> Result<PathBuf, SshError> {
    let file = |source| SshError::File { doing: "prepare", path: dir.to_owned(), source };
    let folder = |why| SshError::Folder { path: dir.to_owned(), why };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file)?;
    let metadata = std::fs::symlink_metadata(dir).map_err(file)?;
    if !metadata.is_dir() || metadata.mode() & 0o077 != 0 {
        return Err(folder("must be a folder that only its owner may enter"));
    }
    let socket = dir.join(SOCKET);
    if socket.as_os_str().len() > LONGEST_PATH {
        return Err(folder("is too long for the name of a socket"));
    }
    match std::fs::remove_file(&socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file(error)),
        _ => Ok(socket),
    }
}

/// Takes local connections until it is dropped, and their tasks with it.
async fn accept(listener: UnixListener, line: Arc<Line>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((local, _)) => {
                    connections.spawn(carry(local, Arc::clone(&line)));
                }
                // Out of file descriptors, most likely: wait for some to be freed instead of turning in circles.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

async fn carry(local: UnixStream, line: Arc<Line>) {
    match line.channel().await {
        Ok(channel) => {
            let mut local = Counted { inner: local, line: Arc::clone(&line) };
            let mut remote = channel.into_stream();
            let ended =
                tokio::io::copy_bidirectional_with_sizes(&mut local, &mut remote, BUFFER, BUFFER).await;
            if let Err(error) = ended {
                tracing::debug!(error = %error, "a tunnelled connection broke off");
            }
        }
        Err(error) => {
            tracing::warn!(error = %crate::runtime::chain::Chain(&error), "cannot carry a connection to the database");
            line.failed.fetch_add(1, Ordering::Relaxed);
            *line.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::new(error));
        }
    }
}

impl Line {
    /// A channel to the database on the living session, or on a new one.
    async fn channel(&self) -> Result<Channel<Msg>, SshError> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| !session.handle.is_closed()) {
            match self.open_channel(session).await {
                Ok(channel) => return Ok(channel),
                // The server answered: it is the database that cannot be reached, not the session that is dead.
                Err(error) if error.is_refused_channel() => return Err(error),
                Err(_) => {}
            }
        }
        let session = kept.insert(Session::open(&self.config).await?);
        self.open_channel(session).await
    }

    async fn open_channel(&self, session: &Session) -> Result<Channel<Msg>, SshError> {
        let target = format!("{}:{}", self.host, self.port);
        let addr = self.config.addr.clone();
        let open = session.handle.channel_open_direct_tcpip(&self.host, self.port.into(), "127.0.0.1", 0);
        match tokio::time::timeout(CHANNEL_LIMIT, open).await {
            Ok(result) => {
                result.map_err(|source| SshError::Channel { addr, target, source: Box::new(source) })
            }
            Err(_) => Err(SshError::Timeout { addr }),
        }
    }
}

/// The local end, counting what passes.
struct Counted {
    inner: UnixStream,
    line: Arc<Line>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.line.sent.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = result {
            self.line.received.fetch_add(written as u64, Ordering::Relaxed);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
