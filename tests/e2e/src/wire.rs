//! A line between a client and a store that does what lines and proxies do: break in the middle, and change what passes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use reprise_sandbox::world::World;

/// A listener that passes bytes on to a store.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    mood: Arc<Mood>,
}

/// What it does to what passes.
#[derive(Debug, Default)]
struct Mood {
    /// Connections that may still be reset.
    resets: AtomicU32,
    /// After so many bytes towards the store.
    after: AtomicU64,
    /// Entity tags in answers are changed.
    lies: AtomicBool,
}

impl Wire {
    /// A line to `store`, for as long as the world lasts.
    pub(crate) async fn to(world: &Arc<World>, store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mood = Arc::new(Mood::default());
        let (here, lines) = (Arc::clone(&mood), Arc::clone(world));
        world.tasks.spawn("wires", async move {
            while let Ok((client, _)) = listener.accept().await {
                let mood = Arc::clone(&here);
                lines.tasks.spawn("wire", async move { pass(client, store, &mood).await });
            }
        });
        Self { address, mood }
    }

    /// The base URL at this end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Resets `times` connections, each after it carried so many bytes towards the store.
    pub fn reset(&self, times: u32, after: u64) {
        self.mood.after.store(after, Ordering::SeqCst);
        self.mood.resets.store(times, Ordering::SeqCst);
    }

    /// Connections that are still to be reset.
    pub fn resets_left(&self) -> u32 {
        self.mood.resets.load(Ordering::SeqCst)
    }

    /// Whether each answer names another entity tag than the store did.
    pub fn lie(&self, lies: bool) {
        self.mood.lies.store(lies, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, store: SocketAddr, mood: &Mood) {
    let Ok(server) = TcpStream::connect(store).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let (mut buffer, mut carried) = (vec![0; 1 << 16], 0);
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            carried += read as u64;
            let due = carried > mood.after.load(Ordering::SeqCst);
            if due
                && mood
                    .resets
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok()
            {
                // Half of what came still arrives; then both ends see the connection fall.
                to_server.write_all(&buffer[..read / 2]).await.ok();
                return;
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if mood.lies.load(Ordering::SeqCst) {
                change_tags(&mut buffer[..read]);
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// Turns the first digit of each entity tag in a header into another one.
fn change_tags(bytes: &mut [u8]) {
    const NAME: &[u8] = b"etag: \"";
    let found = bytes.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME));
    if let Some(digit) = found.and_then(|at| bytes.get_mut(at + NAME.len())) {
        *digit = if *digit == b'0' { b'1' } else { b'0' };
    }
}
