//! Against a real SSH server in the same process.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use russh::{
    Channel,
    keys::{Algorithm, HashAlg, PrivateKey, key::safe_rng},
    server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixStream},
    task::JoinSet,
};

use super::*;
use crate::runtime::class::{Class, Classified as _};

/// Accepts one key, and echoes on every channel to port 5432; other ports are forbidden.
struct Echo {
    accepted: Accepted,
}

/// Which key is let in.
#[derive(Clone)]
enum Accepted {
    /// The one with this fingerprint.
    One(String),
    /// Any, after so many refusals: the door learns late of what was registered.
    AnyAfter(Arc<AtomicUsize>),
}

impl Accepted {
    fn lets_in(&self, fingerprint: &str) -> bool {
        match self {
            Self::One(accepted) => accepted == fingerprint,
            Self::AnyAfter(refusals) => {
                let less = |left: usize| left.checked_sub(1);
                refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
            }
        }
    }
}

impl server::Handler for Echo {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let fingerprint = key.public_key.fingerprint(HashAlg::Sha256).to_string();
        let known = user == "git" && self.accepted.lets_in(&fingerprint);
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    /// Says what it was asked to run.
    async fn exec_request(
        &mut self,
        id: russh::ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        session.data(id, data.to_vec())?;
        session.exit_status_request(id, 0)?;
        session.eof(id)?;
        session.close(id)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if host != "db.private" || port != 5432 {
            reply.reject(russh::ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        reply.accept().await;
        #[expect(clippy::disallowed_methods, reason = "a server of the test, which ends with its runtime")]
        tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(channel.into_stream());
            tokio::io::copy(&mut from, &mut to).await.ok();
            to.shutdown().await.ok();
        });
        Ok(())
    }
}

/// A server with its own host key; sessions end with the returned set. Each connection is a task of it.
async fn serve(accepted: &ClientKey) -> (SocketAddr, String, JoinSet<()>) {
    serve_to(Accepted::One(accepted.fingerprint())).await
}

/// The same to whoever comes after so many were refused.
pub(crate) async fn serve_after(refusals: usize) -> (SocketAddr, String, JoinSet<()>) {
    serve_to(Accepted::AnyAfter(Arc::new(AtomicUsize::new(refusals)))).await
}

async fn serve_to(accepted: Accepted) -> (SocketAddr, String, JoinSet<()>) {
    let host_key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let fingerprint = host_key.fingerprint(HashAlg::Sha256).to_string();
    let config = Arc::new(server::Config {
        keys: vec![host_key],
        auth_rejection_time: std::time::Duration::from_millis(1),
        ..server::Config::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // Dropping a session's future does not end it; closing its socket does, so each is copied through a pair we own.
        let mut sessions = JoinSet::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (near, mut far) = tokio::io::duplex(1 << 16);
            let echo = Echo { accepted: accepted.clone() };
            let config = Arc::clone(&config);
            sessions
                .spawn(async move { tokio::io::copy_bidirectional(&mut socket, &mut far).await.map(drop) });
            sessions.spawn(async move {
                if let Ok(session) = server::run_stream(config, near, echo).await {
                    session.await.ok();
                }
                Ok(())
            });
        }
    });
    (address, fingerprint, tasks)
}

fn config(address: SocketAddr, fingerprint: &str, key: &ClientKey) -> SshConfig {
    let fingerprints = Fingerprints::parse(fingerprint).unwrap();
    SshConfig { addr: address.to_string(), user: "git".into(), fingerprints, key: key.clone() }
}

async fn echoed(tunnel: &Tunnel, text: &[u8]) -> Vec<u8> {
    let mut local = UnixStream::connect(tunnel.socket_dir().join(tunnel::SOCKET)).await.unwrap();
    local.write_all(text).await.ok();
    local.shutdown().await.ok();
    let mut back = Vec::new();
    local.read_to_end(&mut back).await.ok();
    back
}

