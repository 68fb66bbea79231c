//! The named rules by which an entry may be left out, or an error passed over. What no rule names is a loss.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::backup::checks::Occupancy;
use crate::backup::contents::Counts;
use crate::backup::restore::EntryError;
use crate::backup::toc::Entry;

/// Why nothing is lost although an entry was not restored as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The platform owns extensions; their comments come with them.
    ExtensionComment,
    /// The extension is in the target already.
    ExtensionPresent,
    /// An extension is in the target already, and so is the schema that it lives in.
    ExtensionSchema,
    /// A table of an extension's, which only the platform may fill, and for which the dump has no row.
    ExtensionData,
    /// Roles are not in a dump: privileges are granted anew, by the plan.
    Privileges,
    /// Roles are not in a dump: a policy for none but such as are not there binds nobody, unless it bound its table's owner.
    RoleMissing,
    /// Every database has its schema `public`, and the platform owns it.
    PublicSchema,
    /// Only a superuser makes these, and no data lives in them: event triggers, security labels, publications.
    SuperuserObject,
    /// A subscription would at once replicate from the source again.
    SubscriptionNotResumed,
    /// Settings of the database itself belong to the platform.
    DatabaseSettings,
    /// The planner's statistics are made anew by `ANALYZE`.
    PlannerStatistics,
    /// A `SET` of another version's setting, which steers the session and not the data.
    UnknownSetting,
}

impl Rule {
    /// The stable label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ExtensionComment => "extension-comment",
            Self::ExtensionPresent => "extension-present",
            Self::ExtensionSchema => "extension-schema",
            Self::ExtensionData => "extension-data",
            Self::Privileges => "privileges",
            Self::RoleMissing => "role-missing",
            Self::PublicSchema => "public-schema",
            Self::SuperuserObject => "superuser-object",
            Self::SubscriptionNotResumed => "subscription-not-resumed",
            Self::DatabaseSettings => "database-settings",
            Self::PlannerStatistics => "planner-statistics",
            Self::UnknownSetting => "unknown-setting",
        }
    }

    /// Whether the rule says "it is there anyway", which then has to be seen.
    pub(super) const fn needs_sight(self) -> bool {
        matches!(
            self,
            Self::ExtensionData | Self::ExtensionPresent | Self::ExtensionSchema | Self::UnknownSetting
        )
    }
}

/// The rule by which `entry` is left out beforehand, in a target that was seen as `found`.
pub(in crate::backup) fn skip_rule(entry: &Entry, found: &Occupancy) -> Option<Rule> {
    match entry.kind.as_str() {
        "ACL" | "DEFAULT ACL" => Some(Rule::Privileges),
        "COMMENT" => comment_rule(&entry.name.replace('"', "")),
        "DATABASE" | "DATABASE PROPERTIES" => Some(Rule::DatabaseSettings),
        "EVENT TRIGGER" | "SECURITY LABEL" => Some(Rule::SuperuserObject),
        "EXTENSION" if found.extensions.contains(&entry.name) => Some(Rule::ExtensionPresent),
        "SCHEMA" if entry.name == "public" => Some(Rule::PublicSchema),
        "SCHEMA" if found.extension_schemas.contains(&entry.name) => Some(Rule::ExtensionSchema),
        "STATISTICS DATA" => Some(Rule::PlannerStatistics),
        "SUBSCRIPTION" | "SUBSCRIPTION TABLE" => Some(Rule::SubscriptionNotResumed),
        _ => None,
    }
}

fn comment_rule(on: &str) -> Option<Rule> {
    if on == "SCHEMA public" {
        return Some(Rule::PublicSchema);
    }
    match on.split_once(' ')? {
        ("EXTENSION", _) => Some(Rule::ExtensionComment),
        ("DATABASE", _) => Some(Rule::DatabaseSettings),
        ("EVENT", _) => Some(Rule::SuperuserObject),
        ("SUBSCRIPTION", _) => Some(Rule::SubscriptionNotResumed),
        _ => None,
    }
}

/// What else is known of an entry that met an error.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'a> {
    /// The rows that the dump has for it.
    pub rows: Option<u64>,
    /// Why it may not be left out, if it is a policy for a role that is not there.
    pub binding: Option<&'a str>,
}

/// Why the policy `entry` binds somebody although a role that it is for is not in the target; `None` if it binds nobody.
///
/// A role that is there loses what the policy let it see. A table's owner is bound where the table says `FORCE`, and may have
/// been a member of the absent role; the owner of the source is absent as well, and the target's stands in its place.
pub(super) fn binding(entry: &Entry, counts: &Counts, roles: &BTreeSet<String>) -> Option<String> {
    let policy = counts.policies.get(&entry.path())?;
    let lost = "lost with it are the rows that it lets be seen";
    if let Some(role) = policy.roles.iter().find(|role| roles.contains(*role)) {
        return Some(format!("it is for the role {role} too, which is there: {lost}"));
    }
    if policy.roles.contains(&entry.owner) {
        return Some(format!("it is for {}, the owner of {}: {lost}", entry.owner, policy.table));
    }
    let forced = counts.forced.contains(&policy.table);
    forced.then(|| format!("row-level security of {} is forced on its owner: {lost}", policy.table))
}

/// The rule that forgives `error` on `entry`, if there is one.
pub(super) fn error_rule(entry: &Entry, error: &EntryError, known: Known<'_>) -> Option<Rule> {
    let says = |text: &str| error.message.contains(text);
    match entry.kind.as_str() {
        _ if forgives_setting(error) => Some(Rule::UnknownSetting),
        "EXTENSION" if says("already exists") || says("must be owner of extension") => {
            Some(Rule::ExtensionPresent)
        }
        // The rows that an extension brings itself are in no dump: what stands there is the user's, and lost if it is not loaded.
        "TABLE DATA" if known.rows == Some(0) && says("permission denied for table") => {
            Some(Rule::ExtensionData)
        }
        "PUBLICATION" | "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA"
            if says("permission denied") || says("must be superuser") || says("does not exist") =>
        {
            Some(Rule::SuperuserObject)
        }
        "COMMENT" if entry.name.starts_with("PUBLICATION ") && says("does not exist") => {
            Some(Rule::SuperuserObject)
        }
        "POLICY" if known.binding.is_none() && lacks_role(error) => Some(Rule::RoleMissing),
        "COMMENT" if entry.name.starts_with("POLICY ") && says("does not exist") => Some(Rule::RoleMissing),
        _ => None,
    }
}

/// Whether a role is named that is not there.
pub(super) fn lacks_role(error: &EntryError) -> bool {
    error.message.starts_with("role \"") && error.message.contains("\" does not exist")
}

/// Settings that a `pg_restore` of another major sets for its session, and that only steer time-outs and the like.
const SESSION_SETTINGS: &[&str] =
    &["transaction_timeout", "idle_in_transaction_session_timeout", "default_with_oids"];

/// Whether `error` is about a session setting that this server does not know.
pub(super) fn forgives_setting(error: &EntryError) -> bool {
    error.statement.starts_with("SET ")
        && error.message.contains("unrecognized configuration parameter")
        && SESSION_SETTINGS.iter().any(|setting| error.message.contains(&format!("\"{setting}\"")))
}
