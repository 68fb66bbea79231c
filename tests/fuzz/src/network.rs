//! Answers: a name server's packet, an object store's document. A real client asks a server on this machine that says the bytes.

use std::time::Duration;

use reprise::providers::HttpShared;
use reprise::providers::dns::NameServer;
use reprise::providers::s3::versions::VersionToken;
use reprise::providers::s3::{S3, S3Config};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

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

/// The document, as the answer to a list of objects and to a list of versions.
pub(crate) fn s3(data: &[u8]) {
    thread_local! {
        // Made once: a client reads the machine's certificates, which takes longer than a thousand documents.
        static SHOP: Option<(TcpListener, S3)> = crate::block_on(async { shop() });
    }
    SHOP.with(|shop| {
        let Some((listener, store)) = shop else { return };
        crate::block_on(async {
            let asked = async {
                let _objects = store.list_page("bucket", "", None).await;
                let _versions = store.versions_page("bucket", "", VersionToken::default()).await;
            };
            tokio::select! {
                () = asked => {}
                () = answer(listener, data) => {}
            }
        });
    });
}

/// A server's socket, and a client of it.
fn shop() -> Option<(TcpListener, S3)> {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
    socket.set_nonblocking(true).ok()?;
    let config = S3Config {
        endpoint: format!("http://{}", socket.local_addr().ok()?),
        region: "fr-par".into(),
        access_key: "key".into(),
        secret_key: SecretString::from("secret"),
        path_style: true,
    };
    Some((TcpListener::from_std(socket).ok()?, S3::new(&config, HttpShared::default()).ok()?))
}

/// Answers every request with the document.
async fn answer(listener: &TcpListener, data: &[u8]) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = vec![0; 8_192];
        let _asked = stream.read(&mut head).await;
        let status =
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", data.len());
        let _sent = stream.write_all(status.as_bytes()).await;
        let _sent = stream.write_all(data).await;
    }
}
