//! Domains of an app and their certificates.

use serde::Deserialize;
use serde_json::json;

use super::{Scalingo, absent};
use crate::providers::{
    http::{Method, ProviderError},
    open::open_enum,
};

open_enum! {
    /// How far the automatic certificate is.
    ///
    /// Source: developer documentation "Domains".
    CertificateStatus {
        /// The name does not point here yet; looked at every minute.
        PendingDns = "pending_dns",
        /// Asked for.
        New = "new",
        /// There.
        Created = "created",
        /// A wildcard needs a record.
        DnsRequired = "dns_required",
        /// Refused.
        Error = "error",
    }
}

/// A domain of an app.
#[derive(Debug, Clone, Deserialize)]
pub struct Domain {
    /// Its id.
    pub id: String,
    /// The host name.
    pub name: String,
    /// Other hosts are redirected here.
    #[serde(default)]
    pub canonical: bool,
    /// Served over TLS.
    #[serde(default)]
    pub ssl: bool,
    /// State of TLS as a whole.
    pub ssl_status: Option<String>,
    /// An automatic certificate is wanted.
    pub letsencrypt_enabled: Option<bool>,
    /// An automatic certificate is in use.
    pub letsencrypt: Option<bool>,
    /// How far it is.
    pub letsencrypt_status: Option<CertificateStatus>,
}

#[derive(Deserialize)]
struct DomainRoot {
    domain: Domain,
}

#[derive(Deserialize)]
struct DomainsRoot {
    domains: Vec<Domain>,
}

impl Scalingo {
    /// `GET /apps/:app/domains`. Not paginated; 20 an app at most.
    ///
    /// Source: developer documentation "Domains / List". Safe to repeat.
    pub async fn domains(&self, app: &str) -> Result<Vec<Domain>, ProviderError> {
        let call = self.api("domains.list", Method::GET).await?.segments(["apps", app, "domains"]);
        self.send::<DomainsRoot>(call).await.map(|root| root.domains)
    }

    /// `GET /apps/:app/domains/:id`.
    ///
    /// Source: developer documentation "Domains / Get". Safe to repeat.
    pub async fn domain(&self, app: &str, id: &str) -> Result<Option<Domain>, ProviderError> {
        let call = self.api("domains.get", Method::GET).await?.segments(["apps", app, "domains", id]);
        Ok(absent(self.send::<DomainRoot>(call).await)?.map(|root| root.domain))
    }

    /// `POST /apps/:app/domains` with an automatic certificate. What happens to a second one of the same name is not told: list first.
    ///
    /// Source: developer documentation "Domains / Add".
    pub async fn add_domain(&self, app: &str, name: &str) -> Result<Domain, ProviderError> {
        let call = self.api("domains.add", Method::POST).await?.segments(["apps", app, "domains"]);
        let body = json!({ "domain": { "name": name, "letsencrypt_enabled": true } });
        self.send::<DomainRoot>(call.json(&body)).await.map(|root| root.domain)
    }

    /// `DELETE /apps/:app/domains/:id`. `false` if it was gone. Let nothing point here before.
    ///
    /// Source: developer documentation "Domains / Delete". Repeating gives 404.
    pub async fn delete_domain(&self, app: &str, id: &str) -> Result<bool, ProviderError> {
        let call = self.api("domains.delete", Method::DELETE).await?;
        self.delete(call.segments(["apps", app, "domains", id])).await
    }
}
