//! Scalingo, the platform: accounts, applications, addons, databases and their backups.
//!
//! Three services with one account: *auth* (global), *API* and *database API* (per region). Every method is one endpoint; what exists
//! already and whether it is ours is the caller's business, so is looking before creating (the vendor has no idempotency keys, and a
//! doubled addon is a doubled bill). Fields that the vendor may leave out are `Option`; unknown statuses are kept as they are.

pub mod addons;
pub mod apps;
pub mod backups;
pub mod capture;
pub mod collaborators;
pub mod databases;
pub mod deployments;
pub mod domains;
pub mod extensions;
pub mod formation;
pub mod keys;
pub mod operations;
pub mod projects;
pub mod regions;
pub mod scm;
pub mod tokens;
pub mod transfers;
pub mod users;
pub mod variables;

use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use self::{regions::Region, tokens::Tokens};
use super::http::{
    Answer, Call, Http, HttpSetupError, HttpShared, Limiter, Method, ProviderError, StatusCode, call::decode,
};

/// The provider's name in spans and metrics.
pub const NAME: &str = "scalingo";

/// Largest number of pages that a list is followed for.
const MOST_PAGES: u32 = 50;

/// Where the account is and how to enter it.
#[derive(Debug, Clone)]
pub struct ScalingoConfig {
    /// Auth service, such as `https://auth.scalingo.com`; without the version.
    pub auth_url: String,
    /// API of the region; from the list of regions if absent.
    pub api_url: Option<String>,
    /// Database API of the region; from the list of regions if absent.
    pub db_url: Option<String>,
    /// The region's name, such as `osc-fr1`.
    pub region: String,
    /// The long-lived API token.
    pub token: SecretString,
}

/// A client of one account in one region. Cheap to clone; clones share tokens and limiter.
#[derive(Debug, Clone)]
pub struct Scalingo {
    auth: Http,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ScalingoConfig,
    tokens: Tokens,
    api: OnceCell<Http>,
    database_api: OnceCell<Http>,
}

/// An addon in its app: what the database API needs to know to get in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddonRef {
    /// Name or id of the app.
    pub app: String,
    /// Id of the addon (`ad-…`).
    pub addon: String,
}

impl Scalingo {
    /// A client; nothing is sent yet. `limiter` is the account's.
    pub fn new(config: ScalingoConfig, limiter: Limiter, shared: HttpShared) -> Result<Self, HttpSetupError> {
        let auth = Http::new(NAME, &versioned(&config.auth_url, "v1"), limiter, shared)?;
        let given = |url: &Option<String>, version| match url {
            Some(url) => auth.at(&versioned(url, version)).map(|http| OnceCell::new_with(Some(http))),
            None => Ok(OnceCell::new()),
        };
        let (api, database_api) = (given(&config.api_url, "v1")?, given(&config.db_url, "api")?);
        let shared = Arc::new(Shared { config, tokens: Tokens::default(), api, database_api });
        Ok(Self { auth, shared })
    }

    /// The same account, with every wait ending at `cancel`.
    #[must_use]
    pub fn with_cancel(&self, cancel: CancellationToken) -> Self {
        Self { auth: self.auth.with_cancel(cancel), shared: Arc::clone(&self.shared) }
    }

    /// The region's name.
    pub fn region_name(&self) -> &str {
        &self.shared.config.region
    }

    /// A call to the auth service, not yet authenticated.
    fn auth(&self, name: &'static str, method: Method) -> Call {
        Call::new(&self.auth, name, method)
    }

    /// A call to the API, not yet authenticated.
    async fn api(&self, name: &'static str, method: Method) -> Result<Call, ProviderError> {
        let http = self.shared.api.get_or_try_init(|| self.regional(name, |region| region.api, "v1")).await?;
        Ok(Call::new(&self.cancellable(http), name, method))
    }

    /// A call to the database API, not yet authenticated.
    async fn database_api(&self, name: &'static str, method: Method) -> Result<Call, ProviderError> {
        let http = self
            .shared
            .database_api
            .get_or_try_init(|| self.regional(name, |region| region.database_api, "api"))
            .await?;
        Ok(Call::new(&self.cancellable(http), name, method))
    }

    /// `http` ending when this handle does: the shared one was made by whichever handle came first.
    fn cancellable(&self, http: &Http) -> Http {
        http.with_cancel(self.auth.shared.cancel.clone())
    }

    async fn regional(
        &self,
        call: &'static str,
        address: impl Fn(Region) -> Option<String>,
        version: &str,
    ) -> Result<Http, ProviderError> {
        let region = self.region().await?;
        let lacks = |what| ProviderError::Incomplete {
            call: "regions.list",
            what,
            effect: super::http::Effect::Repeatable,
        };
        let url = address(region).ok_or_else(|| lacks("an address of the region's service"))?;
        self.auth.at(&versioned(&url, version)).map_err(|error| match error {
            HttpSetupError::Origin { source, .. } => ProviderError::Origin { call, source },
            HttpSetupError::Client { .. } => lacks("a usable address of the region's service"),
        })
    }

    /// Sends `call` as the account. A 401 is answered by at most one new exchange: the vendor says 401 also where 403 is meant, so a
    /// second one is the answer. Nothing happened on the vendor's side at a 401, so even a mutating call may be sent again.
    ///
    /// Source: developer documentation "Authentication"; the vendor's clients' wording of 401.
    async fn answer(&self, call: Call) -> Result<Answer, ProviderError> {
        let token = self.account_token().await?;
        match call.clone().bearer(&token.secret).answer().await {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) && !token.just_made => {
                let fresh = self.renewed_account_token(&token).await?;
                call.bearer(&fresh.secret).answer().await
            }
            other => other,
        }
    }

    async fn send<T: DeserializeOwned>(&self, call: Call) -> Result<T, ProviderError> {
        let (name, effect) = (call.name(), call.effect());
        decode(name, effect, &self.answer(call).await?.body)
    }

    /// The same for the database API, with the addon's own token.
    async fn database_answer(&self, addon: &AddonRef, call: Call) -> Result<Answer, ProviderError> {
        let token = self.addon_token(addon).await?;
        match call.clone().bearer(&token.secret).answer().await {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) && !token.just_made => {
                let fresh = self.renewed_addon_token(addon, &token).await?;
                call.bearer(&fresh.secret).answer().await
            }
            other => other,
        }
    }

    async fn database_send<T: DeserializeOwned>(
        &self,
        addon: &AddonRef,
        call: Call,
    ) -> Result<T, ProviderError> {
        let (name, effect) = (call.name(), call.effect());
        decode(name, effect, &self.database_answer(addon, call).await?.body)
    }

    /// Sends a deletion; `false` if there was nothing to delete.
    async fn delete(&self, call: Call) -> Result<bool, ProviderError> {
        Ok(absent(self.answer(call).await)?.is_some())
    }
}

/// `https://host` or `https://host/` with the service's prefix, unless it is there already.
fn versioned(url: &str, prefix: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.ends_with(&format!("/{prefix}")) { url.to_owned() } else { format!("{url}/{prefix}") }
}

/// A 404 is `None`.
fn absent<T>(result: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// `meta.pagination` of a list, where there is one.
#[derive(Debug, Default, Deserialize)]
struct Meta {
    pagination: Option<Pagination>,
}

#[derive(Debug, Default, Deserialize)]
struct Pagination {
    next_page: Option<u32>,
}

impl Meta {
    fn next(meta: Option<&Self>) -> Option<u32> {
        meta?.pagination.as_ref()?.next_page.filter(|page| *page <= MOST_PAGES)
    }
}

#[cfg(test)]
mod tests;
