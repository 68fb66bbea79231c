//! alwaysdata: domains and DNS records.
//!
//! Lists are complete (there are no pages) but their filters are loose: everything is compared again here. Creating tells no body, and an
//! id only in `Location`; a write whose answer is lost may have made a duplicate: list before doing it again. Every write asks to be
//! carried out before it is answered.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::http::{Answer, Call, Http, HttpSetupError, HttpShared, Limiter, Method, ProviderError};

/// The provider's name in spans and metrics.
pub const NAME: &str = "alwaysdata";

/// Where the account is and how to enter it.
#[derive(Debug, Clone)]
pub struct AlwaysdataConfig {
    /// Base URL, with or without the version.
    pub url: String,
    /// The API key.
    pub key: SecretString,
    /// The hosting account, where the profile has several.
    pub account: Option<String>,
}

/// A client of one account. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Alwaysdata {
    http: Http,
    config: AlwaysdataConfig,
}

/// A zone. What else the vendor tells of it (private keys) is not read.
#[derive(Debug, Clone, Deserialize)]
pub struct Domain {
    /// Its id.
    pub id: u64,
    /// Its apex.
    pub name: String,
}

/// A record of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: u64,
    /// The zone, as `{"href": "/v1/domain/7/"}` in answers, or as a number.
    #[serde(deserialize_with = "domain_id")]
    pub domain: u64,
    /// `CNAME`, `A`…
    #[serde(rename = "type")]
    pub kind: String,
    /// Relative to the zone; empty at its apex.
    #[serde(default)]
    pub name: String,
    /// The value: host names absolute, without a final dot.
    pub value: String,
    /// In seconds.
    pub ttl: Option<u32>,
    /// Ours to write: whose it is, for example.
    #[serde(default)]
    pub annotation: Option<String>,
    /// `false` for records that the platform made: these cannot be deleted, only overridden.
    pub is_user_defined: Option<bool>,
    /// `false` if another record overrides it.
    pub is_active: Option<bool>,
}

/// A record to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewRecord<'a> {
    /// The zone's id.
    pub domain: u64,
    /// `CNAME`, `A`…
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Relative to the zone. A full name would be taken as relative too.
    pub name: &'a str,
    /// The value, without a final dot.
    pub value: &'a str,
    /// In seconds.
    pub ttl: u32,
    /// Whose it is.
    pub annotation: &'a str,
}

/// What to change of a record; the rest stays.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RecordChange<'a> {
    /// The value, without a final dot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a str>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation: Option<&'a str>,
}

fn domain_id<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Id(u64),
        Link { href: String },
    }
    match Either::deserialize(from)? {
        Either::Id(id) => Ok(id),
        Either::Link { href } => {
            let id = href.trim_end_matches('/').rsplit('/').next().and_then(|id| id.parse().ok());
            id.ok_or_else(|| serde::de::Error::custom("no id in the domain's link"))
        }
    }
}

impl Alwaysdata {
    /// A client; nothing is sent yet.
    pub fn new(
        config: AlwaysdataConfig,
        limiter: Limiter,
        shared: HttpShared,
    ) -> Result<Self, HttpSetupError> {
        let url = config.url.trim_end_matches('/');
        let url = if url.ends_with("/v1") { url.to_owned() } else { format!("{url}/v1") };
        Ok(Self { http: Http::new(NAME, &url, limiter, shared)?, config })
    }

    /// The same account, with every wait ending at `cancel`.
    #[must_use]
    pub fn with_cancel(&self, cancel: tokio_util::sync::CancellationToken) -> Self {
        Self { http: self.http.with_cancel(cancel), config: self.config.clone() }
    }

    /// The key is the *user* and the password is empty; the account follows the key after a space.
    ///
    /// Source: help page "API / Usage".
    fn call(&self, name: &'static str, method: Method, path: &[&str]) -> Call {
        use secrecy::ExposeSecret as _;
        let key = self.config.key.expose_secret();
        let user = match &self.config.account {
            Some(account) => SecretString::from(format!("{key} account={account}")),
            None => SecretString::from(key),
        };
        let call = Call::new(&self.http, name, method).segments(path).trailing_slash();
        call.basic(user.expose_secret(), &SecretString::default()).header("alwaysdata-synchronous", "yes")
    }

    /// `GET /domain/?name=`: the zone of exactly this name. The vendor's filter finds parts of names too.
    ///
    /// Source: help page "API / Resources / Domain". Safe to repeat.
    pub async fn domain(&self, name: &str) -> Result<Option<Domain>, ProviderError> {
        let call = self.call("domains.list", Method::GET, &["domain"]).query("name", name);
        let list: Vec<Domain> = call.send().await?;
        Ok(list.into_iter().find(|domain| domain.name.eq_ignore_ascii_case(name)))
    }

    /// `GET /record/?domain=&name=`: all records of one label of a zone, whatever their type. Empty label: the apex.
    ///
    /// Source: help page "API / Resources / Record". Safe to repeat.
    pub async fn records(&self, domain: u64, label: &str) -> Result<Vec<Record>, ProviderError> {
        let call = self.call("records.list", Method::GET, &["record"]).query("domain", &domain.to_string());
        let list: Vec<Record> = call.query("name", label).send().await?;
        let ours = |record: &Record| record.domain == domain && record.name.eq_ignore_ascii_case(label);
        Ok(list.into_iter().filter(ours).collect())
    }

