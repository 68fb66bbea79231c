//! Any sequence of calls about one-off containers leaves exactly those that run, each operation with an end, and no process behind.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::paas::tests::one_offs::{connected, exit_code, rest};
use crate::paas::tests::{Site, site, until};
use crate::plane::runner::logs::Filter;

const APP: &str = "/v1/apps/demarches-test";
/// At once, for one app.
const MOST: usize = 10;

/// One call; `which` is one of those that were ever made.
#[derive(Debug, Clone)]
enum Call {
    /// Left to itself, for long or to end at once.
    Detached {
        long: bool,
    },
    /// Waits for somebody who attaches.
    Attached {
        code: u8,
    },
    Attach {
        which: prop::sample::Index,
    },
    Stop {
        which: prop::sample::Index,
        by_label: bool,
    },
    Signal {
        which: prop::sample::Index,
    },
    Restart,
}

fn any() -> impl Strategy<Value = Call> {
    let which = proptest::arbitrary::any::<prop::sample::Index>();
    prop_oneof![
        4 => prop::bool::weighted(0.7).prop_map(|long| Call::Detached { long }),
        3 => (0..4_u8).prop_map(|code| Call::Attached { code }),
        3 => which.clone().prop_map(|which| Call::Attach { which }),
        3 => (which.clone(), prop::bool::ANY).prop_map(|(which, by_label)| Call::Stop { which, by_label }),
        1 => which.prop_map(|which| Call::Signal { which }),
        1 => Just(Call::Restart),
    ]
}

/// What one of them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Runs,
    /// Nobody has attached; it will end with this code.
    Waits(u8),
    Ended,
}

#[derive(Debug)]
struct OneOff {
    id: String,
    label: String,
    attach: String,
    life: Life,
}

struct Play {
    site: Site,
    all: Vec<OneOff>,
}

impl Play {
    async fn new() -> Self {
        let site = site().await;
        site.idle_app().await;
        Self { site, all: Vec::new() }
    }

    fn living(&self) -> usize {
        self.all.iter().filter(|one| one.life != Life::Ended).count()
    }

    async fn play(&mut self, call: &Call) {
        // Each has the minute's whole allowance before it.
        self.site.advance(61);
        match call {
            Call::Detached { long } => {
                let (command, life) =
                    if *long { ("echo up; exec sleep 600", Life::Runs) } else { ("true", Life::Ended) };
                self.run(json!({"command": command, "detached": true}), life).await;
            }
            Call::Attached { code } => {
                self.run(json!({"command": format!("exit {code}")}), Life::Waits(*code)).await;
            }
            _ if self.all.is_empty() => {}
            Call::Attach { which } => self.attach(which.index(self.all.len())).await,
            Call::Stop { which, by_label } => self.stop(which.index(self.all.len()), *by_label).await,
            Call::Signal { which } => self.signal(which.index(self.all.len())).await,
            Call::Restart => {
                // What serves is another matter than what somebody runs.
                assert_eq!(self.site.post(&format!("{APP}/restart"), json!({})).await.0, 202);
                until("the app is at rest", async || {
                    self.site.advance(12);
                    self.site.paas.state().app("demarches-test").unwrap().busy_with().is_none()
                })
                .await;
            }
        }
    }

    async fn run(&mut self, body: Value, life: Life) {
        let full = self.living() >= MOST;
        let (status, made) = self.site.post(&format!("{APP}/run"), body).await;
        assert_eq!(status, if full { 422 } else { 200 }, "{made}");
        if full {
            return;
        }
        let operation = made["operation"]["id"].as_str().unwrap();
        let mut attach = String::new();
        until("it has started", async || {
            self.site.advance(5);
            let state = self.site.paas.state();
            let mut operations = state.app("demarches-test").unwrap().operations.iter();
            let one = operations.find(|one| one.id == operation).unwrap();
            attach = one.one_off.as_ref().map_or_else(String::new, |started| started.attach_url.clone());
            one.status == "done"
        })
        .await;
        let text = |member: &str| made["container"][member].as_str().unwrap().to_owned();
        let label = text("label");
        if life == Life::Runs {
            until("it says that it is up", async || {
                let runner = &self.site.paas.plane.runner;
                let lines = runner.last_lines("demarches-test", 99, &Filter::default());
                lines.iter().any(|line| line.label == label && line.text == "up")
            })
            .await;
        }
        self.all.push(OneOff { id: text("id"), label, attach, life });
    }

