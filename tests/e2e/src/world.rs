//! The sandbox in this process, and the outside as a customer sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use reprise_sandbox::control::Disaster;
use reprise_sandbox::s3::Key;
use reprise_sandbox::sandbox::{Cache, Options, Sandbox};
use reprise_sandbox::seed::Size;
use reprise_sandbox::world::Entry;
pub use reprise_sandbox::world::Fault;
use reprise_sandbox::world::evidence::Kind;
use reprise_sandbox::world::faults::profile::BAD_DAY;
use reprise_sandbox::world::faults::{Rule, Script};
use reqwest::{Client, Method, StatusCode, redirect};
use serde_json::{Value, json};

use crate::records::poll;
use crate::shelf;

/// A running sandbox.
#[derive(Debug)]
pub struct World {
    sandbox: Sandbox,
    variables: BTreeMap<String, String>,
    /// How findings begin that the scene itself is the cause of.
    own: Vec<String>,
}

/// What a visitor got.
#[derive(Debug)]
pub struct Page {
    /// The status.
    pub status: StatusCode,
    /// Where it redirects to.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

impl World {
    /// Starts a small estate below `dir`.
    pub(crate) async fn start(dir: &Path, seed: u64, speed: u32) -> Self {
        let options = Options {
            dir: dir.to_owned(),
            speed: f64::from(speed),
            seed,
            size: Size::Small,
            dump: None,
            bucket: None,
            cache: Cache::of_user(),
            durability: reprise_sandbox::s3::Durability::default(),
        };
        let sandbox = Box::pin(Sandbox::start(options)).await.expect("a sandbox");
        let variables = sandbox.env().into_iter().collect();
        Self { sandbox, variables, own: Vec::new() }
    }

    /// Stops it; `false` if something did not stop in time.
    pub(crate) async fn stop(self) -> bool {
        Box::pin(self.sandbox.shut_down()).await
    }

    /// What tells clients where everything is.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// One of these variables.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("the sandbox has no variable {name}"))
    }

    /// The vendor's SDK at the store where the mirror is.
    pub fn mirror(&self) -> aws_sdk_s3::Client {
        self.store("S3_ARCHIVE")
    }

    /// The same where production was, and comes back.
    pub fn production(&self) -> aws_sdk_s3::Client {
        self.store("S3_SOURCE")
    }

    fn store(&self, which: &str) -> aws_sdk_s3::Client {
        let of = |what: &str| self.variable(&format!("{which}_{what}"));
        let pair = (of("ACCESS_KEY_ID").to_owned(), of("SECRET_ACCESS_KEY").to_owned());
        shelf::client(of("ENDPOINT"), &Key::set(pair)[0])
    }

    /// From now on, findings that begin like this are the scene's own doing and not the daemon's.
    pub fn owns(&mut self, finding: &str) {
        self.own.push(finding.to_owned());
    }

    /// What there is, by kind.
    pub fn inventory(&self) -> Value {
        self.sandbox.inventory()
    }

    /// The inventory once `wanted` holds of it, or as it is when that takes too long.
    pub async fn becomes(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let seen = poll(async || Some(self.inventory()).filter(|inventory| wanted(inventory))).await;
        seen.unwrap_or_else(|| self.inventory())
    }

    /// The resources of one kind (`apps`, `addons`…) whose `field` is `value`.
    pub fn count(&self, kind: &str, field: &str, value: &str) -> usize {
        let inventory = self.inventory();
        let all = inventory[kind].as_array().unwrap_or_else(|| panic!("the inventory has no list {kind}"));
        all.iter().filter(|one| one[field] == value).count()
    }

    /// The CNAME records of `label`.
    pub fn aliases(&self, label: &str) -> Vec<Value> {
        let inventory = self.inventory();
        let all = inventory["dns_records"]["records"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|record| record["name"] == label && record["type"] == "CNAME").collect()
    }

    /// Every request that changed something, in order.
    pub fn journal(&self) -> Vec<Entry> {
        self.sandbox.world().journal.entries()
    }

