//! Tunnels: a `direct-tcpip` channel to a database or a Redis of this sandbox, and to nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;

use russh::Channel;
use russh::server::Msg;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Site;
use crate::world::journal::Draft;

/// Larger than a packet, so that each read of the far end fills one.
const BUFFER: usize = 128 * 1024;

/// Where a tunnel ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Database(PathBuf),
    Redis(SocketAddr),
}

/// Both ways to the far end.
pub(super) trait Far: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Far for T {}

/// The destination that `host` and `port`, taken word for word, name in this world.
pub(super) fn find(site: &Site, host: &str, port: u32) -> Option<Destination> {
    let port = u16::try_from(port).ok()?;
    let database = site.databases.socket_of(host, port).map(Destination::Database);
    database.or_else(|| site.redis.endpoint_of(host, port).map(Destination::Redis))
}

pub(super) async fn connect(destination: Destination) -> std::io::Result<Box<dyn Far>> {
    Ok(match destination {
        Destination::Database(socket) => Box::new(UnixStream::connect(socket).await?),
        Destination::Redis(endpoint) => {
            let stream = TcpStream::connect(endpoint).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}

pub(super) async fn relay(channel: Channel<Msg>, mut far: Box<dyn Far>) {
    let mut near = channel.into_stream();
    let copied = tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await;
    if let Err(error) = copied {
        tracing::debug!(%error, "a tunnel broke");
    }
}

/// A tunnel in the journal. There are no statuses here: 200 and 403 say what HTTP would.
pub(super) fn record(site: &Site, caller: String, host: &str, port: u32, opened: bool) {
    site.world.journal.record(Draft {
        service: "ssh",
        call: "direct-tcpip".into(),
        caller,
        resource: format!("{host}:{port}"),
        status: if opened { 200 } else { 403 },
        fault: None,
    });
}
