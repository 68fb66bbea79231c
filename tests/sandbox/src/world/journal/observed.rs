//! What is noted of every request, reads included: a tally by route, which credential was shown where, how fast each caller
//! asked, and what must never be seen (secrets in addresses, credentials beside a signature). Bounded, whatever is sent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Credential;

/// Programs told apart for one route.
const AGENTS: usize = 50;
/// Routes, credentials and callers that are told apart.
const DISTINCT: usize = 5_000;
/// Parameters that carry a secret.
const SECRET: [&str; 7] = ["token", "password", "secret", "api_key", "apikey", "key", "signature"];

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The journal's name of the service.
    pub service: &'static str,
    /// The HTTP method.
    pub method: String,
    /// The matched pattern, or the S3 operation.
    pub route: String,
    /// The answer's status, 0 if there was none.
    pub status: u16,
    /// The client's `User-Agent`.
    pub agent: String,
    /// `Host`.
    pub host: String,
    /// The journal's caller.
    pub caller: String,
    /// What was shown.
    pub credential: Option<Credential>,
    /// Whether the service itself refused it for the number of requests.
    pub limited: bool,
    /// The path of the address.
    pub path: String,
    /// The query of the address.
    pub query: String,
    /// Whether a fault made this answer.
    pub played: bool,
    /// World minutes since the start.
    pub minute: u64,
}

/// Everything noted so far.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// By service, method and route.
    pub calls: BTreeMap<(&'static str, String, String), Tally>,
    /// By fingerprint: the services that it was shown to.
    pub shown: BTreeMap<String, BTreeMap<&'static str, Showing>>,
    /// By service and caller.
    pub rates: BTreeMap<(&'static str, String), Rate>,
    /// What must never be seen, and how often it was.
    pub offences: BTreeMap<Offence, u64>,
}

/// How often a route was asked for, by whom, with which result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// By the product token of `User-Agent`.
    pub agents: BTreeMap<String, u64>,
    /// The same of what was answered with a success.
    pub accepted: BTreeMap<String, u64>,
    /// By status.
    pub statuses: BTreeMap<u16, u64>,
}

/// A credential at one service.
#[derive(Debug, Clone, Default)]
pub struct Showing {
    /// How often it was shown.
    pub times: u64,
    /// How often the answer was a success.
    pub accepted: u64,
    /// Whom the client thought to talk to.
    pub host: String,
}

/// How fast a caller asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    minute: u64,
    requests: u64,
    /// The most in one world minute.
    pub peak: u64,
    /// Requests that the vendor's own limit refused.
    pub refused: u64,
}

/// What must never be seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// A parameter of the address that carries a secret where the vendor asks for none.
    SecretInUrl {
        /// To which service.
        service: &'static str,
        /// On which route.
        route: String,
        /// In which parameter.
        parameter: String,
    },
    /// One of the world's own secrets, wherever in the address. It is not told which.
    KnownSecretInUrl {
        /// To which service.
        service: &'static str,
        /// On which route.
        route: String,
    },
    /// `Authorization` beside a signature in the address.
    AuthorizationOnSignedUrl {
        /// To which service.
        service: &'static str,
        /// On which route.
        route: String,
    },
}

impl Observed {
    /// Notes a request; `secrets` are known, and belong into no address.
    pub(super) fn note(&mut self, seen: &Seen, secrets: &[String]) {
        self.tally(seen);
        self.offence(seen);
        if holds(&seen.path, secrets) || holds(&seen.query, secrets) {
            self.count(Offence::KnownSecretInUrl { service: seen.service, route: seen.route.clone() });
        }
        if seen.service == "control" {
            return;
        }
        if let Some(credential) = &seen.credential
            && (self.shown.len() < DISTINCT || self.shown.contains_key(&credential.fingerprint))
        {
            let services = self.shown.entry(credential.fingerprint.clone()).or_default();
            let showing = services.entry(seen.service).or_default();
            showing.times += 1;
            showing.accepted += u64::from((200..300).contains(&seen.status) && !seen.played);
            seen.host.clone_into(&mut showing.host);
        }
        if self.rates.len() < DISTINCT {
            self.rates.entry((seen.service, seen.caller.clone())).or_default().note(seen);
        }
    }

    fn tally(&mut self, seen: &Seen) {
        let key = (seen.service, seen.method.clone(), seen.route.clone());
        if self.calls.len() >= DISTINCT && !self.calls.contains_key(&key) {
            return;
        }
        let tally = self.calls.entry(key).or_default();
        let agent = product(&seen.agent);
        let agent = if tally.agents.len() < AGENTS || tally.agents.contains_key(&agent) {
            agent
        } else {
            "other".into()
        };
        if (200..400).contains(&seen.status) && !seen.played {
            *tally.accepted.entry(agent.clone()).or_default() += 1;
        }
        *tally.agents.entry(agent).or_default() += 1;
        *tally.statuses.entry(seen.status).or_default() += 1;
    }

    fn offence(&mut self, seen: &Seen) {
        let (service, route) = (seen.service, seen.route.clone());
        if seen.service.starts_with("s3-") {
            // What an object store's parameters are called says nothing: a page of a list has a token, too.
            if seen.credential.is_some() && seen.query.contains("X-Amz-Signature=") {
                self.count(Offence::AuthorizationOnSignedUrl { service, route });
            }
        } else if is_presigned(seen) {
            if seen.credential.is_some() && seen.query.contains("sig") {
                self.count(Offence::AuthorizationOnSignedUrl { service, route });
            }
        } else if let Some(parameter) = secret_parameter(&seen.query) {
            self.count(Offence::SecretInUrl { service, route, parameter });
        }
    }

