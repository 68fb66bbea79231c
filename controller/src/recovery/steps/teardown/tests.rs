//! One row at a time against a small vendor and a real PostgreSQL; whole tear-downs are tested against the sandbox.

mod doubt;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::http::{Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router, extract::State};
use chrono::Utc;
use reprise_crds::RecoveryPlanSpec;
use serde_json::Value;

use super::*;
use crate::recovery::outputs::Outputs;
use crate::recovery::step::Step;
use crate::recovery::steps::bench;

/// What there is at the platform and at the DNS provider.
#[derive(Debug, Default)]
struct Vendor {
    /// The apps, with their marks.
    apps: BTreeMap<String, String>,
    keys: Vec<String>,
    /// A key that is listed from the look after next on.
    late: Option<(u32, String)>,
    record: Option<Value>,
    /// Who the token is of.
    me: Option<String>,
    /// So many looks at an app say that there is none.
    hidden: u32,
    /// So many calls that delete or change something are taken by a proxy, and come to nothing.
    unheard: u32,
    deletions: u32,
}

fn answer(vendor: &mut Vendor, method: &Method, path: &str, body: &Value) -> Response {
    let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    if matches!(*method, Method::DELETE | Method::PATCH) {
        vendor.deletions += 1;
        if vendor.unheard > 0 {
            vendor.unheard -= 1;
            return Html("<html>it is well</html>").into_response();
        }
    }
    let found = match (method.as_str(), parts.as_slice()) {
        ("POST", ["tokens", "exchange"]) => Some(json!({ "token": "t" })),
        ("GET", ["users", "self"]) => {
            Some(json!({ "user": { "id": vendor.me.as_deref().unwrap_or("us-1") } }))
        }
        ("GET", ["apps", _]) if vendor.hidden > 0 => {
            vendor.hidden -= 1;
            None
        }
        ("GET", ["apps", app]) => vendor.apps.get(*app).map(|_| json!({ "app": { "id": "1", "name": app } })),
        ("GET", ["apps", app, "variables"]) => vendor
            .apps
            .get(*app)
            .map(|mark| json!({ "variables": [{ "id": "v", "name": "REPRISE_REQUEST", "value": mark }] })),
        ("DELETE", ["apps", app]) => vendor.apps.remove(*app).map(|_| Value::Null),
        ("GET", ["keys"]) => Some(keys(vendor)),
        ("DELETE", ["keys", id]) => {
            vendor.keys.retain(|key| key != id);
            Some(Value::Null)
        }
        ("GET", ["domain"]) => Some(json!([{ "id": 7, "name": "apilos.test" }])),
        ("GET", ["record"]) => Some(vendor.record.iter().cloned().collect()),
        ("GET", ["record", _]) => vendor.record.clone(),
        ("PATCH", ["record", _]) => {
            for (field, value) in body.as_object().into_iter().flatten() {
                vendor.record.as_mut().expect("a record")[field] = value.clone();
            }
            Some(Value::Null)
        }
        _ => None,
    };
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |found| Json(found).into_response())
}

fn keys(vendor: &mut Vendor) -> Value {
    match vendor.late.take() {
        Some((0, key)) => vendor.keys.push(key),
        Some((looks, key)) => vendor.late = Some((looks - 1, key)),
        None => {}
    }
    let keys = vendor.keys.iter().map(|name| json!({ "id": name, "name": name }));
    json!({ "keys": keys.collect::<Vec<_>>() })
}

/// One request and what it made.
struct Bench {
    base: bench::Bench,
    vendor: Arc<Mutex<Vendor>>,
}

impl Deref for Bench {
    type Target = bench::Bench;

    fn deref(&self) -> &bench::Bench {
        &self.base
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut bench::Bench {
        &mut self.base
    }
}

impl Bench {
    async fn new() -> Self {
        let vendor = Arc::<Mutex<Vendor>>::default();
        let said =
            async |State(vendor): State<Arc<Mutex<Vendor>>>, method: Method, uri: Uri, body: String| {
                let body = serde_json::from_str(&body).unwrap_or_default();
                answer(&mut vendor.lock().unwrap(), &method, uri.path(), &body)
            };
        let router = Router::new().fallback(said).with_state(Arc::clone(&vendor));
        Self { base: bench::Bench::new(Step::TearDown, router).await, vendor }
    }

    fn vendor(&self) -> MutexGuard<'_, Vendor> {
        self.vendor.lock().unwrap()
    }

