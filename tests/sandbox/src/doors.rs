//! The doors that clients expect: SSH on 22, DNS on 53, HTTP on 80, HTTPS on 443, under the names that the vendors' hosts have.
//!
//! The services themselves listen on free ports of 127.0.0.1. A door looks at the name that a connection asks for (SNI, `Host`)
//! and leads it to the service; what is no service's name is an app's, and the ingress's business. Where the machine lets us,
//! the doors are opened with their standard numbers on a loopback address of their own; else [`crate::exec`] brings them into a
//! network namespace. Nothing here reads more of a connection than its first bytes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

use crate::dns::{Dns, Places};
use crate::plane::authority::Authority;
use crate::s3::S3;
use crate::world::World;

mod dns;
mod plain;
mod standard;
mod table;
mod tls;

pub(crate) use dns::resolver;
pub(crate) use standard::Standard;
pub(crate) use table::{Ingress, Table};

const FILE: &str = "doors.json";

/// Where the doors are: what another process needs in order to use them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doors {
    /// The address on which they are open with their standard numbers, if the machine allowed it.
    pub address: Option<Ipv4Addr>,
    /// Where each standard port is served on 127.0.0.1.
    pub ports: BTreeMap<u16, u16>,
    /// Addresses that have a name server of their own on port 53, and where that is served on 127.0.0.1.
    #[serde(default)]
    pub name_servers: BTreeMap<Ipv4Addr, u16>,
}

/// Why the doors could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorsError {
    /// No socket, or no file.
    #[error("opening the doors of the world")]
    Open(#[source] std::io::Error),
    /// The TLS settings were not accepted.
    #[error("setting up TLS for the doors of the world")]
    Tls(#[source] rustls::Error),
}

/// Addresses of a namespace of its own, where nobody else's can be in the way.
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// The addresses that the name servers are to give out: of doors with their standard numbers, or of those in a namespace.
pub(crate) fn places(standard: Option<&Standard>) -> Places {
    let front = standard.map(Standard::address);
    Places {
        ingress: front.unwrap_or(Ipv4Addr::LOCALHOST),
        servers: standard::name_servers(front.unwrap_or(INSIDE)),
    }
}

/// What the doors lead to.
#[derive(Debug)]
pub(crate) struct Behind<'a> {
    pub(crate) authority: &'a Arc<Authority>,
    pub(crate) dns: &'a Arc<Dns>,
    pub(crate) ssh: SocketAddr,
    /// Source first: it also answers for the stores' bare domain.
    pub(crate) stores: [Arc<S3>; 2],
    /// The services by the vendors' host names.
    pub(crate) services: Vec<(&'static str, SocketAddr)>,
    pub(crate) ingress: Ingress,
}

impl Doors {
    /// Opens all doors, on free ports always and with their standard numbers where `standard` could be had.
    pub(crate) async fn open(
        world: &Arc<World>,
        standard: Option<Standard>,
        behind: Behind<'_>,
    ) -> Result<Self, DoorsError> {
        let address = standard.as_ref().map(Standard::address);
        let name_servers = places(standard.as_ref()).servers.into_iter().zip(behind.dns.name_servers());
        let name_servers = name_servers.map(|(place, (_, at))| (place, at.port())).collect();
        let table = Arc::new(Table::new(behind.services, behind.stores, behind.ingress));
        for name in table.names() {
            world.names.add_front(&name).map_err(DoorsError::Open)?;
        }
        let tls =
            tls::Door::new(Arc::clone(&table), Arc::clone(behind.authority)).map_err(DoorsError::Tls)?;
        let open = open_free(world, &table, &tls, behind.dns).await.map_err(DoorsError::Open)?;
        if let Some(standard) = standard {
            let mirrored = table.ports();
            standard.serve(world, &table, &tls, behind.dns, behind.ssh, &mirrored).await;
        }
        let ports = BTreeMap::from([(22, behind.ssh.port()), (53, open[0]), (80, open[1]), (443, open[2])]);
        let doors = Self { address, ports, name_servers };
        let text = serde_json::to_vec(&doors).map_err(|error| DoorsError::Open(error.into()))?;
        std::fs::write(world.dir().join(FILE), text).map_err(DoorsError::Open)?;
        Ok(doors)
    }

    /// The doors of the world under `dir`, if it has any.
    pub fn of(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dir.join(FILE)).ok()?).ok()
    }
}

/// DNS, HTTP and HTTPS on free ports, in this order.
async fn open_free(
    world: &Arc<World>,
    table: &Arc<Table>,
    tls: &Arc<tls::Door>,
    names: &Arc<Dns>,
) -> std::io::Result<[u16; 3]> {
    let (plain_door, tls_door) = (listen().await?, listen().await?);
    let resolver = dns::open(world, names, None).await?;
    let ports = [resolver.port(), plain_door.local_addr()?.port(), tls_door.local_addr()?.port()];
    plain::spawn(world, plain_door, Arc::clone(table));
    tls::spawn(world, tls_door, Arc::clone(tls));
    Ok(ports)
}

async fn listen() -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

/// Hands every connection of `listener` to `handle`, each in a task of its own.
fn accept<F, Fut>(world: &Arc<World>, listener: TcpListener, handle: F)
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let tasks = world.tasks.clone();
    world.tasks.spawn("door", async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let work = handle(stream);
                    tasks.spawn("door_connection", async move {
                        if let Err(error) = work.await {
                            tracing::debug!(%error, "a connection through a door broke");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a door could not accept");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    });
}

/// Joins `client`, of which `first` was already read, with `target` until both are done.
async fn join(mut client: TcpStream, first: &[u8], target: SocketAddr) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    server.write_all(first).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
