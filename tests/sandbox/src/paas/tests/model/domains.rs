//! Any sequence of calls about domains leaves each name at one app, certified only if its DNS ever said so, and shown as it is told.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::dns::ZoneRecord;
use crate::paas::tests::{Site, site, until};

const APPS: [&str; 2] = ["first-app", "second-app"];
const ZONE: &str = "apilos.test";

/// One call about one of two apps and one of three names.
#[derive(Debug, Clone)]
enum Call {
    Add {
        app: usize,
        host: u8,
        wanted: bool,
        own: bool,
    },
    Remove {
        app: usize,
        host: u8,
    },
    /// The name leads to this app from now on.
    Point {
        app: usize,
        host: u8,
    },
    Own {
        app: usize,
        host: u8,
        on: bool,
    },
    Want {
        app: usize,
        host: u8,
        on: bool,
    },
    Canonical {
        app: usize,
        host: u8,
        on: bool,
    },
    /// Until a certificate is being issued, or is there.
    Begin {
        host: u8,
    },
    Settle,
}

fn any() -> impl Strategy<Value = Call> {
    let (app, host) = (0..2_usize, 0..3_u8);
    let of = (app, host.clone());
    prop_oneof![
        4 => (of.clone(), prop::bool::weighted(0.8), prop::bool::weighted(0.2))
            .prop_map(|((app, host), wanted, own)| Call::Add { app, host, wanted, own }),
        2 => of.clone().prop_map(|(app, host)| Call::Remove { app, host }),
        4 => of.clone().prop_map(|(app, host)| Call::Point { app, host }),
        3 => (of.clone(), prop::bool::weighted(0.7))
            .prop_map(|((app, host), on)| Call::Own { app, host, on }),
        1 => (of.clone(), prop::bool::ANY).prop_map(|((app, host), on)| Call::Want { app, host, on }),
        2 => (of, prop::bool::weighted(0.7)).prop_map(|((app, host), on)| Call::Canonical { app, host, on }),
        4 => host.prop_map(|host| Call::Begin { host }),
        1 => Just(Call::Settle),
    ]
}

/// A domain as the model has it.
#[derive(Debug)]
struct Domain {
    id: String,
    app: usize,
    wanted: bool,
    own: bool,
    canonical: bool,
}

struct Play {
    site: Site,
    domains: BTreeMap<String, Domain>,
    /// Where each name leads.
    dns: BTreeMap<String, usize>,
    /// Where each name ever led: a resolver may know an older answer.
    led: BTreeSet<(String, usize)>,
    /// The self-signed certificate and key of each name.
    own: BTreeMap<String, (String, String)>,
    calls: u32,
}

fn name(host: u8) -> String {
    format!("www{host}.{ZONE}")
}

impl Play {
    async fn new() -> Self {
        let site = site().await;
        for app in APPS {
            site.paas.seed_app(&site.user, app).unwrap();
        }
        let own = (0..3).map(|host| {
            let made = rcgen::generate_simple_self_signed([name(host)]).unwrap();
            (name(host), (made.cert.pem(), made.signing_key.serialize_pem()))
        });
        let own = own.collect();
        let (domains, dns, led) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { site, domains, dns, led, own, calls: 0 }
    }

    async fn expect(&mut self, status: u16, method: &str, path: &str, body: Value) -> Value {
        self.calls += 1;
        if self.calls.is_multiple_of(40) {
            self.site.advance(61);
        }
        let (answered, answer) = self.site.call(method, path, body.clone()).await;
        assert_eq!(answered, status, "{method} {path} {body}: {answer}");
        answer
    }

    /// The domain, if the app has it, and its path there.
    fn of(&self, app: usize, host: &str) -> (bool, String) {
        let domain = self.domains.get(host).filter(|domain| domain.app == app);
        let id = domain.map_or("nobody", |domain| &domain.id);
        (domain.is_some(), format!("/v1/apps/{}/domains/{id}", APPS[app]))
    }

    /// Changes the domain of that name, if the app has it.
    async fn change(&mut self, app: usize, host: u8, what: Value, then: impl FnOnce(&mut Domain)) {
        let (known, path) = self.of(app, &name(host));
        self.expect(if known { 200 } else { 404 }, "PATCH", &path, json!({"domain": what})).await;
        if known {
            self.domains.get_mut(&name(host)).map(then);
        }
    }

    async fn play(&mut self, call: &Call) {
        match *call {
            Call::Add { app, host, wanted, own } => self.add(app, name(host), wanted, own).await,
            Call::Remove { app, host } => {
                let (known, path) = self.of(app, &name(host));
                self.expect(if known { 204 } else { 404 }, "DELETE", &path, Value::Null).await;
                if known {
                    self.domains.remove(&name(host));
                }
            }
            Call::Point { app, host } => {
                let target = format!("{}.osc-fr1.scalingo.test", APPS[app]);
                let record = ZoneRecord::cname(&format!("www{host}"), &target, 1);
                self.site.paas.plane.dns.upsert(&record).unwrap();
                self.dns.insert(name(host), app);
                self.led.insert((name(host), app));
            }
            Call::Own { app, host, on } => {
                let (cert, key) = &self.own[&name(host)];
                let (cert, key) = if on { (cert.as_str(), key.as_str()) } else { ("", "") };
                let what = json!({"tlscert": cert, "tlskey": key});
                self.change(app, host, what, |domain| domain.own = on).await;
            }
            Call::Want { app, host, on } => {
                let what = json!({"letsencrypt_enabled": on});
                self.change(app, host, what, |domain| domain.wanted = on).await;
            }
            Call::Canonical { app, host, on } => {
                self.change(app, host, json!({"canonical": on}), |domain| domain.canonical = on).await;
                if on && self.of(app, &name(host)).0 {
                    self.clear_others(app, &name(host));
                }
            }
            Call::Begin { host } => self.begin(&name(host)).await,
            Call::Settle => self.settle().await,
        }
    }