    /// `GET /record/?domain=`: all records of a zone.
    ///
    /// Source: help page "API / Resources / Record". Safe to repeat.
    pub async fn zone_records(&self, domain: u64) -> Result<Vec<Record>, ProviderError> {
        let call = self.call("records.list", Method::GET, &["record"]).query("domain", &domain.to_string());
        let list: Vec<Record> = call.send().await?;
        Ok(list.into_iter().filter(|record| record.domain == domain).collect())
    }

    /// `GET /record/:id/`.
    ///
    /// Source: help page "API / Resources / Record". Safe to repeat.
    pub async fn record(&self, id: u64) -> Result<Option<Record>, ProviderError> {
        match self.call("records.get", Method::GET, &["record", &id.to_string()]).send().await {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `POST /record/`: 201 with an empty body. The id is in `Location`; `None` if it is not: list then. Repeating may make a duplicate.
    ///
    /// Source: help page "API / Usage"; what independent clients rely on.
    pub async fn create_record(&self, record: &NewRecord<'_>) -> Result<Option<u64>, ProviderError> {
        let answer: Answer =
            self.call("records.create", Method::POST, &["record"]).json(record).answer().await?;
        Ok(answer.location_id().and_then(|id| id.parse().ok()))
    }

    /// `PATCH /record/:id/` with only what changes. Safe to repeat.
    ///
    /// Source: help page "API / Usage".
    pub async fn change_record(&self, id: u64, change: &RecordChange<'_>) -> Result<(), ProviderError> {
        let call = self.call("records.change", Method::PATCH, &["record", &id.to_string()]);
        call.json(change).repeatable().answer().await.map(drop)
    }

    /// `DELETE /record/:id/`. `false` if it was gone.
    ///
    /// Source: help page "API / Usage". Repeating gives 404.
    pub async fn delete_record(&self, id: u64) -> Result<bool, ProviderError> {
        match self.call("records.delete", Method::DELETE, &["record", &id.to_string()]).answer().await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::HeaderMap, http::StatusCode, routing::any};
    use serde_json::json;

    use super::*;
    use crate::providers::http::call::tests::{fast, serve};

    pub(super) async fn client(router: Router) -> (Alwaysdata, tokio::task::JoinSet<()>) {
        let (url, server) = serve(router).await;
        let config = AlwaysdataConfig { url, key: SecretString::from("KEY"), account: Some("agence".into()) };
        (Alwaysdata::new(config, fast(), HttpShared::default()).unwrap(), server)
    }

    #[tokio::test]
    async fn the_account_follows_the_key_after_a_space_and_names_are_compared_whole() {
        let list = |headers: HeaderMap| async move {
            // `KEY account=agence:`
            assert_eq!(headers["authorization"], "Basic S0VZIGFjY291bnQ9YWdlbmNlOg==");
            assert_eq!(headers["alwaysdata-synchronous"], "yes");
            Json(
                json!([{"id": 1, "name": "my-exemple.fr", "dkim_private_key": "x"}, {"id": 2, "name": "exemple.fr"}]),
            )
        };
        let (dns, _server) = client(Router::new().route("/v1/domain/", any(list))).await;
        assert_eq!(dns.domain("exemple.fr").await.unwrap().unwrap().id, 2);
        assert!(dns.domain("xemple.fr").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn records_of_other_labels_and_zones_are_left_out() {
        let record = |id, domain: u64, name: &str| {
            json!({"id": id, "domain": {"href": format!("/v1/domain/{domain}/")}, "type": "CNAME", "name": name,
                   "value": "a.b", "priority": null, "ttl": 300, "annotation": "", "is_user_defined": true})
        };
        let list = json!([record(1, 7, "www"), record(2, 7, "www2"), record(3, 8, "www"), record(4, 7, "")]);
        let (dns, _server) = client(Router::new().fallback(any(move || async move { Json(list) }))).await;
        let ids = |list: Vec<Record>| list.iter().map(|record| record.id).collect::<Vec<_>>();
        assert_eq!(ids(dns.records(7, "www").await.unwrap()), [1]);
        assert_eq!(ids(dns.records(7, "").await.unwrap()), [4]);
    }

    #[tokio::test]
    async fn the_new_id_comes_from_the_location_or_not_at_all() {
        let created = |location: Option<&'static str>| {
            any(move || async move {
                let mut headers = HeaderMap::new();
                if let Some(location) = location {
                    headers.insert("location", location.parse().unwrap());
                }
                (StatusCode::CREATED, headers)
            })
        };
        let new = NewRecord {
            domain: 7,
            kind: "CNAME",
            name: "www",
            value: "a.b",
            ttl: 300,
            annotation: "reprise",
        };
        for (location, id) in [(Some("/v1/record/42/"), Some(42)), (None, None)] {
            let (dns, _server) = client(Router::new().route("/v1/record/", created(location))).await;
            assert_eq!(dns.create_record(&new).await.unwrap(), id);
        }
    }
}
