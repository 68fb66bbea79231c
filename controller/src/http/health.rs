//! Whether the daemon can do its work, as named conditions with reasons. Whoever owns a condition reports it; the HTTP
//! server and anybody else only read.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::watch;

/// Every condition's state. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Health {
    conditions: Arc<watch::Sender<Conditions>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Conditions {
    stopping: bool,
    /// Why each condition does not hold, or `None` if it does.
    missing: BTreeMap<&'static str, Option<String>>,
}

/// The right to report one condition.
#[derive(Debug, Clone)]
pub struct Reporter {
    name: &'static str,
    conditions: Arc<watch::Sender<Conditions>>,
}

/// Ready or not, and each condition on a line of its own, for a person who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// All conditions hold and the daemon is not stopping.
    pub ready: bool,
    /// `[+]name ok` or `[-]name: reason` for each.
    pub report: String,
}

impl Health {
    /// Without any condition there is nothing to be ready for: register them before serving.
    pub fn new() -> Self {
        Self { conditions: Arc::new(watch::Sender::new(Conditions::default())) }
    }

    /// Adds a condition, which does not hold until it is reported.
    pub fn condition(&self, name: &'static str) -> Reporter {
        let reporter = Reporter { name, conditions: Arc::clone(&self.conditions) };
        reporter.missing("starting");
        reporter
    }

    /// From now on it is not ready, whatever is reported: the first thing to do when stopping.
    pub fn stopping(&self) {
        self.conditions.send_modify(|conditions| conditions.stopping = true);
    }

    /// The state now.
    pub fn readiness(&self) -> Readiness {
        self.conditions.borrow().readiness()
    }

    /// Resolves once everything holds; never if it does not come to that.
    pub async fn until_ready(&self) {
        // Fails only without a sender, and we hold one.
        self.conditions.subscribe().wait_for(|conditions| conditions.readiness().ready).await.ok();
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Reporter {
    /// The condition holds.
    pub fn holds(&self) {
        self.set(None);
    }

    /// The condition does not hold. The reason is shown to anybody who may ask: no secrets, one line.
    pub fn missing(&self, reason: impl Into<String>) {
        self.set(Some(reason.into().replace(char::is_control, " ")));
    }

    fn set(&self, reason: Option<String>) {
        let changed = self.conditions.send_if_modified(|conditions| {
            let changed = conditions.missing.get(self.name) != Some(&reason);
            conditions.missing.insert(self.name, reason.clone());
            changed
        });
        match (changed, reason) {
            (true, Some(reason)) => tracing::info!(condition = self.name, reason, "condition does not hold"),
            (true, None) => tracing::info!(condition = self.name, "condition holds"),
            (false, _) => {}
        }
    }
}

impl Conditions {
    fn readiness(&self) -> Readiness {
        let all = !self.missing.is_empty() && self.missing.values().all(Option::is_none);
        let mut report = String::new();
        for (name, reason) in &self.missing {
            let line = match reason {
                None => writeln!(report, "[+]{name} ok"),
                Some(reason) => writeln!(report, "[-]{name}: {reason}"),
            };
            debug_assert!(line.is_ok(), "writing to a string does not fail");
        }
        if self.stopping {
            report.push_str("[-]process: stopping\n");
        }
        Readiness { ready: all && !self.stopping, report }
    }
}

#[cfg(test)]
mod tests {
    use super::Health;

    #[test]
    fn every_condition_must_hold() {
        let health = Health::new();
        assert!(!health.readiness().ready, "nothing was asked for yet");
        let (store, lease) = (health.condition("store"), health.condition("lease"));
        store.holds();
        lease.missing("held by b until 12:00\n[+]forged");
        let now = health.readiness();
        assert!(!now.ready);
        assert_eq!(now.report, "[-]lease: held by b until 12:00 [+]forged\n[+]store ok\n");
        lease.holds();
        assert!(health.readiness().ready);
    }

    #[test]
    fn a_stopping_daemon_is_never_ready() {
        let health = Health::new();
        let store = health.condition("store");
        health.stopping();
        store.holds();
        assert!(!health.readiness().ready);
        assert!(health.readiness().report.contains("stopping"));
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_can_be_waited_for() {
        let health = Health::new();
        let store = health.condition("store");
        tokio::join!(health.until_ready(), async { store.holds() });
        assert!(health.readiness().ready);
    }
}
