//! An app and what hangs on it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Addon;

/// An application.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the vendor's switches")]
pub(in crate::paas) struct App {
    /// 24 hex digits.
    pub(in crate::paas) id: String,
    /// `ap-<uuid>`.
    pub(in crate::paas) uuid: String,
    pub(in crate::paas) name: String,
    pub(in crate::paas) parent: Option<String>,
    pub(in crate::paas) owner: String,
    pub(in crate::paas) project: String,
    /// `new`, `running`, `stopped`, `crashed`, `restarting`, `scaling`, `booting`.
    pub(in crate::paas) status: String,
    pub(in crate::paas) stack: String,
    pub(in crate::paas) force_https: bool,
    pub(in crate::paas) sticky_session: bool,
    pub(in crate::paas) router_logs: bool,
    pub(in crate::paas) hds_resource: bool,
    pub(in crate::paas) formation: Vec<Container>,
    pub(in crate::paas) variables: Vec<Variable>,
    pub(in crate::paas) addons: Vec<Addon>,
    pub(in crate::paas) domains: Vec<Domain>,
    pub(in crate::paas) collaborators: Vec<Collaborator>,
    pub(in crate::paas) deployments: Vec<Deployment>,
    pub(in crate::paas) operations: Vec<Operation>,
    /// Alerts, autoscalers, log drains and notifiers, by the name of their list: told to nobody, but kept as they were set.
    #[serde(default)]
    pub(in crate::paas) observers: std::collections::BTreeMap<String, Vec<serde_json::Value>>,
    /// The link to a repository elsewhere.
    #[serde(default)]
    pub(in crate::paas) scm_link: Option<serde_json::Value>,
    /// When each task of `cron.json` ran last, by its line, in the world's time.
    #[serde(default)]
    pub(in crate::paas) cron_runs: std::collections::BTreeMap<String, DateTime<Utc>>,
    pub(in crate::paas) last_deployed_at: Option<DateTime<Utc>>,
    pub(in crate::paas) last_deployed_by: Option<String>,
    pub(in crate::paas) last_deployment: Option<String>,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) updated_at: DateTime<Utc>,
}

impl App {
    /// Whether `key` names it: by name, id or uuid.
    pub(in crate::paas) fn is(&self, key: &str) -> bool {
        self.name == key || self.id == key || self.uuid == key
    }

    pub(in crate::paas) fn was_deployed(&self) -> bool {
        self.last_deployment.is_some()
    }

    /// What keeps other operations out, if anything does.
    pub(in crate::paas) fn busy_with(&self) -> Option<&str> {
        let deploying = self.deployments.iter().any(|deployment| !deployment.is_finished());
        match self.status.as_str() {
            status @ ("scaling" | "restarting" | "booting") => Some(status),
            _ if deploying => Some("deploying"),
            _ => None,
        }
    }

    /// `running` or `stopped`, as the formation says.
    pub(in crate::paas) fn resting_status(&self) -> &'static str {
        if self.formation.iter().any(|kind| kind.amount > 0) { "running" } else { "stopped" }
    }

    pub(in crate::paas) fn deployment_mut(&mut self, id: &str) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|deployment| deployment.id == id)
    }

    /// The host of the app's default domain.
    pub(in crate::paas) fn default_host(&self) -> String {
        format!("{}.{}", self.name, crate::paas::DEFAULT_DOMAIN)
    }
}

/// One process type of the formation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Container {
    pub(in crate::paas) id: String,
    pub(in crate::paas) name: String,
    pub(in crate::paas) amount: u32,
    pub(in crate::paas) size: String,
    pub(in crate::paas) command: String,
}

/// A variable as it was written, aliases unresolved.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Variable {
    pub(in crate::paas) id: String,
    pub(in crate::paas) name: String,
    pub(in crate::paas) value: String,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A custom domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Domain {
    pub(in crate::paas) id: String,
    pub(in crate::paas) name: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) canonical: bool,
    pub(in crate::paas) letsencrypt_enabled: bool,
    /// `pending_dns` → `new` → `created`, or `error`, `dns_required`.
    pub(in crate::paas) letsencrypt_status: String,
    pub(in crate::paas) issued_at: Option<DateTime<Utc>>,
    /// What a wildcard's TXT record must say.
    #[serde(default)]
    pub(in crate::paas) acme_value: Option<String>,
    /// The certificate that its owner brought.
    #[serde(default)]
    pub(in crate::paas) own: Option<OwnTls>,
}

impl Domain {
    /// Whether it is served by TLS: by the platform's certificate or by one that its owner brought.
    pub(in crate::paas) fn has_certificate(&self) -> bool {
        self.issued_at.is_some() || self.own.is_some()
    }
}

/// A certificate that somebody brought.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::paas) struct OwnTls {
    /// PEM.
    pub(in crate::paas) certificate: String,
    /// PEM.
    pub(in crate::paas) key: String,
    /// What is told of the two.
    pub(in crate::paas) subject: String,
    pub(in crate::paas) key_kind: String,
    pub(in crate::paas) not_after: DateTime<Utc>,
}

impl std::fmt::Debug for OwnTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnTls").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Somebody who was invited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Collaborator {
    pub(in crate::paas) id: String,
    pub(in crate::paas) email: String,
    /// Known once accepted.
    pub(in crate::paas) user: Option<String>,
    pub(in crate::paas) is_limited: bool,
    /// The secret of the invitation link.
    pub(in crate::paas) invitation: String,
}

/// A deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Deployment {
    /// A bare uuid.
    pub(in crate::paas) id: String,
    /// `queued`, `building`, `pushing`, `starting`, `success`, or one of the failures.
    pub(in crate::paas) status: String,
    /// `deployment` (git) or `archive`.
    pub(in crate::paas) kind: String,
    pub(in crate::paas) git_ref: Option<String>,
    pub(in crate::paas) previous_git_ref: Option<String>,
    pub(in crate::paas) pusher: String,
    pub(in crate::paas) output: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
    /// The world's date of its creation, by which it ages.
    pub(in crate::paas) world_date: DateTime<Utc>,
    pub(in crate::paas) finished_at: Option<DateTime<Utc>>,
    pub(in crate::paas) postdeploy: Option<String>,
}

impl Deployment {
    pub(in crate::paas) fn is_finished(&self) -> bool {
        !matches!(self.status.as_str(), "queued" | "building" | "pushing" | "starting")
    }
}

/// Where a started one-off container is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct StartedOneOff {
    pub(in crate::paas) container_id: String,
    pub(in crate::paas) attach_url: String,
}

/// Something to follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::paas) struct Operation {
    pub(in crate::paas) id: String,
    /// `scale`, `restart`, `start-one-off`.
    pub(in crate::paas) kind: String,
    /// `pending`, `running`, `done`, `error`.
    pub(in crate::paas) status: String,
    pub(in crate::paas) error: String,
    pub(in crate::paas) created_at: DateTime<Utc>,
    pub(in crate::paas) finished_at: Option<DateTime<Utc>>,
    /// Of a `start-one-off` that is done.
    #[serde(default)]
    pub(in crate::paas) one_off: Option<StartedOneOff>,
}
