//! A certificate comes after DNS, and may be refused.

use serde_json::json;

use super::{Site, site, until};
use crate::dns::ZoneRecord;
use crate::world::Fault;
use crate::world::faults::Rule;

async fn with_domain() -> (Site, String) {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let body = json!({"domain": {"name": "www.apilos.test"}});
    let (status, made) = site.post("/v1/apps/demarches-test/domains", body).await;
    assert_eq!((status, made["domain"]["letsencrypt_status"].as_str()), (201, Some("pending_dns")));
    let id = made["domain"]["id"].as_str().unwrap().to_owned();
    (site, id)
}

fn certificate(site: &Site) -> String {
    site.paas.state().app("demarches-test").unwrap().domains[0].letsencrypt_status.clone()
}

#[tokio::test]
async fn a_certificate_comes_once_dns_points_here_and_not_before() {
    let (site, id) = with_domain().await;
    site.advance(61);
    assert_eq!(certificate(&site), "pending_dns");
    site.paas
        .plane
        .dns
        .upsert(&ZoneRecord::cname("www", "demarches-test.osc-fr1.scalingo.test", 300))
        .unwrap();
    until("the certificate is there", async || {
        site.advance(61);
        certificate(&site) == "created"
    })
    .await;
    let (_, shown) = site.get(&format!("/v1/apps/demarches-test/domains/{id}")).await;
    assert_eq!((&shown["domain"]["letsencrypt"], &shown["domain"]["ssl"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn a_refused_certificate_is_an_error_until_it_is_granted() {
    let (site, _) = with_domain().await;
    let fault = Fault::Reject { reason: "rate limited".into() };
    let rule = Rule { service: Some("acme".into()), method: None, path: None, skip: 0, times: None, fault };
    site.world.faults.add(rule);
    site.paas
        .plane
        .dns
        .upsert(&ZoneRecord::cname("www", "demarches-test.osc-fr1.scalingo.test", 300))
        .unwrap();
    until("the certificate is refused", async || {
        site.advance(61);
        certificate(&site) == "error"
    })
    .await;
    site.world.faults.clear();
    until("the certificate is there", async || {
        site.advance(61);
        certificate(&site) == "created"
    })
    .await;
}

#[tokio::test]
async fn a_name_belongs_to_one_app() {
    let (site, _) = with_domain().await;
    site.paas.seed_app(&site.user, "another-app").unwrap();
    let body = json!({"domain": {"name": "www.apilos.test"}});
    let taken = json!({"errors": {"name": ["has already been taken"]}});
    assert_eq!(site.post("/v1/apps/another-app/domains", body).await, (422, taken));
    let blank = site.post("/v1/apps/another-app/domains", json!({"domain": {}})).await;
    assert_eq!(blank, (422, json!({"errors": {"name": ["can't be blank"]}})));
}
