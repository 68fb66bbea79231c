//! What a step's parts are tested with: a small vendor, a real PostgreSQL, time that runs faster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use chrono::Utc;
use reprise_crds::{Mode, RecoveryPlan, RecoveryPlanSpec};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Ctx, Run};
use crate::config::{Config, References};
use crate::metrics::{Labels, Metrics};
use crate::providers::http::HttpShared;
use crate::providers::http::call::tests::serve;
use crate::recovery::cut::Cut;
use crate::recovery::outputs::Outputs;
use crate::recovery::pulse::Pulse;
use crate::recovery::step::Step;
use crate::recovery::tools::{Parts, Tools};
use crate::runtime::clock::Clock;
use crate::store::tests::{Lab, lab};
use crate::store::{StepRow, a_done_step};

/// The quiet period lasts a second.
pub(in crate::recovery) const SCALE: f64 = 20.0;

/// One request in a world of its own.
pub(in crate::recovery) struct Bench {
    pub(in crate::recovery) ctx: Ctx,
    lab: Lab,
    _server: JoinSet<()>,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// A request at `step`, and the vendors behind one address.
    pub(in crate::recovery) async fn new(step: Step, vendors: Router) -> Self {
        Self::with(step, vendors, (SCALE, &[])).await
    }

    /// The same with time that runs so much faster, and more in the daemon's environment.
    pub(in crate::recovery) async fn with(
        step: Step,
        vendors: Router,
        (scale, more): (f64, &[(&str, &str)]),
    ) -> Self {
        let (lab, dir) = (lab().await, tempfile::tempdir().expect("a folder"));
        let epoch = lab.filed().await;
        let (url, server) = serve(vendors).await;
        let run = Run {
            request: "bad-day".to_owned(),
            plan_name: "apilos".to_owned(),
            plan: example(),
            cut: Cut::default(),
            mode: Mode::Recover,
            epoch,
            dir: dir.path().join("work"),
            filed_at: Utc::now(),
        };
        let clock = Clock::system().with_scale(scale).expect("a scale");
        let ctx = Ctx {
            tools: Arc::new(tools(url.trim_end_matches("/v1"), (&lab, &dir), clock, more)),
            run: Arc::new(run),
            step,
            pulse: Arc::new(Pulse::new(Utc::now(), Vec::new())),
            outputs: Arc::new(Outputs::read(&[])),
            stop: CancellationToken::new(),
            retry: false,
            patience: Arc::default(),
        };
        Self { ctx, lab, _server: server, _dir: dir }
    }

    /// The same request after its plan has changed.
    pub(in crate::recovery) fn replanned(mut self, change: impl FnOnce(&mut RecoveryPlanSpec)) -> Self {
        let run = Arc::get_mut(&mut self.ctx.run).expect("nobody else runs it");
        change(&mut run.plan);
        self
    }

    /// The same request where these apps are there already, each under its own name.
    pub(in crate::recovery) fn standing(mut self, apps: &[&str]) -> Self {
        let run = Arc::get_mut(&mut self.ctx.run).expect("nobody else runs it");
        run.cut.standing = apps.iter().map(|app| ((*app).to_owned(), (*app).to_owned())).collect();
        self
    }

    /// The same request after these steps were done, each with what it left.
    pub(in crate::recovery) fn after<const N: usize>(mut self, done: [(Step, Value); N]) -> Self {
        let row = |(step, output): (Step, Value)| StepRow {
            output: Some(output),
            ..a_done_step(&step.to_string())
        };
        self.ctx.outputs = Arc::new(Outputs::read(&done.map(row)));
        self
    }

    /// As psql does.
    pub(in crate::recovery) async fn sql(&self, statement: &'static str) {
        self.lab.sql(statement).await.expect(statement);
    }

    /// How others connect to the store's server.
    pub(in crate::recovery) fn options(&self) -> PgConnectOptions {
        self.lab.options()
    }

    pub(in crate::recovery) async fn end(self) {
        self.lab.end().await;
    }
}

/// Vendors that answer by method and path, and by how often that was asked before. `Err`: a status without a body. Whoever asks for a
/// token gets one.
pub(in crate::recovery) fn vendors(
    said: impl Fn(&str, usize) -> Result<Value, u16> + Clone + Send + Sync + 'static,
) -> Router {
    let asked = Arc::<Mutex<HashMap<String, usize>>>::default();
    Router::new().fallback(async move |method: Method, uri: Uri| -> Response {
        let what = format!("{method} {}", uri.path());
        let before = {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let before = asked.entry(what.clone()).or_default();
            *before += 1;
            *before - 1
        };
        if what.starts_with("POST ") && (what.ends_with("/tokens/exchange") || what.ends_with("/token")) {
            return Json(serde_json::json!({ "token": "t", "addon": { "token": "t" } })).into_response();
        }
        match said(&what, before) {
            Ok(answer) => Json(answer).into_response(),
            Err(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        }
    })
}

pub(in crate::recovery) fn example() -> RecoveryPlanSpec {
    let text = include_str!("../../../../deploy/examples/apilos.yaml");
    RecoveryPlan::parse_yaml(text).expect("the example is valid").spec
}

fn tools(base: &str, (lab, dir): (&Lab, &tempfile::TempDir), clock: Clock, more: &[(&str, &str)]) -> Tools {
    let environment = [
        ("SCALINGO_AUTH_URL", base),
        ("SCALINGO_API_URL", base),
        ("SCALINGO_DB_URL", base),
        ("SCALINGO_API_TOKEN", "tk-us-1"),
        ("ALWAYSDATA_API_URL", base),
        ("ALWAYSDATA_API_KEY", "KEY"),
        ("S3_SOURCE_ENDPOINT", "https://s3.example.org"),
    ];
    let environment = environment.iter().chain(more);
    let references =
        References::new(environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Tools::new(Parts {
        store: lab.store.clone(),
        config: Config::load(None, true, &references).expect("valid"),
        references,
        clock,
        metrics: Arc::new(Metrics::new(Labels::default()).expect("registered")),
        http: HttpShared::default(),
        identity: "me".to_owned(),
        data_dir: dir.path().to_owned(),
    })
}
