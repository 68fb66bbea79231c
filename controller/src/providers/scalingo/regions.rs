//! Regions and what the platform offers there.

use chrono::NaiveDate;
use serde::Deserialize;

use super::Scalingo;
use crate::providers::http::{Effect, Method, ProviderError};

/// A region that the account may use.
#[derive(Debug, Clone, Deserialize)]
pub struct Region {
    /// Its name, such as `osc-fr1`.
    pub name: String,
    /// Its name for people.
    pub display_name: Option<String>,
    /// `host:port` of git and of the tunnel to databases.
    pub ssh: Option<String>,
    /// Base URL of the API.
    pub api: Option<String>,
    /// Base URL of the database API.
    pub database_api: Option<String>,
    /// Used when none is named.
    #[serde(default)]
    pub default: bool,
}

#[derive(Deserialize)]
struct RegionsRoot {
    regions: Vec<Region>,
}

/// A base image of applications.
#[derive(Debug, Clone, Deserialize)]
pub struct Stack {
    /// Its id: what creating an app takes.
    pub id: String,
    /// Its name, such as `scalingo-24`.
    pub name: String,
    /// Given when none is named.
    #[serde(default)]
    pub default: bool,
    /// Day from which it is deprecated.
    pub deprecated_at: Option<NaiveDate>,
}

#[derive(Deserialize)]
struct StacksRoot {
    stacks: Vec<Stack>,
}

impl Scalingo {
    /// `GET /regions`. Only the regions that the account may use are listed.
    ///
    /// Source: developer documentation "Regions". Safe to repeat.
    pub async fn regions(&self) -> Result<Vec<Region>, ProviderError> {
        let call = self.auth("regions.list", Method::GET).segments(["regions"]);
        self.send::<RegionsRoot>(call).await.map(|root| root.regions)
    }

    /// The configured region as the vendor lists it.
    pub async fn region(&self) -> Result<Region, ProviderError> {
        let wanted = self.region_name();
        let found = self.regions().await?.into_iter().find(|region| region.name == wanted);
        let (call, what) = ("regions.list", "the configured region");
        found.ok_or(ProviderError::Incomplete { call, what, effect: Effect::Repeatable })
    }

    /// `GET /features/stacks`.
    ///
    /// Source: developer documentation "Stacks". Safe to repeat.
    pub async fn stacks(&self) -> Result<Vec<Stack>, ProviderError> {
        let call = self.api("stacks.list", Method::GET).await?.segments(["features", "stacks"]);
        self.send::<StacksRoot>(call).await.map(|root| root.stacks)
    }
}