    /// An app that was made, and bears the mark.
    async fn app(&self) -> LedgerRow {
        let row = self.ctx.intend("app", "shop", None, json!({})).await.expect("written");
        self.ctx.saw(&row, "1").await.expect("written");
        self.vendor().apps.insert(row.name.clone(), mark(&self.ctx, &row));
        self.row().await
    }

    /// A record that was changed, and bears the mark.
    async fn record(&self) -> LedgerRow {
        let detail =
            json!({ "record": 3, "oldValue": "lost.test", "oldTtl": 600, "oldAnnotation": "by hand" });
        let row = self.ctx.intend("dns-record", "www.apilos.test", None, detail).await.expect("written");
        self.ctx.saw(&row, "3").await.expect("written");
        self.vendor().record = Some(json!({
            "id": 3, "domain": 7, "type": "CNAME", "name": "www", "value": "new.test", "ttl": 300,
            "annotation": mark(&self.ctx, &row),
        }));
        self.row().await
    }

    /// The only row of the ledger.
    async fn row(&self) -> LedgerRow {
        self.ctx.tools.store.ledger("bad-day").await.expect("answered").pop().expect("a row")
    }

    async fn settle(&self, row: &LedgerRow) -> Result<Undone> {
        settle(&self.ctx, row, self.ctx.deadline(QUIET)).await
    }

    /// The same request after its plan has changed.
    fn replanned(self, change: impl FnOnce(&mut RecoveryPlanSpec)) -> Self {
        Self { base: self.base.replanned(change), ..self }
    }

    async fn end(self) {
        self.base.end().await;
    }
}

fn on_record(kind: &str, name: &str, parent: Option<&str>) -> LedgerRow {
    LedgerRow {
        nonce: uuid::Uuid::new_v4(),
        step: "any".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        state: LedgerState::Present,
        external_id: None,
        detail: json!({}),
        intended_at: Utc::now(),
        observed_at: None,
        fresh: false,
    }
}

#[test]
fn what_cannot_be_undone_keeps_only_what_it_belongs_to() {
    let kept = |kept| {
        let holds = |kind: &&str| {
            holds_up(&on_record(kept, "www.apilos.test", None), &on_record(kind, "other", None))
        };
        ORDER.into_iter().filter(holds).collect::<Vec<_>>()
    };
    assert_eq!(kept("dns-record"), ["app", "bucket", "project"]);
    assert_eq!(kept("variables"), ["app", "bucket", "project"], "an app that lives on uses what is in them");
    assert_eq!(kept("app"), ["bucket", "project"], "what it uses stays with it");
    assert_eq!([kept("bucket"), kept("project"), kept("ssh-key")].concat(), [""; 0]);
    let name = |kind| on_record(kind, "www.apilos.test", None);
    assert!(holds_up(&name("dns-record"), &name("domain")), "it is live under that name");
    assert!(holds_up(&name("app"), &name("addon")) && !holds_up(&name("bucket"), &name("addon")));
}

#[test]
fn what_belongs_to_an_app_that_is_left_alone_stays_on_record() {
    let app = on_record("app", "shop", None);
    let addon =
        LedgerRow { external_id: Some("ad-1".to_owned()), ..on_record("addon", "postgresql", Some("shop")) };
    let (user, other) =
        (on_record("database-user", "reader", Some("ad-1")), on_record("addon", "redis", Some("api")));
    let (bucket, project) = (on_record("bucket", "files", None), on_record("project", "estate", None));
    let rows = [app.clone(), addon, user, other, bucket, project];
    let stays: Vec<&str> =
        rows.iter().filter(|row| goes_with(&app, row, &rows)).map(|row| row.name.as_str()).collect();
    assert_eq!(stays, ["postgresql", "reader", "files"]);
}

#[tokio::test]
async fn an_app_whose_deletion_a_proxy_took_is_not_gone() {
    let bench = Bench::new().await;
    let row = bench.app().await;
    bench.vendor().unheard = 1;
    let told = bench.settle(&row).await.expect_err("it is there");
    assert_eq!(told.class(), Class::Transient);
    assert!(told.to_string().contains("undoing app shop"), "{told}");
    assert_eq!(bench.vendor().deletions, 1, "what was taken is not asked for again at once");
    assert_eq!(bench.settle(&row).await.expect("heard"), Undone::Settled);
    assert!(bench.vendor().apps.is_empty());
    bench.end().await;
}

