//! The kind `RecoveryPlan`: what is protected, and how it is rebuilt.
//!
//! Only data and its documentation; which documents are acceptable is said in `crate::validate`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod apps;
mod archive;
mod checks;
mod dns;
mod drill;
mod hand_over;
mod objectives;
mod proof;
mod source;
mod target;
mod variables;

pub use apps::{AppSpec, CodeSpec, DEFAULT_HEALTH_PATH};
pub use archive::{
    ArchiveSpec, CopyMode, DumpsSpec, LockMode, LockSpec, RetentionSpec, ScheduleSpec, SuspicionSpec,
};
pub use checks::{DataCheck, Expectation, ObjectKeys};
pub use dns::{DnsProvider, DnsSpec, ExistingRecord};
pub use drill::DrillSpec;
pub use hand_over::HandOverSpec;
pub use objectives::{LimitsSpec, ObjectivesSpec};
pub use proof::ProofSpec;
pub use source::{
    ARTIFACT_STALE, ArchiveSource, ArtifactSource, MirrorSource, ObjectSource, S3Credentials, SourceBucket,
    SourceSpec,
};
pub use target::{
    ContainerSize, Containers, Formation, PostgresqlSpec, RedisSpec, TargetBucket, TargetSpec, Visibility,
};
pub use variables::{Computed, DrillPolicy, Needs, Policy, Variable, VariablesSpec};

/// What is protected and how it is rebuilt: the source estate, the place where it comes back, its applications, their
/// variables, its names in the DNS, and how it is judged to be whole.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "reprise.dev",
    version = "v1alpha1",
    kind = "RecoveryPlan",
    plural = "recoveryplans",
    namespaced,
    shortname = "rplan",
    category = "reprise",
    derive = "PartialEq",
    status = "RecoveryPlanStatus",
    doc = "What is protected, and how it is rebuilt.",
    printcolumn = r#"{"name":"Source","type":"string","jsonPath":".spec.source.app"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".spec.target.region"}"#,
    printcolumn = r#"{"name":"Proven","type":"string","jsonPath":".status.conditions[?(@.type=='Proven')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecoveryPlanSpec {
    /// Where the data comes from: the production estate and the copies of its documents.
    pub source: SourceSpec,
    /// Where the estate comes back.
    pub target: TargetSpec,
    /// The applications, which share the database and the bucket. The first one owns the PostgreSQL addon.
    #[schemars(length(min = 1))]
    pub apps: Vec<AppSpec>,
    /// The variables of all applications.
    #[serde(default)]
    pub variables: VariablesSpec,
    /// How the public names are switched over.
    pub dns: DnsSpec,
    /// Point-in-time copies of the production bucket, off the platform. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveSpec>,
    /// Questions to the restored database, with the answers that prove that the data is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_checks: Vec<DataCheck>,
    /// The columns that hold the keys of objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub object_keys: Vec<ObjectKeys>,
    /// How it is proven that the database's backups can be restored.
    #[serde(default)]
    pub proof: ProofSpec,
    /// To whom the recovered estate is handed over, once it is back. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HandOverSpec>,
    /// How the recovery is rehearsed.
    #[serde(default)]
    pub drill: DrillSpec,
    /// How long a recovery may take, and how old its data may be.
    #[serde(default)]
    pub objectives: ObjectivesSpec,
    /// How hard the machine and the vendors may be worked.
    #[serde(default)]
    pub limits: LimitsSpec,
}

impl RecoveryPlanSpec {
    /// The application called `name`.
    pub fn app(&self, name: &str) -> Option<&AppSpec> {
        self.apps.iter().find(|app| app.name == name)
    }
}

/// What the controller knows of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryPlanStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Proven`: whether the last drill proves the plan as everything is today.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
