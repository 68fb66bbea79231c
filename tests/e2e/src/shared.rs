//! A PostgreSQL that several daemons share, and a way to it that can be cut.

use std::path::Path;
use std::sync::Arc;

use reprise_cluster::{Cluster, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::records::Records;

/// The server.
#[derive(Debug)]
pub struct Shared {
    cluster: Cluster,
    /// What lies in it, seen by nobody's daemon.
    pub records: Records,
}

/// A way to it over TCP.
#[derive(Debug)]
pub struct Way {
    url: String,
    cut: Arc<watch::Sender<bool>>,
    _lines: JoinSet<()>,
}

impl Shared {
    /// A server of its own below `dir`. Nothing is in it before a daemon was started.
    pub async fn start(dir: &Path) -> Self {
        let settings = Settings::new(dir.join("shared")).option("fsync", "off");
        let cluster = Cluster::start(settings).await.expect("a server");
        let records = Records::connect(&cluster.url("postgres")).await;
        Self { cluster, records }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.cluster.url("postgres")
    }

    /// A way to it that can be cut.
    pub async fn way(&self) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let url =
            format!("postgres://{}@127.0.0.1:{port}/postgres?sslmode=disable", self.cluster.superuser());
        let socket = self.cluster.socket_dir().join(format!(".s.PGSQL.{}", self.cluster.port()));
        let cut = Arc::new(watch::Sender::new(false));
        let (seen, mut lines) = (Arc::clone(&cut), JoinSet::new());
        lines.spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("the server");
                all.spawn(pass(client, server, seen.subscribe()));
            }
        });
        Way { url, cut, _lines: lines }
    }
}

impl Way {
    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on what is sent arrives nowhere, and no end of a line is told of it: as where a cable is pulled.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// New lines lead through again. Those of before are dead for ever, as where what stands between has forgotten them.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

async fn pass(mut client: TcpStream, mut server: UnixStream, mut cut: watch::Receiver<bool>) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            biased;
            () = async { drop(cut.wait_for(|cut| *cut).await) } => break,
            read = client.read(&mut up) => match read {
                Ok(read @ 1..) if server.write_all(&up[..read]).await.is_ok() => {}
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(read @ 1..) if client.write_all(&down[..read]).await.is_ok() => {}
                _ => return,
            },
        }
    }
    // The server learns of the cut, as by its keepalives; this end takes all that comes and says nothing.
    drop(server);
    while let Ok(1..) = client.read(&mut up).await {}
}
