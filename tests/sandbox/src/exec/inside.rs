//! The process inside the network namespace: listens on the ports that the program expects, and carries each connection to the
//! machine through the gate. It runs the program when every port that is known is open.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use tokio::task::JoinSet;

use super::{ExecError, Inside};
use crate::doors::Doors;

/// Runs the program of `args` and answers with its exit code.
pub(super) fn run(args: &Inside) -> Result<ExitCode, ExecError> {
    let network = |source| ExecError::Network { source };
    loopback_up().map_err(network)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(network)?;
    runtime.block_on(async {
        let mut house = House::open(&args.dir, &args.gate).await.map_err(network)?;
        let mut child = super::inner_command(&args.dir, &args.command).spawn().map_err(|source| {
            ExecError::Start { program: args.command.first().cloned().unwrap_or_default(), source }
        })?;
        let mut signals = super::signals::Signals::new().map_err(network)?;
        loop {
            tokio::select! {
                status = child.wait() => return Ok(super::signals::code(status.map_err(network)?)),
                Some(signal) = signals.next() => super::signals::pass_on(&child, signal),
                () = house.go_on() => {}
            }
        }
    })
}

/// A new namespace's loopback is down.
fn loopback_up() -> io::Result<()> {
    let said = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).output();
    let said = said.map_err(|error| io::Error::new(error.kind(), "running ip (package iproute2)"))?;
    if said.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&said.stderr).trim().to_owned()))
    }
}

/// All listeners, and where the news of more comes from.
struct House {
    gate: Arc<Path>,
    news: Option<Lines<BufReader<UnixStream>>>,
    tasks: JoinSet<()>,
}

impl House {
    /// Opens the doors with their standard numbers and every port that the machine has now.
    async fn open(dir: &Path, gate: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(gate).await?;
        stream.write_all(b"ports\n").await?;
        let news = Some(BufReader::new(stream).lines());
        let mut house = Self { gate: gate.into(), news, tasks: JoinSet::new() };
        if let Some(doors) = Doors::of(dir) {
            house.doors(&doors).await?;
        }
        while let Some(line) = house.next_line().await {
            if line.is_empty() {
                break;
            }
            house.mirror(&line).await;
        }
        Ok(house)
    }

    async fn doors(&mut self, doors: &Doors) -> io::Result<()> {
        for (standard, target) in &doors.ports {
            self.tcp((Ipv4Addr::LOCALHOST, *standard), *target).await?;
        }
        let resolver = doors.ports.get(&53).map(|target| (&Ipv4Addr::LOCALHOST, target));
        for (address, target) in resolver.into_iter().chain(&doors.name_servers) {
            self.udp((*address, 53), *target).await?;
        }
        for (address, target) in &doors.name_servers {
            self.tcp((*address, 53), *target).await?;
        }
        Ok(())
    }

    /// Waits for the next port of the machine and opens it here too; for ever if none can come any more.
    async fn go_on(&mut self) {
        match self.next_line().await {
            Some(line) => self.mirror(&line).await,
            None => std::future::pending().await,
        }
    }

    async fn next_line(&mut self) -> Option<String> {
        let line = self.news.as_mut()?.next_line().await;
        if !matches!(line, Ok(Some(_))) {
            self.news = None;
        }
        line.ok().flatten()
    }

    /// A port that is taken here is the program's own: it wins.
    async fn mirror(&mut self, line: &str) {
        let opened = match line.split_once(' ').and_then(|(word, port)| Some((word, port.parse().ok()?))) {
            Some(("tcp", port)) => self.tcp((Ipv4Addr::LOCALHOST, port), port).await,
            Some(("udp", port)) => self.udp((Ipv4Addr::LOCALHOST, port), port).await,
            _ => Ok(()),
        };
        if let Err(error) = opened {
            tracing::debug!(%error, line, "a port is not mirrored");
        }
    }

    async fn tcp(&mut self, here: (Ipv4Addr, u16), there: u16) -> io::Result<()> {
        let listener = TcpListener::bind(here).await?;
        let gate = Arc::clone(&self.gate);
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(carry(Arc::clone(&gate), stream, there));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(())
    }

    async fn udp(&mut self, here: (Ipv4Addr, u16), there: u16) -> io::Result<()> {
        let socket = Arc::new(UdpSocket::bind(here).await?);
        let gate = Arc::clone(&self.gate);
        self.tasks.spawn(async move {
            let (mut exchanges, mut buffer) = (JoinSet::new(), vec![0; usize::from(u16::MAX)]);
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let datagram = buffer.get(..length).unwrap_or_default().to_vec();
                exchanges.spawn(exchange(Arc::clone(&gate), Arc::clone(&socket), datagram, from, there));
                while exchanges.try_join_next().is_some() {}
            }
        });
        Ok(())
    }
}

/// One connection. Whatever breaks it, the program sees a closed connection, as from any server.
async fn carry(gate: Arc<Path>, mut stream: TcpStream, port: u16) {
    let carried = async {
        stream.set_nodelay(true)?;
        let mut way = UnixStream::connect(&gate).await?;
        way.write_all(format!("tcp {port}\n").as_bytes()).await?;
        tokio::io::copy_bidirectional(&mut stream, &mut way).await
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, port, "a connection broke");
    }
}

/// One datagram and its answer; without one the program waits, as on any network.
async fn exchange(gate: Arc<Path>, socket: Arc<UdpSocket>, datagram: Vec<u8>, from: SocketAddr, port: u16) {
    let exchanged = async {
        let mut way = UnixStream::connect(&gate).await?;
        way.write_all(format!("udp {port}\n").as_bytes()).await?;
        way.write_u16(u16::try_from(datagram.len()).unwrap_or(u16::MAX)).await?;
        way.write_all(&datagram).await?;
        let mut answer = vec![0; way.read_u16().await?.into()];
        way.read_exact(&mut answer).await?;
        socket.send_to(&answer, from).await
    };
    if let Err(error) = exchanged.await {
        tracing::debug!(%error, port, "a datagram had no answer");
    }
}
