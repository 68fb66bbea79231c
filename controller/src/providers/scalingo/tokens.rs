//! Short-lived tokens: one of the account, one for each addon. Each is renewed before it ends, by one caller at a time.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{AddonRef, Scalingo};
use crate::providers::http::{Method, ProviderError};

/// A token with less life than this is renewed before use.
const LEAST_LIFE: TimeDelta = TimeDelta::minutes(5);
/// Life of a token that does not tell. The vendor documents one hour.
const ASSUMED_LIFE: TimeDelta = TimeDelta::minutes(45);

/// A token in use.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) secret: Arc<SecretString>,
    expires_at: DateTime<Utc>,
    /// Made for this very call: if it is refused, another one would be too.
    pub(super) just_made: bool,
}

impl Token {
    fn new(secret: SecretString, now: DateTime<Utc>) -> Self {
        let expires_at = expiry(secret.expose_secret()).unwrap_or(now + ASSUMED_LIFE);
        Self { secret: Arc::new(secret), expires_at, just_made: true }
    }

    /// `exp` is compared with the wall clock, as the vendor compares it with its own.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.expires_at - now >= LEAST_LIFE
    }

    fn kept(&self) -> Self {
        Self { just_made: false, ..self.clone() }
    }
}

/// The tokens that are kept. A lock is held during an exchange, so that there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    account: Mutex<Option<Token>>,
    addons: Mutex<HashMap<AddonRef, Token>>,
}

#[derive(Deserialize)]
struct Exchanged {
    token: SecretString,
}

#[derive(Deserialize)]
struct AddonRoot {
    addon: Exchanged,
}

/// The account that a token belongs to.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// Its id, `us-…`.
    pub id: String,
    /// Its name.
    pub username: Option<String>,
    /// Its address.
    pub email: Option<String>,
}

#[derive(Deserialize)]
struct UserRoot {
    user: Account,
}

impl Scalingo {
    /// `GET /users/self`. Who we are: the owner of what we create.
    ///
    /// Source: developer documentation "Users". Safe to repeat.
    pub async fn self_account(&self) -> Result<Account, ProviderError> {
        let call = self.auth("users.self", Method::GET).segments(["users", "self"]);
        self.send::<UserRoot>(call).await.map(|root| root.user)
    }

    pub(super) async fn account_token(&self) -> Result<Token, ProviderError> {
        let mut kept = self.shared.tokens.account.lock().await;
        match kept.as_ref().filter(|token| token.is_fresh(Utc::now())) {
            Some(token) => Ok(token.kept()),
            None => Ok(kept.insert(self.exchange().await?).clone()),
        }
    }

    /// A new token in place of `refused`, unless somebody else has got one meanwhile.
    pub(super) async fn renewed_account_token(&self, refused: &Token) -> Result<Token, ProviderError> {
        let mut kept = self.shared.tokens.account.lock().await;
        match kept.as_ref().filter(|token| !Arc::ptr_eq(&token.secret, &refused.secret)) {
            Some(token) => Ok(token.kept()),
            None => Ok(kept.insert(self.exchange().await?).clone()),
        }
    }

    pub(super) async fn addon_token(&self, addon: &AddonRef) -> Result<Token, ProviderError> {
        let mut kept = self.shared.tokens.addons.lock().await;
        if let Some(token) = kept.get(addon).filter(|token| token.is_fresh(Utc::now())) {
            return Ok(token.kept());
        }
        let token = self.enter(addon).await?;
        kept.insert(addon.clone(), token.clone());
        Ok(token)
    }

    pub(super) async fn renewed_addon_token(
        &self,
        addon: &AddonRef,
        refused: &Token,
    ) -> Result<Token, ProviderError> {
        let mut kept = self.shared.tokens.addons.lock().await;
        if let Some(token) = kept.get(addon).filter(|token| !Arc::ptr_eq(&token.secret, &refused.secret)) {
            return Ok(token.kept());
        }
        let token = self.enter(addon).await?;
        kept.insert(addon.clone(), token.clone());
        Ok(token)
    }

    /// `POST /tokens/exchange`: the API token, as the password of an empty user, for one of an hour.
    ///
    /// Source: developer documentation "Tokens / Exchange". Safe to repeat: the former token stays valid.
    async fn exchange(&self) -> Result<Token, ProviderError> {
        let call = self.auth("tokens.exchange", Method::POST).segments(["tokens", "exchange"]);
        let call = call.basic("", &self.shared.config.token).json(&serde_json::json!({})).repeatable();
        call.send::<Exchanged>().await.map(|answer| Token::new(answer.token, Utc::now()))
    }

    /// `POST /apps/:app/addons/:addon/token`: a token of an hour for the addon's database.
    ///
    /// Source: developer documentation "Addons / Get a token". Safe to repeat.
    async fn enter(&self, addon: &AddonRef) -> Result<Token, ProviderError> {
        let call = self.api("addons.token", Method::POST).await?;
        let call = call.segments(["apps", &addon.app, "addons", &addon.addon, "token"]);
        let root: AddonRoot = self.send(call.json(&serde_json::json!({})).repeatable()).await?;
        Ok(Token::new(root.addon.token, Utc::now()))
    }
}

/// `exp` of a JWT. The signature is the vendor's business: this only says when to ask for another one.
fn expiry(jwt: &str) -> Option<DateTime<Utc>> {
    use base64::Engine as _;

    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let payload = jwt.split('.').nth(1)?;
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    DateTime::from_timestamp(serde_json::from_slice::<Claims>(&json).ok()?.exp, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_is_read_without_the_signature() {
        // {"typ":"JWT","alg":"HS512"}.{"iss":"Scalingo","iat":1787000000,"exp":1787003600}
        let jwt = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.\
                   eyJpc3MiOiJTY2FsaW5nbyIsImlhdCI6MTc4NzAwMDAwMCwiZXhwIjoxNzg3MDAzNjAwfQ.c2ln";
        assert_eq!(expiry(jwt), DateTime::from_timestamp(1_787_003_600, 0));
        for opaque in ["", "abc", "a.b.c", "a.e30.c"] {
            assert_eq!(expiry(opaque), None, "{opaque}");
        }
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let now = DateTime::from_timestamp(1_787_000_000, 0).unwrap();
        let mut token = Token::new(SecretString::from("opaque"), now);
        assert!(token.is_fresh(now));
        token.expires_at = now + TimeDelta::seconds(299);
        assert!(!token.is_fresh(now));
    }
}
