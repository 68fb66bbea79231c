//! From an untrusted document to a kind, or to everything that is wrong with it.
//!
//! Shape first (`crate::shape`), which repairs the document as it goes; then the rules about meaning, each of which is
//! a plain function over the typed parts. No rule stops another one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::plan::{RecoveryPlan, RecoveryPlanSpec};
use crate::problem::{At, Problem, Report};
use crate::request::{RecoveryRequest, RecoveryRequestSpec};
use crate::{schema, shape, yaml};

mod apps;
mod archive;
mod checks;
mod dns;
mod drill;
mod hand_over;
pub(crate) mod names;
mod proof;
mod request;
mod settings;
mod source;
mod target;
pub(crate) mod variables;

impl RecoveryPlan {
    /// Reads a plan from YAML. A `status` in the text is ignored, as Kubernetes does.
    ///
    /// Errors: every problem of the document, ordered by place; or one problem if the text is not YAML.
    pub fn parse_yaml(text: &str) -> Result<Self, Vec<Problem>> {
        let document = yaml::read(text).map_err(|problem| vec![problem])?;
        whole("RecoveryPlan", &schema::PLAN, document, plan).map(|(metadata, spec)| Self {
            metadata,
            spec,
            status: None,
        })
    }

    /// Reads a plan from JSON, with the same rules.
    pub fn from_json(value: Value) -> Result<Self, Vec<Problem>> {
        whole("RecoveryPlan", &schema::PLAN, yaml::Document { value, problems: Vec::new() }, plan)
            .map(|(metadata, spec)| Self { metadata, spec, status: None })
    }
}

impl RecoveryPlanSpec {
    /// Reads the `spec` of a plan from JSON. Paths begin with `spec`.
    pub fn from_json(value: Value) -> Result<Self, Vec<Problem>> {
        spec(&schema::PLAN, value, plan)
    }
}

impl RecoveryRequest {
    /// Reads a request from YAML. A `status` in the text is ignored, as Kubernetes does.
    ///
    /// Errors: every problem of the document, ordered by place; or one problem if the text is not YAML.
    pub fn parse_yaml(text: &str) -> Result<Self, Vec<Problem>> {
        let document = yaml::read(text).map_err(|problem| vec![problem])?;
        whole("RecoveryRequest", &schema::REQUEST, listed(document), request::check)
            .map(|(metadata, spec)| Self { metadata, spec, status: None })
    }

    /// Reads a request from JSON, with the same rules.
    pub fn from_json(value: Value) -> Result<Self, Vec<Problem>> {
        let document = listed(yaml::Document { value, problems: Vec::new() });
        whole("RecoveryRequest", &schema::REQUEST, document, request::check).map(|(metadata, spec)| Self {
            metadata,
            spec,
            status: None,
        })
    }
}

impl RecoveryRequestSpec {
    /// Reads the `spec` of a request from JSON, as somebody inserted it. Paths begin with `spec`.
    pub fn from_json(mut value: Value) -> Result<Self, Vec<Problem>> {
        request::list_scope(&mut value);
        spec(&schema::REQUEST, value, request::check)
    }
}

fn listed(mut document: yaml::Document) -> yaml::Document {
    if let Some(spec) = document.value.get_mut("spec") {
        request::list_scope(spec);
    }
    document
}

/// Every rule about the meaning of a plan.
fn plan(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    source::check(plan, at, report);
    target::check(plan, at, report);
    apps::check(plan, at, report);
    variables::check(plan, at, report);
    dns::check(plan, at, report);
    archive::check(plan, at, report);
    checks::check(plan, at, report);
    proof::check(plan, at, report);
    drill::check(plan, at, report);
    hand_over::check(plan, at, report);
}

type Rules<T> = fn(&T, &At, &mut Report);

/// A whole document: envelope, name and spec.
fn whole<T: DeserializeOwned>(
    kind: &str,
    spec: &Value,
    document: yaml::Document,
    rules: Rules<T>,
) -> Result<(ObjectMeta, T), Vec<Problem>> {
    let yaml::Document { mut value, problems } = document;
    let root = At::root("");
    let mut report = Report::default();
    for problem in problems {
        report.push(problem);
    }
    shape::fit(&schema::document(kind, spec), &mut value, &root, &mut report);
    let at = root.member("metadata");
    let metadata = typed::<ObjectMeta>(value["metadata"].take(), &at, &mut report);
    if let Some(wrong) =
        metadata.as_ref().and_then(|it| names::object(it.name.as_deref().unwrap_or_default()))
    {
        report.add(&at.member("name"), wrong);
    }
    let at = root.member("spec");
    let spec = typed(value["spec"].take(), &at, &mut report);
    finish(spec, rules, &at, report, metadata)
}

/// A spec alone.
fn spec<T: DeserializeOwned>(schema: &Value, mut value: Value, rules: Rules<T>) -> Result<T, Vec<Problem>> {
    let at = At::root("spec");
    let mut report = Report::default();
    shape::fit(schema, &mut value, &at, &mut report);
    let spec = typed(value, &at, &mut report);
    finish(spec, rules, &at, report, Some(())).map(|((), spec)| spec)
}

fn finish<M, T>(
    spec: Option<T>,
    rules: Rules<T>,
    at: &At,
    mut report: Report,
    metadata: Option<M>,
) -> Result<(M, T), Vec<Problem>> {
    if let Some(spec) = &spec {
        rules(spec, at, &mut report);
    }
    match report.finish(metadata.zip(spec))? {
        Some(both) => Ok(both),
        // What could not be typed was reported, so this is never reached; a sentence is better than a panic.
        None => Err(vec![Problem::new(at.as_str(), "does not fit its kind")]),
    }
}

/// The typed form of a repaired document. It always fits, but for the platform's own metadata, which has no schema here.
fn typed<T: DeserializeOwned>(value: Value, at: &At, report: &mut Report) -> Option<T> {
    let typed = serde_json::from_value(value);
    if typed.is_err() {
        report.add(at, "does not fit its kind");
    }
    typed.ok()
}
