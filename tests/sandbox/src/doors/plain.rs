//! The door for HTTP: reads a request's head as far as its `Host`, then leads the whole connection there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::Table;
use crate::world::World;

/// A head without its `Host` in so many bytes goes to the ingress, which knows what to say.
const HEAD: usize = 16 * 1_024;
/// A client that says nothing holds nothing.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn spawn(world: &Arc<World>, listener: TcpListener, table: Arc<Table>) {
    super::accept(world, listener, move |stream| lead(stream, Arc::clone(&table)));
}

async fn lead(mut stream: TcpStream, table: Arc<Table>) -> std::io::Result<()> {
    let first = tokio::time::timeout(PATIENCE, head(&mut stream)).await??;
    super::join(stream, &first, target(&table, &first)).await
}

fn target(table: &Table, head: &[u8]) -> SocketAddr {
    host(head).and_then(|host| table.service(&host)).unwrap_or(table.ingress.http)
}

/// What has arrived once a whole head is there, or as much as is let in.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::with_capacity(1_024);
    while read.len() < HEAD && !read.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut read).await? == 0 {
            break;
        }
    }
    Ok(read)
}

/// The `Host` of a request's head.
fn host(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    text.split("\r\n").skip(1).take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_is_found_in_any_case_and_not_in_the_body() {
        let head = b"GET / HTTP/1.1\r\nAccept: */*\r\nhOsT:  a.example.test:80 \r\n\r\nHost: evil";
        assert_eq!(host(head).as_deref(), Some("a.example.test:80"));
        assert_eq!(host(b"GET / HTTP/1.0\r\n\r\nHost: evil"), None);
        assert_eq!(host(b"\xff\xfe\x00"), None);
    }
}
