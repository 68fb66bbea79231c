//! What goes wrong on purpose. Rules are counters on calls, put by the control API; a service asks before and after its effect.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens to a matching request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Fault {
    /// Answer later.
    Latency {
        /// Wall milliseconds.
        ms: u64,
    },
    /// Answer this status without any effect.
    Status {
        /// The status.
        status: u16,
        /// The body; a vendor-like one if absent.
        #[serde(default)]
        body: Option<String>,
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Cut the connection, nothing done.
    DropBefore,
    /// Do it, then cut the connection: the important one.
    DropAfter,
    /// Do it, send only this many bytes of the answer, then cut.
    Truncate {
        /// Bytes that still arrive.
        bytes: u64,
    },
    /// Refuse the bearer token as expired.
    ExpireToken,
    /// Flip bits in the answer's body.
    Corrupt,
    /// Accept and never answer.
    Stall,
    /// Refuse by the service's own rules (a build fails, a certificate is refused, a hook fails); `reason` says which.
    Reject {
        /// What is rejected, in the service's words.
        reason: String,
    },
}

/// When a fault is played.
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

/// All rules that are in force.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    /// Adds a rule; earlier rules are asked first.
    pub fn add(&self, rule: Rule) {
        self.rules().push(rule);
    }

    /// Forgets every rule.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// The rules that are left.
    pub fn list(&self) -> Vec<Rule> {
        self.rules().clone()
    }

    /// The fault for this request, if one is due; counts it as played.
    pub fn take(&self, service: &str, method: &str, path: &str) -> Option<Fault> {
        let mut rules = self.rules();
        let index = rules.iter_mut().position(|rule| rule.is_due(service, method, path))?;
        let rule = &mut rules[index];
        let fault = rule.fault.clone();
        match &mut rule.times {
            Some(1) => drop(rules.remove(index)),
            Some(times) => *times -= 1,
            None => {}
        }
        Some(fault)
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn is_due(&mut self, service: &str, method: &str, path: &str) -> bool {
        let matches = self.service.as_deref().is_none_or(|wanted| wanted == service)
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|wanted| path.contains(wanted));
        if matches && self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        matches && self.times != Some(0)
    }
}

impl Fault {
    /// The wall time to wait first, where the fault is a latency.
    pub fn latency(&self) -> Option<Duration> {
        match self {
            Self::Latency { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(skip: u32, times: Option<u32>) -> Rule {
        Rule {
            service: None,
            method: Some("POST".into()),
            path: Some("/addons".into()),
            skip,
            times,
            fault: Fault::DropAfter,
        }
    }

    #[test]
    fn a_fault_is_played_as_often_as_asked_after_the_skipped_ones() {
        let faults = Faults::default();
        faults.add(rule(1, Some(2)));
        let played: Vec<bool> =
            (0..5).map(|_| faults.take("scalingo", "POST", "/v1/apps/x/addons").is_some()).collect();
        assert_eq!(played, [false, true, true, false, false]);
    }

    #[test]
    fn another_method_is_left_alone() {
        let faults = Faults::default();
        faults.add(rule(0, None));
        assert_eq!(faults.take("scalingo", "GET", "/v1/apps/x/addons"), None);
    }
}
