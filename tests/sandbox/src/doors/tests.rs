use std::time::Duration;

use super::*;
use crate::plane::ingress::Ingress;
use crate::plane::runner::Runner;
use crate::s3::{Key, Policy, S3Config};

struct Street {
    world: Arc<World>,
    doors: Doors,
    authority: Arc<Authority>,
    _ingress: Arc<Ingress>,
    _dir: tempfile::TempDir,
}

async fn store(world: &Arc<World>, name: &'static str) -> Arc<S3> {
    let key = Key { access_key_id: "id".into(), secret_access_key: "secret".into(), policy: Policy::Full };
    let config = S3Config { name, region: "fr-par".into(), keys: vec![key], thaw: Duration::from_mins(1) };
    S3::start(world, &world.folder(name).unwrap(), config).await.unwrap()
}

/// A world of one service, two stores and an ingress without apps.
async fn street() -> Street {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 1.0, 7).unwrap();
    let authority = Authority::new(&world.folder(crate::exec::CA_FOLDER).unwrap()).unwrap();
    let runner = Runner::start(&world);
    let ingress = Ingress::start(&world, &runner, Arc::clone(&authority)).await.unwrap();
    let dns = Dns::start(&world, "apilos.test", Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let hello = axum::Router::new().route("/hello", axum::routing::get(|| async { "from the service" }));
    let service = crate::http::serve(&world, "github", hello).await.unwrap();
    let stores = [store(&world, "s3-source").await, store(&world, "s3-archive").await];
    stores[1].make_bucket("cold-things", false, false).await.unwrap();
    let behind = Behind {
        authority: &authority,
        dns: &dns,
        ssh: service,
        stores,
        services: vec![("api.service.test", service)],
        ingress: table::Ingress { http: ingress.http(), https: ingress.https() },
    };
    let doors = Doors::open(&world, None, behind).await.unwrap();
    Street { world, doors, authority, _ingress: ingress, _dir: dir }
}

impl Street {
    fn client(&self, host: &str, port: u16) -> reqwest::Client {
        let ca = std::fs::read(self.authority.ca_file()).unwrap();
        reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
            .resolve(host, (Ipv4Addr::LOCALHOST, self.doors.ports[&port]).into())
            .build()
            .unwrap()
    }

    async fn get(&self, scheme: &str, host: &str, path: &str) -> (u16, String) {
        let port = if scheme == "https" { 443 } else { 80 };
        let url = format!("{scheme}://{host}:{}{path}", self.doors.ports[&port]);
        let answer = self.client(host, port).get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_service_answers_under_its_name_on_both_doors() {
    let street = street().await;
    for scheme in ["http", "https"] {
        let answer = street.get(scheme, "api.service.test", "/hello").await;
        assert_eq!(answer, (200, "from the service".to_owned()), "{scheme}");
    }
}

#[tokio::test]
async fn a_bucket_is_found_in_the_store_that_holds_it() {
    let street = street().await;
    // Anonymous, so refused: but by a store that knows the bucket, or does not.
    let here = street.get("https", "cold-things.s3.fr-par.scw.test", "/key").await;
    let nowhere = street.get("https", "other-things.s3.fr-par.scw.test", "/key").await;
    assert_eq!((here.0, nowhere.0), (403, 404), "{here:?} {nowhere:?}");
}

#[tokio::test]
async fn every_other_name_is_the_ingresss_business() {
    let street = street().await;
    for scheme in ["http", "https"] {
        let (status, body) = street.get(scheme, "no-app.osc-fr1.scalingo.test", "/").await;
        assert_eq!(status, 404, "{scheme}: {body}");
    }
}

#[tokio::test]
async fn another_process_can_read_where_the_doors_are() {
    let street = street().await;
    assert_eq!(Doors::of(street.world.dir()).as_ref(), Some(&street.doors));
    assert_eq!(Doors::of(Path::new("/nonexistent")), None);
    let places = places(None).servers;
    assert!(street.doors.name_servers.keys().eq(&places), "{:?}", street.doors);
}