    fn count(&mut self, offence: Offence) {
        if self.offences.len() < DISTINCT || self.offences.contains_key(&offence) {
            *self.offences.entry(offence).or_default() += 1;
        }
    }
}

impl Rate {
    fn note(&mut self, seen: &Seen) {
        if self.minute != seen.minute {
            (self.minute, self.requests) = (seen.minute, 0);
        }
        self.requests += 1;
        self.peak = self.peak.max(self.requests);
        self.refused += u64::from(seen.limited);
    }
}

/// The first product token (RFC 9110) of a `User-Agent`, without its version.
fn product(agent: &str) -> String {
    let token = agent.split(['/', ' ']).next().unwrap_or_default();
    let name: String = token.chars().filter(char::is_ascii_graphic).take(64).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

/// Where the vendor itself puts a signature or a token into the address.
fn is_presigned(seen: &Seen) -> bool {
    let prescribed = ["/download", "/sources/", "/collaboration", "/logs", "/archive", "/attach"];
    seen.service == "github-blob" || prescribed.iter().any(|part| seen.route.contains(part))
}

/// Whether one of `secrets` is in `text`, as it is or percent-encoded.
fn holds(text: &str, secrets: &[String]) -> bool {
    let known = |text: &str| secrets.iter().any(|secret| text.contains(secret.as_str()));
    known(text)
        || text.contains('%') && known(&percent_encoding::percent_decode_str(text).decode_utf8_lossy())
}

fn secret_parameter(query: &str) -> Option<String> {
    let names =
        query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(_, value)| !value.is_empty());
    let mut names = names.map(|(name, _)| name.to_ascii_lowercase());
    names.find(|name| {
        let last = name.rsplit(['_', '-']).next().unwrap_or_default();
        SECRET.contains(&name.as_str()) || SECRET.contains(&last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(route: &str, query: &str) -> Seen {
        let (method, agent) = ("GET".into(), "go-scalingo/11.3 (linux)".into());
        Seen {
            service: "scalingo",
            method,
            route: route.into(),
            query: query.into(),
            agent,
            ..Seen::default()
        }
    }

    #[test]
    fn requests_are_tallied_by_route_program_and_status() {
        let mut observed = Observed::default();
        for status in [200, 200, 404] {
            observed.note(&Seen { status, ..seen("/v1/apps/{app}", "") }, &[]);
        }
        let tally = &observed.calls[&("scalingo", "GET".to_owned(), "/v1/apps/{app}".to_owned())];
        assert_eq!(tally.agents, BTreeMap::from([("go-scalingo".to_owned(), 3)]));
        assert_eq!(tally.accepted, BTreeMap::from([("go-scalingo".to_owned(), 2)]));
        assert_eq!(tally.statuses, BTreeMap::from([(200, 2), (404, 1)]));
    }

    #[test]
    fn secrets_belong_into_no_address_except_where_the_vendor_puts_them() {
        let mut observed = Observed::default();
        let mut note = |one: &Seen| {
            observed.note(one, &["a+known/secret".to_owned()]);
            observed.offences.len()
        };
        for (route, query, offences) in [
            ("/v1/apps", "page=1&access_token=x", 1),
            ("/v1/apps", "page=1", 1),
            ("/api/databases/{id}/backups/{id}/download", "token=x", 1),
            ("/v1/apps/collaboration", "token=x", 1),
            // By its value, whatever it is called, and where the vendor has a token of another kind.
            ("/v1/apps/collaboration", "token=a%2Bknown%2Fsecret", 2),
        ] {
            assert_eq!(note(&seen(route, query)), offences, "{route} {query}");
        }
        let credential = Some(Credential::of_key("k"));
        assert_eq!(note(&Seen { credential, ..seen("/sources/upload", "sig=x") }), 3);
    }

    #[test]
    fn an_object_stores_addresses_are_looked_at_for_what_they_hold() {
        let at_store = |query: &str| Seen { service: "s3-source", ..seen("ListObjectsV2", query) };
        let mut observed = Observed::default();
        let secrets = ["a-known-secret".to_owned()];
        observed.note(&at_store("continuation-token=x&prefix=design/"), &secrets);
        let credential = Some(Credential::of_key("k"));
        observed.note(&Seen { credential: credential.clone(), ..at_store("prefix=sig/") }, &secrets);
        assert_eq!(observed.offences.len(), 0, "{:?}", observed.offences);
        observed.note(&at_store("prefix=a-known-secret/"), &secrets);
        observed.note(&Seen { path: "/bucket/a-known-secret".into(), ..at_store("") }, &secrets);
        assert_eq!(observed.offences.values().sum::<u64>(), 2, "{:?}", observed.offences);
        observed.note(&Seen { credential, ..at_store("X-Amz-Signature=0") }, &secrets);
        assert_eq!(observed.offences.len(), 2, "{:?}", observed.offences);
    }

    #[test]
    fn the_busiest_minute_is_kept() {
        let mut observed = Observed::default();
        for minute in [0, 0, 1, 1, 1, 2] {
            observed.note(&Seen { minute, limited: true, ..seen("/v1/apps", "") }, &[]);
        }
        let rate = observed.rates[&("scalingo", String::new())];
        assert_eq!((rate.peak, rate.refused), (3, 6));
    }
}
