//! A certificate comes after DNS, and may be refused.

use serde_json::json;

use super::{Site, site, until};
use crate::dns::{RecordKind, ZoneRecord};
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
async fn a_caa_record_of_the_zone_decides_who_may_issue() {
    let (site, _) = with_domain().await;
    let dns = &site.paas.plane.dns;
    let apex = |value: &str| ZoneRecord {
        name: String::new(),
        kind: RecordKind::Caa,
        value: value.into(),
        priority: None,
        ttl: 300,
    };
    dns.upsert(&apex("0 issue \"sectigo.com\"")).unwrap();
    dns.upsert(&ZoneRecord::cname("www", "demarches-test.osc-fr1.scalingo.test", 300)).unwrap();
    until("the certificate is refused", async || {
        site.advance(61);
        certificate(&site) == "error"
    })
    .await;
    dns.upsert(&apex("0 issue \"letsencrypt.org\"")).unwrap();
    until("the certificate is there", async || {
        site.advance(61);
        certificate(&site) == "created"
    })
    .await;
}

#[tokio::test]
async fn a_caa_record_where_the_name_leads_decides_before_the_zones_own() {
    let (site, _) = with_domain().await;
    let (dns, target) = (&site.paas.plane.dns, "demarches-test.osc-fr1.scalingo.test");
    dns.set_vendor_caa(target, &["0 issue \"sectigo.com\"".into()]).unwrap();
    dns.upsert(&ZoneRecord::cname("www", target, 300)).unwrap();
    until("the certificate is refused", async || {
        site.advance(61);
        certificate(&site) == "error"
    })
    .await;
    assert!(dns.set_vendor_caa("www.apilos.test", &[]).is_err(), "that name is not the platform's");
    assert!(dns.set_vendor_caa(target, &["letsencrypt.org".into()]).is_err(), "that is no CAA record");
    dns.set_vendor_caa(target, &[]).unwrap();
    until("the certificate is there", async || {
        site.advance(61);
        certificate(&site) == "created"
    })
    .await;
}

#[tokio::test]
async fn nothing_is_issued_while_a_name_server_cannot_say_who_may() {
    let (site, _) = with_domain().await;
    let name = "dns2/apilos.test".into();
    let (method, fault) = ("servfail", Fault::DropBefore);
    let rule = Rule {
        service: Some("dns".into()),
        method: Some(method.into()),
        path: Some(name),
        skip: 0,
        times: Some(2),
        fault,
    };
    site.world.faults.add(rule);
    let dns = &site.paas.plane.dns;
    dns.upsert(&ZoneRecord::cname("www", "demarches-test.osc-fr1.scalingo.test", 300)).unwrap();
    until("the certificate is there", async || {
        site.advance(61);
        assert_ne!(certificate(&site), "error");
        certificate(&site) == "created"
    })
    .await;
    assert!(site.world.faults.list().is_empty(), "it was asked as long as the server failed");
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

/// The certificate and key of these names, self-signed.
fn brought(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[tokio::test]
async fn an_own_certificate_is_checked_shown_and_taken_back() {
    let (site, id) = with_domain().await;
    let path = format!("/v1/apps/demarches-test/domains/{id}");
    let (cert, key) = brought(&["www.apilos.test"]);
    let (other, _) = brought(&["other.apilos.test"]);
    let refused = site.call("PATCH", &path, json!({"domain": {"tlscert": cert, "tlskey": ""}})).await;
    assert_eq!(refused, (422, json!({"errors": {"tlskey": ["can't be blank"]}})));
    let refused = site.call("PATCH", &path, json!({"domain": {"tlscert": other, "tlskey": key}})).await;
    assert_eq!(refused, (422, json!({"errors": {"tlskey": ["does not match the certificate"]}})));
    let (status, shown) =
        site.call("PATCH", &path, json!({"domain": {"tlscert": cert, "tlskey": key}})).await;
    assert_eq!(status, 200, "{shown}");
    let domain = &shown["domain"];
    assert_eq!(
        (domain["ssl"].as_bool(), domain["ssl_status"].as_str(), domain["letsencrypt"].as_bool()),
        (Some(true), Some("success"), Some(false))
    );
    assert_eq!(domain["tlskey"], "EC 256 bits");
    assert!(!shown.to_string().contains("PRIVATE"), "the key is in the answer");
    let client = |pem: &str| {
        let builder =
            reqwest::Client::builder().no_proxy().resolve("www.apilos.test", site.paas.plane.ingress.https());
        builder.tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()]).build().unwrap()
    };
    let url = format!("https://www.apilos.test:{}/", site.paas.plane.ingress.https().port());
    assert!(client(&cert).get(&url).send().await.is_ok(), "the own certificate is not shown");
    let (status, shown) = site.call("PATCH", &path, json!({"domain": {"tlscert": "", "tlskey": ""}})).await;
    assert_eq!(
        (status, &shown["domain"]["ssl"], &shown["domain"]["tlscert"]),
        (200, &json!(false), &json!(null))
    );
    assert!(client(&cert).get(&url).send().await.is_err(), "the own certificate is still shown");
}

#[tokio::test]
async fn a_certificate_leaves_a_canonical_domain_canonical() {
    let (site, id) = with_domain().await;
    let path = format!("/v1/apps/demarches-test/domains/{id}");
    let set = async |domain| site.call("PATCH", &path, json!({"domain": domain})).await.1;
    assert_eq!(set(json!({"canonical": true})).await["domain"]["canonical"], true);
    let (cert, key) = brought(&["www.apilos.test"]);
    // As the vendor's Go client writes it.
    let whole = json!({
        "id": "", "app_id": "", "name": "", "tlscert": cert, "tlskey": key, "ssl": false, "canonical": false,
        "validity": "0001-01-01T00:00:00Z", "letsencrypt": false, "letsencrypt_status": "", "ssl_status": "",
    });
    let shown = set(whole).await;
    assert_eq!((&shown["domain"]["ssl"], &shown["domain"]["canonical"]), (&json!(true), &json!(true)));
    assert_eq!(set(json!({"canonical": false})).await["domain"]["canonical"], false, "without a certificate");
}

#[tokio::test]
async fn a_wildcard_waits_for_its_text_record() {
    let site = site().await;
    site.paas.seed_app(&site.user, "demarches-test").unwrap();
    let body = json!({"domain": {"name": "*.apilos.test"}});
    let made = site.post("/v1/apps/demarches-test/domains", body).await.1;
    let domain = &made["domain"];
    assert_eq!(
        (domain["letsencrypt_status"].as_str(), domain["acme_dns_fqdn"].as_str()),
        (Some("dns_required"), Some("_acme-challenge.apilos.test"))
    );
    let value = domain["acme_dns_value"].as_str().unwrap();
    let (name, kind) = ("_acme-challenge".to_owned(), crate::dns::RecordKind::Txt);
    let record = ZoneRecord { name, kind, value: value.to_owned(), priority: None, ttl: 300 };
    site.paas.plane.dns.upsert(&record).unwrap();
    until("the certificate is there", async || {
        site.advance(61);
        certificate(&site) == "created"
    })
    .await;
    let canonical = json!({"domain": {"canonical": true}});
    let path = format!("/v1/apps/demarches-test/domains/{}", domain["id"].as_str().unwrap());
    assert_eq!(site.call("PATCH", &path, canonical).await.0, 422);
}