    async fn add(&mut self, app: usize, host: String, wanted: bool, own: bool) {
        let taken = self.domains.contains_key(&host);
        let mut body = json!({"name": host, "letsencrypt_enabled": wanted});
        if own {
            let (cert, key) = &self.own[&host];
            (body["tlscert"], body["tlskey"]) = (json!(cert), json!(key));
        }
        let status = if taken { 422 } else { 201 };
        let path = format!("/v1/apps/{}/domains", APPS[app]);
        let made = self.expect(status, "POST", &path, json!({"domain": body})).await;
        if !taken {
            let id = made["domain"]["id"].as_str().unwrap().to_owned();
            self.domains.insert(host, Domain { id, app, wanted, own, canonical: false });
        }
    }

    /// One of an app's is canonical at most.
    fn clear_others(&mut self, app: usize, host: &str) {
        for (other, domain) in &mut self.domains {
            domain.canonical &= domain.app != app || other == host;
        }
    }

    /// Whether the platform has all it asks for.
    fn is_due(&self, host: &str) -> bool {
        let domain = self.domains.get(host);
        domain.is_some_and(|one| one.wanted && !one.own && self.dns.get(host) == Some(&one.app))
    }

    fn status(&self, host: &str) -> (String, bool) {
        let state = self.site.paas.state();
        let mut all = state.apps.iter().flat_map(|app| &app.domains);
        let found = all.find(|domain| domain.name == host);
        found
            .map(|domain| (domain.letsencrypt_status.clone(), domain.issued_at.is_some()))
            .unwrap_or_default()
    }

    /// What comes next meets the issuing, or its end.
    async fn begin(&mut self, host: &str) {
        if !self.is_due(host) {
            return;
        }
        until("a certificate is being issued", async || {
            let (status, issued) = self.status(host);
            if status != "new" && !issued {
                self.site.advance(61);
            }
            status == "new" || issued
        })
        .await;
    }

    /// Time passes until every name that is due has its certificate.
    async fn settle(&mut self) {
        let due: Vec<&String> = self.domains.keys().filter(|host| self.is_due(host)).collect();
        until("all have their certificates", async || {
            self.site.advance(61);
            due.iter().all(|host| self.status(host).1)
        })
        .await;
    }

    fn check(&self) {
        let state = self.site.paas.state();
        let listed: Vec<_> =
            state.apps.iter().flat_map(|app| app.domains.iter().map(|one| (&app.name, one))).collect();
        let names: BTreeSet<&String> = listed.iter().map(|(_, domain)| &domain.name).collect();
        assert_eq!(names.len(), listed.len(), "a name is at two apps");
        assert_eq!(names, self.domains.keys().collect(), "domains");
        for (app, domain) in listed {
            let known = &self.domains[&domain.name];
            let told = (domain.canonical, domain.own.is_some(), domain.letsencrypt_enabled);
            assert_eq!(APPS[known.app], app, "{}", domain.name);
            assert_eq!(told, (known.canonical, known.own, known.wanted), "{}", domain.name);
            let proven = self.led.contains(&(domain.name.clone(), known.app));
            assert!(proven || domain.issued_at.is_none(), "{} never led to {app}", domain.name);
        }
    }

    /// What the ingress does is what the platform says: who is served, where they are led, which certificate is shown.
    async fn check_ingress(&self) {
        let ingress = &self.site.paas.plane.ingress;
        for host in (0..3).map(name) {
            let domain = self.domains.get(&host);
            let asked = self.site.http.get(format!("http://{}/", ingress.http())).header("host", &host);
            let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            let answer = client.build().unwrap().execute(asked.build().unwrap()).await.unwrap();
            let canonical = domain.and_then(|domain| {
                self.domains
                    .iter()
                    .find(|(_, one)| one.app == domain.app && one.canonical)
                    .map(|(name, _)| name)
            });
            let wanted = match (domain, canonical) {
                (None, _) => 404,
                (Some(_), Some(other)) if *other != host => 301,
                // Nothing was ever deployed.
                (Some(_), _) => 503,
            };
            assert_eq!(answer.status().as_u16(), wanted, "{host}");
            let own = self.shows(&host, &self.own[&host].0).await;
            assert_eq!(own, domain.is_some_and(|domain| domain.own), "the own certificate of {host}");
            let ca = std::fs::read_to_string(
                self.site.world.dir().join(crate::exec::CA_FOLDER).join(crate::exec::CA_FILE),
            );
            let issued = self.shows(&host, &ca.unwrap()).await;
            let told = self.status(&host).1 && domain.is_some_and(|domain| !domain.own);
            assert_eq!(issued, told, "the platform's certificate of {host}");
        }
    }

    /// Whether TLS for `host` is vouched for by this certificate.
    async fn shows(&self, host: &str, pem: &str) -> bool {
        let at = self.site.paas.plane.ingress.https();
        let builder = reqwest::Client::builder().no_proxy().resolve(host, at);
        let builder = builder.redirect(reqwest::redirect::Policy::none());
        let trusting = builder.tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()]);
        trusting.build().unwrap().get(format!("https://{host}:{}/", at.port())).send().await.is_ok()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_at_one_app_and_shows_the_certificate_that_is_told(calls in prop::collection::vec(any(), 8..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::new().await;
            for call in &calls {
                play.play(call).await;
                play.check();
            }
            play.settle().await;
            play.check();
            play.check_ingress().await;
            play.site.paas.stop_all().await;
        });
    }
}
