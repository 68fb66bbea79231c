//! Against a real TLS server with a certification authority made for the test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls::pki_types::PrivateKeyDer};

use super::*;

/// A server whose certificate names `name`, its authority as PEM; it answers with the `Host` that it was given.
pub(crate) async fn server(name: &str) -> (SocketAddr, Vec<u8>, JoinSet<()>) {
    server_until(name, 4096).await
}

/// The same; its certificate ends with this year.
pub(crate) async fn server_until(name: &str, year: i32) -> (SocketAddr, Vec<u8>, JoinSet<()>) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Test Authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    leaf.not_after = rcgen::date_time_ymd(year, 12, 31);
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let host =
                text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
            let answer =
                format!("HTTP/1.1 200 OK\r\nx-app: new\r\ncontent-length: {}\r\n\r\n{host}", host.len());
            stream.write_all(answer.as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
    });
    (address, authority.pem().into_bytes(), tasks)
}

fn prober(pem: Option<Vec<u8>>) -> Prober {
    Prober::new(HttpShared { extra_ca_pem: pem, ..HttpShared::default() })
}

fn target(name: &str, address: SocketAddr) -> Target<'_> {
    Target { name, address, tls: true, path: "/", host: None }
}

#[tokio::test]
async fn the_name_is_said_and_the_certificate_is_told() {
    let (address, pem, _server) = server("www.exemple.fr").await;
    let seen = prober(Some(pem)).look(&target("www.exemple.fr", address)).await.unwrap();
    assert_eq!((seen.status, seen.header("x-app")), (StatusCode::OK, Some("new")));
    assert_eq!(seen.body, "www.exemple.fr", "the port is no part of the public name");
    let certificate = seen.certificate.unwrap();
    assert!(certificate.names_exactly("WWW.exemple.fr") && certificate.issuer.contains("Test Authority"));
    assert!(certificate.not_after > certificate.not_before && !certificate.serial.is_empty());
}

#[tokio::test]
async fn another_host_can_be_said() {
    let (address, pem, _server) = server("www.exemple.fr").await;
    let foreign = Target { host: Some("evil.example"), ..target("www.exemple.fr", address) };
    assert_eq!(prober(Some(pem)).look(&foreign).await.unwrap().body, "evil.example");
}

#[tokio::test]
async fn faults_of_tls_are_told_apart() {
    let fault = |result: Result<Seen, ProbeError>| match result.unwrap_err() {
        ProbeError::Tls { fault, .. } => fault,
        other => panic!("{other:?}"),
    };
    let (address, pem, _server) = server("default.platform.io").await;
    let wrong = prober(Some(pem)).look(&target("www.exemple.fr", address)).await;
    assert_eq!(fault(wrong), TlsFault::WrongName);
    let unknown = prober(None).look(&target("default.platform.io", address)).await;
    assert_eq!(fault(unknown), TlsFault::UnknownIssuer);
    let (address, pem, _server) = server_until("www.exemple.fr", 2025).await;
    let expired = prober(Some(pem)).look(&target("www.exemple.fr", address)).await;
    assert_eq!(fault(expired), TlsFault::Expired("2025-12-31T00:00:00Z".parse().ok()));
}

#[tokio::test]
async fn nobody_there_is_not_a_fault_of_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = prober(None).look(&target("www.exemple.fr", address)).await.unwrap_err();
    assert!(matches!(error, ProbeError::Connect { .. }), "{error:?}");
}

#[test]
fn a_name_that_is_an_address_is_not_looked_at() {
    let address = SocketAddr::from(([127, 0, 0, 1], 443));
    for name in ["127.0.0.1", "2130706433", "a/b", "a:80", "user@host", ""] {
        assert!(url(&target(name, address)).is_none(), "{name:?}");
    }
    assert_eq!(url(&target("www.exemple.fr", address)).unwrap().as_str(), "https://www.exemple.fr/");
}
