//! The kinds of Reprise: [`RecoveryPlan`] and [`RecoveryRequest`], their schemas and their validation.
//!
//! Everything here is pure: no I/O, no clock, nothing asynchronous. A document is untrusted until
//! [`RecoveryPlan::parse_yaml`] (or a `from_json`) has returned it; what is wrong with it comes as a list of
//! [`Problem`]s, all of them at once, each with its place.
//!
//! ```
//! use reprise_crds::RecoveryPlan;
//!
//! # let text = include_str!("../../deploy/examples/apilos.yaml");
//! let plan = RecoveryPlan::parse_yaml(text).unwrap();
//! assert_eq!(plan.spec.apps.len(), 2);
//!
//! let problems = RecoveryPlan::parse_yaml(&text.replace("domains:", "domain:")).unwrap_err();
//! let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
//! assert_eq!(told[0], "spec.apps[0].domain: is not a known field (did you mean `domains`?)");
//! ```

pub mod conditions;
pub mod manifests;
pub mod plan;
mod problem;
pub mod request;
mod schema;
mod shape;
pub mod template;
mod text;
mod validate;
pub mod variables;
mod words;
pub mod yaml;

pub use plan::{RecoveryPlan, RecoveryPlanSpec, RecoveryPlanStatus};
pub use problem::Problem;
pub use request::{
    Milestone, Mode, Part, Phase, RecoveryRequest, RecoveryRequestSpec, RecoveryRequestStatus, Scope,
    StepsSummary,
};
pub use schema::API_VERSION;
pub use text::{BadPeriod, BadReference, Literal, Period, Reference, SecretRef, Setting};
pub use words::UnknownWord;
