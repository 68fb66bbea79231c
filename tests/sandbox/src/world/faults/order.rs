//! A rule as the control API and fault files spell it, and its check.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fault, Rule};
use super::{offer, profile};

/// When a fault is played, with everything that can be asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Only this service (see the journal's names), if given.
    #[serde(default)]
    pub service: Option<String>,
    /// Only this HTTP method (or verb: `push`, `build`, `hook`), if given.
    #[serde(default)]
    pub method: Option<String>,
    /// Only paths that contain this, if given.
    #[serde(default)]
    pub path: Option<String>,
    /// Only this call: the journal's `call` or `route`, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Only who shows this credential: its fingerprint or public id as in the journal, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// How many matches pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many times it is played; for ever if absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// How likely a match is played; always if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What is played.
    pub fault: Fault,
}

impl From<Rule> for Order {
    fn from(rule: Rule) -> Self {
        let Rule { service, method, path, skip, times, fault } = rule;
        Self { service, method, path, call: None, credential: None, skip, times, probability: None, fault }
    }
}

impl From<Order> for Rule {
    fn from(order: Order) -> Self {
        let Order { service, method, path, skip, times, fault, .. } = order;
        Self { service, method, path, skip, times, fault }
    }
}

/// Why rules are not taken.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// Not JSON at all.
    #[error(
        "the faults are not JSON: {0}; give one rule, an array of rules, or {{\"profile\": \"bad-day\"}}"
    )]
    Syntax(#[source] serde_json::Error),
    /// One of the rules is wrong.
    #[error("rule {number}: {what}; all members and kinds are in docs/sandbox.md, section \"Faults\"")]
    Rule {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// No such profile.
    #[error("there is no profile {0:?}: use \"bad-day\"")]
    Profile(String),
}

/// Rules that are put together, and the profile they come from.
#[derive(Debug)]
pub struct Script(pub(super) Vec<(Order, Option<&'static str>)>);

/// A profile, and rules beside it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mixed {
    profile: String,
    #[serde(default)]
    rules: Vec<Value>,
}

impl Script {
    /// The rules that `text` spells: one rule, an array, or an object with a profile.
    pub fn parse(text: &[u8]) -> Result<Self, FaultError> {
        match serde_json::from_slice(text).map_err(FaultError::Syntax)? {
            Value::Array(rules) => Ok(Self(orders(rules)?)),
            value if value.get("profile").is_some() => {
                let mixed: Mixed = serde_json::from_value(value)
                    .map_err(|error| FaultError::Rule { number: 1, what: error.to_string() })?;
                let mut all = Self::profile(&mixed.profile)?.0;
                // Own rules are asked before the profile's.
                all.splice(0..0, orders(mixed.rules)?);
                Ok(Self(all))
            }
            rule => Ok(Self(orders(vec![rule])?)),
        }
    }

    /// The profile called `name`.
    pub fn profile(name: &str) -> Result<Self, FaultError> {
        let all = profile::named(name).ok_or_else(|| FaultError::Profile(name.to_owned()))?;
        let orders: Vec<Order> = serde_json::from_value(all).map_err(FaultError::Syntax)?;
        Ok(Self(orders.into_iter().map(|order| (order, Some(profile::BAD_DAY))).collect()))
    }
}

fn orders(rules: Vec<Value>) -> Result<Vec<(Order, Option<&'static str>)>, FaultError> {
    let read = |(index, rule): (usize, Value)| {
        order(rule).map(|order| (order, None)).map_err(|what| FaultError::Rule { number: index + 1, what })
    };
    rules.into_iter().enumerate().map(read).collect()
}

fn order(rule: Value) -> Result<Order, String> {
    let order: Order = serde_json::from_value(rule).map_err(|error| error.to_string())?;
    match order.complaint() {
        Some(what) => Err(what),
        None => Ok(order),
    }
}

impl Order {
    fn complaint(&self) -> Option<String> {
        if let Some(share) = self.probability.filter(|share| !(0.0..=1.0).contains(share)) {
            return Some(format!("probability {share} is not between 0 and 1: give 0.05 for one in twenty"));
        }
        if matches!(self.fault, Fault::Lie { .. }) && self.service.is_none() {
            return Some("service: only name servers lie: say \"service\": \"dns\"".into());
        }
        // A call by its route begins with its method.
        let called = self.call.as_deref().and_then(|call| call.split(' ').next());
        let verb = self.method.as_deref().or(called);
        offer::complaint(self.service.as_deref(), verb, self.fault.kind()).or_else(|| self.fault.complaint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_an_array_and_a_profile_are_read() {
        let count = |text: &str| Script::parse(text.as_bytes()).unwrap().0.len();
        assert_eq!(count(r#"{"fault": {"kind": "drop_after"}}"#), 1);
        assert_eq!(count(r#"[{"fault": {"kind": "stall"}}, {"fault": {"kind": "hang"}}]"#), 2);
        let profile = count(r#"{"profile": "bad-day"}"#);
        assert!(profile > 10, "{profile}");
        assert_eq!(
            count(r#"{"profile": "bad-day", "rules": [{"fault": {"kind": "corrupt"}}]}"#),
            profile + 1
        );
    }

    #[test]
    fn a_bad_rule_is_told_with_its_place_and_what_to_do() {
        let why = |text: &str| Script::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(why("{").contains("not JSON"), "{}", why("{"));
        let second = why(r#"[{"fault": {"kind": "stall"}}, {"fault": {"kind": "explode"}}]"#);
        assert!(second.starts_with("rule 2: ") && second.contains("explode"), "{second}");
        let much = why(r#"{"probability": 5, "fault": {"kind": "stall"}}"#);
        assert!(much.contains("probability 5") && much.contains("0.05"), "{much}");
        assert!(why(r#"{"fault": {"kind": "status", "status": 42}}"#).contains("200 to 599"));
        assert!(why(r#"{"fault": {"kind": "slow_body", "bytes_per_second": 0}}"#).contains("stall"));
        assert!(why(r#"{"service": "s3-source", "fault": {"kind": "stale_read"}}"#).contains("service"));
        assert!(why(r#"{"profile": "good-day"}"#).contains("bad-day"));
        assert!(why(r#"{"pth": "x", "fault": {"kind": "stall"}}"#).contains("pth"));
    }
}
