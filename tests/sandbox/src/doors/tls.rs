//! The door for HTTPS: reads a handshake's first message as far as the name that it asks for. An app's handshake is the
//! ingress's own; a service speaks plain HTTP behind a certificate of this world's authority.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Table;
use crate::plane::authority::Authority;
use crate::world::World;

/// More than any client's first message.
const HELLO: usize = 64 * 1_024;
const PATIENCE: Duration = Duration::from_secs(10);

/// What every connection needs.
pub(crate) struct Door {
    table: Arc<Table>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Door {
    pub(super) fn new(table: Arc<Table>, authority: Arc<Authority>) -> Result<Arc<Self>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(OnDemand { authority, issued: Mutex::default() }));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(Self { table, acceptor: TlsAcceptor::from(Arc::new(config)) }))
    }

    async fn lead(self: Arc<Self>, mut stream: TcpStream) -> std::io::Result<()> {
        let (first, name) = tokio::time::timeout(PATIENCE, hello(&mut stream)).await??;
        match name.and_then(|name| self.table.service(&name)) {
            Some(service) => self.terminate(stream, first, service).await,
            None => super::join(stream, &first, self.table.ingress.https).await,
        }
    }

    async fn terminate(&self, stream: TcpStream, first: Vec<u8>, service: SocketAddr) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let whole = tokio::io::join(std::io::Cursor::new(first).chain(read), write);
        let mut client = tokio::time::timeout(PATIENCE, self.acceptor.accept(whole)).await??;
        let mut server = TcpStream::connect(service).await?;
        server.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        Ok(())
    }
}

pub(super) fn spawn(world: &Arc<World>, listener: TcpListener, door: Arc<Door>) {
    super::accept(world, listener, move |stream| Arc::clone(&door).lead(stream));
}

/// The bytes of the first message and the name in it. What is no TLS is led to the ingress, which says so.
async fn hello(stream: &mut TcpStream) -> std::io::Result<(Vec<u8>, Option<String>)> {
    let (mut first, mut acceptor) = (Vec::with_capacity(1_024), Acceptor::default());
    while first.len() < HELLO {
        let known = first.len();
        if stream.read_buf(&mut first).await? == 0 {
            break;
        }
        acceptor.read_tls(&mut &first[known..])?;
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(str::to_owned);
                return Ok((first, name));
            }
            Ok(None) => {}
            Err(_) => break,
        }
    }
    Ok((first, None))
}

/// A certificate for each name when it is first asked for.
struct OnDemand {
    authority: Arc<Authority>,
    issued: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnDemand").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for OnDemand {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = issued.get(&name) {
            return Some(Arc::clone(known));
        }
        let made = Arc::new(self.authority.issue(&[&name]).ok()?);
        issued.insert(name, Arc::clone(&made));
        Some(made)
    }
}
