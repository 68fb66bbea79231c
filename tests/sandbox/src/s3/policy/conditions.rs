//! The `Condition` element of a bucket policy: operators over facts of the request. Pure.
//!
//! A fact that is not known fails every operator except the negated ones, `…IfExists` and `Null`, as in the protocol.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::wildcard;

/// What is known of a request, by the lower-case name of a condition key: `aws:sourceip`, `s3:prefix`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts(BTreeMap<String, String>);

impl Facts {
    /// Notes a fact.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_ascii_lowercase(), value.into());
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(String::as_str)
    }
}

/// Whether all conditions hold.
pub(crate) fn hold(conditions: &Map<String, Value>, facts: &Facts) -> bool {
    conditions.iter().all(|(operator, keys)| {
        keys.as_object().is_some_and(|keys| {
            keys.iter().all(|(key, values)| holds(operator, facts.get(key), &texts(values)))
        })
    })
}

fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Array(all) => all.iter().map(text).collect(),
        one => vec![text(one)],
    }
}

fn holds(operator: &str, fact: Option<&str>, values: &[String]) -> bool {
    let (operator, optional) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    if operator == "Null" {
        return values.iter().any(|value| (value == "true") == fact.is_none());
    }
    let (operator, negated) = positive(operator);
    match fact {
        None => optional || negated,
        Some(fact) => values.iter().any(|value| compare(operator, fact, value)) != negated,
    }
}

/// The operator without its negation.
fn positive(operator: &str) -> (&str, bool) {
    match operator {
        "StringNotEquals" => ("StringEquals", true),
        "StringNotEqualsIgnoreCase" => ("StringEqualsIgnoreCase", true),
        "StringNotLike" => ("StringLike", true),
        "NotIpAddress" => ("IpAddress", true),
        "NumericNotEquals" => ("NumericEquals", true),
        "DateNotEquals" => ("DateEquals", true),
        other => (other, false),
    }
}

/// An operator that is not known holds never: a policy then allows less, not more.
fn compare(operator: &str, fact: &str, value: &str) -> bool {
    if let Some(order) = operator.strip_prefix("Numeric") {
        let pair = (fact.parse::<f64>().ok(), value.parse::<f64>().ok());
        return matches!(pair, (Some(fact), Some(value)) if ordered(order, fact.partial_cmp(&value)));
    }
    if let Some(order) = operator.strip_prefix("Date") {
        let pair = (date(fact), date(value));
        return matches!(pair, (Some(fact), Some(value)) if ordered(order, Some(fact.cmp(&value))));
    }
    match operator {
        "StringEquals" => fact == value,
        "StringEqualsIgnoreCase" | "Bool" => fact.eq_ignore_ascii_case(value),
        "StringLike" => wildcard(value, fact, true),
        "IpAddress" => fact.parse().is_ok_and(|fact| lies_in(fact, value)),
        _ => false,
    }
}

fn ordered(order: &str, found: Option<std::cmp::Ordering>) -> bool {
    found.is_some_and(|found| match order {
        "Equals" => found.is_eq(),
        "LessThan" => found.is_lt(),
        "LessThanEquals" => found.is_le(),
        "GreaterThan" => found.is_gt(),
        "GreaterThanEquals" => found.is_ge(),
        _ => false,
    })
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    let seconds = || DateTime::from_timestamp(text.parse().ok()?, 0);
    DateTime::parse_from_rfc3339(text).map(|date| date.to_utc()).ok().or_else(seconds)
}

/// Whether an address lies in a network (`10.0.0.0/8`) or is that address.
fn lies_in(address: IpAddr, network: &str) -> bool {
    let (base, length) =
        network.split_once('/').map_or((network, None), |(base, length)| (base, Some(length)));
    let Ok(base) = base.parse::<IpAddr>() else { return false };
    let (address, base, width) = match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => {
            (u128::from(address.to_bits()), u128::from(base.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(base)) => (address.to_bits(), base.to_bits(), 128),
        _ => return false,
    };
    let Some(length) =
        length.map_or(Some(width), |length| length.parse().ok()).filter(|length| *length <= width)
    else {
        return false;
    };
    // A shift by the whole width leaves nothing, which is what /0 means.
    let network = |bits: u128| bits.checked_shr(width - length).unwrap_or(0);
    network(address) == network(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(conditions: &str) -> bool {
        let mut facts = Facts::default();
        facts.set("aws:SourceIp", "127.0.0.1");
        facts.set("s3:prefix", "logs/2026");
        facts.set("aws:CurrentTime", "2026-06-01T00:00:00Z");
        hold(&serde_json::from_str(conditions).unwrap(), &facts)
    }

    #[test]
    fn addresses_are_compared_by_network() {
        assert!(check(r#"{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","127.0.0.0/8"]}}"#));
        assert!(!check(r#"{"NotIpAddress":{"aws:SourceIp":"127.0.0.1"}}"#));
        assert!(check(r#"{"IpAddress":{"aws:sourceip":"0.0.0.0/0"}}"#));
        assert!(!check(r#"{"IpAddress":{"aws:SourceIp":"not/an/address"}}"#));
    }

    #[test]
    fn texts_and_dates_are_compared() {
        assert!(check(
            r#"{"StringLike":{"s3:prefix":"logs/*"},"DateLessThan":{"aws:CurrentTime":"2027-01-01T00:00:00Z"}}"#
        ));
        assert!(!check(r#"{"StringEquals":{"s3:prefix":"logs"}}"#));
    }

    #[test]
    fn an_unknown_fact_or_operator_does_not_open() {
        assert!(!check(r#"{"StringEquals":{"aws:userid":"x"}}"#));
        assert!(check(r#"{"StringEqualsIfExists":{"aws:userid":"x"},"StringNotEquals":{"aws:userid":"x"}}"#));
        assert!(
            check(r#"{"Null":{"aws:userid":"true"}}"#) && !check(r#"{"Mystery":{"s3:prefix":"logs/2026"}}"#)
        );
    }
}
