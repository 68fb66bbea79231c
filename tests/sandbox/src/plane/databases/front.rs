//! The TCP front of one database: it accepts the processes of the sandbox's apps and cuts all others, as the vendor's private
//! network does. Bytes are passed on as they are.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use super::peer;
use crate::plane::runner::Runner;
use crate::world::World;

/// Who may come in.
#[derive(Debug, Default)]
pub(super) struct Admission(OnceLock<Weak<Runner>>);

impl Admission {
    pub(super) fn admit(&self, runner: &Arc<Runner>) {
        if self.0.set(Arc::downgrade(runner)).is_err() {
            tracing::warn!("the databases have a runner already");
        }
    }

    /// Whether the other end of a connection is a process of an app.
    async fn admits(&self, peer: SocketAddr, here: SocketAddr) -> bool {
        let Some(runner) = self.0.get().and_then(Weak::upgrade) else { return false };
        // Reads a good part of /proc.
        let looking =
            tokio::task::spawn_blocking(move || peer::is_of(peer, here, |pid| runner.owns_process(pid)));
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
    door: watch::Sender<Door>,
}

impl Front {
    /// A front on a port that is bound already.
    pub(super) fn start(
        world: &Arc<World>,
        admission: &Arc<Admission>,
        listener: TcpListener,
        socket: &Path,
    ) -> std::io::Result<Self> {
        let port = listener.local_addr()?.port();
        let (door, opened) = watch::channel(Door::NotYet);
        let guests =
            Guests { world: Arc::clone(world), admission: Arc::clone(admission), socket: socket.to_owned() };
        world.tasks.spawn("database front", guests.receive(listener, opened));
        Ok(Self { port, door })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn open(&self) {
        self.door.send_replace(Door::Open);
    }

    pub(super) fn close(&self) {
        self.door.send_replace(Door::Closed);
    }
}

#[derive(Debug, Clone)]
struct Guests {
    world: Arc<World>,
    admission: Arc<Admission>,
    socket: PathBuf,
}

impl Guests {
    async fn receive(self, listener: TcpListener, door: watch::Receiver<Door>) {
        let (mut opened, mut closed) = (door.clone(), door.clone());
        if opened.wait_for(|door| *door != Door::NotYet).await.is_err() {
            return;
        }
        loop {
            let stream = tokio::select! {
                () = is_closed(&mut closed) => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
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
                    () = guests.relay(stream) => {}
                }
            });
        }
    }

    async fn relay(&self, mut stream: TcpStream) {
        let (Ok(peer), Ok(here)) = (stream.peer_addr(), stream.local_addr()) else { return };
        if !self.admission.admits(peer, here).await {
            tracing::info!("a foreign process was cut off from a database");
            return;
        }
        stream.set_nodelay(true).ok();
        match UnixStream::connect(&self.socket).await {
            Ok(mut server) => {
                tokio::io::copy_bidirectional(&mut stream, &mut server).await.map(drop).ok();
            }
            Err(error) => tracing::warn!(%error, "a database's server does not answer"),
        }
    }
}

/// Resolves when the door is closed, or nobody is left to close it.
async fn is_closed(door: &mut watch::Receiver<Door>) {
    door.wait_for(|door| *door == Door::Closed).await.map(drop).ok();
}
