//! A server that is reached over a line that has to be kept private.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::backup::checks::occupancy;
use crate::backup::lab::{Lab, lab};
use crate::backup::ladder::connect;
use crate::runtime::tasks::Tasks;

/// What a client asks before it speaks TLS: eight bytes, of which the last four are this number.
const SSL_REQUEST: u32 = 80_877_103;

/// An authority, and a server's certificate for `localhost` of it.
struct Authority {
    pem: String,
    config: Arc<ServerConfig>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test Authority");
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an issuer");
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let own = own.signed_by(&key, &issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .expect("a certificate of ours");
        Self { pem: issuer.pem(), config: Arc::new(config) }
    }
}

/// Serves the lab's server over TLS, as a front does. Returns the port.
async fn front(tasks: &Tasks, lab: &Lab, authority: &Authority) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let acceptor = TlsAcceptor::from(Arc::clone(&authority.config));
    let target = lab.target().await;
    let Host::Socket(folder) = &target.host else { panic!("the lab's server has a socket") };
    let socket = folder.join(format!(".s.PGSQL.{}", target.port));
    let own = tasks.clone();
    tasks.spawn("front", move |_| async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            own.spawn("line", move |_| async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await?;
                if !request.ends_with(&SSL_REQUEST.to_be_bytes()) {
                    return Ok((0, 0));
                }
                client.write_all(b"S").await?;
                let mut client = acceptor.accept(client).await?;
                let mut server = UnixStream::connect(socket).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
}

/// Whether our own driver gets in, and whether `pg_restore` does.
async fn reached(lab: &Lab, port: u16, host: &str, tls: Tls) -> (bool, bool) {
    let near = lab.target().await;
    let host = Host::Name { name: host.to_owned(), tls };
    let target = Target { host, port, ..near.clone() };
    let seen = connect(&target, "test").await.is_ok();
    let dump = lab.dump(&lab.source("CREATE TABLE public.a AS SELECT generate_series(1, 9) AS n").await, &[]);
    let (toc, counts) = lab.contents(&dump).await;
    let found = occupancy(&mut lab.owner(&near).await).await.expect("a look");
    let selection = Selection::new(&toc, &found, false).expect("an empty target");
    let (work_dir, application) = (lab.folder.path(), "test");
    let order = Order {
        file: &dump,
        toc: &toc,
        counts: &counts,
        selection: &selection,
        target: &target,
        jobs: 2,
        work_dir,
        application,
    };
    let restored = restore(&lab.tools, order, &CancellationToken::new(), |_| {}).await;
    if let Err(error) = &restored {
        assert!(matches!(error, RestoreError::GaveUp { .. }), "{error:?}");
    }
    let rows = occupancy(&mut lab.owner(&near).await).await.expect("a look").relations;
    assert_eq!(restored.is_ok(), rows == 1, "{restored:?}");
    (seen, restored.is_ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_believed_by_its_certificate_or_not_at_all_by_both_of_our_clients() {
    let (lab, tasks) = (lab().await, Tasks::new());
    let (ours, other) = (Authority::new(), Authority::new());
    let port = front(&tasks, &lab, &ours).await;
    let pem = |authority: &Authority| Arc::from(authority.pem.as_str());
    for (host, tls, in_) in [
        ("localhost", Tls::Full(pem(&ours)), true),
        ("localhost", Tls::Full(pem(&other)), false),
        ("127.0.0.1", Tls::Full(pem(&ours)), false),
        ("127.0.0.1", Tls::Authority(pem(&ours)), true),
        ("127.0.0.1", Tls::Authority(pem(&other)), false),
        ("127.0.0.1", Tls::Unverified, true),
        ("127.0.0.1", Tls::Off, false),
    ] {
        let mode = tls.mode();
        assert_eq!(reached(&lab, port, host, tls).await, (in_, in_), "{host} {mode}");
    }
    tasks.shut_down(std::time::Duration::ZERO).await;
}
