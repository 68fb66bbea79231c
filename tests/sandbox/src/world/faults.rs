//! What goes wrong on purpose. Rules are counters on calls, put by the control API or a file; a service asks before its effect
//! and plays what it is told. Chance is drawn per rule from the world's seed, so that a run can be repeated.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

mod kind;
mod offer;
mod order;
pub mod profile;
mod standing;

pub use kind::{Damage, Fault, page};
pub use order::{FaultError, Order, Script};
pub use standing::Standing;

/// Played-out rules that are remembered for their counters.
const SPENT: usize = 1_000;
/// Questions that a service asks beside the one about the request itself: only a rule that names them as its method is meant,
/// so that no rule counts one request twice.
const ASIDE: [&str; 12] = [
    "index",
    "location",
    "provision",
    "build",
    "hook",
    "boot",
    "deploy",
    "lag",
    "refuse",
    "servfail",
    "stale",
    "lame",
];

/// When a fault is played: the members that every rule has had from the start. See [`Order`] for all of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only this service (see the journal's names), if given.
    #[serde(default)]
    pub service: Option<String>,
    /// Only this HTTP method (or verb: `push`, `build`, `hook`), if given.
    #[serde(default)]
    pub method: Option<String>,
    /// Only paths that contain this, if given.
    #[serde(default)]
    pub path: Option<String>,
    /// How many matches pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many times it is played; for ever if absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// What is played.
    pub fault: Fault,
}

/// A request, as a rule sees it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The journal's name of the service.
    pub service: &'a str,
    /// The HTTP method, S3 operation or verb.
    pub method: &'a str,
    /// The path, or what stands for it.
    pub path: &'a str,
    /// Names of the call: as in the journal, and by its route.
    pub calls: [&'a str; 2],
    /// Public id and fingerprint of the credential that is shown.
    pub credential: [&'a str; 2],
}

/// All rules that are in force.
#[derive(Debug, Default)]
pub struct Faults {
    seed: u64,
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    last_id: u64,
    standing: Vec<Standing>,
    spent: VecDeque<Standing>,
}

impl Faults {
    /// No rules yet; chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, rules: Mutex::default() }
    }

    /// Adds a rule; earlier rules are asked first. Its id.
    pub fn add(&self, order: impl Into<Order>) -> u64 {
        self.put(order.into(), None)
    }

    /// Adds every rule of a script; their ids.
    pub fn add_all(&self, script: Script) -> Vec<u64> {
        script.0.into_iter().map(|(order, profile)| self.put(order, profile)).collect()
    }

    fn put(&self, order: Order, profile: Option<&'static str>) -> u64 {
        let mut rules = self.rules();
        rules.last_id += 1;
        let id = rules.last_id;
        rules.standing.push(Standing::new(id, order, profile, self.seed));
        id
    }

    /// Forgets every rule.
    pub fn clear(&self) {
        let mut rules = self.rules();
        rules.standing.clear();
        rules.spent.clear();
    }

    /// Forgets the rule `id`; `false` if it is not in force.
    pub fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules();
        let before = rules.standing.len();
        rules.standing.retain(|one| one.id != id);
        rules.standing.len() != before
    }

    /// The rules that are left, with what is left of their counters.
    pub fn list(&self) -> Vec<Rule> {
        self.rules().standing.iter().map(|one| one.order.clone().into()).collect()
    }

    /// The rules that are in force, with ids and counts.
    pub fn standing(&self) -> Vec<Standing> {
        self.rules().standing.clone()
    }

    /// The rules that were played out, with ids and counts.
    pub fn spent(&self) -> Vec<Standing> {
        self.rules().spent.iter().cloned().collect()
    }

    /// The fault for this request, if one is due; counts it as played.
    pub fn take(&self, service: &str, method: &str, path: &str) -> Option<Fault> {
        self.take_call(&Asked { service, method, path, calls: [method, ""], credential: ["", ""] })
    }

    /// As [`Faults::take`], for a service that knows more of the request. What is drawn is drawn: no distribution is returned.
    pub fn take_call(&self, asked: &Asked<'_>) -> Option<Fault> {
        let mut rules = self.rules();
        let index = rules.standing.iter_mut().position(|rule| rule.is_due(asked))?;
        let rule = rules.standing.get_mut(index)?;
        let fault = rule.play(asked.service);
        if rule.is_spent() {
            let spent = rules.standing.remove(index);
            if rules.spent.len() == SPENT {
                rules.spent.pop_front();
            }
            rules.spent.push_back(spent);
        }
        Some(fault)
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
