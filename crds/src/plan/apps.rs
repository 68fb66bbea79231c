//! The applications.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Formation, RecoveryPlanSpec, Variable};
use crate::text::Setting;

/// What an app is asked for unless its plan says otherwise.
pub const DEFAULT_HEALTH_PATH: &str = "/";

/// One application of the estate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSpec {
    /// The name of the new app: 6 to 48 lower-case letters, digits and single hyphens. Its default host is
    /// `<name>.<region>.scalingo.io`.
    pub name: String,
    /// What the names of its drills begin with, 1 to 35 characters; they end in `-drill-` and six hexadecimal digits.
    /// Default: the app's name, which is then at most 35 characters long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_prefix: Option<String>,
    /// The production app that this one stands in for. A name in the DNS that points to that app is expected there,
    /// whatever `dns.existing` says. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// What is deployed.
    pub code: CodeSpec,
    /// The public host names, below the zone. The first is the primary one.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Variables of this app alone; they win over those of the same name that are not shared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Variable>,
    /// Names that this app does without: neither their value in `variables.values` nor the template's default counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
    /// Containers that differ from `target.formation`, by process type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub formation: Formation,
    /// The path that answers with a status below 400 when the app is well. Default: `/`.
    #[serde(default = "health_path")]
    pub health_path: String,
}

fn health_path() -> String {
    DEFAULT_HEALTH_PATH.to_owned()
}

impl AppSpec {
    /// What the names of this app's drills begin with.
    pub fn drill_prefix(&self) -> &str {
        self.drill_prefix.as_deref().unwrap_or(&self.name)
    }

    /// The containers of this app: the estate's, overridden type by type.
    pub fn formation(&self, plan: &RecoveryPlanSpec) -> Formation {
        let mut formation = plan.target.formation.clone();
        formation.extend(self.formation.iter().map(|(name, containers)| (name.clone(), *containers)));
        formation
    }
}

/// A state of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CodeSpec {
    /// The repository's URL (`https://`, `ssh://`, `user@host:path`, `file://`, or an absolute path). Never with a
    /// password in it.
    pub repository: Setting,
    /// A branch, a tag or a full commit id; resolved once a request, and then always that commit.
    #[serde(rename = "ref")]
    pub git_ref: String,
}
