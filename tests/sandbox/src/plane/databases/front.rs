//! The two doors of one database. By TCP it accepts the processes of the sandbox's apps and programs that `exec` runs, and cuts all
//! others, as the vendor's private network does; by a Unix socket beside the server's come the tunnels. Behind both is the same [`Gate`].

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use super::gate::Gate;
use super::peer;
use crate::plane::runner::Runner;
use crate::world::World;

/// What the server would call the far end of a tunnel.
const TUNNELS_HOST: &str = "127.0.0.1";

/// Who may come in.
#[derive(Debug, Default)]
pub(super) struct Admission(OnceLock<Weak<Runner>>);

impl Admission {
    pub(super) fn admit(&self, runner: &Arc<Runner>) {
        if self.0.set(Arc::downgrade(runner)).is_err() {
            tracing::warn!("the databases have a runner already");
        }
    }

    /// Whether the other end of a connection is a process of an app, or a guest of the world.
    async fn admits(&self, world: &Arc<World>, peer: SocketAddr, here: SocketAddr) -> bool {
        let (runner, world) = (self.0.get().and_then(Weak::upgrade), Arc::clone(world));
        let is_ours = move |pid| {
            runner.as_ref().is_some_and(|runner| runner.owns_process(pid)) || world.guests.owns(pid)
        };
        // Reads a good part of /proc.
        let looking = tokio::task::spawn_blocking(move || peer::is_of(peer, here, is_ours));
        looking.await.unwrap_or(false)
    }
}

/// Where a front is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The server is not ready: connections wait.
    NotYet,
    Open,
    Closed,
}

/// A listening front. Dropping it closes it and cuts its connections.
#[derive(Debug)]
pub(super) struct Front {
    port: u16,
    gate: Arc<Gate>,
    door: watch::Sender<Door>,
}

impl Front {
    /// Serves `listener`, a port that is bound already, and the tunnels that come to `tunnels`.
    pub(super) fn start(
        world: &Arc<World>,
        admission: &Arc<Admission>,
        listener: TcpListener,
        tunnels: &Path,
        gate: Gate,
    ) -> std::io::Result<Self> {
        let port = listener.local_addr()?.port();
        // What a killed world left.
        if let Err(error) = std::fs::remove_file(tunnels) {
            tracing::trace!(%error, "no socket was left behind");
        }
        let unix = UnixListener::bind(tunnels)?;
        let (door, opened) = watch::channel(Door::NotYet);
        let gate = Arc::new(gate);
        let guests =
            Guests { world: Arc::clone(world), admission: Arc::clone(admission), gate: Arc::clone(&gate) };
        world
            .tasks
            .spawn("database tunnels", guests.clone().receive(Entrance::Tunnels(unix), opened.clone()));
        world.tasks.spawn("database front", guests.receive(Entrance::Apps(listener), opened));
        Ok(Self { port, gate, door })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(super) fn open(&self) {
        self.door.send_replace(Door::Open);
    }

    pub(super) fn close(&self) {
        self.door.send_replace(Door::Closed);
    }
}

/// Where clients come in.
#[derive(Debug)]
enum Entrance {
    Apps(TcpListener),
    Tunnels(UnixListener),
}

/// A client.
#[derive(Debug)]
enum Guest {
    App(TcpStream),
    Tunnel(UnixStream),
}

impl Entrance {
    async fn accept(&self) -> std::io::Result<Guest> {
        match self {
            Self::Apps(listener) => listener.accept().await.map(|(stream, _)| Guest::App(stream)),
            Self::Tunnels(listener) => listener.accept().await.map(|(stream, _)| Guest::Tunnel(stream)),
        }
    }
}

#[derive(Debug, Clone)]
struct Guests {
    world: Arc<World>,
    admission: Arc<Admission>,
    gate: Arc<Gate>,
}

impl Guests {
    async fn receive(self, entrance: Entrance, door: watch::Receiver<Door>) {
        let (mut opened, mut closed) = (door.clone(), door.clone());
        if opened.wait_for(|door| *door != Door::NotYet).await.is_err() {
            return;
        }
        loop {
            let guest = tokio::select! {
                () = is_closed(&mut closed) => return,
                accepted = entrance.accept() => match accepted {
                    Ok(guest) => guest,
                    Err(error) => {
                        tracing::warn!(%error, "accepting at the front of a database");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (guests, mut closed) = (self.clone(), door.clone());
            self.world.tasks.spawn("database connection", async move {
                tokio::select! {
                    () = is_closed(&mut closed) => {}
                    () = guests.serve(guest) => {}
                }
            });
        }
    }

    async fn serve(&self, guest: Guest) {
        match guest {
            Guest::App(stream) => self.serve_app(stream).await,
            Guest::Tunnel(stream) => self.gate.serve(stream, TUNNELS_HOST).await,
        }
    }

    async fn serve_app(&self, stream: TcpStream) {
        let (Ok(peer), Ok(here)) = (stream.peer_addr(), stream.local_addr()) else { return };
        if !self.gate.is_public() && !self.admission.admits(&self.world, peer, here).await {
            tracing::info!("a foreign process was cut off from a database");
            return;
        }
        stream.set_nodelay(true).ok();
        self.gate.serve(stream, &peer.ip().to_string()).await;
    }
}

/// Resolves when the door is closed, or nobody is left to close it.
async fn is_closed(door: &mut watch::Receiver<Door>) {
    door.wait_for(|door| *door == Door::Closed).await.map(drop).ok();
}
