//! The three APIs over real sockets, on a world of the real things without an estate.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Paas, Plane};
use crate::dns::Dns;
use crate::plane::authority::Authority;
use crate::plane::databases::Databases;
use crate::plane::ingress::Ingress;
use crate::plane::redis::RedisServers;
use crate::plane::runner::Runner;
use crate::world::World;

mod addons;
mod apps;
mod clients;
mod data;
mod deployments;
mod domains;
mod evidence;
mod model;
mod observers;
mod one_offs;
mod pages;
mod people;
mod pushes;
mod queue;
mod shapes;
mod standing;
mod streams;
mod timeline;
mod tokens;

/// A platform with one account.
pub(super) struct Site {
    pub(super) world: Arc<World>,
    pub(super) paas: Arc<Paas>,
    pub(super) user: String,
    pub(super) api_token: String,
    pub(super) bearer: String,
    pub(super) http: reqwest::Client,
    _dir: tempfile::TempDir,
}

/// A world without an estate, and its user's bearer.
pub(super) async fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 1.0, 11).unwrap();
    let authority = Authority::new(&world.folder(crate::exec::CA_FOLDER).unwrap()).unwrap();
    let (redis, runner) = (RedisServers::start(&world), Runner::start(&world));
    let databases = Databases::start(&world).await.unwrap();
    databases.admit(&runner);
    let ingress = Ingress::start(&world, &runner, authority).await.unwrap();
    let dns = Dns::start(&world, "apilos.test", Ipv4Addr::LOCALHOST.into()).await.unwrap();
    let paas = Paas::start(&world, Plane { databases, redis, runner, ingress, dns }).await.unwrap();
    let (user, api_token) = paas.seed_user("agence", "ops@exemple.test");
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let mut site = Site { world, paas, user, api_token, bearer: String::new(), http, _dir: dir };
    site.bearer = site.exchange(&site.api_token).await;
    site
}

impl Site {
    /// The bearer of an API token.
    pub(super) async fn exchange(&self, api_token: &str) -> String {
        let url = format!("{}/v1/tokens/exchange", self.paas.urls().auth);
        let answer = self.http.post(url).basic_auth("", Some(api_token)).body("{}").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// One request anywhere, as `bearer`.
    pub(super) async fn ask(&self, bearer: &str, method: Method, url: &str, body: Option<Value>) -> Response {
        let request = self.http.request(method, url).bearer_auth(bearer);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// Status and JSON of a request to the regional API (auth API for `auth:` paths).
    pub(super) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = match path.strip_prefix("auth:") {
            Some(path) => format!("{}{path}", self.paas.urls().auth),
            None => format!("{}{path}", self.paas.urls().api),
        };
        let body = if body.is_null() { None } else { Some(body) };
        let answer = self.ask(&self.bearer, method.parse().unwrap(), &url, body).await;
        read(answer).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, Value::Null).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, body).await
    }

    /// A request to the database API with a token of its own, as the vendor's client does it.
    pub(super) async fn database(
        &self,
        method: &str,
        app: &str,
        addon: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let (_, token) = self.post(&format!("/v1/apps/{app}/addons/{addon}/token"), json!({})).await;
        let token = token["addon"]["token"].as_str().unwrap().to_owned();
        let url = format!("{}/api{path}", self.paas.urls().database);
        let body = if body.is_null() { None } else { Some(body) };
        read(self.ask(&token, method.parse().unwrap(), &url, body).await).await
    }

    /// Pushes the world forward.
    pub(super) fn advance(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }

    /// A running addon of `app`: its id and resource.
    pub(super) async fn seeded_addon(&self, app: &str, provider: &str, plan: &str) -> (String, String) {
        let resource = self.paas.seed_addon(app, provider, plan).await.unwrap();
        let id = self.paas.state().addon(&resource).unwrap().1.id.clone();
        (id, resource)
    }
}

/// A gzip tar of these files.
pub(super) fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

impl Site {
    /// Uploads an archive as the vendor's client does: the address to deploy from.
    pub(super) async fn upload(&self, archive: Vec<u8>) -> String {
        let made = self.post("/v1/sources", json!({})).await.1;
        let url = |name: &str| made["source"][name].as_str().unwrap().to_owned();
        let put = self.http.put(url("upload_url")).header("content-type", "application/x-gzip");
        assert_eq!(put.body(archive).send().await.unwrap().status().as_u16(), 200);
        url("download_url")
    }

    /// Asks for the deployment of what is at `url`: its id.
    pub(super) async fn deploy(&self, app: &str, url: &str) -> String {
        let body = json!({"deployment": {"git_ref": "v1", "source_url": url}});
        let (status, made) = self.post(&format!("/v1/apps/{app}/deployments"), body).await;
        assert_eq!((status, made["deployment"]["status"].as_str()), (201, Some("queued")), "{made}");
        made["deployment"]["id"].as_str().unwrap().to_owned()
    }

    /// Waits for the end of a deployment: its status and output.
    pub(super) async fn deployed(&self, app: &str, id: &str) -> (String, String) {
        self.advance(60);
        let mut ended = None;
        until("the deployment ends", async || {
            // Again and again: a task that was just spawned may begin to wait after the first step.
            self.advance(2);
            let state = self.paas.state();
            let one = state.app(app).unwrap().deployments.iter().find(|one| one.id == id).unwrap();
            ended = one.is_finished().then(|| (one.status.clone(), one.output.clone()));
            ended.is_some()
        })
        .await;
        ended.unwrap()
    }

    /// An app called `demarches-test` that was deployed with one worker type and runs nothing, so that tests are cheap.
    pub(super) async fn idle_app(&self) {
        self.paas.seed_app(&self.user, "demarches-test").unwrap();
        let archive = tarball(&[
            (
                "root/Procfile",
                "worker: sleep 600
",
            ),
            ("root/greeting", "bonjour\n"),
        ]);
        let url = self.upload(archive).await;
        let id = self.deploy("demarches-test", &url).await;
        let (status, output) = self.deployed("demarches-test", &id).await;
        assert_eq!(status, "success", "{output}");
        // Each test has the minute's whole allowance before it.
        self.advance(61);
    }
}

/// Status and body; `null` if it is no JSON.
pub(super) async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

/// Waits until `look` says yes, for half a minute at most.
pub(crate) async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    while !look().await {
        assert!(tokio::time::Instant::now() < patience, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