#[tokio::test]
async fn a_record_counts_as_undone_once_its_old_value_is_read() {
    let bench = Bench::new().await;
    let row = bench.record().await;
    bench.vendor().unheard = 1;
    assert_eq!(bench.settle(&row).await.expect_err("not changed").class(), Class::Transient);
    assert_eq!(bench.settle(&row).await.expect("heard"), Undone::Settled);
    let now = bench.vendor().record.clone().expect("it stays");
    assert_eq!(
        (&now["value"], &now["ttl"], &now["annotation"]),
        (&json!("lost.test"), &json!(600), &json!("by hand"))
    );
    bench.end().await;
}

#[tokio::test]
async fn a_record_that_was_put_back_before_the_daemon_died_is_not_left_alone() {
    let bench = Bench::new().await;
    let row = bench.record().await;
    assert_eq!(bench.settle(&row).await.expect("undone"), Undone::Settled);
    assert_eq!(bench.settle(&row).await.expect("looked at"), Undone::Absent, "the mark went with the change");
    bench.vendor().record.as_mut().expect("there")["value"] = json!("elsewhere.test");
    assert_eq!(bench.settle(&row).await.expect("looked at"), Undone::LeftAlone, "it is somebody's now");
    bench.end().await;
}

#[tokio::test]
async fn a_key_that_lands_late_is_removed_by_the_cleanup() {
    let bench = Bench::new().await;
    let row = bench.ctx.intend("ssh-key", "reprise-bad-day", None, json!({})).await.expect("written");
    bench.vendor().late = Some((1, row.name));
    cleanup::run(&bench.ctx).await.expect("cleaned up");
    assert_eq!(bench.vendor().late, None, "it had not landed yet");
    assert_eq!(bench.vendor().keys, [""; 0]);
    assert_eq!(bench.row().await.state, LedgerState::Deleted);
    bench.end().await;
}

#[tokio::test]
async fn what_lies_elsewhere_than_the_plan_says_now_is_refused_and_stays_on_record() {
    let bench = Bench::new().await;
    let (app, elsewhere) = (bench.app().await, "osc-secnum-fr1");
    let bucket = bench.ctx.intend("bucket", "apilos-pra", None, json!({})).await.expect("written");
    let record = bench.ctx.intend("dns-record", "www.apilos.test", None, json!({})).await.expect("written");
    assert_eq!(bucket.detail, json!({ "endpoint": "https://s3.example.org" }));
    assert_eq!(app.detail["account"], "us-1");
    assert_eq!(record.detail, json!({ "zone": "apilos.test" }));
    let bench = bench.replanned(|plan| {
        elsewhere.clone_into(&mut plan.target.region);
        "apilos.example".clone_into(&mut plan.dns.zone);
        let bucket = plan.target.bucket.as_mut().expect("it has one");
        bucket.endpoint = serde_json::from_value(json!("https://s3.elsewhere.test")).expect("an endpoint");
    });
    for (row, field, was) in [
        (&app, "target.region", "osc-fr1"),
        (&bucket, "target.bucket.endpoint", "https://s3.example.org"),
        (&record, "dns.zone", "apilos.test"),
    ] {
        let told = bench.settle(row).await.expect_err("refused").to_string();
        assert!(told.contains(&format!("put {field} back to {was}")), "{told}");
    }
    let (undone, told) =
        undo_all(&bench.ctx, &[app.clone(), bucket, record]).await.expect("all were looked at");
    assert!(undone.left_alone.is_empty() && told.is_some_and(|told| told.class() == Class::Terminal));
    let ledger = bench.ctx.tools.store.ledger("bad-day").await.expect("answered");
    assert!(ledger.iter().all(|row| row.state != LedgerState::Deleted), "{ledger:?}");
    let again = bench.ctx.intend("app", &app.name, None, json!({})).await;
    assert!(again.is_err(), "it would be made in one place and undone in the other");
    bench.end().await;
}

#[tokio::test]
async fn a_row_of_an_earlier_release_is_looked_for_where_the_plan_says() {
    let bench = Bench::new().await;
    let row = bench.app().await;
    let row = LedgerRow { detail: json!({}), ..row };
    let bench = bench.replanned(|plan| "osc-secnum-fr1".clone_into(&mut plan.target.region));
    assert_eq!(bench.settle(&row).await.expect("undone"), Undone::Settled);
    bench.end().await;
}
