//! Real HTTP against the API, and real zones behind it.

use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::paas::tests::until;
use crate::world::{Fault, faults::Rule};

mod model;

const OLD: &str = "apilos-siap.osc-fr1.scalingo.test";
const NEW: &str = "reprise-siap.osc-fr1.scalingo.test";

struct Bench {
    world: Arc<World>,
    dns: Arc<Dns>,
    api: Arc<Alwaysdata>,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

async fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 1.0, 1).unwrap();
    let dns = Dns::start(&world, "apilos.test", Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let api = Alwaysdata::start(&world, &dns, "apilos", "KEY").await.unwrap();
    api.seed_record("siap", "CNAME", OLD, 300, true);
    dns.publish_default_domain(OLD);
    dns.publish_default_domain(NEW);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Bench { world, dns, api, http, _dir: dir }
}

impl Bench {
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.api.endpoint());
        self.http.request(method, url).basic_auth("KEY account=apilos", Some(""))
    }

    fn write(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        self.call(method, path).header("alwaysdata-synchronous", "yes").body(body.to_string())
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path).send().await.unwrap().json().await.unwrap()
    }

    async fn domain(&self) -> u64 {
        let domains = self.get("/v1/domain/?name=apilos.test").await;
        let exact = domains.as_array().unwrap().iter().find(|domain| domain["name"] == "apilos.test");
        exact.unwrap()["id"].as_u64().unwrap()
    }

    async fn record(&self, name: &str, kind: &str) -> Option<Value> {
        let records = self.get("/v1/record/").await;
        let is = |record: &&Value| record["name"] == name && record["type"] == kind;
        records.as_array().unwrap().iter().find(is).cloned()
    }
}

