//! Tunnels: a `direct-tcpip` channel to a database or a Redis of this sandbox, and to nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;

use russh::Channel;
use russh::server::Msg;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::line::Scissors;
use super::strain::Strain;
use super::{Site, Who};
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

/// A tunnel that somebody asks for.
pub(super) struct Asked {
    /// `host:port`, as it was asked for.
    pub(super) to: String,
    /// The number of its channel on the connection.
    pub(super) channel: u32,
    /// The database or Redis that this leads to, if it leads anywhere.
    pub(super) resource: Option<String>,
}

/// The resource that `host` and `port`, taken word for word, name in this world, and the way there.
pub(super) fn find(site: &Site, host: &str, port: u32) -> Option<(String, Destination)> {
    let port = u16::try_from(port).ok()?;
    let database = || {
        let socket = site.databases.socket_of(host, port)?;
        Some((site.databases.resource_at(host, port)?, Destination::Database(socket)))
    };
    let redis = || {
        let endpoint = site.redis.endpoint_of(host, port)?;
        Some((site.redis.resource_at(host, port)?, Destination::Redis(endpoint)))
    };
    database().or_else(redis)
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
pub(super) fn record(site: &Site, who: &Who, asked: &Asked, (opened, fault): (bool, Option<&Fault>)) {
    let resource = asked.resource.as_ref().filter(|_| opened);
    let open = resource.map(
        |resource| json!({"tunnels": [{"resource": resource, "channel": asked.channel, "to": asked.to}]}),
    );
    let draft = Draft {
        service: "ssh",
        call: VERB.into(),
        caller: who.user.clone(),
        resource: asked.to.clone(),
        status: if opened { 200 } else { 403 },
        fault: fault.map(|fault| fault.kind().to_owned()),
    };
    site.world.journal.record_with(draft, who.evidence(None, open));
}
