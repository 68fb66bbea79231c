//! What stands before a Redis: it speaks TLS to who begins with it, plain to the others, as the vendor's does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::plane::runner::ports::Port;
use crate::world::World;

/// The first byte of a TLS connection: no command of Redis begins with it.
const HANDSHAKE: u8 = 0x16;
const PATIENCE: Duration = Duration::from_mins(1);

/// A listening front. Dropping it closes it and cuts its connections.
#[derive(Debug)]
pub(super) struct Front {
    forced: Arc<AtomicBool>,
    _open: DropGuard,
}

/// What each connection needs.
#[derive(Clone)]
struct Way {
    server: SocketAddr,
    tls: TlsAcceptor,
    forced: Arc<AtomicBool>,
    closed: CancellationToken,
}

impl Front {
    /// A front on the port `here` of the server that listens on `server`.
    pub(super) async fn start(
        world: &Arc<World>,
        here: &Port,
        server: &Port,
        tls: TlsAcceptor,
    ) -> std::io::Result<Self> {
        let listener = crate::plane::databases::listen(Some(here.number())).await?;
        let (forced, closed) = (Arc::<AtomicBool>::default(), CancellationToken::new());
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, server.number()));
        let way = Way { server, tls, forced: Arc::clone(&forced), closed: closed.clone() };
        world.tasks.spawn("redis front", receive(Arc::clone(world), listener, way));
        Ok(Self { forced, _open: closed.drop_guard() })
    }

    /// From now on plain connections are closed without a word, or accepted again.
    pub(super) fn force_tls(&self, on: bool) {
        self.forced.store(on, Ordering::Relaxed);
    }
}

async fn receive(world: Arc<World>, listener: TcpListener, way: Way) {
    loop {
        let stream = tokio::select! {
            () = way.closed.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting at the front of a redis");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let way = way.clone();
        world.tasks.spawn("redis connection", async move {
            let served = tokio::select! {
                () = way.closed.cancelled() => Ok(()),
                served = serve(&way, stream) => served,
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a connection to a redis ended");
            }
        });
    }
}

async fn serve(way: &Way, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    let known = tokio::time::timeout(PATIENCE, stream.peek(&mut first)).await??;
    let secure = known > 0 && first[0] == HANDSHAKE;
    if !secure && way.forced.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut server = TcpStream::connect(way.server).await?;
    server.set_nodelay(true)?;
    if secure {
        let mut stream = tokio::time::timeout(PATIENCE, way.tls.accept(stream)).await??;
        return copy_bidirectional(&mut stream, &mut server).await.map(drop);
    }
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}
