//! What the vendor answers by its help and its clients (`tests/fixtures/alwaysdata`), which the sandbox's answers are held against too, is
//! read as it is meant.

use axum::{Router, routing::any};

use super::tests::client;
use super::*;

/// A client of a vendor that answers every call with this.
async fn vendor(body: &'static str) -> (Alwaysdata, tokio::task::JoinSet<()>) {
    let json = [("content-type", "application/json")];
    client(Router::new().fallback(any(move || async move { (json, body) }))).await
}

#[tokio::test]
async fn a_domain_by_its_whole_name() {
    let (dns, _server) = vendor(include_str!("../../../../tests/fixtures/alwaysdata/domains.json")).await;
    assert_eq!(dns.domain("exemple.test").await.unwrap().unwrap().id, 117_391);
    assert!(dns.domain("autre.test").await.unwrap().is_none());
}

#[tokio::test]
async fn records_with_their_domain_as_a_link() {
    let (dns, _server) = vendor(include_str!("../../../../tests/fixtures/alwaysdata/records.json")).await;
    let aliases = dns.records(117_391, "siap").await.unwrap();
    let [alias] = aliases.as_slice() else { panic!("{aliases:?}") };
    assert_eq!(
        (alias.id, alias.domain, alias.kind.as_str(), alias.ttl),
        (1_200_042, 117_391, "CNAME", Some(300))
    );
    assert_eq!((alias.is_user_defined, alias.is_active), (Some(true), Some(true)));
    let apex = dns.records(117_391, "").await.unwrap();
    assert_eq!(
        apex.iter().map(|record| record.is_user_defined).collect::<Vec<_>>(),
        [Some(false), Some(false)]
    );
    assert!(dns.records(117_390, "siap").await.unwrap().is_empty(), "of another domain");
}