    /// What the checker finds wrong with what was done, one line each; what may be left behind half way only if `at_end`.
    pub fn findings(&self, at_end: bool) -> Vec<String> {
        let mut findings = self.sandbox.findings();
        findings.retain(|finding| at_end || finding.kind != Kind::Leak);
        let all = findings.iter().map(ToString::to_string);
        all.filter(|finding| !self.own.iter().any(|own| finding.starts_with(own.as_str()))).collect()
    }

    /// Plays every rule of the sandbox's bad day.
    pub fn have_a_bad_day(&self) {
        let profile = Script::profile(BAD_DAY).expect("the profile");
        self.sandbox.world().faults.add_all(profile);
    }

    /// How many faults were played.
    pub fn faults_played(&self) -> u64 {
        let faults = &self.sandbox.world().faults;
        faults.standing().iter().chain(&faults.spent()).map(|rule| rule.plays).sum()
    }

    /// How often `call` took effect, by its exact words (`POST /v1/apps`).
    pub fn effects(&self, call: &str) -> usize {
        self.journal().iter().filter(|entry| entry.call == call && (200..300).contains(&entry.status)).count()
    }

    /// What outlives whatever is begun in it.
    pub(crate) fn kept(&self) -> &std::sync::Arc<reprise_sandbox::world::World> {
        self.sandbox.world()
    }

    /// Plays `fault` on `method` and paths that contain `path`, `times` times (for ever if `None`).
    pub fn break_(&self, method: &str, path: &str, times: Option<u32>, fault: Fault) {
        let (method, path) = (Some(method.to_owned()), Some(path.to_owned()));
        self.sandbox.world().faults.add(Rule { service: None, method, path, skip: 0, times, fault });
    }

    /// Whether a call whose path contains `path` took effect, and its answer trickles ([`Fault::SlowBody`]).
    pub fn trickles(&self, path: &str) -> bool {
        let slow = |entry: &Entry| entry.fault.as_deref() == Some("slow_body") && entry.call.contains(path);
        self.journal().iter().any(|entry| slow(entry) && (200..300).contains(&entry.status))
    }

    /// Forgets every fault.
    pub fn mend(&self) {
        self.sandbox.world().faults.clear();
    }

    /// The faults that have not been played yet.
    pub fn faults_left(&self) -> Vec<Rule> {
        self.sandbox.world().faults.list()
    }

    /// Asks the control API to do `what`, which may take its time.
    pub async fn control(&self, what: &str, body: &Value) {
        let url = format!("{}/{what}", self.variable("CONTROL_URL"));
        let patient = Client::builder().timeout(Duration::from_mins(2)).no_proxy().build().expect("a client");
        let answer = patient.post(url).json(body).send().await.expect("an answer");
        let status = answer.status();
        assert!(status.is_success(), "{what}: {status} {}", answer.text().await.unwrap_or_default());
    }

    /// Has a disaster happen.
    pub async fn strike(&self, kind: Disaster) {
        let kind = match kind {
            Disaster::Data => "data",
            Disaster::Account => "account",
        };
        let url = format!("{}/disaster", self.variable("CONTROL_URL"));
        let answer = client().post(url).json(&json!({ "kind": kind })).send().await.expect("an answer");
        assert!(answer.status().is_success(), "the disaster did not happen: {}", answer.status());
    }

    /// The owner calls the platform, as with the dashboard; what it answers.
    pub async fn platform(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        self.platform_as("SCALINGO_API_TOKEN", method, path, body).await
    }

    /// The collaborator does so.
    pub async fn guest(&self, method: Method, path: &str) -> Value {
        self.platform_as("SCALINGO_COLLABORATOR_API_TOKEN", method, path, Some(json!({}))).await
    }

