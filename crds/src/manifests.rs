//! The files under `crds/manifests/`, derived from the types: what Kubernetes and editors are given.

use kube::CustomResourceExt;
use serde::Serialize;
use serde_json::{Value, json};

use crate::plan::RecoveryPlan;
use crate::request::RecoveryRequest;
use crate::schema;

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its name, without a folder.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

/// A kind that could not be written down; a mistake in the types.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// As YAML.
    #[error("printing a resource definition as YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
    /// As JSON.
    #[error("printing a schema as JSON")]
    Json(#[source] serde_json::Error),
}

/// Every generated file: of each kind, the resource definition and the JSON schema of a whole document.
pub fn all() -> Result<Vec<Manifest>, ManifestError> {
    Ok(vec![
        definition("recoveryplans", &RecoveryPlan::crd())?,
        document("RecoveryPlan", &schema::PLAN)?,
        definition("recoveryrequests", &RecoveryRequest::crd())?,
        document("RecoveryRequest", &schema::REQUEST)?,
    ])
}

fn definition(plural: &str, crd: &impl Serialize) -> Result<Manifest, ManifestError> {
    const HEAD: &str =
        "# Generated from the types by `cargo run -p reprise-crds --bin reprise-crds-manifests`.\n";
    // By way of JSON, so that members come in one order and nothing that is absent is printed.
    let mut value = serde_json::to_value(crd).map_err(ManifestError::Json)?;
    name_formats(&mut value);
    let text = serde_saphyr::to_string(&value).map_err(ManifestError::Yaml)?;
    Ok(Manifest { name: format!("{plural}.yaml"), text: format!("{HEAD}{}\n", text.trim_end()) })
}

/// Kubernetes knows no unsigned numbers and warns of their formats; the ones here fit the signed one.
fn name_formats(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("format").is_some_and(|format| format == "uint32") {
                members.insert("format".to_owned(), json!("int32"));
            }
            members.values_mut().for_each(name_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(name_formats),
        _ => {}
    }
}

fn document(kind: &str, spec: &Value) -> Result<Manifest, ManifestError> {
    let mut schema = schema::document(kind, spec);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(kind);
    let text = serde_json::to_string_pretty(&schema).map_err(ManifestError::Json)?;
    Ok(Manifest { name: format!("{}.schema.json", kind.to_lowercase()), text: format!("{text}\n") })
}
