//! A network namespace in which the doors have their standard numbers, for those who may not bind low ports on the machine.
//!
//! Two processes: this one stays on the machine and connects; the one inside ([`super::inside`]) listens. They speak over a
//! Unix socket, which knows no network namespaces. Every port of the machine's loopback can be reached inside under its own
//! number, those that are opened later too; what listens inside cannot be reached from outside, and there is no other network.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UdpSocket, UnixListener, UnixStream};
use tokio::process::{Child, Command};

use super::Privilege;
use super::ports::{self, Port, Transport};

/// How often the machine's ports are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long an answer to a datagram may take.
const DATAGRAM: Duration = Duration::from_secs(10);

/// Runs `program` in a network namespace of its own and answers with its exit code.
pub(super) fn run(dir: &Path, privilege: Privilege, program: &[&OsStr]) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let gate = folder.path().join("gate");
        let listener = UnixListener::bind(&gate)?;
        let mut child = inside(dir, privilege, &gate, program)?;
        let mut connections = tokio::task::JoinSet::new();
        let mut signals = super::signals::Signals::new()?;
        loop {
            tokio::select! {
                status = child.wait() => return Ok(super::signals::code(status?)),
                Some(signal) = signals.next() => super::signals::pass_on(&child, signal),
                accepted = listener.accept() => { connections.spawn(serve(accepted?.0)); }
                Some(_ended) = connections.join_next() => {}
            }
        }
    })
}

fn inside(dir: &Path, privilege: Privilege, gate: &Path, program: &[&OsStr]) -> io::Result<Child> {
    let flags = match privilege {
        Privilege::Root => "-mn",
        Privilege::User => "-Urmn",
    };
    Command::new("unshare")
        .args([flags, "--"])
        .arg(std::env::current_exe()?)
        .args(["exec-inside", "--gate"])
        .arg(gate)
        .arg("--dir")
        .arg(dir)
        .arg("--")
        .args(program)
        .kill_on_drop(true)
        .spawn()
}

/// One request of the process inside: `ports`, `tcp PORT` or `udp PORT`. An error ends this connection only.
async fn serve(stream: UnixStream) {
    let mut stream = BufReader::new(stream);
    let mut asked = String::new();
    let served = async {
        stream.read_line(&mut asked).await?;
        match asked.trim_end().split_once(' ') {
            Some(("tcp", port)) => tcp(stream, number(port)?).await,
            Some(("udp", port)) => udp(stream, number(port)?).await,
            _ => tell_ports(stream).await,
        }
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection out of the namespace broke");
    }
}

fn number(text: &str) -> io::Result<u16> {
    text.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

async fn tcp(mut stream: BufReader<UnixStream>, port: u16) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}

/// One datagram there, one back, each behind its length.
async fn udp(mut stream: BufReader<UnixStream>, port: u16) -> io::Result<()> {
    let length = stream.read_u16().await?;
    let mut datagram = vec![0; length.into()];
    stream.read_exact(&mut datagram).await?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    socket.send(&datagram).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    let length = tokio::time::timeout(DATAGRAM, socket.recv(&mut answer)).await??;
    stream.write_u16(u16::try_from(length).unwrap_or(u16::MAX)).await?;
    stream.write_all(answer.get(..length).unwrap_or_default()).await
}

/// Every port as a line, once; an empty line after those that are there now.
async fn tell_ports(mut stream: BufReader<UnixStream>) -> io::Result<()> {
    let mut told = BTreeSet::new();
    let mut first = true;
    loop {
        let now: BTreeSet<Port> = ports::of_machine();
        for Port { transport, number } in now.difference(&told) {
            let word = if *transport == Transport::Tcp { "tcp" } else { "udp" };
            stream.write_all(format!("{word} {number}\n").as_bytes()).await?;
        }
        told.extend(now);
        if std::mem::take(&mut first) {
            stream.write_all(b"\n").await?;
        }
        stream.flush().await?;
        tokio::time::sleep(LOOK).await;
    }
}