    async fn platform_as(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Value {
        let token = self.variable(token);
        let url = format!("{}/v1/tokens/exchange", self.variable("SCALINGO_AUTH_URL"));
        let answer = client().post(url).basic_auth("", Some(token)).send().await.expect("an answer");
        let bearer: Value = answer.json().await.expect("a token");
        let url = format!("{}/v1/{path}", self.variable("SCALINGO_API_URL"));
        let mut request =
            client().request(method, url).bearer_auth(bearer["token"].as_str().unwrap_or_default());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// An app's variables, by name.
    pub async fn variables_of(&self, app: &str) -> BTreeMap<String, String> {
        let told = self.platform(Method::GET, &format!("apps/{app}/variables"), None).await;
        let text = |one: &Value, member: &str| one[member].as_str().unwrap_or_default().to_owned();
        let all = told["variables"].as_array().expect("variables").iter();
        all.map(|one| (text(one, "name"), text(one, "value"))).collect()
    }

    /// Another customer creates an app of this name.
    pub async fn take_app_name(&self, name: &str) {
        let token = self.variable("SCALINGO_COLLABORATOR_API_TOKEN");
        let url = format!("{}/v1/tokens/exchange", self.variable("SCALINGO_AUTH_URL"));
        let answer = client().post(url).basic_auth("", Some(token)).send().await.expect("an answer");
        let bearer: Value = answer.json().await.expect("a token");
        let url = format!("{}/v1/apps", self.variable("SCALINGO_API_URL"));
        let request = client().post(url).bearer_auth(bearer["token"].as_str().unwrap_or_default());
        let answer = request.json(&json!({ "app": { "name": name } })).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap_or_default());
    }

    /// Somebody points the alias of `label` elsewhere by hand.
    pub async fn point(&self, label: &str, target: &str) {
        self.dns(Method::PATCH, label, Some(json!({ "value": target }))).await;
    }

    /// Somebody removes the alias of `label` by hand.
    pub async fn unpoint(&self, label: &str) {
        self.dns(Method::DELETE, label, None).await;
    }

    async fn dns(&self, method: Method, label: &str, body: Option<Value>) {
        let aliases = self.aliases(label);
        let [record] = aliases.as_slice() else { panic!("{label} has {} aliases", aliases.len()) };
        let url = format!("{}/v1/record/{}/", self.variable("ALWAYSDATA_API_URL"), record["id"]);
        let who = format!(
            "{} account={}",
            self.variable("ALWAYSDATA_API_KEY"),
            self.variable("ALWAYSDATA_ACCOUNT")
        );
        let mut request =
            client().request(method, url).basic_auth(who, Some("")).header("alwaysdata-synchronous", "yes");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{label} was not changed: {}", answer.status());
    }

    /// Visits `name` over HTTPS: its certificate must be good for the name and come from the sandbox's authority.
    pub async fn visit(&self, name: &str, path: &str) -> Page {
        self.visit_as(name, path, name).await
    }

    /// The same, and claims to visit `host`.
    pub async fn visit_as(&self, name: &str, path: &str, host: &str) -> Page {
        self.get("INGRESS_HTTPS", name, path, host).await
    }

    /// Visits `name` over plain HTTP.
    pub async fn visit_plain(&self, name: &str, path: &str) -> Page {
        self.get("INGRESS_HTTP", name, path, name).await
    }

    async fn get(&self, ingress: &str, name: &str, path: &str, host: &str) -> Page {
        let base = url::Url::parse(self.variable(ingress)).expect("a URL");
        let port = base.port_or_known_default().expect("a port");
        let pem = std::fs::read(self.variable("CA_CERT")).expect("the authority's certificate");
        let authority = reqwest::Certificate::from_pem(&pem).expect("a certificate");
        let visitor = Client::builder()
            .timeout(Duration::from_secs(20))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .tls_certs_only([authority])
            .resolve(name, SocketAddr::from(([127, 0, 0, 1], port)))
            .build()
            .expect("a client");
        let url = format!("{}://{name}:{port}{path}", base.scheme());
        let answer = visitor.get(url).header("host", host).send().await.expect("a page");
        Page {
            status: answer.status(),
            location: answer.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned),
            body: answer.text().await.expect("a body"),
        }
    }
}

impl Page {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }
}

fn client() -> Client {
    Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().expect("a client")
}