    /// Whoever attaches sees it through; it is nobody else's then.
    async fn attach(&mut self, which: usize) {
        let one = &self.all[which];
        let Life::Waits(code) = one.life else { return };
        rest(connected(&self.site, &one.attach).await).await;
        assert_eq!(exit_code(&self.site, &one.attach).await, (200, json!({"exit_code": code})));
        self.all[which].life = Life::Ended;
    }

    async fn stop(&mut self, which: usize, by_label: bool) {
        let one = &self.all[which];
        let path = format!("{APP}/containers/{}/stop", if by_label { &one.label } else { &one.id });
        let wanted = if one.life == Life::Ended { 404 } else { 202 };
        self.gone(which).await;
        assert_eq!(self.site.post(&path, json!({})).await.0, wanted, "{:?}", self.all[which]);
        self.all[which].life = Life::Ended;
        self.gone(which).await;
    }

    async fn signal(&mut self, which: usize) {
        let one = &self.all[which];
        let wanted = if one.life == Life::Ended { 404 } else { 204 };
        self.gone(which).await;
        let path = format!("{APP}/containers/{}/kill", self.all[which].id);
        assert_eq!(
            self.site.post(&path, json!({"signal": "SIGUSR1"})).await.0,
            wanted,
            "{:?}",
            self.all[which]
        );
        // A program that does not know the signal ends by it; one that nobody has started yet is not there to be told.
        if self.all[which].life == Life::Runs {
            self.all[which].life = Life::Ended;
            self.gone(which).await;
        }
    }

    /// Waits until one that is to end has ended.
    async fn gone(&self, which: usize) {
        let one = &self.all[which];
        if one.life == Life::Ended {
            until("it has ended", async || !self.listed().contains_key(&one.id)).await;
        }
    }

    /// Those that are told, by id.
    fn listed(&self) -> BTreeMap<String, String> {
        let id = self.site.paas.state().app("demarches-test").unwrap().id.clone();
        let all = self.site.paas.one_offs.of_app(&id);
        all.into_iter().map(|one| (one.id.clone(), one.label())).collect()
    }

    async fn check(&self) {
        let living = self.all.iter().filter(|one| one.life != Life::Ended);
        let living: BTreeMap<_, _> = living.map(|one| (one.id.clone(), one.label.clone())).collect();
        until("those that are to end have ended", async || self.listed() == living).await;
        let labels: std::collections::BTreeSet<_> = living.values().collect();
        assert_eq!(labels.len(), living.len(), "two have one label");
        let state = self.site.paas.state();
        let operations = &state.app("demarches-test").unwrap().operations;
        assert!(
            operations.iter().all(|one| one.status == "done" && one.finished_at.is_some()),
            "{operations:?}"
        );
    }

    /// With its app, all that ran of it goes.
    async fn check_nothing_is_left(&self) {
        let delete = format!("{APP}?current_name=demarches-test");
        self.site.advance(61);
        let living = self.all.iter().filter(|one| one.life != Life::Ended);
        let known: Vec<_> = living.filter_map(|one| self.site.paas.one_offs.get(&one.id)).collect();
        assert_eq!(self.site.call("DELETE", &delete, Value::Null).await.0, 204);
        for one in known {
            until("it has ended with its app", async || one.real.has_ended()).await;
        }
        for one in &self.all {
            assert_ne!(exit_code(&self.site, &one.attach).await.0, 200, "{one:?} is told of by nobody");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn what_runs_is_listed_and_what_ended_is_not(calls in prop::collection::vec(any(), 4..30)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::new().await;
            for call in &calls {
                play.play(call).await;
                play.check().await;
            }
            play.check_nothing_is_left().await;
            play.site.paas.stop_all().await;
        });
    }
}
