//! Secrets where they do not belong, and limits that were not kept.

use super::{Finding, Kind};
use crate::world::journal::observed::Offence;
use crate::world::journal::{Entry, LEAST_SECRET, Observed};

/// Services of one house share their credentials.
fn house(service: &str) -> &str {
    match service {
        "database-api" | "git" | "ssh" => "scalingo",
        other => other,
    }
}

/// Credentials that were shown to a service whose they are not.
pub(super) fn wrong_hosts(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (fingerprint, shown) in &observed.shown {
        let Some((owner, _)) = shown.iter().max_by_key(|(_, showing)| showing.accepted) else { continue };
        for (service, showing) in shown.iter().filter(|(service, _)| house(service) != house(owner)) {
            let what = format!(
                "the credential {fingerprint} of {owner} was shown {} times to {service} at {}",
                showing.times, showing.host
            );
            findings.push(Finding::new(Kind::WrongHost, what, Vec::new()));
        }
    }
    for (offence, times) in &observed.offences {
        if let Offence::AuthorizationOnSignedUrl { service, route } = offence {
            let what =
                format!("`Authorization` was sent {times} times to the signed address {route} of {service}");
            findings.push(Finding::new(Kind::WrongHost, what, Vec::new()));
        }
    }
    findings
}

/// Secrets in addresses.
pub(super) fn in_urls(observed: &Observed) -> Vec<Finding> {
    let told = observed.offences.iter().filter_map(|(offence, times)| match offence {
        Offence::SecretInUrl { service, route, parameter } => {
            Some(format!("`{parameter}` was in the address of {route} of {service}, {times} times"))
        }
        Offence::KnownSecretInUrl { service, route } => {
            Some(format!("a secret of this world was in the address of {route} of {service}, {times} times"))
        }
        Offence::AuthorizationOnSignedUrl { .. } => None,
    });
    told.map(|what| Finding::new(Kind::SecretInUrl, what, Vec::new())).collect()
}

/// Known secrets in the journal. Which one is not told.
pub(super) fn in_journal(entries: &[Entry], secrets: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for entry in entries {
        let line = serde_json::to_string(entry).unwrap_or_default();
        if secrets.iter().any(|secret| secret.len() >= LEAST_SECRET && line.contains(secret.as_str())) {
            let what = format!("a secret is in the entry of `{}`", entry.service);
            findings.push(Finding::new(Kind::SecretInJournal, what, vec![entry.seq]));
        }
    }
    findings
}

/// Callers whom the vendor refused for the number of their requests.
pub(super) fn rate_limits(observed: &Observed) -> Vec<Finding> {
    let refused = observed.rates.iter().filter(|(_, rate)| rate.refused > 0);
    refused
        .map(|((service, caller), rate)| {
            let (times, peak) = (rate.refused, rate.peak);
            let what =
                format!("{service} refused `{caller}` {times} times; its busiest minute had {peak} requests");
            Finding::new(Kind::RateLimit, what, Vec::new())
        })
        .collect()
}