#[tokio::test]
async fn bytes_come_back_through_the_tunnel_and_are_counted() {
    let key = ClientKey::generate("test").unwrap();
    let (address, fingerprint, _server) = serve(&key).await;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("t");
    let tunnel = Tunnel::open(config(address, &fingerprint, &key), "db.private", 5432, &dir).await.unwrap();
    let large = vec![7; 3 << 20];
    let (one, two) = tokio::join!(echoed(&tunnel, b"hello"), echoed(&tunnel, &large));
    assert_eq!(one, b"hello");
    assert_eq!(two.len(), large.len());
    let traffic = tunnel.traffic();
    assert_eq!((traffic.sent, traffic.received, traffic.failed), (3_145_733, 3_145_733, 0));
    tunnel.close().await;
    assert!(!dir.join(tunnel::SOCKET).exists());
}

#[tokio::test]
async fn another_host_key_is_refused_by_name_of_both() {
    let key = ClientKey::generate("test").unwrap();
    let (address, shown, _server) = serve(&key).await;
    let pinned = "SHA256:vMMyB6vYf+U68JFAcK/vAL6g4DOKGmT/LMwLhzI9+3E";
    let folder = tempfile::tempdir().unwrap();
    let error = Tunnel::open(config(address, pinned, &key), "db.private", 5432, &folder.path().join("t"))
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Terminal);
    let text = error.to_string();
    assert!(text.contains(&shown) && text.contains(pinned), "{text}");
    let error = Identity::prepare(&config(address, pinned, &key), &std::env::temp_dir()).await.unwrap_err();
    assert!(matches!(error, SshError::HostKey { .. }), "{error}");
}

#[tokio::test]
async fn a_look_before_the_day_tells_the_pinned_server_and_whether_it_knows_our_key() {
    let (ours, other) = (ClientKey::generate("test").unwrap(), ClientKey::generate("other").unwrap());
    let (address, shown, _server) = serve(&ours).await;
    client::is_known(&config(address, &shown, &ours)).await.unwrap();
    let error = client::is_known(&config(address, &shown, &other)).await.unwrap_err();
    assert!(matches!(error, SshError::Refused { .. }), "{error}");
    client::greet(&config(address, &shown, &other)).await.expect("no key is offered");
    let pinned = "SHA256:vMMyB6vYf+U68JFAcK/vAL6g4DOKGmT/LMwLhzI9+3E";
    let error = client::greet(&config(address, pinned, &ours)).await.unwrap_err();
    assert!(matches!(error, SshError::HostKey { .. }), "{error}");
}

#[tokio::test]
async fn an_unknown_client_key_is_told_from_a_dead_server() {
    let (address, fingerprint, _server) = serve(&ClientKey::generate("other").unwrap()).await;
    let key = ClientKey::generate("test").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = config(address, &fingerprint, &key);
    let error = Tunnel::open(config.clone(), "db.private", 5432, &folder.path().join("t")).await.unwrap_err();
    assert!(matches!(error, SshError::Refused { .. }), "{error:?}");
    let nowhere = SshConfig { addr: "127.0.0.1:1".into(), ..config };
    let error = Tunnel::open(nowhere, "db.private", 5432, &folder.path().join("t")).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error:?}");
}

#[tokio::test]
async fn a_forbidden_target_closes_the_connection_and_is_told() {
    let key = ClientKey::generate("test").unwrap();
    let (address, fingerprint, _server) = serve(&key).await;
    let folder = tempfile::tempdir().unwrap();
    let tunnel = Tunnel::open(config(address, &fingerprint, &key), "elsewhere", 22, &folder.path().join("t"))
        .await
        .unwrap();
    assert!(echoed(&tunnel, b"hello").await.is_empty());
    let failure = tunnel.failures().unwrap();
    assert_eq!(failure.class(), Class::Terminal, "{failure:?}");
    assert_eq!(tunnel.traffic().failed, 1);
}

