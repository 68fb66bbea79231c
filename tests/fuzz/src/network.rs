//! Answers: a name server's packet, an object store's document. A real client asks a server on this machine that says the bytes.

use std::{cell::Cell, io::ErrorKind, pin::pin, time::Duration};

use futures::StreamExt as _;

use reprise::providers::HttpShared;
use reprise::providers::dns::NameServer;
use reprise::providers::s3::versions::VersionToken;
use reprise::providers::s3::{S3, S3Config};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// A bucket whose lists are given.
const GIVEN: &str = "given";
/// A bucket that nobody may list.
const REFUSED: &str = "refused";
/// No answer of these is worth a longer wait.
const PATIENCE: Duration = Duration::from_millis(200);

/// The packet, with the identifier that was asked for, so that it is read at all: the client drops strangers unread.
pub(crate) fn dns(data: &[u8]) {
    crate::block_on(async {
        let Ok(socket) = UdpSocket::bind("127.0.0.1:0").await else { return };
        let Ok(address) = socket.local_addr() else { return };
        let server = NameServer::new(address).limit(PATIENCE);
        let ask = server.authoritative_cname("www.example.test");
        let (_answer, ()) = tokio::join!(ask, say(&socket, data));
    });
}

/// Answers the first question.
async fn say(socket: &UdpSocket, data: &[u8]) {
    let mut asked = [0; 512];
    if let Ok(Ok((length, peer))) = tokio::time::timeout(PATIENCE, socket.recv_from(&mut asked)).await {
        let mut answer = data.to_vec();
        for (to, from) in answer.iter_mut().zip(asked.iter().take(length.min(2))) {
            *to = *from;
        }
        let _sent = socket.send_to(&answer, peer).await;
    }
}

/// The document, as the answer to a list of objects, to a list of versions, and as the reason of a refusal.
pub(crate) fn s3(data: &[u8]) {
    thread_local! {
        // Made once: a client reads the machine's certificates, which takes longer than a thousand documents.
        static SHOP: Option<Shop> = crate::block_on(async { Shop::open() });
    }
    SHOP.with(|shop| {
        if let Some(shop) = shop {
            crate::block_on(shop.ask(data));
        }
    });
}

/// What is asked of a store, by each of the two clients that are below its client: a list of objects goes around the SDK.
struct Shop {
    objects: Desk,
    versions: Desk,
}

impl Shop {
    fn open() -> Option<Self> {
        Some(Self { objects: Desk::open()?, versions: Desk::open()? })
    }

    async fn ask(&self, data: &[u8]) {
        let store = &self.objects.store;
        let objects = async {
            let _objects = pin!(store.list_pages(GIVEN, "")).next().await;
            let _refused = pin!(store.list_pages(REFUSED, "")).next().await;
        };
        self.objects.serve(objects, data).await;
        let versions = async {
            let _versions = self.versions.store.versions_page(GIVEN, "", VersionToken::default()).await;
        };
        self.versions.serve(versions, data).await;
    }
}

/// A store that says one document to every question, on one connection at a time, and its client, which asks each question once.
struct Desk {
    listener: TcpListener,
    /// Kept between documents: a connection for each would cost more than the parsers.
    connection: Cell<Option<TcpStream>>,
    store: S3,
}

impl Desk {
    fn open() -> Option<Self> {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
        socket.set_nonblocking(true).ok()?;
        let config = S3Config {
            endpoint: format!("http://{}", socket.local_addr().ok()?),
            region: "fr-par".into(),
            access_key: "key".into(),
            secret_key: SecretString::from("secret"),
            path_style: true,
        };
        // A document that cannot be read is asked for again, after a wait; here the same would come, so once is all there is to see.
        let store = S3::new(&config, HttpShared::default()).ok()?.sent_once();
        Some(Self { listener: TcpListener::from_std(socket).ok()?, connection: Cell::new(None), store })
    }

    async fn serve(&self, asked: impl Future<Output = ()>, data: &[u8]) {
        let mut connection = self.connection.take();
        tokio::select! {
            () = asked => {}
            () = answer(&self.listener, &mut connection, data) => {}
        }
        self.connection.set(connection);
    }
}

/// Answers every request with the document.
async fn answer(listener: &TcpListener, connection: &mut Option<TcpStream>, data: &[u8]) {
    loop {
        let stream = match connection {
            Some(stream) => stream,
            None => match listener.accept().await {
                Ok((stream, _)) => connection.insert(stream),
                Err(_) => return,
            },
        };
        if reply(stream, data).await.is_err() {
            *connection = None;
        }
    }
}

/// One question, read to the end of its head, and the document.
async fn reply(stream: &mut TcpStream, data: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(2_048);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let path = format!("GET /{REFUSED}");
    let status = if head.starts_with(path.as_bytes()) { "403 Forbidden" } else { "200 OK" };
    let mut said = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", data.len()).into_bytes();
    said.extend_from_slice(data);
    stream.write_all(&said).await
}