#[tokio::test]
async fn a_name_filter_on_domains_is_a_substring() {
    let bench = bench().await;
    assert_eq!(bench.get("/v1/domain/?name=apilos.test").await.as_array().unwrap().len(), 2);
    assert_eq!(bench.get("/v1/domain/?name=mes-").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn another_account_sees_an_empty_list_and_another_key_nothing() {
    let bench = bench().await;
    let url = format!("{}/v1/record/", bench.api.endpoint());
    let asked = async |user: &str| bench.http.get(&url).basic_auth(user, Some("")).send().await.unwrap();
    let other = asked("KEY account=other").await;
    assert_eq!((other.status(), other.text().await.unwrap()), (StatusCode::OK, "[]".into()));
    assert_eq!(asked("KEYaccount=apilos").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(bench.http.get(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_creation_answers_an_empty_body_and_a_location() {
    let bench = bench().await;
    let body = json!({"domain": bench.domain().await, "type": "CNAME", "name": "standalone", "value": NEW, "annotation": "x"});
    let reply = bench.write(Method::POST, "/v1/record/", &body).send().await.unwrap();
    let location = reply.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!((reply.status(), reply.text().await.unwrap()), (StatusCode::CREATED, String::new()));
    let record = bench.get(&location).await;
    assert_eq!(record["domain"], json!({"href": format!("/v1/domain/{}/", bench.domain().await)}));
    assert_eq!(
        (&record["annotation"], &record["is_user_defined"], &record["ttl"]),
        (&json!("x"), &json!(true), &json!(300))
    );
}

#[tokio::test]
async fn a_patched_alias_is_served_by_both_servers_after_their_lag() {
    let bench = bench().await;
    let href = bench.record("siap", "CNAME").await.unwrap()["href"].as_str().unwrap().to_owned();
    let patch = bench.write(Method::PATCH, &href, &json!({"value": NEW, "ttl": 60}));
    assert_eq!(patch.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(bench.record("siap", "CNAME").await.unwrap()["value"], NEW);
    assert!(!bench.dns.points_to("siap.apilos.test", NEW).await);
    bench.world.clock.advance(Duration::from_secs(20));
    assert!(bench.dns.points_to("siap.apilos.test", NEW).await);
}

#[tokio::test]
async fn an_asynchronous_write_shows_later() {
    let bench = bench().await;
    let href = bench.record("siap", "CNAME").await.unwrap()["href"].as_str().unwrap().to_owned();
    let reply = bench.call(Method::DELETE, &href).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    assert!(bench.record("siap", "CNAME").await.is_some());
    let again = bench.call(Method::DELETE, &href).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    bench.world.clock.advance(Duration::from_secs(4));
    until("it is no longer listed", async || bench.record("siap", "CNAME").await.is_none()).await;
}

#[tokio::test]
async fn the_platforms_records_yield_but_cannot_be_deleted() {
    let bench = bench().await;
    let address = bench.record("www", "A").await.unwrap();
    assert_eq!((&address["is_user_defined"], &address["is_active"]), (&json!(false), &json!(true)));
    let reply =
        bench.write(Method::DELETE, address["href"].as_str().unwrap(), &json!({})).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    assert!(reply.json::<Value>().await.unwrap().is_object());
    let body =
        json!({"domain": bench.domain().await.to_string(), "type": "CNAME", "name": "www", "value": NEW});
    assert_eq!(
        bench.write(Method::POST, "/v1/record/", &body).send().await.unwrap().status(),
        StatusCode::CREATED
    );
    assert_eq!(bench.record("www", "A").await.unwrap()["is_active"], false);
    bench.world.clock.advance(Duration::from_secs(20));
    assert!(bench.dns.points_to("www.apilos.test", NEW).await);
}

#[tokio::test]
async fn a_second_record_beside_an_alias_is_refused_with_json() {
    let bench = bench().await;
    let body = json!({"domain": bench.domain().await, "type": "A", "name": "siap", "value": "192.0.2.1"});
    let reply = bench.write(Method::POST, "/v1/record/", &body).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    assert!(reply.json::<Value>().await.unwrap()["__all__"].is_array());
}

#[tokio::test]
async fn writes_are_limited_by_the_minute_of_the_world() {
    let bench = bench().await;
    let gone =
        async || bench.write(Method::DELETE, "/v1/record/1/", &json!({})).send().await.unwrap().status();
    for _ in 0..50 {
        assert_eq!(gone().await, StatusCode::NOT_FOUND);
    }
    assert_eq!(gone().await, StatusCode::TOO_MANY_REQUESTS);
    let refused: u64 = bench.world.journal.observed().rates.values().map(|rate| rate.refused).sum();
    assert_eq!(refused, 1, "the checker is told");
    assert!(bench.get("/v1/record/").await.is_array(), "reading is counted apart");
    bench.world.clock.advance(Duration::from_mins(1));
    assert_eq!(gone().await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_forgotten_slash_redirects_readers_only() {
    let bench = bench().await;
    let reply = bench.call(Method::GET, "/v1/record?type=A").send().await.unwrap();
    assert_eq!(
        (reply.status(), &reply.headers()["location"]),
        (StatusCode::MOVED_PERMANENTLY, &"/v1/record/?type=A".parse().unwrap())
    );
    assert_eq!(
        bench.write(Method::POST, "/v1/record", &json!({})).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_creation_may_forget_to_say_where() {
    let bench = bench().await;
    let fault = Fault::Reject { reason: "no location".into() };
    let method = Some("location".into());
    bench.world.faults.add(Rule {
        service: Some("alwaysdata".into()),
        method,
        path: None,
        skip: 0,
        times: Some(1),
        fault,
    });
    let body = json!({"domain": bench.domain().await, "type": "TXT", "name": "t", "value": "x"});
    let reply = bench.write(Method::POST, "/v1/record/", &body).send().await.unwrap();
    assert_eq!((reply.status(), reply.headers().get("location")), (StatusCode::CREATED, None));
}

#[tokio::test]
async fn answers_look_as_recorded() {
    let bench = bench().await;
    crate::fixtures::same_shape("alwaysdata", "domains", &bench.get("/v1/domain/").await);
    crate::fixtures::same_shape("alwaysdata", "records", &bench.get("/v1/record/?name=siap").await);
}
