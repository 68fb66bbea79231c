//! The outside: one folder a provider over one shared HTTP layer.
//!
//! Nothing outside this module speaks to a vendor. A provider never imports another, and none imports from above: they know
//! of calls, answers and errors, not of plans, steps or requests. Whether something that exists is *ours* is the caller's
//! business, so is looking before creating.

pub mod alwaysdata;
pub(crate) mod authorities;
pub mod dns;
pub mod git;
pub mod github;
pub mod http;
mod open;
pub mod probe;
pub mod process;
pub mod s3;
pub mod scalingo;
pub mod ssh;

pub use http::{Http, HttpShared, Limiter, ProviderError};

/// Every provider with the names of its calls, for metrics that must exist from the start.
pub const CALLS: &[(&str, &[&str])] = &[
    (
        scalingo::NAME,
        &[
            "addon_plans.list",
            "addons.delete",
            "addons.get",
            "addons.list",
            "addons.provision",
            "addons.token",
            "apps.create",
            "apps.delete",
            "apps.force_https",
            "apps.get",
            "apps.list",
            "autoscalers.list",
            "backups.archive",
            "backups.create",
            "backups.download",
            "backups.get",
            "backups.list",
            "collaborators.invite",
            "collaborators.list",
            "database_users.create",
            "database_users.delete",
            "database_users.list",
            "database_users.reset",
            "databases.get",
            "deployments.get",
            "deployments.list",
            "deployments.output",
            "domains.add",
            "domains.delete",
            "domains.get",
            "domains.list",
            "formation.get",
            "formation.restart",
            "formation.scale",
            "keys.add",
            "keys.delete",
            "keys.list",
            "log_drains.list",
            "notifiers.list",
            "operations.get",
            "projects.create",
            "projects.delete",
            "projects.get",
            "projects.list",
            "regions.list",
            "scm_links.get",
            "stacks.list",
            "tokens.exchange",
            "transfers.cancel",
            "transfers.candidates",
            "transfers.list",
            "transfers.offer",
            "users.self",
            "variables.delete",
            "variables.list",
            "variables.set",
        ],
    ),
    (github::NAME, &["artifacts.download", "artifacts.list", "artifacts.locate", "runs.list"]),
    (
        alwaysdata::NAME,
        &[
            "domains.list",
            "records.change",
            "records.create",
            "records.delete",
            "records.get",
            "records.list",
        ],
    ),
    (
        s3::NAME,
        &[
            "buckets.acl",
            "buckets.create",
            "buckets.delete",
            "buckets.head",
            "buckets.locks",
            "buckets.privatise",
            "buckets.tag",
            "buckets.tags",
            "buckets.version",
            "buckets.versioning",
            "objects.acl",
            "objects.copy",
            "objects.delete",
            "objects.get",
            "objects.grant",
            "objects.head",
            "objects.list",
            "objects.lock",
            "objects.put",
            "objects.tag",
            "objects.tags",
            "objects.thaw",
            "parts.abort",
            "parts.begin",
            "parts.complete",
            "parts.copy",
            "parts.put",
            "parts.uploads",
            "versions.list",
        ],
    ),
    (probe::NAME, &["probe.get"]),
];
