//! One real redis-server per addon, each behind a front that offers TLS.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::runner::groups::{Group, Groups};
use super::runner::ports::{Port, Ports};
use super::tls::DatabaseAuthority;
use crate::world::World;

mod front;
mod life;
mod log;

use front::Front;
pub(crate) use life::SavedRedis;

const REGION_DOMAIN: &str = "redis.a.osc-fr1.scalingo-dbs.test";
const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// How to reach a Redis.
#[derive(Clone)]
pub struct RedisAccess {
    /// A name of this world.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its user; the password alone is enough too.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for RedisAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("RedisAccess");
        debug
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What went wrong with a Redis.
#[derive(Debug, Error)]
pub enum RedisError {
    /// The program could not be started, or given a port or a folder.
    #[error("starting the redis-server of {resource}")]
    Start {
        /// The addon.
        resource: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Its log could not be read.
    #[error("reading the log of the redis-server of {resource}")]
    Log {
        /// The addon.
        resource: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It did not answer in time.
    #[error("the redis-server of {0} does not answer")]
    Silent(String),
    /// There is no such addon.
    #[error("there is no redis {0}")]
    Unknown(String),
    /// There is one already.
    #[error("there is a redis {0} already")]
    Exists(String),
    /// Not a resource id.
    #[error("{0:?} cannot be the name of a redis")]
    Name(String),
}

/// The Redis servers of one sandbox.
#[derive(Debug)]
pub struct RedisServers {
    world: Arc<World>,
    groups: Arc<Groups>,
    ports: Arc<Ports>,
    servers: Mutex<BTreeMap<String, Server>>,
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
struct Server {
    access: RedisAccess,
    front: Front,
    _group: Option<Group>,
    _child: Child,
    /// The front's, which is told, and the server's own.
    ports: [Port; 2],
}

impl RedisServers {
    /// None yet: servers start with their addons.
    pub fn start(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            groups: Arc::new(Groups::start("KILL")),
            ports: Arc::default(),
            servers: Mutex::default(),
        })
    }

    /// A new, empty Redis.
    pub async fn create(&self, resource_id: &str) -> Result<RedisAccess, RedisError> {
        if !is_plain(resource_id) {
            return Err(RedisError::Name(resource_id.to_owned()));
        }
        if self.servers().contains_key(resource_id) {
            return Err(RedisError::Exists(resource_id.to_owned()));
        }
        let start = |source| RedisError::Start { resource: resource_id.to_owned(), source };
        let port = self.ports.take().map_err(start)?;
        let host = host_of(resource_id);
        let access = RedisAccess {
            host,
            port: port.number(),
            user: resource_id.to_owned(),
            password: self.world.ids.secret(32),
        };
        // An earlier one of this name may have left its content.
        crate::files::remove_tree(&self.folder(resource_id).map_err(start)?).map_err(start)?;
        self.run(access.clone(), port).await?;
        Ok(access)
    }

    /// Starts the server on what is in its folder, waits for its first answer, and puts a front on `port` before it.
    async fn run(&self, access: RedisAccess, port: Port) -> Result<(), RedisError> {
        let resource_id = access.user.clone();
        let start = |source| RedisError::Start { resource: resource_id.clone(), source };
        let tls = DatabaseAuthority::of(&self.world).and_then(|authority| authority.acceptor(&access.host));
        let tls = tls.map_err(|error| start(error.into()))?;
        let inner = self.ports.take().map_err(start)?;
        let mut child = self.spawn(&access, inner.number()).await.map_err(start)?;
        let group = child.id().map(|leader| self.groups.adopt(leader));
        tokio::select! {
            () = answers(inner.number()) => {}
            _ = child.wait() => return Err(RedisError::Silent(resource_id)),
            () = tokio::time::sleep(START_LIMIT) => return Err(RedisError::Silent(resource_id)),
        }
        let front = Front::start(&self.world, &port, &inner, tls).await.map_err(start)?;
        self.world.names.add(&access.host).map_err(start)?;
        let server = Server { access, front, _group: group, _child: child, ports: [port, inner] };
        self.servers().insert(resource_id, server);
        Ok(())
    }

    /// The server gone, and what it held.
    #[expect(clippy::unused_async, reason = "callers need not know that nothing is waited for")]
    pub async fn destroy(&self, resource_id: &str) -> Result<(), RedisError> {
        let server = self.servers().remove(resource_id);
        let server = server.ok_or_else(|| RedisError::Unknown(resource_id.to_owned()))?;
        let forgotten = self.world.names.remove(&server.access.host);
        forgotten.map_err(|source| RedisError::Start { resource: resource_id.to_owned(), source })
    }

    /// Refuses plain connections to the addon from now on, or accepts them again.
    pub fn force_tls(&self, resource_id: &str, on: bool) -> Result<(), RedisError> {
        let servers = self.servers();
        let server = servers.get(resource_id).ok_or_else(|| RedisError::Unknown(resource_id.to_owned()))?;
        server.front.force_tls(on);
        Ok(())
    }

    /// The server that is reached at `host` and `port` from the private network.
    pub fn endpoint_of(&self, host: &str, port: u16) -> Option<SocketAddr> {
        self.resource_at(host, port).map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// The resource that is reached at `host` and `port`.
    pub fn resource_at(&self, host: &str, port: u16) -> Option<String> {
        let here =
            |server: &Server| server.access.host.eq_ignore_ascii_case(host) && server.access.port == port;
        self.servers().iter().find(|(_, server)| here(server)).map(|(resource, _)| resource.clone())
    }

    /// Its settings come by standard input: arguments can be read by everybody.
    async fn spawn(&self, access: &RedisAccess, port: u16) -> std::io::Result<Child> {
        let folder = self.folder(&access.user)?;
        std::fs::create_dir_all(&folder)?;
        let log = std::fs::File::create(folder.join(log::FILE))?;
        let mut child = Command::new("redis-server")
            .arg("-")
            .current_dir(&folder)
            // The dates of its log, which names no time zone.
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(settings(access, port).as_bytes()).await?;
        }
        Ok(child)
    }

    fn folder(&self, resource: &str) -> std::io::Result<std::path::PathBuf> {
        Ok(self.world.folder("redis")?.join(resource))
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn host_of(resource: &str) -> String {
    format!("{}.{REGION_DOMAIN}", resource.replace('_', "-"))
}

fn settings(access: &RedisAccess, port: u16) -> String {
    let RedisAccess { user, password, .. } = access;
    format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\nuser {user} on >{password} ~* &* +@all\n\
         save \"\"\nappendonly no\ndaemonize no\ndatabases 16\n"
    )
}

fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(plain)
}

/// Resolves when the server answers, be it that a password is wanted.
async fn answers(port: u16) {
    loop {
        let ask = async {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            stream.write_all(b"PING\r\n").await?;
            stream.read_u8().await
        };
        if matches!(ask.await, Ok(b'-' | b'+')) {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn say(endpoint: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(endpoint).await.unwrap();
        stream.write_all(format!("{text}\r\nQUIT\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A front that hangs up with our words unread resets the connection.
        stream.read_to_string(&mut answer).await.unwrap_or_default();
        answer
    }

    #[tokio::test]
    async fn a_redis_wants_its_password_and_dies_with_its_addon() {
        let dir = tempfile::tempdir().unwrap();
        let servers = RedisServers::start(&World::new(dir.path(), 1.0, 1).unwrap());
        let access = servers.create("my_app_1").await.unwrap();
        assert_eq!(access.host, "my-app-1.redis.a.osc-fr1.scalingo-dbs.test");
        let endpoint = servers.endpoint_of(&access.host, access.port).unwrap();
        assert!(say(endpoint, "PING").await.starts_with("-NOAUTH"));
        let login = format!("AUTH {} {}\r\nPING", access.user, access.password);
        assert!(say(endpoint, &login).await.contains("+PONG"));
        let login = format!("AUTH {}\r\nPING", access.password);
        assert!(say(endpoint, &login).await.contains("+PONG"));
        assert!(!format!("{access:?}").contains(&access.password));

        let ca = DatabaseAuthority::of(&servers.world).unwrap();
        let mut command = Command::new("redis-cli");
        command.args(["--tls", "--cacert"]).arg(ca.file()).args([
            "-h",
            "127.0.0.1",
            "--sni",
            &access.host,
            "-p",
        ]);
        command.arg(access.port.to_string()).arg("PING").env("REDISCLI_AUTH", &access.password);
        servers.force_tls("my_app_1", true).unwrap();
        let pong = command.output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&pong.stdout), "PONG\n", "{pong:?}");
        assert_eq!(say(endpoint, "PING").await, "", "a plain connection was served");

        servers.destroy("my_app_1").await.unwrap();
        assert!(servers.endpoint_of(&access.host, access.port).is_none());
        for _ in 0..500 {
            if TcpStream::connect(endpoint).await.is_err() {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("the server lives on");
    }
}
