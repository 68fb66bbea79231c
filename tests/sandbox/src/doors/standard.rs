//! Doors with their standard numbers, on a loopback address of this world's own, so that neither the machine's servers nor
//! another sandbox's are in the way. Needs the right to bind low ports; without it there is none, which is no error.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};

use super::{Table, dns, plain, tls};
use crate::dns::{Dns, wire};
use crate::world::World;

/// Addresses that are tried: all of 127.0.0.0/8 is this machine.
const TRIES: u16 = 16;

/// Where the name servers have their addresses: the network beside that of the doors, one after the other.
const NETS: [u8; 3] = [78, 79, 80];

/// The sockets, bound early so that the name servers can give the address out.
#[derive(Debug)]
pub(crate) struct Standard {
    address: Ipv4Addr,
    dns: (UdpSocket, TcpListener),
    name_servers: [(UdpSocket, TcpListener); 3],
    http: TcpListener,
    https: TcpListener,
    /// Missing where the machine's own SSH server listens on every address.
    ssh: Option<TcpListener>,
}

impl Standard {
    /// The doors on the first address that is free for them. `None` where low ports are not ours to bind.
    pub(crate) async fn claim() -> Option<Self> {
        let first = u16::try_from(std::process::id() % 60_000).unwrap_or_default();
        for step in 0..TRIES {
            let [high, low] = (first + step).to_be_bytes();
            let address = Ipv4Addr::new(127, 77, high, low);
            match Self::bind(address).await {
                Ok(standard) => return Some(standard),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => {
                    tracing::debug!(%error, "no standard ports on this machine");
                    return None;
                }
            }
        }
        None
    }

    async fn bind(address: Ipv4Addr) -> std::io::Result<Self> {
        let tcp = |port| TcpListener::bind((address, port));
        let [first, second, third] = name_servers(address);
        Ok(Self {
            address,
            dns: dns_at(address).await?,
            name_servers: [dns_at(first).await?, dns_at(second).await?, dns_at(third).await?],
            http: tcp(80).await?,
            https: tcp(443).await?,
            ssh: tcp(22).await.ok(),
        })
    }

    /// Where they are.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Whether port 22 is the world's.
    pub(crate) fn has_ssh(&self) -> bool {
        self.ssh.is_some()
    }

    /// Opens them, and every port of `mirrored` as on 127.0.0.1: a name leads here whatever port its URL says.
    pub(super) async fn serve(
        self,
        world: &Arc<World>,
        table: &Arc<Table>,
        door: &Arc<tls::Door>,
        names: &Arc<Dns>,
        ssh: SocketAddr,
        mirrored: &[u16],
    ) {
        plain::spawn(world, self.http, Arc::clone(table));
        tls::spawn(world, self.https, Arc::clone(door));
        if let Err(error) = dns::open(world, names, Some(self.dns)).await {
            tracing::warn!(%error, "the world has no resolver on port 53");
        }
        for ((udp, tcp), (server, _)) in self.name_servers.into_iter().zip(names.name_servers()) {
            if let Err(error) = wire::serve(world, "door_name_server", server, udp, tcp) {
                tracing::warn!(%error, "a name server has no port 53");
            }
        }
        if let Some(listener) = self.ssh {
            lead(world, listener, ssh);
        }
        for port in mirrored.iter().copied() {
            match TcpListener::bind((self.address, port)).await {
                Ok(listener) => lead(world, listener, (Ipv4Addr::LOCALHOST, port).into()),
                Err(error) => tracing::warn!(%error, port, "a service has no port under its name"),
            }
        }
    }
}

/// The addresses of the name servers beside doors at `front`.
pub(super) fn name_servers(front: Ipv4Addr) -> [Ipv4Addr; 3] {
    let [_, _, high, low] = front.octets();
    NETS.map(|net| Ipv4Addr::new(127, net, high, low))
}

async fn dns_at(address: Ipv4Addr) -> std::io::Result<(UdpSocket, TcpListener)> {
    Ok((UdpSocket::bind((address, 53)).await?, TcpListener::bind((address, 53)).await?))
}

/// Leads every connection of `listener` to `target`.
fn lead(world: &Arc<World>, listener: TcpListener, target: SocketAddr) {
    super::accept(world, listener, move |stream| super::join(stream, &[], target));
}
