//! What was seen of an estate, as far as a plan is made of it.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret as _, SecretString};

use crate::providers::scalingo::formation::ContainerType;
use crate::providers::scalingo::variables::alias_of;

/// How many names a value may lead through: an alias of an alias of itself ends somewhere.
const ALIASES: usize = 4;

/// The applications that a plan is to be made for.
#[derive(Debug, Default)]
pub struct Estate {
    /// Their region.
    pub region: String,
    /// The one that owns the database comes first.
    pub apps: Vec<Seen>,
    /// Names of apps that are taken already.
    pub taken: BTreeSet<String>,
    /// What a person should know.
    pub remarks: Vec<String>,
}

/// One application.
#[derive(Debug, Default)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// The project that it is in, for people.
    pub project: Option<String>,
    /// Its host name on the platform.
    pub default_host: Option<String>,
    /// The name of its base image.
    pub stack: Option<String>,
    /// Its PostgreSQL.
    pub postgresql: Option<AddonSeen>,
    /// Its Redis.
    pub redis: Option<AddonSeen>,
    /// Providers of addons that a recovery does not bring back.
    pub other_addons: Vec<String>,
    /// Its host names, the canonical one first.
    pub domains: Vec<String>,
    /// Addresses of those who may do everything.
    pub collaborators: Vec<String>,
    /// Its containers.
    pub formation: Vec<ContainerType>,
    /// The repository that it is linked to, and the branch.
    pub code: Option<(String, Option<String>)>,
    /// Its variables, aliases as they were set.
    pub variables: BTreeMap<String, SecretString>,
    /// Why it is part of the estate, where nobody named it.
    pub because: Option<&'static str>,
}

/// An addon.
#[derive(Debug, Clone, Default)]
pub struct AddonSeen {
    /// Its plan.
    pub plan: String,
    /// The plan costs nothing.
    pub free: bool,
    /// The major version of its server.
    pub version: Option<String>,
}

impl Seen {
    /// A variable's value as the app sees it; empty where the account may not.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut value = self.variables.get(name)?.expose_secret();
        for _ in 0..ALIASES {
            match alias_of(value).and_then(|name| self.variables.get(name)) {
                Some(other) => value = other.expose_secret(),
                None => break,
            }
        }
        Some(value)
    }

    /// All variables with their values as the app sees them.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.keys().filter_map(|name| Some((name.as_str(), self.value(name)?)))
    }
}
