//! Tunnels: a `direct-tcpip` channel to a database or a Redis of this sandbox, and to nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;

use russh::Channel;
use russh::server::Msg;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Site;
use super::line::Scissors;
use super::strain::Strain;
use crate::world::Fault;
use crate::world::journal::Draft;

/// What a tunnel is called in the journal and by faults.
pub(super) const VERB: &str = "direct-tcpip";

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

/// Carries bytes until either end is done, or as `fault` has it. `scissors` are the whole connection's.
pub(super) async fn relay(
    channel: Channel<Msg>,
    mut far: Box<dyn Far>,
    fault: Option<Fault>,
    scissors: Scissors,
) {
    let mut near = channel.into_stream();
    if matches!(fault, Some(Fault::Stall)) {
        // Taken, and never answered.
        let swallowed = tokio::io::copy(&mut near, &mut tokio::io::sink()).await;
        return drop(swallowed);
    }
    if let Some(strain) = Strain::of(fault.as_ref()) {
        if strain.carry(near, far).await.is_err() {
            scissors.reset();
        }
        return;
    }
    let copied = tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await;
    if let Err(error) = copied {
        tracing::debug!(%error, "a tunnel broke");
    }
}

/// A tunnel in the journal. There are no statuses here: 200 and 403 say what HTTP would.
pub(super) fn record(
    site: &Site,
    caller: String,
    host: &str,
    port: u32,
    (opened, fault): (bool, Option<&Fault>),
) {
    site.world.journal.record(Draft {
        service: "ssh",
        call: VERB.into(),
        caller,
        resource: format!("{host}:{port}"),
        status: if opened { 200 } else { 403 },
        fault: fault.map(|fault| fault.kind().to_owned()),
    });
}
