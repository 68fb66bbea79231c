//! The bearer tokens: real JWTs (HS512), valid one hour of *wall* time, because clients compare `exp` with their own clock.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// How long a token is valid, in seconds.
const LIFE: i64 = 3_600;
const ISSUER: &str = "Scalingo";

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    iat: i64,
    /// The user, `us-…`.
    pub(super) uuid: String,
    /// Makes each token unique; also how a token is traced to the API token it came from.
    pub(super) rnd: String,
    /// The addon that an addon token opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) addon_uuid: Option<String>,
    exp: i64,
}

/// Signs and checks.
pub(super) struct Signer {
    sign: EncodingKey,
    check: DecodingKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(super) fn new(secret: &str) -> Self {
        let secret = secret.as_bytes();
        Self { sign: EncodingKey::from_secret(secret), check: DecodingKey::from_secret(secret) }
    }

    /// A token for `user`, made at `now`.
    pub(super) fn issue(
        &self,
        now: DateTime<Utc>,
        user: &str,
        rnd: &str,
        addon: Option<&str>,
    ) -> Option<String> {
        let claims = Claims {
            iss: ISSUER.into(),
            iat: now.timestamp(),
            uuid: user.into(),
            rnd: rnd.into(),
            addon_uuid: addon.map(str::to_owned),
            exp: now.timestamp() + LIFE,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &self.sign).ok()
    }

    /// What a bearer says, if it is one of ours and has not ended.
    pub(super) fn check(&self, bearer: &str) -> Option<Claims> {
        let mut rules = Validation::new(Algorithm::HS512);
        rules.leeway = 0;
        rules.set_issuer(&[ISSUER]);
        jsonwebtoken::decode::<Claims>(bearer, &self.check, &rules).ok().map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_token_ends_after_an_hour_of_wall_time() {
        let (signer, now) = (Signer::new("secret"), Utc::now());
        let fresh = signer.issue(now, "us-1", "00ff", None).unwrap();
        let claims = signer.check(&fresh).unwrap();
        assert_eq!((claims.exp - claims.iat, claims.uuid.as_str()), (3_600, "us-1"));
        let old = signer.issue(now - TimeDelta::seconds(3_601), "us-1", "00ff", None).unwrap();
        assert!(signer.check(&old).is_none(), "an ended token was accepted");
    }

    #[test]
    fn a_token_signed_by_another_is_refused() {
        let foreign = Signer::new("other").issue(Utc::now(), "us-1", "00ff", None).unwrap();
        assert!(Signer::new("secret").check(&foreign).is_none());
    }
}
