//! Any sequence of writes leaves the account, and its name servers, as a small model says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::paas::tests::until;

#[derive(Debug, Clone)]
enum Call {
    Create(Draft, Wish),
    Replace(prop::sample::Index, Draft, Wish),
    Rename(prop::sample::Index, u8, Wish),
    Delete(prop::sample::Index, Wish),
    /// Of a record that is not there.
    DeleteNothing,
    /// Everything that was accepted is executed.
    Settle,
}

/// Whether the write is waited for.
type Wish = bool;

/// A record to be; numbers name one of a few things, so that records meet each other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Draft {
    kind: u8,
    name: u8,
    value: u8,
}

impl Draft {
    fn kind(&self) -> &'static str {
        ["CNAME", "A", "TXT"][usize::from(self.kind)]
    }

    fn name(&self) -> String {
        format!("m{}", self.name)
    }

    fn value(&self) -> String {
        match self.kind {
            0 => [OLD, NEW][usize::from(self.value)].to_owned(),
            1 => format!("192.0.2.{}", self.value),
            _ => format!("text {}", self.value),
        }
    }

    fn body(&self, domain: u64) -> Value {
        json!({"domain": domain, "type": self.kind(), "name": self.name(), "value": self.value()})
    }
}

fn call() -> impl Strategy<Value = Call> {
    let draft = || (0..3_u8, 0..3_u8, 0..2_u8).prop_map(|(kind, name, value)| Draft { kind, name, value });
    let (which, wait) = (any::<prop::sample::Index>, any::<bool>);
    prop_oneof![
        5 => (draft(), wait()).prop_map(|(draft, wait)| Call::Create(draft, wait)),
        2 => (which(), draft(), wait()).prop_map(|(which, draft, wait)| Call::Replace(which, draft, wait)),
        2 => (which(), 0..3_u8, wait()).prop_map(|(which, name, wait)| Call::Rename(which, name, wait)),
        3 => (which(), wait()).prop_map(|(which, wait)| Call::Delete(which, wait)),
        1 => Just(Call::DeleteNothing),
        1 => Just(Call::Settle),
    ]
}

struct Play {
    bench: Bench,
    domain: u64,
    model: BTreeMap<u64, Draft>,
}

impl Play {
    /// Whether `draft` may stand beside the others: an alias stands alone.
    fn fits(&self, id: u64, draft: &Draft) -> bool {
        let mut beside = self.model.iter().filter(|(other, one)| **other != id && one.name == draft.name);
        !beside.any(|(_, one)| draft.kind() == "CNAME" || one.kind() == "CNAME")
    }

    fn pick(&self, which: prop::sample::Index) -> Option<(u64, Draft)> {
        let all: Vec<_> = self.model.iter().collect();
        (!all.is_empty()).then(|| which.get(&all)).map(|(id, draft)| (**id, (*draft).clone()))
    }

    async fn write(&self, method: Method, path: &str, body: &Value, wait: Wish) -> reqwest::Response {
        // Orders are executed one after the other: else it would be waited for those before it, by the wall's clock.
        if wait {
            self.bench.world.clock.advance(Duration::from_secs(4));
        }
        let request = self.bench.call(method, path).body(body.to_string());
        let request = if wait { request.header("alwaysdata-synchronous", "yes") } else { request };
        request.send().await.unwrap()
    }

    async fn play(&mut self, call: &Call) {
        match call {
            Call::Create(draft, wait) => {
                let made = self.write(Method::POST, "/v1/record/", &draft.body(self.domain), *wait).await;
                let wanted = if self.fits(0, draft) { StatusCode::CREATED } else { StatusCode::BAD_REQUEST };
                assert_eq!(made.status(), wanted, "{draft:?} beside {:?}", self.model);
                if wanted == StatusCode::CREATED {
                    let location = made.headers()["location"].to_str().unwrap();
                    let id = location.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap();
                    assert!(self.model.insert(id, draft.clone()).is_none(), "{id} is taken");
                }
            }
            Call::Replace(which, draft, wait) => {
                let Some((id, _)) = self.pick(*which) else { return };
                self.change(Method::PUT, id, draft, &draft.body(self.domain), *wait).await;
            }
            Call::Rename(which, name, wait) => {
                let Some((id, old)) = self.pick(*which) else { return };
                let draft = Draft { name: *name, ..old };
                self.change(Method::PATCH, id, &draft, &json!({"name": draft.name()}), *wait).await;
            }
            Call::Delete(which, wait) => {
                let Some((id, _)) = self.pick(*which) else { return };
                let gone = self.write(Method::DELETE, &format!("/v1/record/{id}/"), &json!({}), *wait).await;
                assert_eq!(gone.status(), StatusCode::NO_CONTENT);
                self.model.remove(&id);
            }
            Call::DeleteNothing => {
                let gone = self.write(Method::DELETE, "/v1/record/1/", &json!({}), true).await;
                assert_eq!(gone.status(), StatusCode::NOT_FOUND);
            }
            Call::Settle => self.settle().await,
        }
    }

    async fn change(&mut self, method: Method, id: u64, draft: &Draft, body: &Value, wait: Wish) {
        let answer = self.write(method, &format!("/v1/record/{id}/"), body, wait).await;
        let wanted = if self.fits(id, draft) { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status(), wanted, "{id} to {draft:?} in {:?}", self.model);
        if wanted == StatusCode::NO_CONTENT {
            self.model.insert(id, draft.clone());
        }
    }

    /// What is listed, and what both name servers say, is what the model has.
    async fn settle(&self) {
        // More than a write that nobody waits for takes, more than the servers lag, and a new minute's allowance.
        self.bench.world.clock.advance(Duration::from_mins(1));
        let model = self.model.iter();
        let wanted: BTreeMap<_, _> =
            model.map(|(id, one)| (*id, (one.kind().to_owned(), one.name(), one.value()))).collect();
        let listed = async || {
            let text = |record: &Value, member: &str| record[member].as_str().unwrap().to_owned();
            let records = self.bench.get("/v1/record/").await;
            let mine = records.as_array().unwrap().iter().filter(|one| text(one, "name").starts_with('m'));
            mine.filter(|one| one["is_user_defined"] == true)
                .map(|one| {
                    (one["id"].as_u64().unwrap(), (text(one, "type"), text(one, "name"), text(one, "value")))
                })
                .collect::<BTreeMap<_, _>>()
        };
        until(&format!("the account lists {wanted:?}"), async || listed().await == wanted).await;
        // The last of them may have been executed just now.
        self.bench.world.clock.advance(Duration::from_mins(1));
        for (name, target) in (0..3).flat_map(|name| [(name, OLD), (name, NEW)]) {
            let leads =
                self.model.values().any(|one| one.kind == 0 && one.name == name && one.value() == target);
            let host = format!("m{name}.apilos.test");
            let told = format!("{host} leads to {target}: {leads}, by {:?}", self.model);
            until(&told, async || self.bench.dns.points_to(&host, target).await == leads).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_writes_leaves_what_the_model_says(calls in prop::collection::vec(call(), 5..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = bench().await;
            let domain = bench.domain().await;
            let mut play = Play { bench, domain, model: BTreeMap::new() };
            for call in &calls {
                play.play(call).await;
            }
            play.settle().await;
        });
    }
}