#[tokio::test]
async fn a_dead_session_is_replaced_for_the_next_connection() {
    let key = ClientKey::generate("test").unwrap();
    let (address, fingerprint, server) = serve(&key).await;
    // A relay in between that can be cut without the server going away.
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = relay.local_addr().unwrap();
    let cut = Arc::new(tokio::sync::Notify::new());
    let scissors = Arc::clone(&cut);
    let mut tasks = server;
    tasks.spawn(async move {
        loop {
            let (mut near, _) = relay.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(address).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                () = scissors.notified() => {}
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let tunnel =
        Tunnel::open(config(front, &fingerprint, &key), "db.private", 5432, &folder.path().join("t"))
            .await
            .unwrap();
    assert_eq!(echoed(&tunnel, b"one").await, b"one");
    cut.notify_one();
    assert_eq!(echoed(&tunnel, b"two").await, b"two");
}

#[tokio::test]
async fn an_open_folder_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let key = ClientKey::generate("test").unwrap();
    let (address, fingerprint, _server) = serve(&key).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let open = Tunnel::open(config(address, &fingerprint, &key), "db.private", 5432, folder.path()).await;
    assert!(matches!(open.unwrap_err(), SshError::Folder { .. }));
}

#[tokio::test]
async fn an_identity_holds_the_pin_and_no_secret_in_its_command() {
    let key = ClientKey::generate("test").unwrap();
    let (address, fingerprint, _server) = serve(&key).await;
    let identity =
        Identity::prepare(&config(address, &fingerprint, &key), &std::env::temp_dir()).await.unwrap();
    let command = identity.command().into_string().unwrap();
    let path = command.strip_prefix("ssh -F '").and_then(|rest| rest.strip_suffix('\'')).unwrap().to_owned();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("StrictHostKeyChecking yes") && text.contains(&format!("Port {}", address.port())));
    assert_eq!(identity.remote("git@h:my-app.git").unwrap(), "reprise-platform:my-app.git");
    drop(identity);
    assert!(!std::path::Path::new(&path).exists());
}

/// What git would do with the identity: the system's `ssh`, told nothing but the configuration.
async fn by_system_ssh(identity: &Identity) -> std::process::Output {
    let script = format!(
        "exec {} reprise-platform \"git-receive-pack 'my-app.git'\"",
        identity.command().to_str().unwrap()
    );
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", &script]).stdin(std::process::Stdio::null()).kill_on_drop(true).output().await.unwrap()
}

#[tokio::test]
async fn the_systems_ssh_keeps_to_the_pin() {
    let key = ClientKey::generate("test").unwrap();
    let (address, fingerprint, _server) = serve(&key).await;
    let identity =
        Identity::prepare(&config(address, &fingerprint, &key), &std::env::temp_dir()).await.unwrap();
    let good = by_system_ssh(&identity).await;
    assert_eq!(String::from_utf8_lossy(&good.stdout), "git-receive-pack 'my-app.git'", "{good:?}");
    // The server of the same address shows another key from now on.
    let (other, _, _other) = serve(&key).await;
    let command = identity.command().into_string().unwrap();
    let path = command.strip_prefix("ssh -F '").and_then(|rest| rest.strip_suffix('\'')).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, text.replace(&address.port().to_string(), &other.port().to_string())).unwrap();
    let bad = by_system_ssh(&identity).await;
    assert!(!bad.status.success() && bad.stdout.is_empty(), "{bad:?}");
    assert!(String::from_utf8_lossy(&bad.stderr).contains("Host key verification failed"), "{bad:?}");
}

#[test]
fn a_disk_that_is_full_has_room_again_and_a_key_that_is_not_there_stays_away() {
    use std::io::ErrorKind::{self, NotFound, PermissionDenied, StorageFull};
    let class = |kind: ErrorKind| {
        SshError::File { doing: "write", path: "known_hosts".into(), source: kind.into() }.class()
    };
    assert_eq!(
        [StorageFull, NotFound, PermissionDenied].map(class),
        [Class::Transient, Class::Terminal, Class::Terminal]
    );
}

#[test]
fn addresses_with_and_without_port_are_read() {
    let key = ClientKey::generate("test").unwrap();
    let pinned = "vMMyB6vYf+U68JFAcK/vAL6g4DOKGmT/LMwLhzI9+3E";
    let at = |addr: &str| {
        let fingerprints = Fingerprints::parse(pinned).unwrap();
        SshConfig { addr: addr.into(), user: "git".into(), fingerprints, key: key.clone() }
            .host_and_port()
            .ok()
    };
    assert_eq!(at("ssh.osc-fr1.scalingo.com:22"), Some(("ssh.osc-fr1.scalingo.com".into(), 22)));
    assert_eq!(at("ssh.osc-fr1.scalingo.com"), Some(("ssh.osc-fr1.scalingo.com".into(), 22)));
    assert_eq!(at("[::1]:2222"), Some(("::1".into(), 2222)));
    for bad in ["", ":22", "host:port", "-oProxyCommand=x", "a b:1", "h\nProxyCommand x"] {
        assert_eq!(at(bad), None, "{bad:?}");
    }
}
