//! The kind `RecoveryRequest`: an order to run a plan now, and what has become of it.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod scope;
mod status;

pub use scope::{Part, Scope};
pub use status::{Milestone, Phase, RecoveryRequestStatus, StepsSummary};

use crate::words::words;

/// An order to run a plan now.
///
/// ```
/// # use reprise_crds::{Mode, RecoveryRequestSpec};
/// let spec = RecoveryRequestSpec::from_json(serde_json::json!({ "plan": "apilos" })).unwrap();
/// assert_eq!(spec.mode, Mode::Recover);
/// assert!(spec.scope.is_whole());
///
/// let problems = RecoveryRequestSpec::from_json(serde_json::json!({ "mode": "rehearse" })).unwrap_err();
/// assert_eq!(problems.len(), 2, "every problem at once: {problems:?}");
/// ```
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "reprise.dev",
    version = "v1alpha1",
    kind = "RecoveryRequest",
    plural = "recoveryrequests",
    namespaced,
    shortname = "rreq",
    category = "reprise",
    derive = "PartialEq",
    status = "RecoveryRequestStatus",
    doc = "An order to run a recovery plan now, and what has become of it.",
    printcolumn = r#"{"name":"Plan","type":"string","jsonPath":".spec.plan"}"#,
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.state"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Scope","type":"string","priority":1,"jsonPath":".spec.scope"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecoveryRequestSpec {
    /// The name of the plan to run.
    pub plan: String,
    /// The real thing, or a rehearsal. Default: `recover`.
    #[serde(default)]
    pub mode: Mode,
    /// Which parts of the estate. One word or a list of them. Default: `all`.
    #[serde(default)]
    pub scope: Scope,
    /// Existing apps that take the place of apps of the plan, by the names of the latter; with a scope alone. What a scope says that
    /// apps keep running is about these. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, String>,
    /// Why it was filed, for whoever reads the report; at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

words! {
    /// What is done with the outcome.
    #[derive(Default)]
    pub enum Mode {
        /// Bring the estate back under its real names, and leave it running.
        #[default]
        Recover = "recover",
        /// The same path under throwaway names, torn down afterwards.
        Drill = "drill",
    }
}
