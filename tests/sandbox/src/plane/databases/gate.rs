//! What a client meets before the server: the choice between TLS and plain text, as `PostgreSQL` itself offers it.
//!
//! The server listens on a Unix socket, where it knows no TLS; it ends here. To the server the connection is local, so that it
//! offers no channel binding, and a client that merely prefers it goes on without.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional_with_sizes,
};
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;

/// Codes of the first packet, where others have the protocol's version.
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
/// As the server: who does not say anything for a minute is sent away.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest first packet that the server takes.
const LONGEST_STARTUP: usize = 10_000;
/// Requests to encrypt before the client must start.
const REQUESTS: u32 = 3;
const BUFFER: usize = 64 * 1024;

/// The gate of one database.
pub(super) struct Gate {
    socket: PathBuf,
    tls: TlsAcceptor,
    forced: AtomicBool,
    public: AtomicBool,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("forced", &self.forced).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate to the server at `socket`.
    pub(super) fn new(socket: PathBuf, tls: TlsAcceptor) -> Self {
        Self { socket, tls, forced: AtomicBool::new(false), public: AtomicBool::new(false) }
    }

    /// From now on plain connections are refused, or accepted again. Those that are open stay.
    pub(super) fn force_tls(&self, on: bool) {
        self.forced.store(on, Ordering::Relaxed);
    }

    /// From now on everybody may come to the gate, or nobody but the private network.
    pub(super) fn publish(&self, on: bool) {
        self.public.store(on, Ordering::Relaxed);
    }

    pub(super) fn is_public(&self) -> bool {
        self.public.load(Ordering::Relaxed)
    }

    /// Serves a client that comes from `host` until either side ends.
    pub(super) async fn serve<S>(&self, stream: S, host: &str)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Err(error) = self.admit(stream, host).await {
            tracing::debug!(%error, "a connection to a database ended");
        }
    }

    async fn admit<S>(&self, mut stream: S, host: &str) -> std::io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for _ in 0..REQUESTS {
            let mut head = [0; 8];
            in_time(stream.read_exact(&mut head)).await?;
            let (length, code) = split(head);
            match code {
                SSL_REQUEST => {
                    stream.write_all(b"S").await?;
                    let stream = in_time(self.tls.accept(stream)).await?;
                    return self.relay(stream, &[]).await;
                }
                GSS_REQUEST => stream.write_all(b"N").await?,
                CANCEL_REQUEST => return self.relay(stream, &head).await,
                _ if self.forced.load(Ordering::Relaxed) => return refuse(stream, length, host).await,
                _ => return self.relay(stream, &head).await,
            }
        }
        Ok(())
    }

    /// Passes bytes on, `first` the first.
    async fn relay<S>(&self, mut stream: S, first: &[u8]) -> std::io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut server = UnixStream::connect(&self.socket).await?;
        server.write_all(first).await?;
        copy_bidirectional_with_sizes(&mut stream, &mut server, BUFFER, BUFFER).await.map(drop)
    }
}

/// What a gate that only lets TLS in, and has no certificate, answers to `packet`.
pub(crate) async fn refusal_of(packet: &[u8]) -> Vec<u8> {
    let nobody = std::sync::Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
    let tls = rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(nobody);
    let gate = Gate::new(PathBuf::from("/nonexistent"), std::sync::Arc::new(tls).into());
    gate.force_tls(true);
    let (mut client, server) = tokio::io::duplex(packet.len() + LONGEST_STARTUP);
    let said = async {
        client.write_all(packet).await.ok();
        client.shutdown().await.ok();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.ok();
        answer
    };
    tokio::join!(gate.serve(server, "127.0.0.1"), said).1
}

async fn in_time<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::time::timeout(PATIENCE, work).await?
}

fn split(head: [u8; 8]) -> (usize, u32) {
    let packet = u64::from_be_bytes(head);
    let part = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
    (part(packet >> 32) as usize, part(packet))
}

/// Reads the rest of a startup packet and refuses it as the server does where only `hostssl` lines are left.
async fn refuse<S>(mut stream: S, length: usize, host: &str) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut packet = vec![0; length.min(LONGEST_STARTUP).saturating_sub(8)];
    in_time(stream.read_exact(&mut packet)).await?;
    let user = parameter(&packet, "user").unwrap_or_default();
    let database = parameter(&packet, "database").unwrap_or_else(|| user.clone());
    let message = format!(
        "no pg_hba.conf entry for host \"{host}\", user \"{user}\", database \"{database}\", no encryption"
    );
    stream.write_all(&fatal("28000", &message)).await?;
    stream.shutdown().await
}

/// A parameter of a startup packet: names and values, each ended by a zero.
fn parameter(packet: &[u8], wanted: &str) -> Option<String> {
    let mut texts = packet.split(|byte| *byte == 0);
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        if name == wanted.as_bytes() {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    None
}

/// An `ErrorResponse`.
fn fatal(code: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (kind, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', message)] {
        fields.push(kind);
        fields.extend_from_slice(text.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
    [b"E".as_slice(), &length.to_be_bytes(), &fields].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_of_a_startup_packet_are_told_apart() {
        let packet = b"database\0user\0user\0agence\0\0";
        assert_eq!(parameter(packet, "user").as_deref(), Some("agence"));
        assert_eq!(parameter(packet, "database").as_deref(), Some("user"));
        assert_eq!(parameter(b"user", "user"), None);
    }

    #[test]
    fn length_and_code_are_the_two_halves() {
        assert_eq!(split([0, 0, 0, 8, 4, 210, 22, 47]), (8, SSL_REQUEST));
        assert_eq!(split([255; 8]), (u32::MAX as usize, u32::MAX));
    }

    #[test]
    fn a_refusal_is_one_whole_message() {
        let message = fatal("28000", "no");
        assert_eq!(message[0], b'E');
        assert_eq!(usize::from(message[4]), message.len() - 1);
    }
}
