//! What the platform tells of an app, as it tells it: nothing that a later release of the vendor adds is lost.

use serde_json::Value;

use super::{Scalingo, absent};
use crate::providers::http::{Method, ProviderError};

/// One thing that is told of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The app itself: stack, flags, owner.
    App,
    /// Its variables; aliases as they are.
    Variables,
    /// Its addons and their plans.
    Addons,
    /// Its domains and certificates.
    Domains,
    /// Its formation.
    Containers,
    /// Who else may work on it.
    Collaborators,
    /// What scales it.
    Autoscalers,
    /// Who is told of its events.
    Notifiers,
    /// Where its logs go.
    LogDrains,
}

/// All of them.
pub const ALL: [Part; 9] = [
    Part::App,
    Part::Variables,
    Part::Addons,
    Part::Domains,
    Part::Containers,
    Part::Collaborators,
    Part::Autoscalers,
    Part::Notifiers,
    Part::LogDrains,
];

impl Part {
    /// Its name, as in the address.
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Variables => "variables",
            Self::Addons => "addons",
            Self::Domains => "domains",
            Self::Containers => "containers",
            Self::Collaborators => "collaborators",
            Self::Autoscalers => "autoscalers",
            Self::Notifiers => "notifiers",
            Self::LogDrains => "log_drains",
        }
    }

    const fn call(self) -> &'static str {
        match self {
            Self::App => "apps.get",
            Self::Variables => "variables.list",
            Self::Addons => "addons.list",
            Self::Domains => "domains.list",
            Self::Containers => "formation.get",
            Self::Collaborators => "collaborators.list",
            Self::Autoscalers => "autoscalers.list",
            Self::Notifiers => "notifiers.list",
            Self::LogDrains => "log_drains.list",
        }
    }
}

impl Scalingo {
    /// `GET /apps/:app/…`: everything that the platform tells of one part. `None` if there is no such app, or no such thing in this
    /// region. The answer may hold secrets.
    ///
    /// Source: developer documentation, the page of each resource. Safe to repeat.
    pub async fn captured(&self, app: &str, part: Part) -> Result<Option<Value>, ProviderError> {
        let call = self.api(part.call(), Method::GET).await?;
        let call = match part {
            Part::App => call.segments(["apps", app]),
            Part::Variables => call.segments(["apps", app, "variables"]).query("aliases", "true"),
            other => call.segments(["apps", app, other.name()]),
        };
        absent(self.send::<Value>(call).await)
    }
}
